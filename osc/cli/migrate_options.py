"""The options of `osc migrate`: how they are named and explained, and the facts that they stand for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import TypeVar, cast

import click

from osc.cli.help import option
from osc.cli.target import target
from osc.errors import UsageError
from osc.mysql.session import ConnectionSettings
from osc.native.strategy import WantedStrategy
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
from osc.table.deferred import DeferIndexes
from osc.throttle.governor import DEFAULT_IMPACT, IMPACTS, impact_factor
from osc.throttle.load import Limit, limits
from osc.throttle.replicas import Address, addresses

F = TypeVar("F", bound=Callable[..., object])
T = TypeVar("T")

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


TARGET_OPTIONS = (
    option(_WHAT, "--database", metavar="NAME", help="Database of the table."),
    option(_WHAT, "--table", metavar="NAME", help="Table to alter; database.table will do."),
    option(_WHAT, "--alter", required=True, metavar="SQL", help="The clauses, or a whole ALTER TABLE statement."),
    option(_WHAT, "--allow-lossy", is_flag=True, help="Let values that do not fit be cut, as without strict mode."),
    option(
        _WHAT,
        "--strategy",
        type=click.Choice(["auto", "instant", "inplace", "copy"]),
        default="auto",
        show_default=True,
        help="auto: what the server can do itself at once (ALGORITHM=INSTANT, or in place without touching rows) it does, and "
        "there is no old table then; all else is copied. The others: only so.",
    ),
    option(
        _WHAT,
        "--allow-inplace",
        is_flag=True,
        help="Let auto also use in-place rebuilds and index builds: one statement that cannot be paced, undo grows, replicas "
        "fall behind for as long.",
    ),
)

OPTIONS = (
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
        help="Build the secondary indexes after the copy, in one statement. auto: for a large table that no replica follows"
        " (it would fall behind for as long as the build takes), while nobody else is busy there, or with --impact max.",
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
        "--kill-blockers-after",
        type=click.IntRange(min=1),
        metavar="S",
        help="Kill the connection of a transaction that has kept the swap waiting for so many seconds, unless it has changed "
        "many rows or holds LOCK TABLES. Needs CONNECTION_ADMIN (MySQL) or CONNECTION ADMIN (MariaDB), and to see who holds "
        "locks (performance_schema). Never, by default.",
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
)

OUTPUT_OPTIONS = (
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


def migration_options(values: Mapping[str, object]) -> MigrationOptions:
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
        strategy=cast(WantedStrategy, values["strategy"]),
        allow_inplace=bool(values["allow_inplace"]),
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
        kill_blockers_after_s=cast("int | None", values["kill_blockers_after"]),
        initially_drop_ghost=bool(values["initially_drop_ghost_table"]),
        initially_drop_old=bool(values["initially_drop_old_table"]),
        default_retries=cast(int, values["default_retries"]),
        resume=cast(Resume, values["resume"]),
        allow_lossy=bool(values["allow_lossy"]),
    )


def with_options(decorators: Sequence[Callable[[F], F]]) -> Callable[[F], F]:
    """Add options to a command, in this order."""
    return lambda command: reduce(lambda inner, decorate: decorate(inner), reversed(decorators), command)


def binlog_address(values: Mapping[str, object]) -> tuple[str | None, int | None]:
    """The replica to read the binlog from, as given. Raises UsageError."""
    host, port = cast("str | None", values["binlog_host"]), cast("int | None", values["binlog_port"])
    if port is not None and host is None:
        raise UsageError("--binlog-port needs --binlog-host: which server's port is it?")
    return host, port


def binlog_settings(settings: ConnectionSettings, host: str | None, port: int | None) -> ConnectionSettings | None:
    """The replica to read the binlog from, with the login of the server itself; None to read the server's own."""
    return None if host is None else replace(settings, host=host, port=port or 3306, socket=None)
