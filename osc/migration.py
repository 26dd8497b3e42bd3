"""A migration, from the command to the swap: the phases in order.

    preflight   look, and refuse with every reason at once; nothing is touched
    alter       what the server can do itself, it does, and that is all; else
    prepare     the advisory lock; the state table and the ghost, or those of an earlier run
    copy        rows in ranges, while the tail feeds the reconciler
    verify      every row of both tables compared
    cut-over    the swap, when nothing is in its way
    done        the old table kept, or dropped if so asked

Whatever ends it early, the original is in place and complete. What that leaves behind is named in the result.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import datetime

import pymysql

from osc.control.stop import StopRequest
from osc.cutover.blockers import server_now
from osc.cutover.names import SwapNames, restore_names
from osc.cutover.outcome import Swapped
from osc.engine import Engine
from osc.errors import (
    EXIT_CODES,
    RESUMABLE_EXIT_CODE,
    Aborted,
    ConversionFailed,
    DifferencesFound,
    Interrupted,
    OscError,
    Outcome,
    Refused,
    ServerLost,
    StatementRefused,
    TakenOver,
    Unexpected,
)
from osc.estimate.remaining import Planned
from osc.mysql.advisory import AdvisoryLock
from osc.mysql.session import ConnectionSettings, Sessions, error_code, error_text, is_lost
from osc.mysql.sql import qualified
from osc.mysql.steady import SteadySession
from osc.native.alter import Altered, alter_natively
from osc.options import MigrationOptions
from osc.plan.findings import refuse_if_blocking
from osc.plan.look import Look, look
from osc.prepare import prepare_tables
from osc.prepared import Prepared
from osc.progress.meter import Meter
from osc.progress.report import Phase, Reporter, Result
from osc.swap import SwapPhase
from osc.table.ghost import drop_tables, existing
from osc.table.misfits import MISFIT_ERRORS
from osc.table.temporary_key import drop_left_temporary_key

log = logging.getLogger(__name__)

DATA_ERRORS = MISFIT_ERRORS | {1062}
"""The rows or the ALTER have to change before a migration can succeed."""

Confirm = Callable[[Sequence[str]], bool]
"""Shown what is about to happen; whether to go on."""


def migrate(
    sessions: Sessions,
    binlog: ConnectionSettings | None,
    options: MigrationOptions,
    reporter: Reporter,
    confirm: Confirm | None,
    stop: StopRequest,
    planned: Planned | None = None,
) -> Result:
    """Carry the migration out; returns how it ended, whatever happened. `planned`: by the plan that is followed."""
    migration = Migration(sessions, options, reporter, stop, planned)
    error: BaseException | None = None
    try:
        migration.run(Sessions(binlog) if binlog is not None else sessions, confirm)
    except Exception as caught:
        log.debug("the migration ends early", exc_info=True)
        error = migration.understood(caught)
    return migration.result(error)


@dataclass(slots=True)
class Migration:
    """The phases of one run, and what has come of them so far."""

    sessions: Sessions
    options: MigrationOptions
    reporter: Reporter
    stop: StopRequest
    planned: Planned | None
    meter: Meter = field(init=False)
    looked: Look | None = None
    engine: Engine | None = None
    swapped: Swapped | None = None
    swap: SwapPhase | None = None
    swap_is_proven: bool = False
    old_table: str | None = None
    has_tables: bool = False
    left_behind: tuple[str, ...] = ()
    altered: Altered | None = None
    """Where the server has made the change itself."""

    def __post_init__(self) -> None:
        self.meter = Meter(self.reporter, self.planned)

    def run(self, binlog: Sessions, confirm: Confirm | None) -> None:
        """All phases. Raises what ends the migration early, after cleaning up what is of no further use."""
        with ExitStack() as cleanup:
            self._phase("preflight")
            old_timestamp = datetime.now() if self.options.timestamp_old_table else None
            self.looked = look(self.sessions, binlog, self.options, old_timestamp, self.reporter)
            if not self.looked.was_swapped and not self._is_confirmed(confirm, self.looked.about_to_do):
                raise Aborted("not confirmed; nothing was touched")
            lock = AdvisoryLock(self.sessions, self.looked.names.database, self.looked.names.table, self.stop)
            lock.take()
            cleanup.callback(lock.release)
            if self.looked.was_swapped:
                self.reporter.warning(
                    "an earlier run of this command swapped the tables, and was cut off before it could tell. Nothing is left "
                    "to do but to clean up after it; the old table is kept"
                )
                self._finish()
                return
            check_lock = cleanup.enter_context(lock.kept())
            if self.looked.strategy.is_native and self._alter_natively(self.looked, check_lock, confirm):
                return
            try:
                self._run_under_lock(binlog, check_lock)
            except Exception as error:
                self._clean_up_after(self.understood(error))
                raise

    def _run_under_lock(self, binlog: Sessions, check_lock: Callable[[], None]) -> None:
        assert self.looked is not None
        self._phase("prepare")
        self.has_tables = True
        prepared = prepare_tables(
            self.sessions,
            binlog,
            self.looked.names,
            self.looked.source,
            self.looked.alter,
            self.options,
            self.reporter.warning,
        )
        self._say_started(prepared)
        engine = Engine(
            self.sessions,
            binlog,
            self.looked.names,
            prepared.pair,
            prepared.state,
            prepared.beginning,
            prepared.fingerprint,
            self.options,
            self.stop,
            self.reporter.warning,
        )
        self.engine = engine
        self.meter.attach(engine, self.looked.source, len(prepared.beginning.deferred.definitions))

        def check() -> None:
            self._check_panic_file()
            check_lock()
            engine.check()
            self.meter.tick()

        try:
            self._copy_verify_swap(prepared, engine, check)
        except DifferencesFound:
            engine.distrust()
            raise
        except pymysql.err.MySQLError:
            # A table that somebody dropped or altered fails statements before the tail tells who did it.
            engine.raise_what_the_tail_knows()
            raise
        finally:
            engine.close()
            if self.swapped is not None:
                self._finish()

    def _copy_verify_swap(self, prepared: Prepared, engine: Engine, check: Callable[[], None]) -> None:
        engine.start(check, self.meter.waiting_for)
        self._phase("copy")
        engine.copy_rows(check)
        copied_at = self._server_now()
        self._phase("verify")
        engine.verify(check, self.meter.waiting_for)
        if prepared.beginning.deferred.definitions:
            # Older snapshots cannot read a table whose indexes were built since (error 1412).
            copied_at = self._server_now()
        self.meter.verified()
        self._swap(prepared, engine, check, copied_at)
        doubt = engine.prove_swap()
        self.swap_is_proven = doubt is None
        if doubt is not None:
            self.reporter.warning(
                f"the swap went through, but the binlog could not prove that no write came in between: {doubt}. "
                "The old table is kept"
            )

    def _is_confirmed(self, confirm: Confirm | None, about_to_do: Sequence[str]) -> bool:
        with self.meter.waiting():
            return confirm is None or confirm(about_to_do)

    # --- what the server does itself ------------------------------------------------------------------------------

    def _alter_natively(self, looked: Look, check_lock: Callable[[], None], confirm: Confirm | None) -> bool:
        """Let the server make the change; False when the real table does not take it and is to be copied after all."""

        def check() -> None:
            self._check_panic_file()
            check_lock()
            self.stop.check()
            self.meter.tick()

        self.altered = alter_natively(self.sessions, looked, self.options, self.stop, check, self.meter, self.reporter)
        if self.altered is None:
            refuse_if_blocking(looked.copy_findings)
            for finding in looked.copy_findings:
                if finding.level == "warning":
                    self.reporter.warning(f"{finding.title}. {finding.detail}")
            if not self._is_confirmed(confirm, looked.about_to_copy):
                raise Aborted("not confirmed; nothing was changed")
        return self.altered is not None

    # --- the swap -------------------------------------------------------------------------------------------------

    def _swap(self, prepared: Prepared, engine: Engine, check: Callable[[], None], copied_at: str) -> None:
        assert self.looked is not None
        self.swap = SwapPhase(
            self.sessions, self.looked.names, prepared.pair, self.options, self.stop, engine, self.meter, self.reporter
        )
        self.swapped = self.swap.run(copied_at, check)

    def _finish(self) -> None:
        """After the swap: nothing here can undo it, so what fails is only a warning."""
        assert self.looked is not None
        names = self.looked.names
        self.has_tables = False
        self.old_table = names.old
        tables = [names.state]
        if self.options.drop_old_table and self.swap_is_proven:
            tables.append(names.old)
        try:
            connection = self.sessions.open("clean up after the swap", {"lock_wait_timeout": "30"})
            try:
                restore_names(connection, names)
                drop_left_temporary_key(connection, names)
                drop_tables(connection, names.database, tables, self.reporter.warning)
            finally:
                connection.close()
            left = self._existing([names.state, names.old])
            self.old_table = names.old if names.old in left else None
            self.left_behind = tuple(name for name in left if name != names.old)
            self._phase("done")
        except (OscError, pymysql.err.MySQLError, OSError) as error:
            self.left_behind = (names.state,)
            self.reporter.warning(f"the swap went through, but not the clean-up after it: {error_text(error)}")

    # --- ending early ---------------------------------------------------------------------------------------------

    def _clean_up_after(self, error: BaseException) -> None:
        """Drop what is of no further use; keep, and name, what a resumed run or a person needs."""
        if self.looked is None or not self.has_tables or self.swapped is not None:
            return
        names = self.looked.names
        keeps = isinstance(error, DifferencesFound | TakenOver | Refused) or self._is_resumable(error)
        try:
            if not keeps:
                connection = self.sessions.open("clean up", {"lock_wait_timeout": "30"})
                try:
                    drop_tables(connection, names.database, [names.ghost, names.state], self.reporter.warning)
                finally:
                    connection.close()
            self.left_behind = tuple(self._existing([names.ghost, names.state, *SwapNames.of(names).extra(names)]))
        except (OscError, pymysql.err.MySQLError, OSError) as problem:
            self.left_behind = (names.ghost, names.state)
            self.reporter.warning(f"could not look at what is left behind: {error_text(problem)}")

    def _existing(self, tables: list[str]) -> list[str]:
        assert self.looked is not None
        connection = self.sessions.open("look at what is left")
        try:
            return existing(connection, self.looked.names.database, tables)
        finally:
            connection.close()

    def _is_resumable(self, error: BaseException | None) -> bool:
        return (
            isinstance(error, OscError)
            and error.resumable
            and (self.engine.has_checkpoint if self.engine is not None else self._earlier_run_is_kept())
            and self.swapped is None
        )

    def _earlier_run_is_kept(self) -> bool:
        """Whether a failure before the engine was made left an earlier run's tables to go on with."""
        return self.looked is not None and self.looked.resumes and self.has_tables

    def _check_panic_file(self) -> None:
        panic = self.options.panic_flag_file
        if panic is not None and panic.exists():
            raise Aborted(f"given up because {panic} exists. The original is untouched")

    def understood(self, error: BaseException) -> BaseException:
        """The error as one that tells the operator what to do."""
        if isinstance(error, Interrupted) and not self._is_resumable(error):
            return Aborted(f"{error} before there was anything to go on with; nothing was changed")
        if isinstance(error, OscError):
            return error
        table = qualified(self.options.database, self.options.table)
        if is_lost(error):
            return ServerLost(f"the server is gone: {error_text(error)}. {table} is as the server keeps it")
        if isinstance(error, pymysql.err.MySQLError | OSError):
            if error_code(error) in DATA_ERRORS:
                return ConversionFailed(
                    f"a value does not fit the new schema: {error_text(error)}. {table} is untouched. Correct the rows or the "
                    "ALTER; a direct ALTER in strict mode would refuse it as well"
                )
            return StatementRefused(
                f"the server refused a statement of the migration: {error_text(error)}. {table} is untouched. Mend that and "
                "run the same command again, or give it up with `osc cleanup`"
            )
        return Unexpected(
            f"{type(error).__name__}: {error} (this is a bug in osc; run again with --debug). {table} is untouched"
        )

    def result(self, error: BaseException | None) -> Result:
        """How it ended."""
        resumable = self._is_resumable(error)
        outcome: Outcome = "swapped"
        if self.altered is not None:
            outcome = "altered"
        elif error is not None and (self.swapped is None or isinstance(error, DifferencesFound)):
            outcome = error.outcome if isinstance(error, OscError) else "failed"
        exit_code = RESUMABLE_EXIT_CODE if resumable else EXIT_CODES[outcome]
        return self.meter.result(
            outcome=outcome,
            exit_code=exit_code,
            resumable=resumable,
            strategy=self._strategy(),
            stall_ms=None if self.swapped is None else self.swapped.stall_ms,
            alter_ms=None if self.altered is None else self.altered.took_ms,
            attempts=tuple(self.swap.attempts) if self.swap is not None else (),
            old_table=self.old_table,
            error=None if error is None else str(error),
            left_behind=self.left_behind,
        )

    # --- telling --------------------------------------------------------------------------------------------------

    def _phase(self, phase: Phase) -> None:
        self.meter.phase(phase)

    def _strategy(self) -> str | None:
        """How the change was made, or was being made when it ended; None when it had not come to that."""
        if self.looked is None:
            return None
        if self.altered is not None:
            return self.altered.kind
        return "copy" if self.has_tables or self.swapped is not None else self.looked.strategy.kind

    def _say_started(self, prepared: Prepared) -> None:
        assert self.looked is not None
        self.reporter.event(
            "started",
            database=self.looked.names.database,
            table=self.looked.names.table,
            alter=self.looked.alter.clauses_sql,
            server=self.sessions.server.title,
            strategy="copy",
            why=self.looked.strategy.why,
            key=prepared.pair.projection.key.text,
            ghost=self.looked.names.ghost,
            resumed=prepared.beginning.is_resumed,
            deferred_indexes=list(prepared.beginning.deferred.names),
            planned=None if self.meter.planned is None else asdict(self.meter.planned),
        )

    def _server_now(self) -> str:
        session = SteadySession(self.sessions, "ask for the time", self.stop, variables={"time_zone": "'SYSTEM'"})
        try:
            return session.run(server_now)
        finally:
            session.close()
