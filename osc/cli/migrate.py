"""`osc migrate`: alters one table of a live server."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import click

from osc.cli.connection import connection_options, settings_for
from osc.cli.following import FOLLOWING_OPTIONS
from osc.cli.help import SectionedCommand
from osc.cli.main import debug_option
from osc.cli.migrate_options import (
    OPTIONS,
    OUTPUT_OPTIONS,
    TARGET_OPTIONS,
    binlog_address,
    binlog_settings,
    migration_options,
    with_options,
)
from osc.cli.terminal import ask, bug_text, is_debug, is_terminal
from osc.control.stop import StopRequest, stop_on_signals
from osc.errors import EXIT_CODES, OscError, UsageError
from osc.estimate.remaining import Planned
from osc.mysql.options import Given
from osc.mysql.session import ConnectionSettings, Sessions
from osc.options import (
    MigrationOptions,
)
from osc.progress.background import BackgroundReporter
from osc.progress.jsonlines import JsonReporter
from osc.progress.output import Output
from osc.progress.plain import PlainReporter
from osc.progress.report import Reporter, Result
from osc.progress.tee import TeeReporter
from osc.report.plan import UNKNOWN
from osc.report.planfile import PlanFile, check_plan

if TYPE_CHECKING:
    from osc.progress.live import LiveReporter

F = TypeVar("F", bound=Callable[..., object])
T = TypeVar("T")
OutputKind = Literal["text", "json"]
Confirm = Callable[[Sequence[str]], bool]

PATIENCE_S = 5.0
"""How long a run that was told to stop waits for its last words to be read."""


@click.command("migrate", cls=SectionedCommand)
@with_options(TARGET_OPTIONS)
@with_options(FOLLOWING_OPTIONS)
@connection_options
@with_options(OPTIONS)
@with_options(OUTPUT_OPTIONS)
@debug_option
def migrate(
    given: Given,
    /,
    output: OutputKind,
    events_file: Path | None,
    yes: bool,
    plan: PlanFile | None,
    dry_run: bool,
    **values: object,
) -> int:
    """Alter a table while applications go on writing to it.

    \b
    osc migrate --host db1 --ask-pass --table shop.orders --alter 'add column note varchar(200)'
    osc migrate --alter 'ALTER TABLE shop.orders ENGINE=InnoDB' --yes
    osc migrate --host db1 --ask-pass --plan orders.json

    At a terminal it shows what it is about to do and asks. Option files and environment variables are read as MySQL's
    own tools read them. Ctrl-C stops cleanly; the same command then goes on where it stopped.
    """
    if dry_run:
        if plan is not None:
            raise UsageError("--dry-run makes a plan, and --plan follows one: give one of the two")
        return _dry_run(given, values, output)
    reporting = _reporting(output, events_file)
    stop = StopRequest()
    # Signals stay handled until the last word is shown: whoever presses Ctrl-C twice still wants to read what is left
    # behind.
    with ExitStack() as signals:
        exit_code = _run(reporting, given, values, plan, yes, stop, signals)
        if not reporting.reporter.closed_within(PATIENCE_S if stop.is_requested else None):
            # The terminal is stopped, or nobody reads the pipe: a process that was told to stop does not wait for it.
            os._exit(exit_code)
    return exit_code


@dataclass(frozen=True, slots=True)
class _Reporting:
    """The reporter that the engine gets, and how to ask a person something in between."""

    reporter: BackgroundReporter
    live: LiveReporter | None
    asks_on_stderr: bool


def _dry_run(given: Given, values: dict[str, object], output: OutputKind) -> int:
    from osc.cli.plan import planned, shown

    found = planned(given, values)
    click.echo(shown(found, output), nl=False)
    return found.exit_code


def _run(
    reporting: _Reporting,
    given: Given,
    values: dict[str, object],
    plan: PlanFile | None,
    yes: bool,
    stop: StopRequest,
    signals: ExitStack,
) -> int:
    reporter = reporting.reporter
    try:
        options = migration_options(values)
        binlog_host, binlog_port = binlog_address(values)
        resolved = settings_for(given)
        for warning in resolved.warnings:
            reporter.warning(warning)
        # Not before the password is typed: a handler that raises nothing would not break off that prompt.
        signals.enter_context(stop_on_signals(stop, reporter.warning))
        binlog = binlog_settings(resolved.settings, binlog_host, binlog_port)
        sessions = Sessions(resolved.settings)
        if plan is not None:
            check_plan(sessions, plan, options)
            options = replace(options, planned_strategy=None if plan.strategy == UNKNOWN else plan.strategy)
        confirm = None if yes or not is_terminal() else _confirm(reporting, stop)
        planned = None if plan is None else plan.estimates.get(options.impact)
        result = _migrate(sessions, binlog, options, reporter, confirm, stop, planned)
    except OscError as error:
        # Nothing has been started: the engine itself tells everything in its result.
        result = Result(error.outcome, EXIT_CODES[error.outcome], error=error.message)
    except KeyboardInterrupt:
        result = Result("aborted", EXIT_CODES["aborted"], error="stopped before anything was touched")
    except Exception as error:
        if is_debug():
            traceback.print_exc()
        result = Result("failed", EXIT_CODES["failed"], error=bug_text(error))
    reporter.finished(result)
    return result.exit_code


def _migrate(
    sessions: Sessions,
    binlog: ConnectionSettings | None,
    options: MigrationOptions,
    reporter: Reporter,
    confirm: Confirm | None,
    stop: StopRequest,
    planned: Planned | None,
) -> Result:
    from osc.migration import migrate as engine

    return engine(sessions, binlog, options, reporter, confirm, stop, planned)


def _reporting(output: OutputKind, events_file: Path | None) -> _Reporting:
    stdout, stderr = Output(sys.stdout, "stdout"), Output(sys.stderr, "stderr")
    shown: Reporter
    live = None
    if output == "json":
        shown = JsonReporter(stdout, stderr)
    elif sys.stdout.isatty():
        # Only here: a run without a terminal starts sooner without it.
        from osc.progress.live import LiveReporter

        shown = live = LiveReporter(stdout)
    else:
        shown = PlainReporter(stdout, stderr)
    if events_file is not None:
        shown = TeeReporter(shown, _file_reporter(events_file))
    return _Reporting(BackgroundReporter(shown), live, asks_on_stderr=output == "json")


def _file_reporter(path: Path) -> JsonReporter:
    try:
        file = path.open("w", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--events-file {path} cannot be written: {error.strerror}") from error
    # The error is on stderr already, by the renderer that a person watches.
    return JsonReporter(Output(file, str(path)), Output(StringIO(), "nowhere"))


def _confirm(reporting: _Reporting, stop: StopRequest) -> Confirm:
    def confirm(lines: Sequence[str]) -> bool:
        reporting.reporter.drain()
        if reporting.live is not None:
            reporting.live.pause()
        try:
            return ask(["", *lines, ""], "Go ahead?", stop, reporting.asks_on_stderr)
        finally:
            if reporting.live is not None:
                reporting.live.resume()

    return confirm
