"""How a run ends before its time, what it leaves, and how the next one goes on."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from osc.mysql.grants import escaped
from osc.sandbox.orders import CORE_COLUMNS
from osc.sandbox.workload import Workload
from tests.migration.migrating import copying_up_to, migrate, migrating, postponed, tables_of
from tests.migration.tables import contents, make_table
from tests.servers import ServerUnderTest

ALTER = "add column z int not null default 7"
ROWS = 5_000
HALF = ROWS // 2


@pytest.mark.in_turn(reason="signals are no matter of the server")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_stops_the_run_with_a_checkpoint_and_the_same_command_goes_on(
    server: ServerUnderTest, database: str, tmp_path: Path, number: signal.Signals
) -> None:
    make_table(server, database, ROWS)
    before = contents(server, database)
    with copying_up_to(server, database, ALTER, HALF, tmp_path) as (running, _):
        running.process.send_signal(number)
        stopped = running.end(timeout_s=20)
    assert (stopped.exit_code, stopped.outcome, stopped.finished["resumable"]) == (5, "interrupted", True), str(stopped)
    assert contents(server, database) == before
    assert tables_of(server, database) == {"t", "_t_gho", "_t_ghc"}
    assert stopped.left_behind == ["_t_gho", "_t_ghc"]

    resumed = migrate(server, database, "t", ALTER)
    assert resumed.exit_code == 0, str(resumed)
    assert resumed.of("started")[0]["resumed"] is True
    assert resumed.finished["rows_copied"] == ROWS
    assert contents(server, database, what="id, k, s") == before


def test_a_run_that_was_killed_is_resumed_and_loses_nothing(server: ServerUnderTest, database: str) -> None:
    with Workload(server.root, database, "orders", writers=2, seed=3, core_columns=CORE_COLUMNS) as workload:
        workload.create(20_000)
        workload.start()
        with migrating(server, database, "orders", ALTER, "--chunk-size", "50", "--workers", "1") as running:
            while running.wait_for("status")["rows_copied"] == 0:
                pass
            running.process.kill()
        workload.wait_for(100)
        resumed = migrate(server, database, "orders", ALTER)
        assert resumed.exit_code == 0, str(resumed)
        assert resumed.of("started")[0]["resumed"] is True
        report = workload.stop()
        assert report.errors == ()
        verdict = workload.verify_against_direct_alter(ALTER)
        assert verdict.equal, str(verdict)


def test_another_alter_does_not_go_on_with_what_an_earlier_one_left(
    server: ServerUnderTest, database: str, tmp_path: Path
) -> None:
    make_table(server, database, ROWS)
    with copying_up_to(server, database, ALTER, HALF, tmp_path) as (running, _):
        running.process.kill()
    refused = migrate(server, database, "t", "add column y int")
    assert refused.exit_code == 2, str(refused)
    assert "another ALTER" in refused.error
    assert "--resume=never" in refused.error
    assert tables_of(server, database) == {"t", "_t_gho", "_t_ghc"}
    afresh = migrate(server, database, "t", "add column y int", "--resume", "never")
    assert afresh.exit_code == 0, str(afresh)
    assert tables_of(server, database) == {"t", "_t_del"}


def test_a_ghost_that_can_be_resumed_is_resumed_though_runbooks_say_drop(
    server: ServerUnderTest, database: str, tmp_path: Path
) -> None:
    make_table(server, database, ROWS)
    with copying_up_to(server, database, ALTER, HALF, tmp_path) as (running, _):
        running.process.kill()
    resumed = migrate(server, database, "t", ALTER, "--initially-drop-ghost-table")
    assert resumed.exit_code == 0, str(resumed)
    assert resumed.of("started")[0]["resumed"] is True
    assert any("is not followed" in str(event["text"]) for event in resumed.of("warning"))


def test_resume_require_refuses_to_start_afresh(server: ServerUnderTest, database: str) -> None:
    make_table(server, database)
    refused = migrate(server, database, "t", ALTER, "--resume", "require")
    assert refused.exit_code == 2, str(refused)
    assert tables_of(server, database) == {"t"}


def test_a_panic_file_gives_the_migration_up_and_cleans_up(
    server: ServerUnderTest, database: str, tmp_path: Path
) -> None:
    make_table(server, database, ROWS)
    panic = tmp_path / "panic"
    with copying_up_to(server, database, ALTER, HALF, tmp_path, "--panic-flag-file", str(panic)) as (
        running,
        let_go,
    ):
        panic.touch()
        let_go()
        run = running.end()
    assert (run.exit_code, run.outcome, run.finished["resumable"]) == (3, "aborted", False), str(run)
    assert str(panic) in run.error
    assert tables_of(server, database) == {"t"}


def test_the_swap_waits_while_the_postpone_file_exists(server: ServerUnderTest, database: str, tmp_path: Path) -> None:
    make_table(server, database)
    postpone = tmp_path / "postpone"
    postpone.touch()
    with migrating(server, database, "t", ALTER, "--postpone-cut-over-flag-file", str(postpone)) as running:
        running.wait_for("phase", phase="ready")
        while str(postpone) not in str(running.wait_for("status", phase="ready")["waiting_for"]):
            pass
        server.execute("insert into t (k, s) values (1, 'while it waits')", database=database)
        assert "_t_gho" in tables_of(server, database)
        postpone.unlink()
        run = running.end()
    assert run.exit_code == 0, str(run)
    assert server.query("select s, z from t order by id desc limit 1", database=database) == (("while it waits", 7),)


def test_a_throttle_file_holds_the_copy_back(server: ServerUnderTest, database: str, tmp_path: Path) -> None:
    make_table(server, database)
    flag = tmp_path / "throttle"
    flag.touch()
    with migrating(server, database, "t", ALTER, "--throttle-flag-file", str(flag)) as running:
        assert str(flag) in str(running.wait_for("throttled")["reason"])
        assert running.wait_for("status", phase="copy")["rows_copied"] == 0
        flag.unlink()
        run = running.end()
    assert run.exit_code == 0, str(run)


def test_the_old_table_is_kept_dropped_or_given_a_timestamp_as_asked(server: ServerUnderTest, database: str) -> None:
    make_table(server, database, 100)
    kept = migrate(server, database, "t", "add column a int")
    assert (kept.exit_code, kept.finished["old_table"]) == (0, "_t_del"), str(kept)
    in_the_way = migrate(server, database, "t", "add column b int")
    assert in_the_way.exit_code == 2
    assert "_t_del" in in_the_way.error
    stamped = migrate(server, database, "t", "add column b int", "--timestamp-old-table")
    assert stamped.exit_code == 0, str(stamped)
    old = str(stamped.finished["old_table"])
    assert tables_of(server, database) == {"t", "_t_del", old}
    dropped = migrate(server, database, "t", "add column c int", "--initially-drop-old-table", "--ok-to-drop-table")
    assert (dropped.exit_code, dropped.finished["old_table"]) == (0, None), str(dropped)
    assert tables_of(server, database) == {"t", old}


@pytest.mark.everyday("mysql-9.7", reason="what becomes of the server's refusal differs on none")
def test_an_old_table_that_cannot_be_dropped_is_told_of_and_the_swap_stands(
    server: ServerUnderTest, database: str, tmp_path: Path
) -> None:
    make_table(server, database, 10)
    user = f"'{server.migrator.user}'@'%'"
    with postponed(server, database, ALTER, tmp_path, "--ok-to-drop-table") as (running, let_go):
        server.execute(
            *(f"grant drop on `{database}`.{table} to {user}" for table in ("t", "_t_gho", "_t_ghc")),
            f"revoke drop on `{escaped(database)}`.* from {user}",
        )
        let_go()
        run = running.end()
    assert (run.exit_code, run.outcome, run.finished["old_table"]) == (0, "swapped", "_t_del"), str(run)
    [warning] = [str(event["text"]) for event in run.of("warning")]
    assert f"`{database}`.`_t_del` could not be dropped: DROP command denied" in warning
    assert tables_of(server, database) == {"t", "_t_del"}


def test_a_second_engine_on_the_same_table_is_refused(server: ServerUnderTest, database: str, tmp_path: Path) -> None:
    make_table(server, database)
    postpone = tmp_path / "postpone"
    postpone.touch()
    with migrating(server, database, "t", ALTER, "--postpone-cut-over-flag-file", str(postpone)) as running:
        running.wait_for("phase", phase="ready")
        second = migrate(server, database, "t", ALTER)
        assert second.exit_code == 2, str(second)
        assert "another osc" in second.error
        postpone.unlink()
        assert running.end().exit_code == 0
