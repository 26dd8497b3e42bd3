"""The demo: a busy table on a throwaway server, altered by the real command while writers count what they committed.

The command runs as a process of its own, as an operator would start it: the writers' times are the application's, not the
engine's, and the final table is judged by the writers' ledgers.
"""

from __future__ import annotations

import json
import math
import secrets
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pymysql

from osc.control.stop import StopRequest
from osc.errors import Aborted, AlterSyntaxError, UsageError
from osc.mysql.grants import required_grants
from osc.mysql.names import folded
from osc.mysql.session import ConnectionSettings, Sessions, error_text
from osc.mysql.sql import qualified
from osc.plan.alter import parse_alter
from osc.sandbox.latency import Latencies, LatencySummary
from osc.sandbox.oracle import Comparison
from osc.sandbox.orders import ALWAYS_WRITTEN, CORE_COLUMNS, KEY_COLUMNS, OrdersTable
from osc.sandbox.provision import ensure
from osc.sandbox.servers import LocalServer, quickest
from osc.sandbox.workload import Workload, WorkloadReport
from osc.table.facts import read_table

DATABASE, TABLE = "shop", "orders"
DEFAULT_ALTER = (
    "add column gift_for varchar(80), modify column amount decimal(14,2) not null default 0,"
    " add index by_city (city, placed_at)"
)
_GRACE_S = 1.0
_STOP_DEADLINE_S = 60.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What was asked for."""

    rows: int
    writers: int
    rate_per_writer: float | None
    """Transactions a second; None is as many as they can."""
    alter: str = DEFAULT_ALTER
    server: str | None = None
    """The distribution's name; None is the quickest to get."""
    alone_s: float = 4.0
    """How long the writers are watched before the migration, and again after it."""


@dataclass(frozen=True, slots=True)
class Swap:
    """The swap, as the tool tells it and as the writers saw it."""

    tool_stall_ms: float
    """From asking for the lock to its release."""
    writers: LatencySummary
    """Of the transactions that were under way at any moment of it."""
    slowest_ms: float
    """The longest that one of these took itself, the time before its writer came to it left out."""
    gap_ms: float
    """The longest time around it in which not one transaction came to an end."""


@dataclass(frozen=True, slots=True)
class Migration:
    """What `osc migrate` did, by its exit code and the events that it reported."""

    exit_code: int
    began: float
    ended: float
    """Both `time.monotonic()`, as are all moments in here."""
    outcome: str
    rows_copied: int
    rows_verified: int
    keys_reconciled: int
    duration_s: float
    swapped_at: float | None
    """When the locks of the swap were released."""
    stall_ms: float | None

    @property
    def is_done(self) -> bool:
        """Whether the table has its new schema."""
        return self.outcome in ("swapped", "altered")


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the person wanted to know."""

    server: str
    rows_at_start: int
    migration: Migration
    work: WorkloadReport
    before: LatencySummary
    during: LatencySummary
    after: LatencySummary
    swap: Swap | None
    comparison: Comparison

    @property
    def problems(self) -> tuple[str, ...]:
        """What went wrong, in words; empty when all is well."""
        found = []
        if self.migration.exit_code != 0 or not self.migration.is_done:
            found.append(f"osc migrate ended with exit code {self.migration.exit_code} ({self.migration.outcome})")
        if self.work.errors:
            found.append(f"the writers met {len(self.work.errors)} errors, the first: {self.work.errors[0]}")
        if not self.comparison.equal:
            found.append(f"the table is not what the writers committed: {self.comparison}")
        return tuple(found)


def run_demo(
    options: DemoOptions, say: Say, stop: StopRequest, at_end: Callable[[LocalServer, DemoResult], None]
) -> None:
    """Run it all; `at_end` gets the result while the server is still there.

    Raises UsageError for an `ALTER` that cannot be shown, SandboxError when there is no server to be had, Aborted when a
    stop was asked for. The server and its data are gone afterwards, whatever happened.
    """
    clauses = read_clauses(options.alter)
    name = options.server or quickest()
    ensure(name, say)
    with LocalServer(name, {"innodb_buffer_pool_size": "512M"}) as server:
        say(f"{server.name} ({server.version}) is running for this demo alone, on port {server.port}")
        application, migrator_file = _prepare(server)
        core = core_columns(application, clauses)
        workload = Workload(
            application,
            DATABASE,
            TABLE,
            writers=options.writers,
            rate_per_writer=options.rate_per_writer,
            core_columns=core,
        )
        with workload:
            began = time.monotonic()
            workload.create(options.rows)
            say(f"{DATABASE}.{TABLE} is filled: {options.rows:,} rows in {time.monotonic() - began:.1f} s")
            result = _show(server, workload, migrator_file, replace(options, alter=clauses), say, stop)
        at_end(server, result)


def read_clauses(alter: str) -> str:
    """The clauses of an `ALTER` that may be a whole statement. Raises UsageError when they are not for the demo's table."""
    try:
        statement = parse_alter(alter)
    except AlterSyntaxError as error:
        raise UsageError(f"--alter: {error.message}") from error
    if statement.table is not None and statement.table != TABLE:
        raise UsageError(f"--alter names the table {statement.table}; the demo's is {DATABASE}.{TABLE}")
    return statement.clauses_sql


