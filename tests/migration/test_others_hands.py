"""What others do to the table while it is migrated: noticed, named, and the original left as they made it."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from pymysql.cursors import Cursor

from osc.control.stop import StopRequest
from osc.migration import migrate as migrate_inside
from osc.mysql.grants import escaped
from osc.mysql.session import Sessions
from osc.options import MigrationOptions
from osc.progress.jsonlines import JsonReporter
from osc.progress.output import Output
from tests.conftest import StartServer
from tests.migration.migrating import Run, RunningMigration, copying_up_to, migrate, migrating, tables_of
from tests.migration.tables import contents, make_table
from tests.plan.looking import global_variable
from tests.servers import ServerUnderTest

ALTER = "add column z int not null default 7"


@contextmanager
def held_before_the_swap(
    server: ServerUnderTest, database: str, tmp_path: Path, alter: str = ALTER
) -> Iterator[tuple[RunningMigration, Path]]:
    """A migration that has copied and verified everything, and waits."""
    postpone = tmp_path / "postpone"
    postpone.touch()
    with migrating(server, database, "t", alter, "--postpone-cut-over-flag-file", str(postpone)) as running:
        running.wait_for("phase", phase="ready")
        running.wait_for("status", phase="ready")
        yield running, postpone


def stopped(run: Run, server: ServerUnderTest, database: str) -> None:
    assert (run.exit_code, run.outcome) == (1, "failed"), str(run)
    assert not {"_t_gho", "_t_ghc"} & tables_of(server, database)


@pytest.mark.in_turn(reason="tests/tail/test_reader.py meets every definition on every server")
@pytest.mark.parametrize(
    ("statement", "left"),
    [
        ("drop table t", set()),
        ("alter table t add column w int", {"t"}),
        ("truncate table t", {"t"}),
        ("rename table t to u", {"u"}),
        ("create index by_s on t (s)", {"t"}),
        ("create trigger noted before insert on t for each row set new.k = 1", {"t"}),
        ("create table child (id int primary key, p int, foreign key (p) references t (id))", {"t", "child"}),
    ],
)
def test_a_definition_that_somebody_else_changes_stops_the_migration(
    server: ServerUnderTest, database: str, tmp_path: Path, statement: str, left: set[str]
) -> None:
    make_table(server, database, 100)
    with held_before_the_swap(server, database, tmp_path) as (running, _):
        server.execute(statement, database=database)
        run = running.end()
    stopped(run, server, database)
    assert statement.split()[0] in run.error.lower()
    assert tables_of(server, database) == left


@pytest.mark.in_turn(reason="tests/tail/test_reader.py meets every definition on every server")
@pytest.mark.parametrize("statement", ["alter table _t_gho add column w int", "truncate table _t_gho"])
def test_a_ghost_that_somebody_else_alters_stops_the_migration(
    server: ServerUnderTest, database: str, tmp_path: Path, statement: str
) -> None:
    make_table(server, database, 100)
    with held_before_the_swap(server, database, tmp_path) as (running, _):
        server.execute(statement, database=database)
        run = running.end()
    stopped(run, server, database)
    assert "_t_gho" in run.error


def test_rows_that_a_statement_in_the_binlog_does_not_name_stop_the_migration(
    server: ServerUnderTest, database: str, tmp_path: Path
) -> None:
    make_table(server, database, 100)
    with held_before_the_swap(server, database, tmp_path) as (running, _):
        server.execute("set session binlog_format = 'STATEMENT'", "update t set k = 1 where id = 1", database=database)
        run = running.end()
    stopped(run, server, database)
    assert "statement format" in run.error
    assert "update t set k = 1 where id = 1" in run.error
    assert server.query("select k from t where id = 1", database=database) == ((1,),)


def test_a_grant_that_is_taken_away_midway_is_named_and_with_it_the_run_goes_on(
    server: ServerUnderTest, database: str, tmp_path: Path
) -> None:
    make_table(server, database, 5_000)
    before = contents(server, database)
    of_user = f"on `{escaped(database)}`.* "
    with copying_up_to(server, database, ALTER, 2_500, tmp_path) as (running, let_go):
        server.execute(f"revoke insert {of_user} from '{server.migrator.user}'@'%'")
        let_go()
        run = running.end()
    assert (run.exit_code, run.outcome, run.finished["resumable"]) == (5, "failed", True), str(run)
    assert "INSERT command denied" in run.error
    assert run.left_behind == ["_t_gho", "_t_ghc"]
    assert contents(server, database) == before
    server.execute(f"grant insert {of_user} to '{server.migrator.user}'@'%'")
    resumed = migrate(server, database, "t", ALTER)
    assert resumed.exit_code == 0, str(resumed)
    assert resumed.of("started")[0]["resumed"] is True
    assert contents(server, database, what="id, k, s") == before


def test_the_lock_of_a_run_that_was_killed_dies_with_it(server: ServerUnderTest, database: str, tmp_path: Path) -> None:
    make_table(server, database, 100)
    with held_before_the_swap(server, database, tmp_path) as (running, postpone):
        assert migrate(server, database, "t", ALTER).exit_code == 2
        running.process.kill()
        running.process.wait()
        postpone.unlink()
        second = migrate(server, database, "t", ALTER)
    assert second.exit_code == 0, str(second)


def test_a_prepared_transaction_without_a_session_delays_the_swap_and_its_rows_are_not_lost(
    server: ServerUnderTest, database: str, tmp_path: Path
) -> None:
    make_table(server, database, 100)
    with held_before_the_swap(server, database, tmp_path) as (running, postpone):
        server.execute(
            f"xa start '{database}'",
            "update t set k = -1 where id = 1",
            "insert into t (k, s) values (2, 'new')",
            "delete from t where id = 2",
            f"xa end '{database}'",
            f"xa prepare '{database}'",
            database=database,
        )
        postpone.unlink()
        while "XA transaction" not in str(running.wait_for("status")["waiting_for"]):
            pass
        server.execute("update t set k = -3 where id = 3", database=database)
        server.execute(f"xa commit '{database}'")
        run = running.end()
    assert run.exit_code == 0, str(run)
    delayed = [number for number, event in enumerate(run.events) if "XA transaction" in str(event.get("waiting_for"))]
    attempted = [number for number, event in enumerate(run.events) if event["event"] == "cut_over_attempt"]
    assert max(delayed) < min(attempted), "an attempt was made while it was known to be in vain"
    assert server.query("select id, k, z from t where id <= 3", database=database) == ((1, -1, 7), (3, -3, 7))
    assert server.query("select z from t where s = 'new'", database=database) == ((7,),)


@pytest.mark.only("mysql", reason="MariaDB knows no other order of commits than the binlog's")
def test_an_order_of_commits_that_is_given_up_midway_stops_the_run_before_the_swap(
    server: ServerUnderTest, database: str, tmp_path: Path
) -> None:
    make_table(server, database, 100)
    with (
        held_before_the_swap(server, database, tmp_path) as (running, _),
        global_variable(server, "binlog_order_commits", "0"),
    ):
        run = running.end()
    assert (run.exit_code, run.outcome, run.finished["resumable"]) == (5, "failed", True), str(run)
    assert "binlog_order_commits" in run.error
    assert migrate(server, database, "t", ALTER).exit_code == 0


def test_rows_that_somebody_changed_in_the_ghost_are_found_by_verification(
    server: ServerUnderTest, database: str, tmp_path: Path
) -> None:
    make_table(server, database, 5_000)
    before = contents(server, database)
    with copying_up_to(server, database, ALTER, 2_500, tmp_path) as (running, let_go):
        server.execute(
            "update _t_gho set k = k + 1 where id = 5",
            "delete from _t_gho where id = 10",
            "update _t_gho set id = 1000000 where id = 15",
            "update _t_gho set k = if(id = 20, 7 * 21, 7 * 20) where id in (20, 21)",
            database=database,
        )
        let_go()
        run = running.end()
    assert (run.exit_code, run.outcome) == (4, "differences"), str(run)
    for number in (5, 10, 15, 20, 21):
        assert f"id = {number}" in run.error
    assert contents(server, database) == before
    assert run.left_behind == ["_t_gho", "_t_ghc"]


def test_the_swap_waits_for_a_transaction_that_might_see_a_half_filled_table(
    server: ServerUnderTest, database: str, tmp_path: Path
) -> None:
    make_table(server, database, 100)
    server.execute("create table other (id int primary key)", database=database)
    with closing(server.admin(database)) as dump, dump.cursor() as cursor:
        cursor.execute("set session transaction isolation level repeatable read")
        cursor.execute("start transaction with consistent snapshot")
        cursor.execute("select * from other")
        with held_before_the_swap(server, database, tmp_path) as (running, postpone):
            postpone.unlink()
            while "open since" not in str(running.wait_for("status")["waiting_for"]):
                pass
            dump.commit()
            run = running.end()
    assert run.exit_code == 0, str(run)


def test_a_transaction_that_uses_the_table_delays_the_swap_and_is_not_harmed(
    server: ServerUnderTest, database: str
) -> None:
    make_table(server, database, 100)
    with closing(server.admin(database)) as application, application.cursor() as cursor:
        cursor.execute("set session transaction isolation level read committed")
        cursor.execute("begin")
        cursor.execute("update t set k = -1 where id = 1")
        with migrating(server, database, "t", ALTER, "--cut-over-lock-timeout-seconds", "1") as running:
            failed = running.wait_for("cut_over_attempt")
            assert (failed["outcome"], failed["number"]) == ("failed", 1)
            cursor.execute("update t set k = -2 where id = 2")
            application.commit()
            run = running.end()
    assert run.exit_code == 0, str(run)
    assert server.query("select k from t where id in (1, 2) order by id", database=database) == ((-1,), (-2,))


def test_a_backup_lock_delays_the_swap_and_stalls_nobody(
    server: ServerUnderTest, database: str, tmp_path: Path
) -> None:
    make_table(server, database, 100)
    with held_before_the_swap(server, database, tmp_path) as (running, postpone):
        with closing(server.admin(database)) as backup, backup.cursor() as cursor:
            take_backup_lock(server, cursor)
            postpone.unlink()
            while "lets nobody define tables" not in str(running.wait_for("status")["waiting_for"]):
                pass
            server.execute("insert into t (k, s) values (1, 'nobody waits')", database=database)
        run = running.end()
    assert run.exit_code == 0, str(run)
    assert len(run.of("cut_over_attempt")) == 1


def take_backup_lock(server: ServerUnderTest, cursor: Cursor) -> None:
    """Nobody can define tables until the session ends."""
    for statement in (
        ["backup stage start", "backup stage block_ddl"] if server.is_mariadb else ["lock instance for backup"]
    ):
        cursor.execute(statement)


def test_somebody_who_reads_the_ghost_delays_its_preparation_for_the_swap_and_is_told_of(
    server: ServerUnderTest, database: str, tmp_path: Path
) -> None:
    make_table(server, database, 100)
    # The ghost's counter must be raised before the swap, for which its definition has to change.
    server.execute("delete from t where id > 90", database=database)
    flag = tmp_path / "not-yet"
    flag.touch()
    with (
        migrating(server, database, "t", ALTER, "--throttle-flag-file", str(flag)) as running,
        closing(server.admin(database)) as reader,
        reader.cursor() as cursor,
    ):
        running.wait_for("throttled")
        cursor.execute("begin")
        cursor.execute("select * from _t_gho")
        flag.unlink()
        while "who uses the ghost table" not in str(running.wait_for("status")["waiting_for"]):
            pass
        reader.commit()
        run = running.end()
    assert run.exit_code == 0, str(run)
    server.execute("insert into t (k, s) values (1, 'the next')", database=database)
    assert server.query("select id > 100 from t where s = 'the next'", database=database) == ((1,),)


def test_nothing_is_begun_while_nobody_may_make_tables(
    server: ServerUnderTest, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_table(server, database, 100)
    monkeypatch.setattr("osc.prepare.DEFINE_WAIT_S", 1)
    with closing(server.admin(database)) as backup, backup.cursor() as cursor:
        take_backup_lock(server, cursor)
        reporter = JsonReporter(Output(io.StringIO()), Output(io.StringIO()))
        options = MigrationOptions(database, "t", ALTER, strategy="copy")
        result = migrate_inside(Sessions(server.migrator), None, options, reporter, None, StopRequest())
    assert (result.exit_code, result.outcome) == (2, "refused"), result
    assert result.error is not None
    assert "lets nobody define tables" in result.error
    assert tables_of(server, database) == {"t"}


def test_two_rows_with_one_value_under_a_new_unique_index_are_named(server: ServerUnderTest, database: str) -> None:
    make_table(server, database, 1_000)
    server.execute("update t set k = 77 where id = 900", database=database)
    before = contents(server, database)
    run = migrate(server, database, "t", "add unique index one_k (k)")
    assert (run.exit_code, run.outcome) == (1, "failed"), str(run)
    for said in ("one_k", "id = 11", "id = 900"):
        assert said in run.error
    assert contents(server, database) == before
    assert tables_of(server, database) == {"t"}


def test_values_that_do_not_fit_the_new_schema_end_it_with_the_original_intact(
    server: ServerUnderTest, database: str
) -> None:
    make_table(server, database, 1_000)
    before = contents(server, database)
    run = migrate(server, database, "t", "modify column s varchar(5)")
    assert (run.exit_code, run.outcome) == (1, "failed"), str(run)
    assert "'s'" in run.error
    assert contents(server, database) == before
    assert tables_of(server, database) == {"t"}


def test_times_are_converted_in_the_servers_zone_also_for_rows_that_change_until_the_swap(
    start_server: StartServer,
) -> None:
    server = start_server({"default_time_zone": "+05:00"})
    with server.fresh_database() as database:
        server.execute(
            "create table t (id int primary key, k int not null default 0, ts timestamp null)",
            "insert into t (id, ts) with recursive n (i) as (select 1 union all select i + 1 from n where i < 900)"
            " select i, timestamp'2024-05-05 00:00:00' + interval i hour from n",
            database=database,
        )
        done = threading.Event()
        writer = threading.Thread(target=keep_updating, args=(server, database, done))
        writer.start()
        try:
            run = migrate(
                server, database, "t", "modify column ts datetime null, add made datetime not null default now()"
            )
        finally:
            done.set()
            writer.join()
        wrong = server.query(
            "select count(*) from t where ts <> timestamp'2024-05-05 00:00:00' + interval id hour", database=database
        )
        skewed = server.query(
            "select count(*) from t where abs(timestampdiff(minute, made, now())) > 30", database=database
        )
    assert run.exit_code == 0, str(run)
    assert wrong == ((0,),)
    assert skewed == ((0,),)


def keep_updating(server: ServerUnderTest, database: str, done: threading.Event) -> None:
    """Touch one row after another, until `done`."""
    with closing(server.admin(database)) as connection, connection.cursor() as cursor:
        number = 0
        while not done.is_set():
            number = number % 900 + 1
            cursor.execute(f"update t set k = k + 1 where id = {number}")


def test_a_failed_attempt_leaves_the_ghost_fit_for_the_next_also_with_a_temporary_key(
    server: ServerUnderTest, database: str
) -> None:
    make_table(server, database, 200)
    with closing(server.admin(database)) as application, application.cursor() as cursor:
        cursor.execute("set session transaction isolation level read committed")
        cursor.execute("begin")
        cursor.execute("update t set k = -1 where id = 1")
        alter = "drop primary key, add primary key (k, id), modify column id int not null"
        with migrating(server, database, "t", alter, "--cut-over-lock-timeout-seconds", "1") as running:
            assert running.wait_for("cut_over_attempt")["outcome"] == "failed"
            application.commit()
            run = running.end()
    assert run.exit_code == 0, str(run)
    assert "osc_migration_key" not in str(server.query("show create table t", database=database))
    assert server.query("select k from t where id = 1", database=database) == ((-1,),)


def test_a_run_that_another_has_taken_over_stops_and_leaves_the_tables(
    server: ServerUnderTest, database: str, tmp_path: Path
) -> None:
    make_table(server, database, 100)
    with held_before_the_swap(server, database, tmp_path) as (running, _):
        server.execute("update _t_ghc set counter = counter + 1 where name = 'epoch'", database=database)
        run = running.end()
    assert (run.exit_code, run.outcome) == (1, "failed"), str(run)
    assert "another run has taken over" in run.error
    assert tables_of(server, database) == {"t", "_t_gho", "_t_ghc"}


def test_a_taken_name_for_the_old_table_delays_the_swap_and_is_named(
    server: ServerUnderTest, database: str, tmp_path: Path
) -> None:
    make_table(server, database, 100)
    with held_before_the_swap(server, database, tmp_path) as (running, postpone):
        server.execute("create table _t_del (id int primary key)", database=database)
        postpone.unlink()
        while "_t_del" not in str(running.wait_for("status")["waiting_for"]):
            pass
        server.execute("drop table _t_del", database=database)
        run = running.end()
    assert run.exit_code == 0, str(run)


def test_a_converted_table_with_a_full_text_index_can_be_verified(server: ServerUnderTest, database: str) -> None:
    make_table(server, database, 300)
    server.execute("alter table t add fulltext index words (s)", database=database)
    run = migrate(
        server, database, "t", "modify column k bigint not null, modify column s varchar(200) character set utf8mb3"
    )
    assert run.exit_code == 0, str(run)
    assert run.finished["rows_verified"] == 300


def test_an_emptied_table_has_no_row_left_in_the_new_one(
    server: ServerUnderTest, database: str, tmp_path: Path
) -> None:
    make_table(server, database, 5_000)
    with copying_up_to(server, database, ALTER, 2_500, tmp_path) as (running, let_go):
        server.execute("delete from t", database=database)
        let_go()
        run = running.end()
    assert run.exit_code == 0, str(run)
    assert contents(server, database) == ()
