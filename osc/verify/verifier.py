"""Verification: every range of both tables compared, every difference explained, or the migration stops.

What explains a difference is told in `osc/verify/judgement.py`; here are the workers that read, wait and stop.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence

from osc.control.stop import StopRequest
from osc.copy.ranges import RangeDispatcher, one_key
from osc.copy.sizing import ChunkSizer
from osc.errors import DifferencesFound, Stalled
from osc.mysql.session import Conn, Sessions
from osc.mysql.steady import SteadySession
from osc.reconcile.barrier import Heartbeat
from osc.reconcile.conflicts import owner_of_duplicate, unique_conflict
from osc.reconcile.pending import PendingSet
from osc.reconcile.watermarks import Watermarks
from osc.steps import AwaitSettled, Barrier, Compare, MeetTail, carry_out
from osc.table.facts import Index
from osc.table.key import Key
from osc.table.ranges import Range
from osc.threads import OwnedThread
from osc.verify.compare import Comparison
from osc.verify.judgement import ExamineStep, examine

RANGE_TARGET_S = 0.1
"""The most that reading a range should take."""
SETTLE_TIMEOUT_S = 5.0
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
    ) -> None:
        """`stricter`: unique indexes of the ghost that the original does not have in the same form.

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
        self._sizer = ChunkSizer(RANGE_TARGET_S)
        self._lock = threading.Lock()
        self.rows = 0
        self.changed_rows = 0
        """Of those, how many the conversion has changed. Counted only where losses are allowed."""
        self.inconclusive: set[Key] = set()
        """Keys that never rested; to be compared under the swap's lock."""
        self.threads = [OwnedThread(f"verify-{number}", self._work) for number in range(1, workers + 1)]

    def aim(self, chunk_s: float) -> None:
        """Ranges should take about as long as a chunk of the copy from now on."""
        self._sizer.aim(min(RANGE_TARGET_S, 2 * chunk_s))

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def _work(self) -> None:
        session = SteadySession(
            self._sessions,
            "read for verification",
            self._stop,
            variables=self._session_variables,
            prepare=self._comparison.prepare,
        )
        projection = self._comparison.projection
        try:
            while True:
                self._gate()
                asked_for = self._sizer.rows
                span = self._dispatcher.next(
                    lambda statement: session.run(lambda c: one_key(c, projection, statement)), asked_for
                )
                if span is None:
                    self._verify_rest(session)
                    return
                if span.last is not None:
                    self._end_is_verified = True
                # Open-ended, the final range also finds rows that only the ghost has, behind the last of the original.
                if self._verify(session, span if span.last is None else Range(span.number, span.start), asked_for):
                    self._watermarks.complete(span.number)
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
    def verified(self) -> Key | None:
        """Every row below that key was found right. It stops at a range with keys that never rested."""
        return self._watermarks.low

    def _verify(self, session: SteadySession, span: Range, asked_for: int) -> bool:
        """Compare a range; whether every row of it was found right."""
        is_right = True
        started = time.monotonic()
        expected, changed = session.run(
            lambda c: (self._comparison.source_sum(c, span), self._comparison.changed_rows(c))
        )
        found = session.run(lambda connection: self._comparison.ghost_sum(connection, span))
        took_s = time.monotonic() - started
        if expected == found:
            self._sizer.took(asked_for, took_s)
        else:
            # Somebody writes here. The smaller the range, the likelier that nobody wrote it while it was read.
            self._sizer.took(asked_for, max(took_s, 2 * self._sizer.target_s))
            is_right = self._examine(session, span)
        with self._lock:
            self.rows += found.rows
            self.changed_rows += changed
        return is_right

    def _examine(self, session: SteadySession, span: Range) -> bool:
        """Whether every difference was explained and is gone. Raises DifferencesFound for a real one."""

        def do(step: ExamineStep) -> None:
            match step:
                case Compare():
                    step.differing = session.run(lambda connection: self._differing(connection, span, step.keys))
                case Barrier():
                    step.beat = self._heartbeat.barrier()
                case MeetTail():
                    if not self._tail_has_met(step.beat, TAIL_TIMEOUT_S):
                        raise Stalled(f"the binlog reader did not reach a heartbeat within {TAIL_TIMEOUT_S:.0f} s")
                case AwaitSettled():
                    self._wait_until_settled(step.keys)

        examined = carry_out(examine(self._pending), do)
        if examined.real:
            session.run(lambda connection: self._explain_by_unique_index(connection, sorted(examined.real)))
            raise differences(self._comparison, examined.real, examined.count)
        with self._lock:
            self.inconclusive |= examined.restless
        return not examined.restless

    def _differing(self, connection: Conn, span: Range, keys: Collection[Key] | None) -> set[Key]:
        if keys is None:
            return self._comparison.differing_in_range(connection, span)
        return self._comparison.differing_keys(connection, sorted(keys))

    def _explain_by_unique_index(self, connection: Conn, keys: Sequence[Key]) -> None:
        """Raise UniqueConflict when one of the keys has no row because another row has its value."""
        for key in keys[:10]:
            found = owner_of_duplicate(connection, self._comparison.projection, self._stricter, [key])
            if found is not None:
                raise unique_conflict(self._comparison.projection, found[0], key, found[1])

    def _wait_until_settled(self, keys: Collection[Key]) -> None:
        waited_s = 0.0
        while self._pending.unsettled(keys) and waited_s < SETTLE_TIMEOUT_S:
            self._stop.wait(0.05)
            self._stop.check()
            waited_s += 0.05


def differences(comparison: Comparison, keys: Collection[Key], count: int) -> DifferencesFound:
    """The error that names the first differing keys."""
    shown = [comparison.projection.key.row_text(key) for key in sorted(keys)[:10]]
    return DifferencesFound(
        f"{count} row(s) of {comparison.projection.ghost_table} differ from what {comparison.projection.source_table} "
        f"should become, and no change in the binlog explains it: {', '.join(shown)}. The original is untouched and "
        "nothing was swapped. Somebody may have written to the ghost table; look at these keys in both tables"
    )
