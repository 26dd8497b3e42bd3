"""A run that lets the server make the change: from the strategy that was chosen to the altered table."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass

from osc.control.stop import StopRequest
from osc.errors import NativeRefused
from osc.mysql.session import Sessions
from osc.native.execute import NativeChange
from osc.native.strategy import Strategy, StrategyKind, choose
from osc.options import MigrationOptions
from osc.plan.look import Look
from osc.progress.meter import Meter
from osc.progress.report import Reporter


@dataclass(frozen=True, slots=True)
class Altered:
    """The server has made the change."""

    kind: StrategyKind
    took_ms: float
    """From sending the statement to its end: nobody waited longer for the locks that it takes."""


def alter_natively(
    sessions: Sessions,
    looked: Look,
    options: MigrationOptions,
    stop: StopRequest,
    check: Callable[[], None],
    meter: Meter,
    reporter: Reporter,
) -> Altered | None:
    """Alter the table; None when only the copy is left.

    The real table may turn down what its empty copy took, by what nobody could see: then the server's next way is tried.
    Raises NativeRefused when the operator asked for one way alone, and whatever ends the run.
    """
    strategy = looked.strategy
    turned_down: list[str] = []
    while strategy.is_native:
        _say_started(sessions, looked, strategy, reporter)
        meter.phase("alter")
        change = NativeChange(
            sessions,
            looked.source,
            strategy,
            options.cut_over_lock_timeout_s,
            options.default_retries,
            options.postpone_flag_file,
            options.throttle_flag_files,
            check,
            stop,
            meter.waiting_for,
            meter.alter_attempt,
        )
        try:
            took_ms = change.run()
        except NativeRefused as error:
            if options.strategy != "auto":
                raise
            turned_down.append(strategy.algorithm or "")
            reporter.warning(f"{error}. Another way is taken")
            with closing(sessions.open("ask for another way")) as connection:
                strategy = choose(
                    connection,
                    sessions.server,
                    looked.source,
                    looked.alter,
                    options.allow_inplace,
                    not_by=turned_down,
                    note=reporter.warning,
                )
        else:
            meter.waiting_for(None)
            meter.phase("done")
            return Altered(strategy.kind, took_ms)
    return None


def _say_started(sessions: Sessions, looked: Look, strategy: Strategy, reporter: Reporter) -> None:
    versions = strategy.row_versions
    reporter.event(
        "started",
        database=looked.names.database,
        table=looked.names.table,
        alter=looked.alter.clauses_sql,
        server=sessions.server.title,
        strategy=strategy.kind,
        why=strategy.why,
        statement=strategy.statement,
        row_versions=None if versions is None else asdict(versions),
    )
