"""How long a rebuild of an idle table takes: osc, the server's own `ALTER`, and gh-ost where there is one.

The table is sysbench's. The contestants take turns in one sitting on one server, each starting with a clean buffer pool,
and are compared by the medians of their rounds: absolute figures drift from machine to machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import secrets
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from osc.mysql.grants import required_grants
from osc.mysql.server import Server, read_server
from osc.sandbox.provision import ensure
from osc.sandbox.servers import LocalServer, server_names

DATABASE, TABLE = "sbtest", "sbtest1"
ALTER = "ENGINE=InnoDB"
REPORT = Path(__file__).parent / "report"
OPTIONS: Mapping[str, str] = {
    "innodb_buffer_pool_size": "2G",
    "sync_binlog": "1",
    "innodb_flush_log_at_trx_commit": "1",
}
_FILL_ROWS = 50_000
_SETTLE_DEADLINE_S = 120.0


@dataclass(frozen=True, slots=True)
class Timing:
    """What one contestant took, round by round."""

    contestant: str
    wall_s: tuple[float, ...]
    """From the command, or the statement, to its end."""
    phases_s: Mapping[str, float]
    """Medians of the parts that the contestant tells of itself."""

    @property
    def median_s(self) -> float:
        return statistics.median(self.wall_s)


@dataclass(frozen=True, slots=True)
class Report:
    """One sitting."""

    taken_at: str
    server: str
    cpus: int
    machine: str
    rows: int
    data_mib: float
    settings: Mapping[str, str]
    timings: tuple[Timing, ...]

    def ratio(self, timing: Timing) -> float:
        """How many times as long as osc it took."""
        return timing.median_s / self.timings[0].median_s


class Bench:
    """A server with the table, and the accounts that alter it."""

    def __init__(self, server: LocalServer, rows: int) -> None:
        self.server = server
        self.rows = rows
        self.option_file = server.folder / "bench.cnf"
        with closing(server.admin()) as admin:
            self.facts: Server = read_server(admin)
        self._make_accounts()
        self._fill()

    def execute(self, *statements: str) -> None:
        with closing(self.server.admin(DATABASE)) as admin, admin.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def ask(self, query: str) -> int:
        """The number in the last column of the first row."""
        with closing(self.server.admin(DATABASE)) as admin, admin.cursor() as cursor:
            cursor.execute(query)
            row = cursor.fetchone()
        assert row is not None, query
        return int(row[-1])

    def settle(self) -> None:
        """Wait until everything that earlier runs changed is written to the data files."""
        default = self.ask("select @@global.innodb_max_dirty_pages_pct")
        self.execute(f"drop table if exists _{TABLE}_del, _{TABLE}_gho, _{TABLE}_ghc")
        self.execute("set global innodb_max_dirty_pages_pct = 0")
        deadline = time.monotonic() + _SETTLE_DEADLINE_S
        while self.ask("show global status like 'Innodb_buffer_pool_pages_dirty'") > 100:
            if time.monotonic() > deadline:
                print(f"still dirty pages after {_SETTLE_DEADLINE_S:.0f} s; going on", file=sys.stderr)
                break
            time.sleep(0.2)
        self.execute(f"set global innodb_max_dirty_pages_pct = {default or 90}")

    def check(self, contestant: str) -> None:
        """Raise RuntimeError when the table is not whole."""
        found = self.ask(f"select count(*) from {TABLE}")
        if found != self.rows:
            raise RuntimeError(f"{contestant} left {found:,} of {self.rows:,} rows")

    def _make_accounts(self) -> None:
        password = secrets.token_urlsafe(12)
        with closing(self.server.admin()) as admin, admin.cursor() as cursor:
            cursor.execute(f"create database {DATABASE} character set utf8mb4")
            cursor.execute("create user 'bench'@'%%' identified by %s", (password,))
            for grant in required_grants(self.facts.flavor, self.facts.version, DATABASE, "'bench'@'%'"):
                cursor.execute(grant)
            # gh-ost starts with no less than this.
            cursor.execute("grant super, replication client, replication slave on *.* to 'bench'@'%'")
            cursor.execute(f"grant all on {DATABASE}.* to 'bench'@'%'")
            cursor.execute("grant select on performance_schema.* to 'bench'@'%'")
        self.option_file.touch(mode=0o600)
        self.option_file.write_text(
            f"[client]\nhost={self.server.host}\nport={self.server.port}\nuser=bench\npassword={password}\n",
            encoding="utf-8",
        )

    def _fill(self) -> None:
        groups = {count: ", ".join(["lpad(floor(rand() * 1e11), 11, '0')"] * count) for count in (10, 5)}
        recursion = "max_recursive_iterations" if self.facts.is_mariadb else "cte_max_recursion_depth"
        fills = [
            f"insert into {TABLE} (id, k, c, pad) with recursive n (i) as (select {first} union all"
            f" select i + 1 from n where i < {min(first + _FILL_ROWS - 1, self.rows)})"
            f" select i, 1 + floor(rand() * {self.rows}), concat_ws('-', {groups[10]}), concat_ws('-', {groups[5]}) from n"
            for first in range(1, self.rows + 1, _FILL_ROWS)
        ]
        self.execute(
            f"create table {TABLE} (id int not null auto_increment primary key, k int not null default 0,"
            " c char(120) not null default '', pad char(60) not null default '', key k_1 (k)) engine=InnoDB",
            f"set session {recursion} = {2 * _FILL_ROWS}",
            *fills,
            f"analyze table {TABLE}",
        )


Run = Callable[[Bench], dict[str, float]]
"""Alters the table; returns the parts of the time that it tells of itself."""


def with_osc(bench: Bench) -> dict[str, float]:
    """The command, verification included, as an operator starts it."""
    events = bench.server.folder / "events.json"
    command = [sys.executable, "-m", "osc", "migrate", f"--defaults-file={bench.option_file}", "--yes"]
    # gh-ost connects without TLS unless it is told to; so does osc here.
    command += [f"--table={DATABASE}.{TABLE}", f"--alter={ALTER}", f"--events-file={events}", "--ssl-mode=DISABLED"]
    _must_succeed(command)
    finished = json.loads(events.read_text(encoding="utf-8").splitlines()[-1])
    return {name: float(finished[name]) for name in ("copy_s", "verify_s", "duration_s", "cut_over_stall_ms")}


def with_server(algorithm: str) -> Run:
    """The server's own `ALTER`."""

    def run(bench: Bench) -> dict[str, float]:
        bench.execute(f"alter table {TABLE} {ALTER}, algorithm={algorithm}")
        return {}

    return run


