"""Seeded mistakes: for each rule of the core, a core without it. The model has to find every one.

A mutant replaces one piece of the real core by something that leaves the rule out, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

from osc.copy.ranges import LastKey, RangeCutter
from osc.cutover.conditions import LastLook, LastStep, last_steps
from osc.reconcile.cycle import CycleStep, cycle, opening
from osc.reconcile.pending import PendingSet
from osc.reconcile.watermarks import Sorted, Verdict, Watermarks
from osc.state.checkpoint import resume_coordinate
from osc.steps import Apply, AskPrepared, Barrier, MeetTail
from osc.table.key import Key
from osc.tail.coordinate import Coordinate
from osc.verify.judgement import Examined, ExamineStep, examine
from tests.model.core import Core
from tests.model.server import Kind
from tests.model.world import ANY_KIND

S = TypeVar("S")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Mutant:
    """A core that leaves one rule out."""

    name: str
    core: Core
    kind: Kind = ANY_KIND
    """The kind of server or table on which the rule matters."""


def without(steps: Generator[S, None, R], *left_out: type) -> Generator[S, None, R]:
    """The same steps, but some are never done."""
    try:
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                result: R = end.value
                return result
            if not isinstance(step, left_out):
                yield step
    finally:
        steps.close()


# --- the cycle --------------------------------------------------------------------------------------------------------


def no_barrier(pending: PendingSet, watermarks: Watermarks) -> Generator[CycleStep, None, int]:
    return without(cycle(pending, watermarks), Barrier)


def drop_before_the_barrier(pending: PendingSet, watermarks: Watermarks) -> Generator[CycleStep, None, int]:
    pending.dropped(watermarks.sort(pending.take()).drop)
    pending.hold()
    return cycle(pending, watermarks)


def xa_released_while_listed(pending: PendingSet, watermarks: Watermarks) -> Generator[CycleStep, None, int]:
    return without(cycle(pending, watermarks), AskPrepared)


# --- the watermarks ---------------------------------------------------------------------------------------------------


def always_drops(compares: bool, may_drop: bool, low: Key | None, guard: Key | None) -> Watermarks:
    return Watermarks(compares=compares, may_drop=True, low=low, guard=guard)


def no_guard(compares: bool, may_drop: bool, low: Key | None, guard: Key | None) -> Watermarks:
    return Watermarks(compares=compares, may_drop=may_drop, low=low, guard=None)


class NoHold(Watermarks):
    """Reconciles keys of ranges in flight."""

    def __init__(self, compares: bool, may_drop: bool, low: Key | None, guard: Key | None) -> None:
        super().__init__(compares=compares, may_drop=may_drop, low=low, guard=guard)

    def _judge(self, key: Key) -> Verdict:
        verdict = super()._judge(key)
        return "reconcile" if verdict == "hold" else verdict


class NoWait(Watermarks):
    """Does not wait for ranges in flight where keys do not compare."""

    def __init__(self, compares: bool, may_drop: bool, low: Key | None, guard: Key | None) -> None:
        super().__init__(compares=compares, may_drop=may_drop, low=low, guard=guard)

    def sort(self, keys: Iterable[Key]) -> Sorted:
        return replace(super().sort(keys), after_ranges=frozenset())


def compares_in_python(compares: bool, may_drop: bool, low: Key | None, guard: Key | None) -> Watermarks:
    return Watermarks(compares=True, may_drop=may_drop, low=low, guard=guard)


class ClosedEnd(RangeCutter):
    """Looks up the largest key before the end is opened."""

    def _fix_end(self) -> Generator[LastKey, None, None]:
        is_open = self._watermarks.open_end
        self._watermarks.open_end = lambda: None  # type: ignore[method-assign]
        yield from super()._fix_end()
        is_open()


# --- the pending set --------------------------------------------------------------------------------------------------


class ForgetsHold(PendingSet):
    """Takes the keys of a cycle that failed for settled."""

    def hold(self, keys: Iterable[Key] | None = None) -> None:
        if keys is None:
            self._in_cycle.clear()
        else:
            super().hold(keys)


class ForgetsRest(PendingSet):
    """Takes the keys that rest for settled when they have rested."""

    def take(self) -> dict[Key, int]:
        self._rest.rested()
        return super().take()


class RestIsSettled(PendingSet):
    """Takes the keys that rest for settled at a checkpoint and for verification."""

    def oldest(self) -> int | None:
        resting, self._rest.resting = self._rest.resting, {}
        try:
            return super().oldest()
        finally:
            self._rest.resting = resting


class RestExplainsNothing(PendingSet):
    """Takes the keys that rest for settled when a difference is judged."""

    @contextmanager
    def watching(self) -> Iterator[set[Key]]:
        resting, self._rest.resting = self._rest.resting, {}
        with super().watching() as watch:
            self._rest.resting = resting
            yield watch


class ReleasesAtPrepare(PendingSet):
    """Takes the rows of a prepared XA transaction for committed."""

    def prepare(self, xid: str, keys: Collection[Key], transaction: int) -> None:
        self.add(keys, transaction)


class ReleasesByXid(PendingSet):
    """Releases whatever was prepared under the xid by the time that it is seen to have left the server's list."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock=clock)
        self._noted: list[str] = []

    def decide(self, xid: str) -> None:
        self._noted.append(xid)

    def decided(self) -> dict[int, str]:
        return dict(enumerate(self._noted))

    def release(self, decisions: Iterable[int]) -> None:
        for number in sorted(decisions, reverse=True):
            super().decide(self._noted.pop(number))
        super().release(super().decided())


class NothingExplains(PendingSet):
    """Finds no difference explained by an event."""

    def touched(self, watch: set[Key], keys: Collection[Key]) -> set[Key]:
        return set()