def core_columns(settings: ConnectionSettings, clauses: str) -> tuple[str, ...]:
    """The columns that writers can write through this `ALTER`: those that keep their names.

    Tried on an empty table like the demo's. Raises UsageError when the server refuses it, or when it takes away what the
    writers cannot do without.
    """
    probe = OrdersTable(DATABASE, f"{TABLE}_probe", 0)
    renamed = {folded(name) for name in parse_alter(clauses).renames}
    with closing(Sessions(settings).open("try the ALTER")) as connection, connection.cursor() as cursor:
        cursor.execute(probe.create_statement())
        try:
            cursor.execute(f"alter table {qualified(DATABASE, probe.name)} {clauses}")
        except pymysql.err.MySQLError as error:
            raise UsageError(f"the server refuses the ALTER: {error_text(error)}") from error
        altered = read_table(connection, DATABASE, probe.name)
        if altered is None:
            raise UsageError("the ALTER renames the table, which is not a schema change")
        cursor.execute(f"drop table {qualified(DATABASE, probe.name)}")
    kept = {folded(column.name) for column in altered.columns if not column.is_generated} - renamed
    if missing := [name for name in (*KEY_COLUMNS["int"], *ALWAYS_WRITTEN) if name not in kept]:
        raise UsageError(f"the demo's writers cannot do without the column {', '.join(missing)}; leave it as it is")
    return tuple(name for name in CORE_COLUMNS if name in kept)


def _prepare(server: LocalServer) -> tuple[ConnectionSettings, Path]:
    """The database and two accounts: the application's settings, and the option file of the one that migrates."""
    passwords = {"shop_app": secrets.token_urlsafe(12), "osc": secrets.token_urlsafe(12)}
    with closing(server.admin()) as admin, admin.cursor() as cursor:
        cursor.execute(f"create database {DATABASE} character set utf8mb4")
        for user, password in passwords.items():
            cursor.execute("create user %s@'%%' identified by %s", (user, password))
        cursor.execute(f"grant all privileges on {DATABASE}.* to 'shop_app'@'%'")
    with closing(server.admin()) as admin, admin.cursor() as cursor:
        version = Sessions(_account(server, "shop_app", passwords["shop_app"])).server.version
        for grant in required_grants(server.flavor, version, DATABASE, "'osc'@'%'"):
            cursor.execute(grant)
    migrator_file = server.folder / "osc.cnf"
    migrator_file.touch(mode=0o600)
    migrator_file.write_text(
        f"[client]\nhost={server.host}\nport={server.port}\nuser=osc\npassword={passwords['osc']}\n", encoding="utf-8"
    )
    return _account(server, "shop_app", passwords["shop_app"]), migrator_file


def _account(server: LocalServer, user: str, password: str) -> ConnectionSettings:
    return ConnectionSettings(host=server.host, port=server.port, user=user, password=password)


