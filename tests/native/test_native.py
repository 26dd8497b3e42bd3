"""Changes that the server makes itself, from the command to the altered table, and what may come in between."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pymysql
import pytest

from osc.control.stop import StopRequest
from osc.migration import migrate as migrate_inside
from osc.mysql.session import NO_SUCH_THREAD, Conn, Sessions
from osc.native import execute, scratch
from osc.options import MigrationOptions
from osc.progress.report import Result
from osc.table.ghost import run_alter
from tests.cli.running import login_arguments, osc, osc_at_terminal
from tests.conftest import StartServer
from tests.migration.inside import Recorder
from tests.migration.migrating import RunningMigration, migrate, migrating
from tests.migration.tables import contents, make_table
from tests.migration.test_ledger import migrated_under_load, workload_on
from tests.servers import ServerUnderTest

ALTER = "add column z int default 7"
AUTO = ("--strategy", "auto")

everyday = pytest.mark.everyday("mariadb-11.8", reason="the same on every server, but for what the others cover")


def columns(server: ServerUnderTest, database: str) -> list[object]:
    return [row[0] for row in server.query("show columns from t", database)]


def is_altered_once(server: ServerUnderTest, database: str) -> bool:
    """Whether `t` has the new column, and nothing else stands beside it."""
    assert server.query("show tables", database) == (("t",),)
    return columns(server, database) == ["id", "k", "s", "z"]


@contextmanager
def holding(server: ServerUnderTest, database: str) -> Iterator[Conn]:
    """A session with an open transaction that has read `t`, and so keeps its definition as it is."""
    with closing(server.admin(database)) as holder, holder.cursor() as cursor:
        cursor.execute("begin")
        cursor.execute("select count(*) from t")
        yield holder


def inside(server: ServerUnderTest, database: str, alter: str = ALTER) -> tuple[Result, Recorder]:
    """A migration in this process, where faults can be made."""
    recorder = Recorder()
    options = MigrationOptions(database, "t", alter, impact="max")
    return migrate_inside(Sessions(server.migrator), None, options, recorder, None, StopRequest()), recorder


# --- which way ----------------------------------------------------------------------------------------------------


def test_an_instant_change_leaves_no_old_table_and_says_so(server: ServerUnderTest, database: str) -> None:
    make_table(server, database, 50)
    before = contents(server, database)
    run = migrate(server, database, "t", ALTER, *AUTO)
    assert (run.exit_code, run.outcome) == (0, "altered"), str(run)
    assert (run.finished["strategy"], run.finished["old_table"]) == ("instant", None)
    started = run.of("started")[0]
    assert started["statement"] == f"ALTER TABLE `{database}`.`t` ALGORITHM=INSTANT, {ALTER}"
    versions = None if server.is_mariadb else {"used": 0, "limit": 255, "needed": 1}
    assert started["row_versions"] == versions
    assert [event["phase"] for event in run.of("phase")] == ["preflight", "alter", "done"]
    assert is_altered_once(server, database)
    assert contents(server, database) == tuple((*row, 7) for row in before)


def test_what_the_server_cannot_do_itself_is_copied(server: ServerUnderTest, database: str) -> None:
    make_table(server, database, 50)
    run = migrate(server, database, "t", "modify k bigint", *AUTO)
    assert (run.exit_code, run.outcome, run.finished["strategy"]) == (0, "swapped", "copy"), str(run)
    assert run.finished["old_table"] == "_t_del"


@everyday
def test_an_index_is_built_in_place_where_that_is_allowed(server: ServerUnderTest, database: str) -> None:
    make_table(server, database, 50)
    run = migrate(server, database, "t", "add index ik (k)", *AUTO, "--allow-inplace")
    assert (run.exit_code, run.finished["strategy"]) == (0, "inplace-build"), str(run)
    assert server.query("show tables", database) == (("t",),)
    rebuilt = migrate(server, database, "t", "engine=InnoDB", "--strategy", "inplace")
    assert (rebuilt.exit_code, rebuilt.finished["strategy"]) == (0, "inplace-rebuild"), str(rebuilt)


@everyday
def test_a_way_that_is_not_possible_is_refused_and_nothing_is_changed(server: ServerUnderTest, database: str) -> None:
    make_table(server, database, 50)
    run = migrate(server, database, "t", "modify k bigint", "--strategy", "instant")
    assert (run.exit_code, run.outcome) == (2, "refused"), str(run)
    assert "--strategy instant is not possible" in run.error
    assert "ALGORITHM=INSTANT: ALGORITHM=INSTANT is not supported" in run.error
    assert server.query("show tables", database) == (("t",),)


def test_what_only_the_copy_minds_does_not_keep_the_server_from_it(server: ServerUnderTest, database: str) -> None:
    server.execute(
        "create table parent (id int primary key)",
        "create table t (id int, k int, s int, foreign key (k) references parent (id))",
        "create trigger tr before insert on t for each row set new.s = 1",
        database=database,
    )
    run = migrate(server, database, "t", ALTER, *AUTO)
    assert (run.exit_code, run.outcome) == (0, "altered"), str(run)
    assert "foreign key" in str(server.query("show create table t", database)[0][1]).lower()
    copied = migrate(server, database, "t", "modify s bigint", *AUTO)
    assert (copied.exit_code, copied.outcome) == (2, "refused")
    assert "[foreign-keys]" in copied.error


@everyday
def test_an_alter_that_the_server_cannot_read_is_refused_as_before(server: ServerUnderTest, database: str) -> None:
    make_table(server, database, 5)
    run = migrate(server, database, "t", "add column z int nonsense", *AUTO)
    assert (run.exit_code, run.outcome) == (2, "refused"), str(run)
    assert "the server cannot read the ALTER" in run.error
    assert server.query("show tables", database) == (("t",),)


@pytest.mark.only("mysql", reason="MariaDB renames such a column instantly")
def test_where_foreign_keys_are_in_the_way_the_servers_next_way_is_taken(
    server: ServerUnderTest, database: str
) -> None:
    server.execute(
        "create table t (id int primary key, k int, unique key (k))",
        "create table child (id int primary key, k int, foreign key (k) references t (k))",
        database=database,
    )
    run = migrate(server, database, "t", "rename column k to key_of_child", *AUTO)
    assert (run.outcome, run.finished["strategy"]) == ("altered", "inplace-metadata"), str(run)
    assert [event["strategy"] for event in run.of("started")] == ["instant", "inplace-metadata"]
    assert columns(server, database) == ["id", "key_of_child"]


@pytest.mark.parametrize("strategy", ["auto", "instant"])
@pytest.mark.everyday("mysql-9.7", reason="what the empty copy lacks is made up")
def test_what_the_real_table_turns_down_after_all_is_done_otherwise(
    server: ServerUnderTest, database: str, strategy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_table(server, database, 50)
    # Its hidden column keeps it from being altered instantly; nobody tells the empty copy.
    server.execute("alter table t add fulltext index f (s)", "alter table t drop index f", database=database)
    monkeypatch.setattr(scratch, "_repeat_history", lambda *_: None)
    recorder = Recorder()
    options = MigrationOptions(database, "t", ALTER, strategy=strategy, impact="max")  # type: ignore[arg-type]
    result = migrate_inside(Sessions(server.migrator), None, options, recorder, None, StopRequest())
    assert recorder.of("started")[0]["strategy"] == "instant"
    if strategy == "instant":
        assert (result.outcome, result.exit_code) == ("refused", 2)
        assert "itself does not take what its empty copy took" in str(result.error)
        assert columns(server, database) == ["id", "k", "s"]
    else:
        assert (result.outcome, result.strategy, result.exit_code) == ("swapped", "copy", 0), result.error
        assert columns(server, database) == ["id", "k", "s", "z"]


@everyday
def test_a_copy_that_can_be_resumed_is_gone_on_with(server: ServerUnderTest, database: str, tmp_path: Path) -> None:
    make_table(server, database, 50)
    flag = tmp_path / "postpone"
    flag.touch()
    with migrating(server, database, "t", ALTER, "--postpone-cut-over-flag-file", str(flag)) as running:
        running.wait_for("phase", phase="ready")
        running.process.send_signal(signal.SIGTERM)
        assert running.end().exit_code == 5
    run = migrate(server, database, "t", ALTER, *AUTO)
    assert (run.outcome, run.of("started")[0]["resumed"]) == ("swapped", True)


def test_writers_go_on_while_the_server_alters_their_table(server: ServerUnderTest, database: str) -> None:
    with workload_on(server, database) as workload:
        workload.create(2_000)
        run = migrated_under_load(server, database, workload, "add column z int not null default 5", *AUTO)
    assert (run.outcome, run.finished["strategy"]) == ("altered", "instant")


@pytest.mark.in_turn(reason="the lock is asked for as for an instant change")
@pytest.mark.parametrize(
    ("alter", "kind"), [("engine=InnoDB", "inplace-rebuild"), ("add index i_version (version)", "inplace-build")]
)
def test_writers_go_on_while_the_server_works_in_place(
    server: ServerUnderTest, database: str, alter: str, kind: str
) -> None:
    with workload_on(server, database) as workload:
        workload.create(2_000)
        run = migrated_under_load(server, database, workload, alter, *AUTO, "--allow-inplace")
    assert (run.outcome, run.finished["strategy"]) == ("altered", kind)


# --- when ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--postpone-cut-over-flag-file", "--throttle-flag-file"])
@everyday
def test_a_flag_file_holds_it_back(server: ServerUnderTest, database: str, option: str, tmp_path: Path) -> None:
    make_table(server, database, 5)
    flag = tmp_path / "flag"
    flag.touch()
    with migrating(server, database, "t", ALTER, *AUTO, option, str(flag)) as running:
        while str(flag) not in str(running.wait_for("status", phase="alter")["waiting_for"]):
            pass
        assert columns(server, database) == ["id", "k", "s"]
        flag.unlink()
        run = running.end()
    assert run.outcome == "altered", str(run)
    assert is_altered_once(server, database)


@everyday
def test_the_panic_file_and_a_signal_end_the_wait(server: ServerUnderTest, database: str, tmp_path: Path) -> None:
    make_table(server, database, 5)
    flag, panic = tmp_path / "postpone", tmp_path / "panic"
    flag.touch()
    held = (*AUTO, "--postpone-cut-over-flag-file", str(flag), "--panic-flag-file", str(panic))
    for end in (lambda _: panic.touch(), lambda process: process.send_signal(signal.SIGINT)):
        with migrating(server, database, "t", ALTER, *held) as running:
            running.wait_for("phase", phase="alter")
            end(running.process)
            run = running.end()
        assert (run.exit_code, run.outcome) == (3, "aborted"), str(run)
        assert columns(server, database) == ["id", "k", "s"]
        panic.unlink(missing_ok=True)


def test_whoever_holds_the_lock_is_named_and_it_is_tried_again(server: ServerUnderTest, database: str) -> None:
    make_table(server, database, 5)
    seeing = replace(server, migrator=server.full_migrator)
    with (
        holding(server, database) as holder,
        migrating(seeing, database, "t", ALTER, *AUTO, "--cut-over-lock-timeout-seconds", "1") as running,
    ):
        number = holder.thread_id()  # type: ignore[no-untyped-call]
        while f"connection {number} (root@" not in str(running.wait_for("status", phase="alter")["waiting_for"]):
            pass
        assert columns(server, database) == ["id", "k", "s"]
        holder.rollback()
        run = running.end()
    assert run.outcome == "altered", str(run)
    assert is_altered_once(server, database)


@pytest.mark.parametrize("alter", [ALTER, "auto_increment = 100"])
@everyday
def test_a_lock_that_is_never_had_ends_it_with_the_table_as_it_was(
    server: ServerUnderTest, database: str, alter: str
) -> None:
    make_table(server, database, 5)
    with holding(server, database):
        run = migrate(server, database, "t", alter, *AUTO, "--default-retries", "2")
    assert (run.exit_code, run.outcome) == (1, "failed"), str(run)
    assert "sent 2 times and never went through" in run.error
    assert columns(server, database) == ["id", "k", "s"]


@everyday
def test_a_signal_ends_a_statement_that_waits_for_its_lock(server: ServerUnderTest, database: str) -> None:
    make_table(server, database, 5)
    with holding(server, database):
        with migrating(server, database, "t", ALTER, *AUTO) as running:
            running.wait_for("alter_attempt", outcome="failed", number=2)
            running.process.send_signal(signal.SIGINT)
            run = running.end()
        assert (run.exit_code, run.outcome) == (3, "aborted"), str(run)
    assert columns(server, database) == ["id", "k", "s"]


# --- lost on the way ----------------------------------------------------------------------------------------------


def is_ended(server: ServerUnderTest, database: str, kill: str) -> bool:
    """Whether a statement that has been waiting for a second was ended so; one that gave up just now was not."""
    altering = f"info like 'ALTER TABLE `{database}`.`t` %' and time >= 1"
    found = server.query(f"select id from information_schema.processlist where {altering}")
    try:
        server.execute(*(f"{kill} {row[0]}" for row in found))
    except pymysql.err.OperationalError as error:
        if error.args[0] != NO_SUCH_THREAD:
            raise
        return False
    return bool(found)


@contextmanager
def ended_while_it_waits(server: ServerUnderTest, database: str, kill: str) -> Iterator[tuple[RunningMigration, Conn]]:
    """A run whose statement waited for the lock of the transaction that comes with it, and was ended with `kill`."""
    make_table(server, database, 5)
    with (
        holding(server, database) as holder,
        migrating(server, database, "t", ALTER, *AUTO, "--cut-over-lock-timeout-seconds", "10") as running,
    ):
        running.wait_for("phase", phase="alter")
        while not is_ended(server, database, kill):
            pass
        yield running, holder


def test_a_session_that_is_killed_while_it_waits_alters_the_table_once(server: ServerUnderTest, database: str) -> None:
    with ended_while_it_waits(server, database, "kill") as (running, holder):
        while "1205" in str(running.wait_for("alter_attempt", outcome="failed")["reason"]):
            pass
        holder.rollback()
        run = running.end()
    assert run.outcome == "altered", str(run)
    assert is_altered_once(server, database)


@everyday
def test_a_statement_that_somebody_ends_by_hand_is_not_sent_again(server: ServerUnderTest, database: str) -> None:
    with ended_while_it_waits(server, database, "kill query") as (running, holder):
        run = running.end()
        holder.rollback()
    assert run.exit_code == 1, str(run)
    assert "interrupted" in run.error
    assert not is_altered_once(server, database)


@everyday
def test_a_server_that_crashes_while_the_statement_waits_is_waited_for(start_server: StartServer) -> None:
    server = start_server()
    with server.fresh_database() as database:
        make_table(server, database, 5)
        with holding(server, database), migrating(server, database, "t", ALTER, *AUTO) as running:
            running.wait_for("alter_attempt", outcome="failed")
            server.process.kill()
            server.process.start()
            run = running.end()
        assert (run.exit_code, run.outcome) == (0, "altered"), str(run)
        assert is_altered_once(server, database)


@pytest.mark.parametrize("comes_through", [True, False])
@everyday
def test_an_answer_that_is_lost_is_found_out_from_the_table(
    server: ServerUnderTest, database: str, comes_through: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_table(server, database, 5)
    sent = []

    def lossy(connection: Conn, statement: str) -> None:
        sent.append(statement)
        if len(sent) > 1 or comes_through:
            alter(connection, statement)
        if len(sent) == 1:
            connection.close()
            raise pymysql.err.OperationalError(2013, "Lost connection to the server during query")

    alter = run_alter
    monkeypatch.setattr(execute, "run_alter", lossy)
    result, recorder = inside(server, database)
    assert result.outcome == "altered", result.error
    assert len(sent) == (1 if comes_through else 2)
    assert [event["outcome"] for event in recorder.of("alter_attempt")] == ["failed"] * (len(sent) - 1) + ["altered"]
    assert is_altered_once(server, database)


@everyday
def test_somebody_elses_alter_in_between_is_told_apart(
    server: ServerUnderTest, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_table(server, database, 5)

    def another(connection: Conn, _statement: str) -> None:
        server.execute("alter table t add column other int", database=database)
        connection.close()
        raise pymysql.err.OperationalError(2013, "Lost connection to the server during query")

    monkeypatch.setattr(execute, "run_alter", another)
    result, _ = inside(server, database)
    assert (result.outcome, result.exit_code) == ("failed", 1)
    assert "neither as it was nor as the ALTER leaves it" in str(result.error)


# --- what a person sees -------------------------------------------------------------------------------------------


@everyday
def test_at_a_terminal_it_is_said_beforehand_that_there_will_be_no_old_table(
    server: ServerUnderTest, database: str
) -> None:
    make_table(server, database, 5)
    settings = server.migrator
    arguments = ["migrate", *login_arguments(settings.host, settings.port, settings.user), "--table", f"{database}.t"]
    password = {"MYSQL_PWD": settings.password}
    done = osc_at_terminal(*arguments, "--alter", ALTER, answers={"Go ahead? [y/N] ": "n\n"}, variables=password)
    assert done.exit_code == 3, done.shown
    assert "ALGORITHM=INSTANT, add column z int" in done.shown
    assert "there will be no old table" in done.shown
    assert columns(server, database) == ["id", "k", "s"]
    done = osc_at_terminal(*arguments, "--alter", ALTER, answers={"Go ahead? [y/N] ": "y\n"}, variables=password)
    assert done.exit_code == 0, done.shown
    assert "the server did it itself" in done.shown
    assert is_altered_once(server, database)


@everyday
def test_cleanup_removes_an_empty_copy_that_a_killed_run_left(server: ServerUnderTest, database: str) -> None:
    server.execute(
        "create table t (id int primary key)",
        "create table _t_ght (id int primary key) comment = 'osc scratch'",
        database=database,
    )
    login = server.migrator
    done = osc(
        *("cleanup", *login_arguments(login.host, login.port, login.user), "--database", database, "--execute"),
        MYSQL_PWD=login.password,
    )
    assert f"`{database}`.`_t_ght`: scratch table of {database}.t" in done.stdout, done.stderr
    assert server.query("show tables", database) == (("t",),)
