"""The demo, run as a person runs it, and what it makes of runs that went wrong."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from osc.control.stop import StopRequest
from osc.errors import Aborted, UsageError
from osc.sandbox.demo import (
    DATABASE,
    DEFAULT_ALTER,
    DemoOptions,
    DemoResult,
    core_columns,
    read_clauses,
    read_migration,
    run_demo,
    run_migration,
)
from osc.sandbox.orders import CORE_COLUMNS
from osc.sandbox.servers import LocalServer
from tests.servers import ServerUnderTest

SMALL = ["--rows", "5000", "--writers", "2", "--rate", "50"]


@pytest.mark.usefixtures("start_server")  # it starts servers of its own
def test_the_demo_ends_with_the_table_that_its_writers_committed(server_name: str) -> None:
    results: list[DemoResult] = []

    def at_end(local: LocalServer, result: DemoResult) -> None:
        assert local.running
        results.append(result)

    options = DemoOptions(rows=5_000, writers=2, rate_per_writer=50, server=server_name, alone_s=1)
    run_demo(options, print, StopRequest(), at_end)
    (result,) = results
    assert result.problems == ()
    assert result.migration.outcome == "swapped"
    assert result.migration.rows_verified >= 5_000
    assert result.comparison.equal
    assert result.comparison.rows_found > 4_000
    assert result.swap is not None
    assert result.swap.tool_stall_ms > 0
    assert result.before.transactions > 0
    assert result.during.transactions > 0


@pytest.mark.only("mariadb-10.11", reason="what is shown does not depend on the server, and one of them is enough")
@pytest.mark.usefixtures("start_server")
def test_in_a_pipe_the_demo_is_plain_text(server_name: str) -> None:
    command = [sys.executable, "-m", "osc", "demo", "--server", server_name, *SMALL]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "\x1b" not in done.stdout
    for part in ("before", "during", "at the swap", "after", "all as expected", "swapped: shop.orders"):
        assert part in done.stdout


@pytest.mark.only("mariadb-10.11", reason="what Ctrl-C ends does not depend on the server, and one of them is enough")
@pytest.mark.usefixtures("start_server")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["writers insert", "now: osc migrate"])
def test_a_signal_ends_the_demo_its_writers_and_its_server(
    server_name: str, number: signal.Signals, moment: str
) -> None:
    command = [sys.executable, "-u", "-m", "osc", "demo", "--server", server_name, *SMALL]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as demo:
        assert demo.stdout is not None
        said: list[str] = []
        for line in demo.stdout:
            said.append(line)
            if moment in line:
                break
        # The terminal sends Ctrl-C to every process of the group; a service manager SIGTERM to the one that it started.
        os.killpg(demo.pid, number) if number == signal.SIGINT else demo.send_signal(number)
        rest = demo.stdout.read()
        demo.wait()
    text = "".join(said) + rest
    assert demo.returncode == 3, text
    assert "Traceback" not in text
    port = re.search(r"on port (\d+)", text)
    assert port is not None
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(port[1])))
    assert processes_of_group(demo.pid) == []


def processes_of_group(group: int) -> list[str]:
    """The command lines of the processes of that group that are still at work."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            if entry.name.isdigit() and os.getpgid(int(entry.name)) == group:
                # Empty for one that has ended and whose exit code nobody has asked for.
                found.append((entry / "cmdline").read_text().replace("\0", " "))
    return [command for command in found if command]


@pytest.mark.parametrize(
    ("alter", "core"),
    [
        (DEFAULT_ALTER, CORE_COLUMNS),
        ("drop column note", tuple(name for name in CORE_COLUMNS if name != "note")),
        ("rename column amount to price", tuple(name for name in CORE_COLUMNS if name != "amount")),
        (
            "change note city varchar(200) character set utf8mb4, change city note varchar(60) character set latin1",
            tuple(name for name in CORE_COLUMNS if name != "note"),
        ),
    ],
)
def test_writers_write_the_columns_that_the_alter_leaves_under_their_names(
    server: ServerUnderTest, alter: str, core: tuple[str, ...]
) -> None:
    server.execute(f"create database {DATABASE}")
    try:
        assert core_columns(server.root, alter) == core
        assert server.query(f"show tables from {DATABASE}") == ()
    finally:
        server.execute(f"drop database {DATABASE}")


@pytest.mark.parametrize(
    ("alter", "why"),
    [
        ("drop column version", "cannot do without the column version"),
        ("rename column id to number", "cannot do without the column id"),
        ("drop column nothing_like_it", "nothing_like_it"),
        ("add column", "refuses|--alter"),
    ],
)
def test_an_alter_that_cannot_be_shown_is_refused_with_the_reason(
    server: ServerUnderTest, alter: str, why: str
) -> None:
    server.execute(f"create database {DATABASE}")
    try:
        with pytest.raises(UsageError, match=why):
            core_columns(server.root, read_clauses(alter))
    finally:
        server.execute(f"drop database {DATABASE}")


def test_a_whole_statement_is_taken_for_the_demos_own_table_only() -> None:
    assert read_clauses("ALTER TABLE orders ENGINE=InnoDB") == "ENGINE=InnoDB"
    with pytest.raises(UsageError, match="customers"):
        read_clauses("ALTER TABLE customers ENGINE=InnoDB")


def test_what_a_run_says_of_itself_is_read_from_its_events(tmp_path: Path) -> None:
    file = tmp_path / "events.json"
    swapped_at = datetime.now(UTC) - timedelta(seconds=2)
    events: list[dict[str, object]] = [
        {"event": "cut_over_attempt", "time": "2024-01-01T00:00:00.000Z", "number": 1, "outcome": "failed"},
        {"event": "cut_over_attempt", "time": swapped_at.isoformat(), "number": 2, "outcome": "swapped"},
        {"event": "finished", "outcome": "swapped", "rows_copied": 7, "cut_over_stall_ms": 4.5, "duration_s": 3.0},
    ]
    file.write_text("".join(json.dumps(event) + "\n" for event in events))
    migration = read_migration(file, 0, 0.0, 1.0)
    assert migration.is_done
    assert (migration.rows_copied, migration.stall_ms, migration.duration_s) == (7, 4.5, 3.0)
    assert migration.swapped_at == pytest.approx(time.monotonic() - 2, abs=1)


def test_a_run_that_says_nothing_is_not_done(tmp_path: Path) -> None:
    migration = run_migration([sys.executable, "-c", "raise SystemExit(4)"], tmp_path / "none", StopRequest())
    assert migration.exit_code == 4
    assert not migration.is_done
    assert migration.swapped_at is None


def test_a_stop_ends_the_run(tmp_path: Path) -> None:
    stop = StopRequest()
    stop.request("a test")
    pid_file = tmp_path / "pid"
    program = f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    with pytest.raises(Aborted, match="a test"):
        run_migration([sys.executable, "-c", program], tmp_path / "none", stop)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)
