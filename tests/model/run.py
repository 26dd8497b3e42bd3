"""A run of the engine on the model's server: the shell that does what the real core says.

Each thread of the engine is a generator here. It yields what it waits for (a condition), so that anything may happen
before it goes on; an error is thrown into it where it waits.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable
from typing import Literal, TypeAlias, TypeVar

from osc.copy.ranges import LastKey, RangeEnd
from osc.cutover.conditions import AttemptFailed, LastStep
from osc.reconcile.cycle import CycleStep
from osc.reconcile.rest import REST_S
from osc.reconcile.strictly import FindOwner, Rewrite
from osc.steps import Apply, AskPrepared, AwaitRanges, Barrier, CheckEpoch, Compare, MeetTail
from osc.table.key import Key
from osc.table.ranges import Range
from osc.tail.coordinate import Coordinate
from osc.verify.judgement import ExamineStep
from osc.verify.restless import Restless
from tests.model.core import Core
from tests.model.server import PLACES, Commit, Duplicate, GhostTransaction, How, Row, Server, TakenOver
from tests.model.tail import FILE, Tail

Condition: TypeAlias = Callable[[], bool]
Actor: TypeAlias = Generator[Condition, None, None]
S = TypeVar("S")
R = TypeVar("R")

WORKERS = 2
BATCH_KEYS = 2
MOST_ROUNDS = 8
"""Of looks at a key that differs: few, so that many interleavings come to the look under the lock."""


class Violation(Exception):
    """The model has seen what must never happen."""


class Failure(Exception):
    """A statement failed: a lost connection, a deadlock, a timeout."""


class Stopped(Exception):
    """The run has stopped for a reason that it may have; the original is in place."""


def always() -> bool:
    return True


def drive(steps: Generator[S, None, R], do: Callable[[S], Actor]) -> Generator[Condition, None, R]:
    """As `carry_out`, but anything may happen while a step is being done."""
    try:
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                result: R = end.value
                return result
            yield from do(step)
    finally:
        steps.close()


class Run:
    """One run: from the checkpoint, if there is one, to the swap."""

    def __init__(self, server: Server, core: Core) -> None:
        self._server = server
        self._core = core
        self._settings = server.settings
        self.actors: dict[str, Actor] = {"main": self._main()}
        self.waits_for: dict[str, Condition] = {"main": always}
        self.can_fail: set[str] = set()
        self.tail: Tail | None = None
        self.has_swapped = False
        self.interference = 0
        """How many events are delivered between two reads of a checkpoint."""
        self._epoch = 0
        self._stage: Literal["copy", "verify"] = "copy"
        self._is_cutting = False
        self._is_paused = False
        self._in_cycle = False
        self._is_swapping = False
        self._now_s = 0.0

    # --- the scheduler's side -------------------------------------------------------------------------------------

    def is_ready(self, name: str) -> bool:
        """Whether the actor can go on."""
        return self.waits_for[name]()

    def step(self, name: str, error: Exception | None = None) -> None:
        """Let the actor go on to where it waits next, with an error if it is to meet one."""
        actor = self.actors[name]
        try:
            self.waits_for[name] = next(actor) if error is None else actor.throw(error)
        except StopIteration:
            del self.actors[name]
            del self.waits_for[name]

    def _start(self, name: str, actor: Actor) -> None:
        self.actors[name] = actor
        self.waits_for[name] = always

    # --- the phases -----------------------------------------------------------------------------------------------

    def _main(self) -> Actor:
        server, core = self._server, self._core
        found = server.checkpoint
        if found is None:
            yield lambda: not server.open  # what is left of an earlier run is dropped
            server.ghost.clear()
        if core.has_epoch:
            yield lambda: not server.epoch_holders
        yield from self._await(server.raise_epoch())
        self._epoch = server.epoch
        yield always
        assert found is None or isinstance(found, tuple)
        coordinate, self._stage, low = found or (Coordinate(FILE, len(server.binlog)), "copy", None)
        guard = server.ghost[max(server.ghost)].key if found and server.ghost else None
        self.pending = core.pending(clock=lambda: self._now_s)
        self._watermarks = core.watermarks(self._settings.compares, self._settings.unique == "none", low, guard)
        self._cutter = core.cutter(self._watermarks)
        self.tail = Tail(server, self.pending, coordinate)
        yield from self._open()
        if self._stage == "verify":
            self._watermarks.open_end()
        self._start("reconciler", self._reconcile())
        self._start("time", self._let_time_pass())
        yield from self._save()
        self._start("saver", self._save_now_and_then())
        if self._stage == "copy":
            workers = [f"worker {number}" for number in range(1, WORKERS + 1)]
            for name in workers:
                self._start(name, self._copy(name))
            if self._settings.verifies and self._settings.compares and self._settings.unique == "none":
                self._start("ahead", self._verify_ahead(workers))
            yield lambda: not any(name in self.actors for name in (*workers, "ahead"))
            self._stage = "verify"
        self.pending.rest_no_more()
        restless: Collection[Key] = ()
        if self._settings.verifies:
            restless = yield from self._verify()
        yield from self._swap(restless)

    def _open(self) -> Actor:
        def do(step: AskPrepared | Barrier) -> Actor:
            match step:
                case AskPrepared():
                    yield lambda: not (step.waited_for and step.waited_for <= self._listed())
                    step.listed = self._listed()
                case Barrier():
                    yield from self._beat(step)

        yield from drive(self._core.opening(), do)

    def _listed(self) -> frozenset[str]:
        return frozenset(self._server.prepared)

    def _await(self, commit: Commit) -> Actor:
        yield lambda: commit.is_visible

    def _beat(self, step: Barrier) -> Actor:
        step.beat, commit = self._server.beat()
        yield from self._await(commit)

    # --- writing the ghost ----------------------------------------------------------------------------------------

    def _transact(self, body: Callable[[GhostTransaction], Actor]) -> Actor:
        """A transaction on the ghost, once; rolled back when it fails."""
        yield always
        transaction = GhostTransaction(self._server, self._epoch, self._core.has_epoch and not self._core.autocommits)
        try:
            yield from body(transaction)
            yield from self._await(transaction.commit())
        except (Failure, Stopped):
            transaction.rollback()
            raise

    def _write(self, transaction: GhostTransaction, rows: dict[int, Row], how: How) -> Actor:
        """A statement that has read the original: it writes the ghost as soon as the locks let it."""
        transaction.statement = (rows, how)
        yield lambda: transaction.can_go_on
        transaction.go_on()
        yield always

    # --- the copy -------------------------------------------------------------------------------------------------

    def _copy(self, name: str) -> Actor:
        while True:
            yield lambda: not self._is_cutting
            self._is_cutting = True
            span = yield from drive(self._cutter.next(self._settings.range_rows), self._seek)
            self._is_cutting = False
            if span is None:
                return
            while not (yield from self._try(name, self._copy_range(span))):
                pass
            self._watermarks.complete(span.number)

    def _seek(self, seek: RangeEnd | LastKey) -> Actor:
        places = sorted(self._server.source)
        if isinstance(seek, RangeEnd):
            places = [place for place in places if self._is_within(place, seek.start, None, seek.last)][seek.rows :][:1]
        seek.found = self._server.source[places[-1]].key if places else None
        yield always

    def _is_within(self, place: int, start: Key | None, end: Key | None, last: Key | None) -> bool:
        at = self._server.place
        return (
            (start is None or place >= at(start))
            and (end is None or place < at(end))
            and (last is None or place <= at(last))
        )

    def _copy_range(self, span: Range) -> Actor:
        def body(transaction: GhostTransaction) -> Actor:
            source = self._server.source
            rows = {at: source[at] for at in sorted(source) if self._is_within(at, span.start, span.end, span.last)}
            yield from self._write(transaction, rows, "skip")

        yield from self._transact(body)

    def _try(self, name: str, work: Actor) -> Generator[Condition, None, bool]:
        """Do it; whether it did not fail."""
        self.can_fail.add(name)
        try:
            yield from work
        except Failure:
            return False
        finally:
            self.can_fail.discard(name)
        return True

    # --- reconciling ----------------------------------------------------------------------------------------------

    def _reconcile(self) -> Actor:
        while True:
            yield lambda: not self._is_paused and len(self.pending) > 0
            self._in_cycle = True
            yield from self._try("reconciler", self._cycle())
            self._in_cycle = False

    def _let_time_pass(self) -> Actor:
        while True:
            yield lambda: len(self.pending) > self.pending.due
            self._now_s += REST_S

    def _cycle(self) -> Actor:
        def do(step: CycleStep) -> Actor:
            match step:
                case AskPrepared():
                    yield always
                    step.listed = self._listed()
                    yield always
                case Barrier():
                    yield from self._beat(step)
                case AwaitRanges():
                    yield lambda: self._watermarks.wait_until_done(step.numbers, 0)
                case Apply():
                    yield from self._apply(step.keys)

        yield from drive(self._core.cycle(self.pending, self._watermarks), do)

    def _apply(self, keys: Collection[Key]) -> Actor:
        ordered = sorted(keys)
        for start in range(0, len(ordered), BATCH_KEYS):
            batch = ordered[start : start + BATCH_KEYS]
            strictly = self._settings.unique == "stricter" and not self._core.displaces
            body = self._rewrite_strictly if strictly else self._rewrite
            yield from self._transact(lambda transaction: body(transaction, batch))  # noqa: B023

    def _fresh(self, keys: Iterable[Key]) -> dict[int, Row]:
        places = sorted({self._server.place(key) for key in keys})
        return {place: self._server.source[place] for place in places if place in self._server.source}

    def _delete(self, transaction: GhostTransaction, keys: Collection[Key]) -> Actor:
        places = {self._server.place(key) for key in keys}
        yield lambda: transaction.is_free(places, [row for at, row in transaction.rows().items() if at in places])
        transaction.delete(places)

    def _rewrite(self, transaction: GhostTransaction, keys: Collection[Key]) -> Actor:
        yield from self._delete(transaction, keys)
        yield from self._write(transaction, self._fresh(keys), "replace")

    def _rewrite_strictly(self, transaction: GhostTransaction, keys: Collection[Key]) -> Actor:
        def do(step: Rewrite | FindOwner) -> Actor:
            match step:
                case Rewrite():
                    yield from self._delete(transaction, step.keys)
                    rows = self._fresh(step.keys)
                    yield lambda: transaction.is_free(rows, rows.values())
                    try:
                        transaction.write(rows, "insert")
                    except Duplicate:
                        step.is_duplicate = True
                case FindOwner():
                    step.owner = self._owner(transaction, step.keys)
            yield always

        if (yield from drive(self._core.rewrite_strictly(keys), do)) is not None:
            if self._server.had_duplicates:
                raise Stopped("two rows have one value under a stricter unique key")
            raise Violation("a conflict between rows that never had one value at a time")

    def _owner(self, transaction: GhostTransaction, keys: Collection[Key]) -> Key | None:
        for place, row in self._fresh(keys).items():
            for at, other in transaction.rows().items():
                if at != place and row.unique and other.unique == row.unique:
                    return other.key
        return None

    # --- checkpoints ----------------------------------------------------------------------------------------------

    def _save_now_and_then(self) -> Actor:
        while True:
            yield lambda: not self._is_swapping
            yield from self._try("saver", self._save())

    def _save(self) -> Actor:
        tail = self.tail
        assert tail is not None

        has_read = False

        def interfered() -> None:
            nonlocal has_read
            if has_read:
                tail.deliver(self.interference)
            has_read = True

        def oldest() -> int | None:
            interfered()
            return self.pending.oldest()

        def received() -> Coordinate:
            interfered()
            return tail.progress.complete[0]

        def start_of(transaction: int) -> Coordinate:
            interfered()
            return tail.progress.checkpoint(transaction)

        coordinate = self._core.resume_coordinate(received, oldest, start_of)
        checkpoint = (coordinate, self._stage, self._watermarks.low)
        yield always
        holder = object()
        if self._core.has_epoch and self._epoch != self._server.epoch:
            raise TakenOver
        self._server.epoch_holders.append(holder)
        yield from self._await(self._server.save(checkpoint, holder))

    # --- verification ---------------------------------------------------------------------------------------------

    def _verify(self) -> Generator[Condition, None, Collection[Key]]:
        look = Compare(None)
        yield from self._compare(look)
        restless = Restless(most_rounds=MOST_ROUNDS)
        if look.differing:
            restless.add((yield from self._examine(None)), 1)
        while keys := restless.take(PLACES * 2):
            yield always
            restless.put_back(keys, (yield from self._examine(keys)))
        return restless.given_up

    def _verify_ahead(self, workers: Collection[str]) -> Actor:
        """Range by range below the low watermark, as long as there are workers."""
        verified: Key | None = None
        while any(name in self.actors for name in workers):
            yield always
            below = self._core.copied_below(self._watermarks)
            if below is not None and (verified is None or verified < below):
                yield from self._examine(None, Range(0, verified, below))
                verified = below

    def _examine(
        self, keys: Collection[Key] | None, span: Range | None = None
    ) -> Generator[Condition, None, Collection[Key]]:
        def do(step: ExamineStep) -> Actor:
            match step:
                case Compare():
                    yield from self._compare(step, span)
                case Barrier():
                    yield from self._beat(step)
                case MeetTail():
                    yield from self._meet(step.beat)

        outcome = yield from drive(self._core.examine(self.pending, keys), do)
        if outcome.real:
            self._found(outcome.real, "verification stopped")
        return outcome.restless

    def _compare(self, step: Compare, span: Range | None = None) -> Actor:
        expected = dict(self._server.source)
        yield always
        found = self._server.ghost
        places = list(range(PLACES)) if step.keys is None else [self._server.place(key) for key in step.keys]
        if step.keys is None and span is not None:
            places = [place for place in places if self._is_within(place, span.start, span.end, span.last)]
        for place in places:
            rows = expected.get(place), found.get(place)
            if rows[0] != rows[1]:
                step.differing |= {row.key for row in rows if row}

    def _found(self, keys: Collection[Key], what: str) -> None:
        if self._settings.unique == "stricter" and self._server.had_duplicates:
            raise Stopped("two rows have had one value under a stricter unique key")
        raise Violation(f"{what} with a difference at {sorted(keys)}")

    def _meet(self, beat: int) -> Actor:
        tail = self.tail
        assert tail is not None
        yield lambda: tail.met >= beat

    # --- the swap -------------------------------------------------------------------------------------------------

    def _swap(self, restless: Collection[Key]) -> Actor:
        while not self.has_swapped:
            self._is_paused = True
            yield lambda: not self._in_cycle
            self._is_swapping = True
            yield from self._try("main", self._attempt(restless))
            self._is_swapping = self._is_paused = self._server.is_locked = False
            yield always

    def _attempt(self, restless: Collection[Key]) -> Actor:
        yield from self._cycle()
        yield lambda: self._server.can_lock_tables
        self._server.is_locked = True

        def do(step: LastStep) -> Actor:
            match step:
                case Barrier():
                    yield from self._beat(step)
                case MeetTail():
                    yield from self._meet(step.beat)
                case Apply():
                    yield from self._apply(step.keys)
                case Compare():
                    yield from self._compare(step)
                case CheckEpoch():
                    if self._core.has_epoch and self._epoch != self._server.epoch:
                        raise TakenOver

        try:
            look = yield from drive(self._core.last_steps(self.pending, restless), do)
        except AttemptFailed as error:
            raise Failure from error
        if look.differing:
            self._found(look.differing, "the swap stopped")
        yield always
        self.has_swapped = True
