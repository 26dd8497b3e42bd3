"""What dies in the middle: the tool, the server, sessions; and what others hold locked. Nothing is lost, and the same command
goes on."""

from __future__ import annotations

import resource
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pymysql
import pytest

from osc.mysql.session import NO_SUCH_THREAD, error_code
from osc.sandbox.orders import CORE_COLUMNS
from osc.sandbox.workload import Workload
from tests.conftest import StartServer
from tests.migration.migrating import RunningMigration, copying_up_to, migrate, migrating, tables_of
from tests.migration.tables import contents, make_table
from tests.servers import MIGRATOR, ServerUnderTest

ALTER = "add column z int not null default 7"
ROWS = 5_000
HALF = ROWS // 2
MOMENT_S = 0.01
TIMEOUT_S = 60.0


def sessions_of_the_tool(server: ServerUnderTest) -> dict[int, str]:
    """What each of them is doing."""
    return {
        int(str(row[0])): f"{row[4]} {row[6] or ''} {row[7] or ''}"
        for row in server.query("show full processlist")
        if row[1] == MIGRATOR
    }


def wait_until_doing(server: ServerUnderTest, text: str) -> None:
    """Wait until a session of the tool is about something."""
    pause, deadline = threading.Event(), threading.Timer(TIMEOUT_S, lambda: None)
    deadline.start()
    while not any(text in doing for doing in sessions_of_the_tool(server).values()):
        assert deadline.is_alive(), f"no session does {text!r}: {sessions_of_the_tool(server)}"
        pause.wait(MOMENT_S)
    deadline.cancel()


@contextmanager
def locked(server: ServerUnderTest, database: str, *statements: str) -> Iterator[None]:
    """Somebody else holds locks, until a session of the tool has waited for them for so long that it gave up once."""
    with closing(server.admin(database)) as holder, holder.cursor() as cursor:
        cursor.execute("begin")
        for statement in statements:
            cursor.execute(statement)
        yield
        holder.rollback()
        cursor.execute("unlock tables")


def test_the_tool_may_be_killed_in_every_phase(
    server: ServerUnderTest, database: str, tmp_path: Path, is_full_size: bool
) -> None:
    phases = ("prepare", "copy", "verify", "ready", "cut-over")
    postpone = tmp_path / "postpone"
    postpone.touch()
    options = ("--chunk-size", "100", "--postpone-cut-over-flag-file", str(postpone))
    with Workload(
        server.root, database, "orders", writers=2, rate_per_writer=50, core_columns=CORE_COLUMNS
    ) as workload:
        workload.create(3_000)
        workload.start()
        # An everyday run takes every other one, and the torture beside it any.
        for phase in phases if is_full_size else phases[::2]:
            if phase == "cut-over":
                postpone.unlink()
            with migrating(server, database, "orders", ALTER, *options) as running:
                running.wait_for("phase", phase=phase)
                running.process.kill()
        last = migrate(server, database, "orders", ALTER)
        assert last.exit_code == 0, str(last)
        report = workload.stop()
        assert report.errors == ()
        verdict = workload.verify_against_direct_alter(ALTER)
        assert verdict.equal, str(verdict)
    assert tables_of(server, database) == {"orders", "_orders_del", "writer_progress"}


def test_a_statement_that_outlives_the_killed_tool_changes_nothing(
    server: ServerUnderTest, database: str, tmp_path: Path
) -> None:
    make_table(server, database, ROWS)
    with copying_up_to(server, database, ALTER, HALF, tmp_path) as (running, let_go):
        wait_until_doing(server, "insert into")
        running.process.kill()
        running.process.wait()
        # It has read rows of this range, and waits for a row lock before it goes on.
        wait_until_doing(server, "insert into")
        server.execute(
            f"update t set s = 'changed' where id in ({HALF - 1}, {HALF}, {HALF + 1})",
            f"delete from t where id = {HALF + 2}",
            database=database,
        )
        before = contents(server, database)
        with migrating(server, database, "t", ALTER) as resuming:
            resuming.wait_for("phase", phase="prepare")
            let_go()
            run = resuming.end()
    assert run.exit_code == 0, str(run)
    assert run.of("started")[0]["resumed"] is True
    assert contents(server, database, what="id, k, s") == before


