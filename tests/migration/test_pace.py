"""The pace of a whole migration: what it tells, what holds it back, and that nothing is swapped meanwhile."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import cast

import pytest

from osc.sandbox.workload import Workload
from tests.conftest import StartReplica, StartServer
from tests.migration.migrating import copying_up_to, migrate, migrating, tables_of
from tests.migration.tables import make_table
from tests.servers import ServerUnderTest

ALTER = "add column z int not null default 7"


def test_under_writers_it_measures_first_and_then_keeps_to_what_commits_may_cost(
    server: ServerUnderTest, database: str
) -> None:
    with Workload(server.root, database, "orders", writers=2, rate_per_writer=40, seed=3) as workload:
        workload.create(40_000)  # for some seconds, so that the status is told after the measuring
        workload.start()
        workload.wait_for(40)
        run = migrate(server, database, "orders", ALTER, "--impact", "low")
        assert run.exit_code == 0, str(run)
        workload.wait_for(workload.committed_so_far + 40)
        assert workload.stop().errors == ()
        verdict = workload.verify_against_direct_alter(ALTER)
        assert verdict.equal, str(verdict)
    measured = [status for status in run.of("status") if status["baseline_ms"] is not None]
    # It begins far below full speed. Why it stays there may also be something else that the server suffers from.
    assert any(status["pace_reason"] and cast("float", status["pace"]) < 1.0 for status in measured), measured


def test_where_nobody_else_is_active_it_says_so_and_works_at_full_speed(start_server: StartServer) -> None:
    server = start_server({})
    with server.fresh_database() as database:
        make_table(server, database, 3_000)
        run = migrate(server, database, "t", ALTER, "--impact", "low")
    assert run.exit_code == 0, str(run)
    last = run.of("status")[-1]
    assert (last["pace"], last["pace_reason"], last["baseline_ms"]) == (1.0, "nobody else is active", None)


def test_what_pauses_the_copy_keeps_the_swap_waiting_too(
    server: ServerUnderTest, database: str, tmp_path: Path
) -> None:
    make_table(server, database, 500)
    server.execute("create table busy (n int)", database=database)
    postpone = tmp_path / "postpone"
    postpone.touch()
    with migrating(
        server,
        database,
        "t",
        ALTER,
        "--postpone-cut-over-flag-file",
        str(postpone),
        "--throttle-query",
        f"select count(*) from {database}.busy",
    ) as running:
        running.wait_for("phase", phase="ready")
        server.execute("insert into busy values (1)", database=database)
        running.wait_for("throttled", reason="--throttle-query answers with 1")
        postpone.unlink()
        running.wait_for("status", waiting_for="throttled: --throttle-query answers with 1")
        assert "_t_gho" in tables_of(server, database)
        server.execute("delete from busy", database=database)
        run = running.end()
    assert run.exit_code == 0, str(run)
    assert run.outcome == "swapped"


def test_a_critical_load_ends_the_run_and_the_same_command_goes_on(
    server: ServerUnderTest, database: str, tmp_path: Path
) -> None:
    make_table(server, database, 500)
    postpone = tmp_path / "postpone"
    postpone.touch()
    [(_, connected)] = server.query("show global status like 'Threads_connected'")
    options = (
        "--critical-load",
        f"Threads_connected={int(str(connected)) + 40}",
        "--postpone-cut-over-flag-file",
        str(postpone),
    )
    with migrating(server, database, "t", ALTER, *options) as running, ExitStack() as crowd:
        running.wait_for("phase", phase="ready")
        for _ in range(45):
            crowd.callback(server.admin().close)
        run = running.end()
    assert run.exit_code == 5, str(run)
    assert "Threads_connected" in run.error
    again = migrate(server, database, "t", ALTER, "--resume", "require")
    assert again.exit_code == 0, str(again)


def test_a_named_replica_that_lags_holds_it_back_and_one_out_of_reach_as_well(
    start_server: StartServer, start_replica: StartReplica, tmp_path: Path
) -> None:
    primary = start_server({})
    with primary.fresh_database() as database:
        make_table(primary, database, 500)
        replica = start_replica(primary)
        address = f"{replica.host}:{replica.port}"
        word = "slave" if primary.is_mariadb else "replica"
        replica.execute(f"stop {word} sql_thread")
        postpone = tmp_path / "postpone"
        postpone.touch()
        options = ["--throttle-control-replicas", address, "--max-lag-millis", "300"]
        options += ["--postpone-cut-over-flag-file", str(postpone)]
        with migrating(primary, database, "t", ALTER, *options) as running:
            while address not in str(running.wait_for("status")["throttled_by"]):
                pass
            replica.process.stop()
            while "cannot be read" not in str(running.wait_for("status")["throttled_by"]):
                pass
            replica.process.start()
            postpone.unlink()
            run = running.end()
        assert run.exit_code == 0, str(run)


def test_no_transaction_of_the_engines_is_long_however_wide_the_rows_are(
    start_server: StartServer, tmp_path: Path
) -> None:
    server = start_server({})
    postpone = tmp_path / "postpone"
    postpone.touch()
    with server.fresh_database() as database:
        server.execute(
            "create table t (id int not null primary key, k int not null, v mediumblob)",
            "insert into t with recursive n (i) as (select 1 union all select i + 1 from n where i < 80)"
            " select i, 0, if(i between 31 and 60, repeat('x', 500000), 'narrow') from n",
            "flush binary logs",
            database=database,
        )
        with migrating(server, database, "t", ALTER, "--postpone-cut-over-flag-file", str(postpone)) as running:
            running.wait_for("phase", phase="ready")
            for number in range(1, 81):
                server.execute(f"update t set k = 1 where id = {number}", database=database)
            postpone.unlink()
            run = running.end()
        assert run.exit_code == 0, str(run)
        file = str(server.query("show binary logs")[-1][0])
        events = server.query(f"show binlog events in '{file}'")
    starts = [int(str(position)) for _, position, kind, *_ in events if str(kind).lower().startswith("gtid")]
    sizes = [end - start for start, end in pairwise(starts)]
    assert sum(sizes) > 30 * 500_000 * 3
    assert max(sizes) < 6 * 1024 * 1024


@pytest.mark.everyday("mysql-9.7", reason="how long it takes is calculated here, from counts")
def test_the_time_left_is_told_on_the_way_and_what_was_told_at_the_end(
    server: ServerUnderTest, database: str, tmp_path: Path
) -> None:
    make_table(server, database, 2_000)
    with copying_up_to(server, database, ALTER, 1_501, tmp_path) as (running, let_go):
        while running.wait_for("status", phase="copy")["eta_s"] is None:
            pass
        let_go()
        run = running.end()
    assert run.exit_code == 0, str(run)
    finished, [first] = run.finished, run.of("estimate")
    assert 0 < cast("float", finished["waited_s"]) < cast("float", finished["duration_s"])
    course = cast("list[dict[str, float]]", finished["eta_course"])
    assert course[0] == {name: first[name] for name in ("done", "elapsed_s", "eta_s", "total_s")}
    assert [point["done"] for point in course] == sorted({point["done"] for point in course})
    assert all(point["total_s"] >= point["eta_s"] for point in course)
    assert all(before["elapsed_s"] < after["elapsed_s"] for before, after in pairwise(course))
    assert course[-1]["elapsed_s"] < cast("float", finished["duration_s"])
    assert (run.of("status")[-1]["phase"], run.of("status")[-1]["eta_s"]) == ("done", 0)
    assert finished["planned"] is None
