"""`osc migrate`: alters one table of a live server."""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import reduce
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar, cast

import click

from osc.cli.connection import connection_options, settings_for
from osc.cli.help import SectionedCommand, option
from osc.cli.main import debug_option
from osc.cli.terminal import ask, bug_text, is_debug, is_terminal
from osc.control.stop import StopRequest, stop_on_signals
from osc.errors import EXIT_CODES, AlterSyntaxError, OscError, UsageError
from osc.mysql.names import folded
from osc.mysql.options import Given
from osc.mysql.session import ConnectionSettings, Sessions
from osc.options import (
    DEFAULT_CHUNK_TARGET_MS,
    DEFAULT_CUT_OVER_LOCK_TIMEOUT_S,
    DEFAULT_FLAG_FILE,
    DEFAULT_MAX_LAG_MS,
    DEFAULT_MAX_MEMORY_MIB,
    DEFAULT_RETRIES,
    DEFAULT_WORKERS,
    LEAST_MAX_MEMORY_MIB,
    MigrationOptions,
    Resume,
)
from osc.plan.alter import AlterStatement, parse_alter
from osc.progress.background import BackgroundReporter
from osc.progress.jsonlines import JsonReporter
from osc.progress.output import Output
from osc.progress.plain import PlainReporter
from osc.progress.report import Reporter, Result
from osc.progress.tee import TeeReporter
from osc.table.deferred import DeferIndexes
from osc.throttle.governor import DEFAULT_IMPACT, IMPACTS, impact_factor
from osc.throttle.load import Limit, limits
from osc.throttle.replicas import Address, addresses

if TYPE_CHECKING:
    from osc.progress.live import LiveReporter

F = TypeVar("F", bound=Callable[..., object])
T = TypeVar("T")
OutputKind = Literal["text", "json"]
Confirm = Callable[[Sequence[str]], bool]

PATIENCE_S = 5.0
"""How long a run that was told to stop waits for its last words to be read."""

_FILE = click.Path(dir_okay=False, path_type=Path)

_WHAT = "What to change"
_PACE = "Pace"
_HOLD = "Holding back"
_SWAP = "Swap and control"
_EARLIER = "Earlier runs"
_BINLOG = "Binlog"
_SHOW = "Output"