def test_the_server_may_be_killed_while_rows_are_copied_and_verified(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server()
    throttle = tmp_path / "throttle"
    with server.fresh_database() as database:
        make_table(server, database, ROWS)
        with copying_up_to(
            server, database, ALTER, HALF, tmp_path, "--throttle-additional-flag-file", str(throttle)
        ) as (
            running,
            _,
        ):
            server.process.kill()  # and with it the lock that held the copy up
            server.process.start()
            server.execute("update t set s = 'changed' where id <= 10", database=database)
            running.wait_for("phase", phase="verify")
            throttle.touch()
            server.process.kill()
            server.process.start()
            server.execute(f"delete from t where id > {ROWS - 10}", database=database)
            throttle.unlink()
            run = running.end()
        assert run.exit_code == 0, str(run)
        assert contents(server, database, what="id, k, s") == contents(server, database, "_t_del")
        assert len(contents(server, database)) == ROWS - 10


def test_each_session_of_the_tool_may_be_killed_and_the_binlog_rotated(
    server: ServerUnderTest, database: str, tmp_path: Path
) -> None:
    make_table(server, database, ROWS)

    def kill_each(running: RunningMigration) -> None:
        for session in sessions_of_the_tool(server):
            with closing(server.admin()) as admin, admin.cursor() as cursor:
                try:
                    cursor.execute(f"kill {session}")
                except pymysql.err.MySQLError as error:
                    if error_code(error) != NO_SUCH_THREAD:  # it has ended by itself
                        raise
        server.execute("flush binary logs", "update t set s = 'changed' where id = 1", database=database)
        server.execute("insert into t (k, s) values (1, 'new')", database=database)
        running.wait_for("status")

    postpone = tmp_path / "postpone"
    postpone.touch()
    with copying_up_to(server, database, ALTER, HALF, tmp_path, "--postpone-cut-over-flag-file", str(postpone)) as (
        running,
        let_go,
    ):
        kill_each(running)
        let_go()
        running.wait_for("phase", phase="ready")
        kill_each(running)
        postpone.unlink()
        run = running.end()
    assert run.exit_code == 0, str(run)
    assert run.of("started")[0]["resumed"] is False
    assert contents(server, database, what="id, k, s") == contents(server, database, "_t_del")
    assert len(contents(server, database)) == ROWS + 2


def test_locks_that_others_hold_are_waited_for_whatever_they_are_on(
    server: ServerUnderTest, database: str, tmp_path: Path
) -> None:
    make_table(server, database, ROWS)
    before = contents(server, database)
    throttle = tmp_path / "not yet"
    throttle.touch()
    with migrating(server, database, "t", ALTER, "--throttle-flag-file", str(throttle)) as running:
        running.wait_for("throttled")
        with locked(server, database, "select * from _t_ghc where id = 1 for update"):
            wait_until_doing(server, "update")
            server.execute("update t set s = s where id = 1", database=database)
            # Longer than the tool's own lock wait timeouts, of three and five seconds.
            for _ in range(5):
                running.wait_for("status")
        with locked(server, database, "lock tables t write, _t_gho write"):
            throttle.unlink()
            wait_until_doing(server, "Waiting for table metadata lock")
            for _ in range(6):
                running.wait_for("status")
        run = running.end()
    assert run.exit_code == 0, str(run)
    assert contents(server, database, what="id, k, s") == before


@pytest.mark.everyday("mysql-9.7", "mariadb-10.11", reason="one of each flavor")
def test_a_full_disk_ends_the_run_with_the_original_intact(server_name: str, start_server: StartServer) -> None:
    # Files that may not grow beyond a limit are full like a disk, and need neither a mount nor root. It is for all files,
    # so those of the logs are kept below it. Rows of one page: MariaDB dies of a blob that it cannot roll back.
    limit, unlimited = 34 << 20, resource.RLIM_INFINITY
    wide = ("t", "add z varchar(8000) character set ascii not null default (repeat('x', 7000))", "--chunk-size", "500")
    redo_log = "innodb_log_file_size" if server_name.startswith("mariadb") else "innodb_redo_log_capacity"
    server = start_server({redo_log: "16M", "max_binlog_size": "4M"})
    with server.fresh_database() as database:
        make_table(server, database, ROWS)
        before = contents(server, database)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (limit, unlimited))
        run = migrate(server, database, *wide)
        assert (run.exit_code, run.outcome) == (5, "failed"), str(run)
        assert "is full" in run.error
        assert "untouched" in run.error
        assert "osc cleanup" in run.error
        assert before == contents(server, database)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))
        again = migrate(server, database, *wide)
        assert again.exit_code == 0, str(again)
        assert again.of("started")[0]["resumed"] is True
        assert before == contents(server, database, what="id, k, s")


@pytest.mark.in_turn(reason="takes its time; what is full and who waits is the engine's own")
def test_a_full_pending_set_holds_the_copy_back_and_no_more(server: ServerUnderTest, database: str) -> None:
    with Workload(
        server.root, database, "orders", writers=2, rate_per_writer=40, core_columns=CORE_COLUMNS
    ) as workload:
        workload.create(3_000)
        workload.start()
        few = ("tests.migration.small_pending",)
        with migrating(server, database, "orders", ALTER, "--chunk-size", "20", program=few) as running:
            running.wait_for("phase", phase="copy")
            # Many keys at once, of rows that are gone again: where no writer puts any, so none gets into a deadlock.
            burst = ", ".join(f"({500_000_000 + number}, now())" for number in range(1_000))
            for _ in range(3):
                server.execute(
                    "set session transaction isolation level read committed",
                    "set autocommit = 0",
                    f"insert into orders (id, updated_at) values {burst}",
                    "delete from orders where id between 500000000 and 500000999",
                    "commit",
                    database=database,
                )
            assert "wait to be reconciled" in str(running.wait_for("throttled")["reason"])
            run = running.end()
        assert run.exit_code == 0, str(run)
        assert workload.stop().errors == ()
        verdict = workload.verify_against_direct_alter(ALTER)
        assert verdict.equal, str(verdict)
