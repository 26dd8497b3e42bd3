"""Verification: every range of both tables compared, every difference explained, or the migration stops.

What explains a difference is told in `osc/verify/judgement.py`; here are the workers that read, wait and stop.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence

from osc.control.stop import StopRequest
from osc.copy.ranges import RangeDispatcher, one_key
from osc.copy.sizing import MAX_ROWS, ChunkSizer
from osc.errors import DifferencesFound, Stalled
from osc.mysql.session import Conn, Sessions
from osc.mysql.steady import SteadySession
from osc.reconcile.barrier import Heartbeat
from osc.reconcile.conflicts import owner_of_duplicate, unique_conflict
from osc.reconcile.pending import PendingSet
from osc.reconcile.watermarks import Watermarks
from osc.steps import Barrier, Compare, MeetTail, carry_out
from osc.table.facts import Index
from osc.table.key import Key
from osc.table.ranges import Range
from osc.threads import OwnedThread
from osc.verify.compare import Comparison
from osc.verify.judgement import ExamineStep, examine
from osc.verify.restless import Restless

RANGE_TARGET_S = 0.1
"""The most that reading a range should take."""
ROWS_TO_READ_TWICE = 1_000
"""A range that differs is read row by row; down to so many that costs little."""

LOOK_AGAIN_EVERY_S = 0.5
COMPARED_AT_ONCE = 500
SETTLE_TIMEOUT_S = 1.0
LOOK_AGAIN_PAUSE_S = 0.25
"""What does not come to rest within some seconds of looks is left to the swap."""
TAIL_TIMEOUT_S = 60.0


class Verifier:
    """Compares the whole of both tables with several workers."""

    def __init__(
        self,
        comparison: Comparison,
        sessions: Sessions,
        pending: PendingSet,
        heartbeat: Heartbeat,
        tail_has_met: Callable[[int, float], bool],
        gate: Callable[[], None],
        stop: StopRequest,
        workers: int,
        session_variables: Mapping[str, str],
        stricter: Sequence[Index],
        verified: Key | None = None,
        most_rows: int = MAX_ROWS,
    ) -> None:
        """`most_rows`: of a range. Where rows are long it ends early by their bytes, and looking for that end reads all that
        were asked for.

        `stricter`: unique indexes of the ghost that the original does not have in the same form.

        `verified`: an earlier run has compared every row below that key. Whatever has changed since is reconciled like any
        change, so it need not be compared again.
        """
        self._comparison = comparison
        self._sessions = sessions
        self._pending = pending
        self._heartbeat = heartbeat
        self._tail_has_met = tail_has_met
        self._gate = gate
        self._stop = stop
        self._session_variables = session_variables
        self._stricter = stricter
        # Ranges of its own: what is being copied has nothing to do with what is being compared.
        self._watermarks = Watermarks(compares=False, may_drop=False, low=verified)
        self._dispatcher = RangeDispatcher(comparison.projection, self._watermarks)
        self._end_is_verified = False
        self._sizer = ChunkSizer(RANGE_TARGET_S, most_rows=most_rows)
        self._lock = threading.Lock()
        self.rows = 0
        self.changed_rows = 0
        """Of those, how many the conversion has changed. Counted only where losses are allowed."""
        self._restless = Restless()
        self._looked_again_at = time.monotonic()
        self.threads = [OwnedThread(f"verify-{number}", self._work) for number in range(1, workers + 1)]

    def aim(self, chunk_s: float) -> None:
        """Ranges should take about as long as a chunk of the copy from now on."""
        self._sizer.aim(min(RANGE_TARGET_S, 2 * chunk_s))

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def open_session(self) -> SteadySession:
        """One on which ranges can be compared."""
        return SteadySession(
            self._sessions,
            "read for verification",
            self._stop,
            variables=self._session_variables,
            prepare=self._comparison.prepare,
        )

    def verify_below(self, session: SteadySession, below: Key) -> bool:
        """Compare a range whose rows are all in the ghost already: below that key. Whether there was one left.

        Before the threads are started. Raises DifferencesFound.
        """
        asked_for = self._sizer.rows
        span = self._next_range(session, asked_for, below)
        if span is None:
            return False
        # A range that was cut at `below` tells nothing of how long a whole one takes.
        self._verify(session, span, None if span.end == below else asked_for)
        self._look_again_now_and_then(session)
        return True

    def _next_range(self, session: SteadySession, rows: int, below: Key | None = None) -> Range | None:
        projection = self._comparison.projection
        return self._dispatcher.next(
            lambda statement: session.run(lambda c: one_key(c, projection, statement)), rows, below
        )

    def _work(self) -> None:
        session = self.open_session()
        try:
            while True:
                self._gate()
                asked_for = self._sizer.rows
                span = self._next_range(session, asked_for)
                if span is None:
                    self._verify_rest(session)
                    self._look_again_to_the_end(session)
                    return
                if span.last is not None:
                    self._end_is_verified = True
                # Open-ended, the final range also finds rows that only the ghost has, behind the last of the original.
                self._verify(session, span if span.last is None else Range(span.number, span.start), asked_for)
                self._look_again_now_and_then(session)
        finally:
            session.close()

    def _verify_rest(self, session: SteadySession) -> None:
        """Where no final range was handed out, the original being empty from there on: the ghost must be so as well."""
        with self._lock:
            if self._end_is_verified:
                return
            self._end_is_verified = True
        self._verify(session, Range(0, self._watermarks.high), 0)

    @property
    def inconclusive(self) -> set[Key]:
        """Keys that never rested; to be compared under the swap's lock."""
        return self._restless.given_up

    @property
    def verified(self) -> Key | None:
        """Every row below that key was found right. It stops at a range with keys that never rested."""
        return self._watermarks.low

    def _verify(self, session: SteadySession, span: Range, asked_for: int | None) -> None:
        """Compare it. `asked_for`: with how many rows it was asked for; None where it got fewer."""
        started = time.monotonic()
        expected, changed = session.run(
            lambda c: (self._comparison.source_sum(c, span), self._comparison.changed_rows(c))
        )
        found = session.run(lambda connection: self._comparison.ghost_sum(connection, span))
        took_s = time.monotonic() - started
        if expected == found:
            if asked_for is not None:
                self._sizer.took(asked_for, took_s)
            self._complete(span.number)
        else:
            if asked_for is not None:
                # Somebody writes here. The smaller the range, the likelier that nobody wrote it while it was read.
                is_large = asked_for > ROWS_TO_READ_TWICE
                self._sizer.took(asked_for, max(took_s, 2 * self._sizer.target_s) if is_large else took_s)
            restless = self._examine(
                session,
                lambda keys: self._differing_in(session, span) if keys is None else self._differing(session, keys),
            )
            self._restless.add(restless, span.number)
            if not restless:
                self._complete(span.number)
        with self._lock:
            self.rows += found.rows
            self.changed_rows += changed

    def _complete(self, number: int) -> None:
        if number:
            self._watermarks.complete(number)

    def _look_again_now_and_then(self, session: SteadySession) -> None:
        if self._pending.lets_rest:
            return  # what rests differs until it is written, however often it is looked at
        now = time.monotonic()
        with self._lock:
            if now - self._looked_again_at < LOOK_AGAIN_EVERY_S:
                return
            self._looked_again_at = now
        self._look_again(session)

    def _look_again_to_the_end(self, session: SteadySession) -> None:
        """Until every key rests, or is left to the swap."""
        while len(self._restless):
            self._gate()
            has_settled_most = self._look_again(session, SETTLE_TIMEOUT_S)
            self._stop.wait(0.05 if has_settled_most else LOOK_AGAIN_PAUSE_S)

    def _look_again(self, session: SteadySession, patience_s: float = 0.0) -> bool:
        """Whether that settled half of what there was to look at."""
        keys = self._restless.take(COMPARED_AT_ONCE)
        if not keys:
            return False
        self._wait_until_most_settled(keys, patience_s)
        restless = self._examine(session, lambda some: self._differing(session, some or ()), keys)
        for number in self._restless.put_back(keys, restless):
            self._complete(number)
        return 2 * len(restless) <= len(keys)

    def _examine(
        self,
        session: SteadySession,
        differing: Callable[[Collection[Key] | None], set[Key]],
        keys: Collection[Key] | None = None,
    ) -> Collection[Key]:
        """The keys to be compared again. Raises DifferencesFound for a real difference."""

        def do(step: ExamineStep) -> None:
            match step:
                case Compare():
                    step.differing = differing(step.keys)
                case Barrier():
                    step.beat = self._heartbeat.barrier()
                case MeetTail():
                    if not self._tail_has_met(step.beat, TAIL_TIMEOUT_S):
                        raise Stalled(f"the binlog reader did not reach a heartbeat within {TAIL_TIMEOUT_S:.0f} s")

        examined = carry_out(examine(self._pending, keys), do)
        if examined.real:
            session.run(lambda connection: self._explain_by_unique_index(connection, sorted(examined.real)))
            raise differences(self._comparison, examined.real, examined.count)
        return examined.restless

    def _differing_in(self, session: SteadySession, span: Range) -> set[Key]:
        return session.run(lambda connection: self._comparison.differing_in_range(connection, span))

    def _differing(self, session: SteadySession, keys: Collection[Key]) -> set[Key]:
        return session.run(lambda connection: self._comparison.differing_keys(connection, sorted(keys)))

    def _explain_by_unique_index(self, connection: Conn, keys: Sequence[Key]) -> None:
        """Raise UniqueConflict when one of the keys has no row because another row has its value."""
        for key in keys[:10]:
            twin = self._comparison.converted(connection, [key])
            found = owner_of_duplicate(connection, self._comparison.projection, self._stricter, [key], twin)
            if found is not None:
                raise unique_conflict(self._comparison.projection, found[0], key, found[1])

    def _wait_until_most_settled(self, keys: Collection[Key], patience_s: float) -> None:
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline and not self._pending.are_mostly_settled(keys):
            self._stop.wait(0.05)
            self._stop.check()


def differences(comparison: Comparison, keys: Collection[Key], count: int) -> DifferencesFound:
    """The error that names the first differing keys."""
    shown = [comparison.projection.key.row_text(key) for key in sorted(keys)[:10]]
    return DifferencesFound(
        f"{count} row(s) of {comparison.projection.ghost_table} differ from what {comparison.projection.source_table} "
        f"should become, and no change in the binlog explains it: {', '.join(shown)}. The original is untouched and "
        "nothing was swapped. Somebody may have written to the ghost table; look at these keys in both tables"
    )