def _show(
    server: LocalServer, workload: Workload, migrator_file: Path, options: DemoOptions, say: Say, stop: StopRequest
) -> DemoResult:
    rate = options.rate_per_writer
    pace = "as fast as they can" if rate is None else f"{rate:g} transactions a second each"
    workload.start()
    say(
        f"{options.writers} writers insert, update, delete and change keys, {pace}; {options.alone_s:g} s of them alone"
    )
    _watch(options.alone_s, stop)
    command = [sys.executable, "-m", "osc", "migrate", f"--defaults-file={migrator_file}"]
    command += [f"--table={DATABASE}.{TABLE}", f"--alter={options.alter}", "--strategy=copy", "--yes"]
    say(f"now: osc migrate --table {DATABASE}.{TABLE} --alter {shlex.quote(options.alter)} --strategy copy")
    migration = run_migration(command, server.folder / "events.json", stop)
    say(f"{options.alone_s:g} s more of the writers alone")
    _watch(options.alone_s, stop)
    work = workload.stop()
    say("comparing the table with what the writers committed, altered by the server itself")
    comparison = workload.verify_against_direct_alter(options.alter if migration.is_done else "")
    latencies = work.latencies
    swap_began, swap_ended = _swap_span(migration)
    return DemoResult(
        server=f"{server.name} ({server.version})",
        rows_at_start=workload.table.rows,
        migration=migration,
        work=work,
        before=latencies.summary(work.started_at, migration.began),
        during=latencies.summary(migration.began, swap_began),
        after=latencies.summary(migration.ended, work.stopped_at),
        swap=_swap(migration, latencies, swap_began, swap_ended),
        comparison=comparison,
    )


def _swap(migration: Migration, latencies: Latencies, began: float, ended: float) -> Swap | None:
    if migration.stall_ms is None or math.isinf(began):
        return None
    gap_ms = 1000 * latencies.longest_gap_s(began - 0.5, ended + 0.5)
    slowest_ms = 1000 * latencies.slowest_execution_s(began, ended)
    return Swap(migration.stall_ms, latencies.touching(began, ended), slowest_ms, gap_ms)


def _swap_span(migration: Migration) -> tuple[float, float]:
    """From before the lock request to after the release; without a swap an instant that never comes."""
    if migration.swapped_at is None or migration.stall_ms is None:
        return math.inf, math.inf
    return migration.swapped_at - migration.stall_ms / 1000 - 0.02, migration.swapped_at + 0.02


def _watch(seconds: float, stop: StopRequest) -> None:
    """Let that much time of the measurement pass. Raises Aborted when a stop is asked for."""
    if stop.wait(seconds):
        raise Aborted(f"{stop.reason}: the demo's writers and its server are stopped, and nothing of them is left")


def run_migration(command: list[str], events_file: Path, stop: StopRequest) -> Migration:
    """Run the command with this terminal as its own, to the end. Raises Aborted when a stop is asked for meanwhile."""
    began = time.monotonic()
    with _stopped_in_the_end(subprocess.Popen([*command, f"--events-file={events_file}"])) as process:
        while process.poll() is None and not stop.wait(0.05):
            pass
        # At a terminal it gets Ctrl-C as well as this process does, and needs no second one.
        if stop.is_requested:
            _watch_end(process, _GRACE_S)
    _watch(0, stop)
    return read_migration(events_file, process.returncode, began, time.monotonic())


@contextmanager
def _stopped_in_the_end(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            if not _watch_end(process, _STOP_DEADLINE_S):
                process.kill()
                process.wait()


def _watch_end(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def read_migration(events_file: Path, exit_code: int, began: float, ended: float) -> Migration:
    """What the events of a run say; they carry the time of day, which is translated into `time.monotonic()`."""
    to_monotonic = time.monotonic() - time.time()
    finished: dict[str, object] = {}
    swapped_at: float | None = None
    if events_file.exists():
        for line in events_file.read_text(encoding="utf-8").splitlines():
            event: dict[str, object] = json.loads(line)
            if event["event"] == "finished":
                finished = event
            elif event["event"] == "cut_over_attempt" and event["outcome"] == "swapped":
                swapped_at = datetime.fromisoformat(str(event["time"])).timestamp() + to_monotonic
    stall = finished.get("cut_over_stall_ms")
    return Migration(
        exit_code=exit_code,
        began=began,
        ended=ended,
        outcome=str(finished.get("outcome", "it said nothing at its end")),
        rows_copied=_whole(finished.get("rows_copied")),
        rows_verified=_whole(finished.get("rows_verified")),
        keys_reconciled=_whole(finished.get("keys_reconciled")),
        duration_s=_number(finished.get("duration_s")),
        swapped_at=swapped_at,
        stall_ms=None if stall is None else _number(stall),
    )


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