# --- start, checkpoint and resume -------------------------------------------------------------------------------------


def opens_without_barrier() -> Generator[AskPrepared | Barrier, None, None]:
    return without(opening(), Barrier)


def opens_without_xa() -> Generator[AskPrepared | Barrier, None, None]:
    return without(opening(), AskPrepared)


def opens_with_the_list() -> Generator[AskPrepared | Barrier, None, None]:
    steps = opening()
    next(steps)
    return steps


def one_too_far(
    received: Callable[[], Coordinate], oldest: Callable[[], int | None], start_of: Callable[[int], Coordinate]
) -> Coordinate:
    return resume_coordinate(received, oldest, lambda transaction: start_of(transaction + 1))


def pending_read_first(
    received: Callable[[], Coordinate], oldest: Callable[[], int | None], start_of: Callable[[int], Coordinate]
) -> Coordinate:
    first = oldest()
    return resume_coordinate(received, lambda: first, start_of)


# --- verification and the swap ----------------------------------------------------------------------------------------


def judges_at_once(pending: PendingSet, keys: Collection[Key] | None) -> Generator[ExamineStep, None, Examined]:
    return without(examine(pending, keys), MeetTail, Barrier)


def up_to_the_high_watermark(watermarks: Watermarks) -> Key | None:
    return watermarks.high


def no_last_drain(pending: PendingSet, restless: Collection[Key]) -> Generator[LastStep, None, LastLook]:
    return without(last_steps(pending, restless), Apply)


def no_last_wait(pending: PendingSet, restless: Collection[Key]) -> Generator[LastStep, None, LastLook]:
    return without(last_steps(pending, restless), MeetTail)


def ignores_undecided(pending: PendingSet, restless: Collection[Key]) -> Generator[LastStep, None, LastLook]:
    pending._prepared.clear()
    pending._decided.clear()
    return last_steps(pending, restless)


CORE = Core()

DROPPING = Kind(unique="none", compares=True)
"""Where keys may be dropped at all."""

XA_RELEASED_BY_XID = Mutant("XA: keys released by xid, which may be in use again", replace(CORE, pending=ReleasesByXid))
XA_LISTED_FIRST = Mutant("XA: the list asked for before the barrier", replace(CORE, opening=opens_with_the_list))

MUTANTS = (
    Mutant("no barrier", replace(CORE, cycle=no_barrier)),
    Mutant(
        "keys dropped before the barrier",
        replace(CORE, cycle=drop_before_the_barrier),
        DROPPING,
    ),
    Mutant("keys dropped in spite of another unique key", replace(CORE, watermarks=always_drops), Kind(unique="same")),
    Mutant("no hold for ranges in flight", replace(CORE, watermarks=NoHold), Kind(compares=True)),
    Mutant(
        "keys that do not compare: no waiting for ranges in flight",
        replace(CORE, watermarks=NoWait),
        Kind(compares=False),
    ),
    Mutant("keys that do not compare are compared", replace(CORE, watermarks=compares_in_python), Kind(compares=False)),
    Mutant(
        "the last range closed: its end looked up before it is opened",
        replace(CORE, cutter=ClosedEnd),
        DROPPING,
    ),
    Mutant("the keys of a failed cycle forgotten", replace(CORE, pending=ForgetsHold)),
    Mutant("the keys that rest forgotten", replace(CORE, pending=ForgetsRest)),
    Mutant("a checkpoint that passes by keys that rest", replace(CORE, pending=RestIsSettled)),
    Mutant(
        "verification stops on a key that rests",
        replace(CORE, pending=RestExplainsNothing),
        Kind(unique="none", compares=True, verifies=True),
    ),
    Mutant("XA: keys released at the prepare", replace(CORE, pending=ReleasesAtPrepare)),
    Mutant(
        "XA: keys released while the transaction is still listed",
        replace(CORE, cycle=xa_released_while_listed),
        Kind(is_mariadb=True),
    ),
    XA_RELEASED_BY_XID,
    XA_LISTED_FIRST,
    Mutant("XA: transactions prepared before the start not waited for", replace(CORE, opening=opens_without_xa)),
    Mutant("the coordinate taken without a barrier", replace(CORE, opening=opens_without_barrier)),
    Mutant(
        "rows displaced on a stricter unique key forgotten",
        replace(CORE, displaces=True),
        Kind(unique="stricter", verifies=True),
    ),
    Mutant("a checkpoint one transaction too far", replace(CORE, resume_coordinate=one_too_far)),
    Mutant("a checkpoint that reads the pending set first", replace(CORE, resume_coordinate=pending_read_first)),
    Mutant("no guard after a resume", replace(CORE, watermarks=no_guard), DROPPING),
    Mutant(
        "no epoch: a dead client's commit lands after the resume",
        replace(CORE, has_epoch=False),
        DROPPING,
    ),
    Mutant("the ghost written in autocommit", replace(CORE, autocommits=True)),
    Mutant("verification stops on a key with events", replace(CORE, pending=NothingExplains), Kind(verifies=True)),
    Mutant(
        "verification judges before the tail has caught up", replace(CORE, examine=judges_at_once), Kind(verifies=True)
    ),
    Mutant(
        "rows verified that may still be being copied",
        replace(CORE, copied_below=up_to_the_high_watermark),
        Kind(unique="none", compares=True, verifies=True),
    ),
    Mutant("a swap without the last reconciling", replace(CORE, last_steps=no_last_drain)),
    Mutant("a swap that does not wait for the tail", replace(CORE, last_steps=no_last_wait)),
    Mutant(
        "a swap in spite of an undecided XA transaction",
        replace(CORE, last_steps=ignores_undecided),
        Kind(is_mariadb=True),
    ),
)
