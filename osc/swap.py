"""The swap, as the last phase of a migration: when nothing is in its way, and not before.

The ghost is made ready (statistics, histograms, the counter), whoever would keep an attempt waiting is waited for and named,
and meanwhile reconciling and a slow re-verification go on. How an attempt goes is told in `osc/cutover/`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from osc.control.stop import StopRequest
from osc.cutover.blockers import (
    Blocker,
    defines,
    is_renaming,
    old_snapshots,
    prepared_transactions,
    table_users,
)
from osc.cutover.cutover import CutOver, Readiness
from osc.cutover.killing import Patience
from osc.cutover.locked import LockedRename
from osc.cutover.names import has_swapped
from osc.cutover.outcome import Swapped
from osc.cutover.prepare import carry_auto_increment, prepare_ghost
from osc.cutover.sentry import SentryRename
from osc.engine import Engine
from osc.mysql.session import Conn, Sessions
from osc.mysql.sql import qualified
from osc.mysql.steady import SteadySession
from osc.options import MigrationOptions
from osc.prepared import TablePair
from osc.progress.meter import Meter
from osc.progress.report import CutOverAttempt, Reporter
from osc.state.table import SENTRY_COMMENT, table_comment
from osc.table.names import Names
from osc.verify.again import Reverification
from osc.verify.verifier import Verifier

WAIT_FOR_USERS_S = 30.0
"""After so long an attempt is made although somebody uses the table: the transactions may be many, and each short."""


class SwapPhase:
    """Used once, by the migration's own thread, after the verification."""

    def __init__(
        self,
        sessions: Sessions,
        names: Names,
        pair: TablePair,
        options: MigrationOptions,
        stop: StopRequest,
        engine: Engine,
        meter: Meter,
        reporter: Reporter,
    ) -> None:
        self._sessions = sessions
        self._names = names
        self._pair = pair
        self._options = options
        self._stop = stop
        self._engine = engine
        self._meter = meter
        self._reporter = reporter
        self._patience = Patience(options.kill_blockers_after_s, reporter.warning)
        self._listed_before: frozenset[str] = frozenset()
        self._waits_for_users_since = time.monotonic()
        self._cut_over: CutOver | None = None

    @property
    def attempts(self) -> Sequence[CutOverAttempt]:
        """Those made so far."""
        return () if self._cut_over is None else self._cut_over.attempts

    def run(self, copied_at: str, check: Callable[[], None]) -> Swapped:
        """Swap. `copied_at`: when the ghost had all its rows and indexes, by the server's clock.

        `check` raises when the run has to stop. Raises CutOverFailed when no attempt succeeded, and whatever stops the run.
        """
        engine = self._engine
        reverification = engine.reverification(self._verified_again)
        self._meter.phase("ready")
        variables = {"time_zone": "'SYSTEM'", "lock_wait_timeout": "1"}
        session = SteadySession(self._sessions, "prepare the swap", self._stop, variables=variables)
        try:
            self._listed_before = frozenset(session.run(prepared_transactions))
            while (why := self._defined(session, self._make_ready)) is not None:
                self._announce(why, reverification)
                check()
            way = LockedRename if self._sessions.server.renames_under_lock else SentryRename
            self._cut_over = CutOver(
                swap=way(
                    self._sessions,
                    self._names,
                    self._pair.projection.key,
                    engine.handover(self._still_prepared),
                    self._options.cut_over_lock_timeout_s,
                    self._pair.session_variables,
                ),
                reconciler=engine.reconciler,
                readiness=self._readiness,
                blockers=lambda: self._blockers(session, copied_at),
                has_swapped=self._has_swapped,
                check=check,
                stop=self._stop,
                attempts_allowed=self._options.default_retries,
                announce=lambda why: self._announce(why, reverification),
                report=self._meter.cut_over_attempt,
            )
            return self._cut_over.run(lambda: reverification.restless)
        finally:
            session.close()

    # --- what is in the way ---------------------------------------------------------------------------------------

    def _readiness(self) -> Readiness:
        engine, postpone = self._engine, self._options.postpone_flag_file
        return Readiness(
            pending=len(engine.pending),
            undecided=engine.pending.undecided,
            lag_s=engine.heartbeat.lag_s,
            throttled_by=engine.throttle.gate.closed_by(),
            postponed_by=str(postpone) if postpone is not None and postpone.exists() else None,
        )

    def _blockers(self, session: SteadySession, copied_at: str) -> list[str]:
        found = session.run(lambda connection: self._look_for_blockers(connection, copied_at))
        if not found and (why := self._defined(session, self._carry_counter)) is not None:
            found.append(why)
        return found

    def _look_for_blockers(self, connection: Conn, copied_at: str) -> list[str]:
        names, own = self._names, self._sessions.connection_ids
        found = [Blocker(each) for each in self._still_prepared(connection)]
        users = self._users_to_wait_for(table_users(connection, names, own, self._options.cut_over_lock_timeout_s))
        using = {user.session for user in users}
        found += users
        # Whoever does both is told of once, with what is known of its locks.
        found += [each for each in old_snapshots(connection, copied_at, own) if each.session not in using]
        if table_comment(connection, names.database, names.old) not in (None, SENTRY_COMMENT):
            found.append(Blocker(f"the name {names.old}, which is taken: rename or drop that table"))
        return self._patience.lose(connection, found)

    def _users_to_wait_for(self, users: list[Blocker]) -> list[Blocker]:
        """Those of the table's users; none now and then, since where there is always one an attempt may still succeed."""
        now = time.monotonic()
        if not users or any(user.is_explicit for user in users):
            self._waits_for_users_since = now
        elif now - self._waits_for_users_since > WAIT_FOR_USERS_S:
            self._waits_for_users_since = now
            return []
        return users

    def _still_prepared(self, connection: Conn) -> list[str]:
        # One that is prepared later holds the table's lock if it wrote there, and lets the attempt fail.
        return [each for each in prepared_transactions(connection) if each in self._listed_before]

    def _has_swapped(self) -> bool:
        """Whether the rename went through; asked once no session of the attempt can still be about to do it."""
        session = SteadySession(self._sessions, "look whether the swap went through", self._stop)
        try:
            while not (swapped := session.run(lambda c: has_swapped(c, self._names))) and session.run(is_renaming):
                self._stop.wait(0.1)
            return swapped
        finally:
            session.close()

    # --- making ready ---------------------------------------------------------------------------------------------

    def _defined(self, session: SteadySession, define: Callable[[Conn], None]) -> str | None:
        """Define something about the ghost; what is in the way of that, if anything."""
        state = qualified(self._names.database, self._names.state)
        return session.run(lambda connection: defines(connection, state, define))

    def _make_ready(self, connection: Conn) -> None:
        prepare_ghost(connection, self._sessions.server, self._pair.projection)

    def _carry_counter(self, connection: Conn) -> None:
        carry_auto_increment(connection, self._pair.projection)

    # --- telling --------------------------------------------------------------------------------------------------

    def _announce(self, why: str | None, reverification: Reverification) -> None:
        if why is None:
            reverification.halt()
        else:
            reverification.go_on()
        self._meter.waiting_for(why)
        self._meter.phase("cut-over" if why is None else "ready")

    def _verified_again(self, verifier: Verifier) -> None:
        self._meter.verified()
        self._reporter.event("verified_again", rows=verifier.rows, inconclusive=len(verifier.inconclusive))