def with_gh_ost(program: str, chunk_size: int) -> Run:
    """gh-ost on the primary itself, with nothing to hold it back."""

    def run(bench: Bench) -> dict[str, float]:
        command = [program, f"--conf={bench.option_file}", f"--host={bench.server.host}", f"--port={bench.server.port}"]
        command += [f"--database={DATABASE}", f"--table={TABLE}", f"--alter={ALTER}", f"--chunk-size={chunk_size}"]
        command += ["--allow-on-master", "--execute", "--initially-drop-ghost-table", "--initially-drop-old-table"]
        command += [f"--serve-socket-file={bench.server.folder}/gh-ost.sock", "--assume-rbr"]
        _must_succeed(command)
        return {}

    return run


def _must_succeed(command: Sequence[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{Path(command[0]).name} ended with exit code {done.returncode}:\n{done.stdout[-4000:]}")


def contestants(gh_ost: str | None) -> dict[str, Run]:
    """Everyone who takes part, osc first."""
    found: dict[str, Run] = {
        "osc": with_osc,
        "ALGORITHM=COPY": with_server("COPY"),
        "ALGORITHM=INPLACE": with_server("INPLACE"),
    }
    if gh_ost is not None:
        found["gh-ost"] = with_gh_ost(gh_ost, 1_000)
        found["gh-ost, chunks of 10,000"] = with_gh_ost(gh_ost, 10_000)
    return found


def race(bench: Bench, runs: Mapping[str, Run], rounds: int) -> tuple[Timing, ...]:
    """All contestants, in turn, round by round; another one begins each round."""
    walls: dict[str, list[float]] = {name: [] for name in runs}
    parts: dict[str, list[dict[str, float]]] = {name: [] for name in runs}
    names = list(runs)
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            bench.settle()
            began = time.monotonic()
            parts[name].append(runs[name](bench))
            walls[name].append(time.monotonic() - began)
            bench.check(name)
            print(f"round {number + 1}: {name}: {walls[name][-1]:.1f} s {_rounded(parts[name][-1])}", flush=True)
    return tuple(Timing(name, tuple(walls[name]), _medians(parts[name])) for name in runs)


def _medians(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: statistics.median(part[name] for part in parts) for name in parts[0]}


def _rounded(parts: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in parts.items())


def measure(server_name: str, rows: int, rounds: int, gh_ost: str | None) -> Report:
    """One sitting on a server of its own."""
    ensure(server_name, print)
    with LocalServer(server_name, OPTIONS) as server:
        print(f"{server.name} ({server.version}): filling {rows:,} rows", flush=True)
        bench = Bench(server, rows)
        timings = race(bench, contestants(gh_ost), rounds)
        size = f"select data_length + index_length from information_schema.tables where table_name = '{TABLE}'"
        return Report(
            taken_at=datetime.now(UTC).isoformat(timespec="seconds"),
            server=bench.facts.title,
            cpus=os.cpu_count() or 0,
            machine=platform.machine(),
            rows=rows,
            data_mib=bench.ask(size) / 2**20,
            settings={name: bench.facts.variable(name) for name in (*OPTIONS, "innodb_log_writer_threads")},
            timings=timings,
        )


def markdown(report: Report) -> str:
    """The report for people."""
    settings = ", ".join(f"`{name}={value}`" for name, value in report.settings.items() if value)
    lines = [
        f"# A rebuild of {report.rows:,} rows ({report.data_mib:,.0f} MiB), idle, on {report.server}",
        "",
        f"{report.taken_at}, {report.cpus} CPUs ({report.machine}); {settings}. `ALTER TABLE .. {ALTER}`; osc verifies"
        " every row, the others none.",
        "",
        "| | median | of the rounds | times osc's |",
        "| --- | --- | --- | --- |",
    ]
    for timing in report.timings:
        rounds = ", ".join(f"{value:.1f}" for value in timing.wall_s)
        lines.append(f"| {timing.contestant} | {timing.median_s:.1f} s | {rounds} | {report.ratio(timing):.2f} |")
    if parts := _rounded(report.timings[0].phases_s):
        lines += ["", f"osc's own account, medians: {parts}."]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.baseline", description=__doc__)
    parser.add_argument("--server", choices=server_names(), default="mysql-9.7")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--gh-ost", default=shutil.which("gh-ost"), help="its path (default: the one on the PATH)")
    parser.add_argument("--output", type=Path, default=REPORT, help="folder of the report (default: bench/report)")
    given = parser.parse_args(arguments)
    if given.gh_ost is None:
        print("there is no gh-ost on the PATH (see --gh-ost): going on without it", file=sys.stderr)
    report = measure(given.server, given.rows, given.rounds, given.gh_ost)
    given.output.mkdir(parents=True, exist_ok=True)
    stem = given.output / f"baseline-{given.server}"
    stem.with_name(stem.name + ".json").write_text(json.dumps(asdict(report), indent=2) + "\n", encoding="utf-8")
    stem.with_name(stem.name + ".md").write_text(markdown(report), encoding="utf-8")
    print(f"\n{markdown(report)}\nwritten to {stem}.json and .md")


if __name__ == "__main__":
    main()