def _checked_impact(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    try:
        impact_factor(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not {', '.join(IMPACTS)} or a number above 1") from error
    return value


def _parsed(parse: Callable[[str], T]) -> Callable[[click.Context, click.Parameter, str | None], T]:
    """What an option's text means, read by `parse`; its ValueError is the operator's mistake."""

    def callback(_context: click.Context, _parameter: click.Parameter, value: str | None) -> T:
        try:
            return parse(value or "")
        except ValueError as error:
            raise click.BadParameter(str(error)) from error

    return callback


_TARGET_OPTIONS = (
    option(_WHAT, "--database", metavar="NAME", help="Database of the table."),
    option(_WHAT, "--table", metavar="NAME", help="Table to alter; database.table will do."),
    option(_WHAT, "--alter", required=True, metavar="SQL", help="The clauses, or a whole ALTER TABLE statement."),
    option(_WHAT, "--allow-lossy", is_flag=True, help="Let values that do not fit be cut, as without strict mode."),
)
_OPTIONS = (
    option(
        _PACE,
        "--workers",
        type=click.IntRange(1, 64),
        default=DEFAULT_WORKERS,
        show_default=True,
        metavar="N",
        help="Sessions that copy side by side.",
    ),
    option(
        _PACE,
        "--chunk-target-ms",
        type=click.IntRange(5, 10_000),
        default=DEFAULT_CHUNK_TARGET_MS,
        show_default=True,
        metavar="MS",
        help="How long one chunk should take; the number of its rows follows.",
    ),
    option(
        _PACE,
        "--chunk-size",
        type=click.IntRange(10, 100_000),
        metavar="ROWS",
        help="Rows of the first chunk, and the most of any.  [default: measured]",
    ),
    option(
        _PACE,
        "--defer-indexes",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        show_default=True,
        help="Build the secondary indexes after the copy, in one statement. auto: for a large table that no replica follows,"
        " since a replica falls behind for as long as the build takes.",
    ),
    option(
        _PACE,
        "--impact",
        default=DEFAULT_IMPACT,
        show_default=True,
        metavar="HOW",
        callback=_checked_impact,
        help="How much dearer the application's commits may become: low (2 times), medium (4), high (8), max (no limit), "
        "or a number.",
    ),
    option(
        _PACE,
        "--nice-ratio",
        type=click.FloatRange(0, 100),
        default=0.0,
        show_default=True,
        metavar="RATIO",
        help="Pause after each chunk, in times that it took; on top of what --impact asks for.",
    ),
    option(
        _PACE,
        "--max-memory",
        type=click.IntRange(LEAST_MAX_MEMORY_MIB),
        default=DEFAULT_MAX_MEMORY_MIB,
        show_default=True,
        metavar="MIB",
        help="Memory that keys waiting to be reconciled may fill, all else included.",
    ),
    option(
        _HOLD,
        "--max-load",
        callback=_parsed(limits),
        metavar="NAME=N,...",
        help="Pause while a status variable of the server is at its limit or above, as in Threads_running=25.",
    ),
    option(
        _HOLD,
        "--critical-load",
        callback=_parsed(limits),
        metavar="NAME=N,...",
        help="Give up, keeping a checkpoint, when a status variable is at this limit or above.",
    ),
    option(
        _HOLD,
        "--critical-load-interval-millis",
        type=click.IntRange(0),
        default=0,
        show_default=True,
        metavar="MS",
        help="Give up only when it is so for as long.",
    ),
    option(
        _HOLD,
        "--critical-load-hibernate-seconds",
        type=click.IntRange(0),
        default=0,
        show_default=True,
        metavar="S",
        help="On a critical load pause for as long, instead of giving up.",
    ),
    option(
        _HOLD,
        "--max-lag-millis",
        type=click.IntRange(100),
        default=DEFAULT_MAX_LAG_MS,
        show_default=True,
        metavar="MS",
        help="Pause while a replica is further behind.",
    ),
    option(
        _HOLD,
        "--throttle-control-replicas",
        callback=_parsed(addresses),
        metavar="HOST:PORT,...",
        help="The replicas that count.  [default: those that the server knows]",
    ),
    option(_HOLD, "--throttle-query", metavar="SQL", help="Pause while this query answers with a number above 0."),
    option(_HOLD, "--throttle-http", metavar="URL", help="Pause while a HEAD request is not answered with 200."),
    option(_HOLD, "--throttle-flag-file", type=_FILE, metavar="PATH", help="Pause while this file exists."),
    option(
        _HOLD,
        "--throttle-additional-flag-file",
        type=_FILE,
        default=DEFAULT_FLAG_FILE,
        show_default=True,
        metavar="PATH",
        help="The same, for one that pauses all migrations.",
    ),
    option(
        _PACE,
        "--default-retries",
        type=click.IntRange(1),
        default=DEFAULT_RETRIES,
        show_default=True,
        metavar="N",
        help="Tries of an operation before the run gives up.",
    ),
    option(
        _SWAP,
        "--postpone-cut-over-flag-file",
        type=_FILE,
        metavar="PATH",
        help="The swap waits while this file exists.",
    ),
    option(
        _SWAP,
        "--panic-flag-file",
        type=_FILE,
        metavar="PATH",
        help="Give up and clean up as soon as this file exists.",
    ),
    option(
        _SWAP,
        "--cut-over-lock-timeout-seconds",
        type=click.IntRange(1, 10),
        default=DEFAULT_CUT_OVER_LOCK_TIMEOUT_S,
        show_default=True,
        metavar="S",
        help="The most that one attempt at the swap may wait for its lock, and then hold it.",
    ),
    option(
        _SWAP,
        "--ok-to-drop-table",
        "--drop-old-table",
        "drop_old_table",
        is_flag=True,
        help="Drop the old table after the swap instead of keeping it.",
    ),
    option(_SWAP, "--timestamp-old-table", is_flag=True, help="Put the time into the old table's name."),
    option(
        _EARLIER,
        "--resume",
        type=click.Choice(["auto", "require", "never"]),
        default="auto",
        show_default=True,
        metavar="WHEN",
        help="auto: from a checkpoint if there is one; require: only so; never: afresh.",
    ),
    option(
        _EARLIER,
        "--initially-drop-ghost-table",
        is_flag=True,
        help="Drop a ghost table that an earlier run left and that cannot be resumed.",
    ),
    option(_EARLIER, "--initially-drop-old-table", is_flag=True, help="Drop an old table that an earlier run kept."),
    option(_BINLOG, "--binlog-host", metavar="NAME", help="Replica to read the binlog from.  [default: --host]"),
    option(_BINLOG, "--binlog-port", type=click.IntRange(1, 65535), metavar="N", help="Its port.  [default: 3306]"),
    option(
        _BINLOG,
        "--replica-server-id",
        type=click.IntRange(1, 2**32 - 1),
        metavar="N",
        help="Server id to read the binlog under.  [default: random]",
    ),
    option(
        _SHOW,
        "--output",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        metavar="KIND",
        help="text: a live display, or plain lines in a pipe; json: an object a line.",
    ),
    option(_SHOW, "--events-file", type=_FILE, hidden=True, help="Also write the objects of --output json here."),
    option(_SHOW, "--yes", "--execute", "yes", is_flag=True, help="Start without asking."),
)


def _with(decorators: Sequence[Callable[[F], F]]) -> Callable[[F], F]:
    return lambda command: reduce(lambda inner, decorate: decorate(inner), reversed(decorators), command)


@click.command("migrate", cls=SectionedCommand)
@_with(_TARGET_OPTIONS)
@connection_options
@_with(_OPTIONS)
@debug_option
def migrate(given: Given, /, output: OutputKind, events_file: Path | None, yes: bool, **values: object) -> int:
    """Alter a table while applications go on writing to it.

    \b
    osc migrate --host db1 --ask-pass --table shop.orders --alter 'add column note varchar(200)'
    osc migrate --alter 'ALTER TABLE shop.orders ENGINE=InnoDB' --yes

    At a terminal it shows what it is about to do and asks. Option files and environment variables are read as MySQL's
    own tools read them. Ctrl-C stops cleanly; the same command then goes on where it stopped.
    """
    reporting = _reporting(output, events_file)
    stop = StopRequest()
    # Signals stay handled until the last word is shown: whoever presses Ctrl-C twice still wants to read what is left
    # behind.
    with ExitStack() as signals:
        exit_code = _run(reporting, given, values, yes, stop, signals)
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


def _run(
    reporting: _Reporting, given: Given, values: dict[str, object], yes: bool, stop: StopRequest, signals: ExitStack
) -> int:
    reporter = reporting.reporter
    try:
        options = migration_options(values)
        binlog_host, binlog_port = _binlog_address(values)
        resolved = settings_for(given)
        for warning in resolved.warnings:
            reporter.warning(warning)
        # Not before the password is typed: a handler that raises nothing would not break off that prompt.
        signals.enter_context(stop_on_signals(stop, reporter.warning))
        binlog = _binlog_settings(resolved.settings, binlog_host, binlog_port)
        sessions = Sessions(resolved.settings)
        confirm = None if yes or not is_terminal() else _confirm(reporting, stop)
        result = _migrate(sessions, binlog, options, reporter, confirm, stop)
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
) -> Result:
    from osc.migration import migrate as engine

    return engine(sessions, binlog, options, reporter, confirm, stop)


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


# --- what was asked for -------------------------------------------------------------------------------------------


def migration_options(values: dict[str, object]) -> MigrationOptions:
    """The facts behind the command line's values. Raises UsageError for what is missing or contradicts itself."""
    alter = str(values["alter"])
    if not alter.strip():
        raise UsageError("--alter is empty: say what to change, as in --alter 'add column note varchar(200)'")
    database, table = target(cast("str | None", values["database"]), cast("str | None", values["table"]), alter)
    flag_files = (values["throttle_flag_file"], values["throttle_additional_flag_file"])
    return MigrationOptions(
        database=database,
        table=table,
        alter=alter,
        workers=cast(int, values["workers"]),
        chunk_size=cast("int | None", values["chunk_size"]),
        defer_indexes=cast("DeferIndexes", values["defer_indexes"]),
        chunk_target_ms=cast(int, values["chunk_target_ms"]),
        impact=cast(str, values["impact"]),
        max_load=cast("tuple[Limit, ...]", values["max_load"]),
        critical_load=cast("tuple[Limit, ...]", values["critical_load"]),
        critical_load_interval_s=cast(int, values["critical_load_interval_millis"]) / 1_000,
        critical_load_hibernate_s=cast(int, values["critical_load_hibernate_seconds"]),
        max_memory_bytes=cast(int, values["max_memory"]) << 20,
        throttle_query=cast("str | None", values["throttle_query"]),
        throttle_http=cast("str | None", values["throttle_http"]),
        control_replicas=cast("tuple[Address, ...]", values["throttle_control_replicas"]),
        max_lag_s=cast(int, values["max_lag_millis"]) / 1_000,
        nice_ratio=cast(float, values["nice_ratio"]),
        replica_server_id=cast("int | None", values["replica_server_id"]),
        drop_old_table=bool(values["drop_old_table"]),
        timestamp_old_table=bool(values["timestamp_old_table"]),
        postpone_flag_file=cast("Path | None", values["postpone_cut_over_flag_file"]),
        panic_flag_file=cast("Path | None", values["panic_flag_file"]),
        throttle_flag_files=tuple(cast(Path, path) for path in flag_files if path is not None),
        cut_over_lock_timeout_s=cast(int, values["cut_over_lock_timeout_seconds"]),
        initially_drop_ghost=bool(values["initially_drop_ghost_table"]),
        initially_drop_old=bool(values["initially_drop_old_table"]),
        default_retries=cast(int, values["default_retries"]),
        resume=cast(Resume, values["resume"]),
        allow_lossy=bool(values["allow_lossy"]),
    )


def target(database: str | None, table: str | None, alter: str) -> tuple[str, str]:
    """Database and table from the options and from a whole `ALTER TABLE`. Raises UsageError when they disagree."""
    if table is not None and database is None:
        database, table = split_name(table)
    statement = _read(alter, needed=database is None or table is None)
    named_database = statement.database if statement else None
    named_table = statement.table if statement else None
    for option_name, asked, named in (("--database", database, named_database), ("--table", table, named_table)):
        if asked is not None and named is not None and folded(asked) != folded(named):
            raise UsageError(f"{option_name} is {asked}, but the ALTER names {named}: which of them is it?")
    database, table = database or named_database, table or named_table
    if table is None:
        raise UsageError("which table? Give --table, or a whole statement with --alter 'ALTER TABLE db.t ...'")
    if database is None:
        raise UsageError(f"in which database is the table {table}? Give --database, or --table database.{table}")
    return database, table


def split_name(name: str) -> tuple[str | None, str]:
    """Database and table of `t`, `db.t` or `` `db`.`t` ``; a name in backticks may hold dots. Raises UsageError."""
    part = r"(`(?:[^`]|``)+`|[^`.]+)"
    match = re.fullmatch(rf"\s*(?:{part}\.)?{part}\s*", name)
    if match is None:
        raise UsageError(f"--table {name!r} is no name: give table, database.table or `database`.`table`")
    database, table = (None if text is None else _unquoted(text) for text in match.groups())
    assert table is not None
    return database, table


def _unquoted(name: str) -> str:
    return name[1:-1].replace("``", "`") if name.startswith("`") else name


def _read(alter: str, needed: bool) -> AlterStatement | None:
    """The statement as far as its names go; None when the engine, which knows the server's mode, is to judge it."""
    try:
        return parse_alter(alter)
    except AlterSyntaxError:
        if needed:
            raise
        return None


def _binlog_address(values: dict[str, object]) -> tuple[str | None, int | None]:
    host, port = cast("str | None", values["binlog_host"]), cast("int | None", values["binlog_port"])
    if port is not None and host is None:
        raise UsageError("--binlog-port needs --binlog-host: which server's port is it?")
    return host, port


def _binlog_settings(settings: ConnectionSettings, host: str | None, port: int | None) -> ConnectionSettings | None:
    """The replica to read the binlog from, with the login of the server itself; None to read the server's own."""
    return None if host is None else replace(settings, host=host, port=port or 3306, socket=None)
