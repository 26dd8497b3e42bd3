"""Three rules, left out of the whole engine on real servers: rows are damaged. With them, none is."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import StartServer
from tests.migration.migrating import Run, copying_up_to, migrating
from tests.migration.tables import contents, make_table
from tests.model.stalls import commits_stalled, make_stallable
from tests.servers import MIGRATOR, ServerUnderTest

ALTER = "add column written_at datetime(6) not null default now(6)"
COMPARED = "id, k, s"
POLL_S = 0.15
"""InnoDB's list of transactions is made anew only when nobody has read it for 0.1 s."""
CAUGHT_UP_S = 20.0


def without(rule: str) -> tuple[str, ...]:
    """The program that leaves the rule out."""
    return ("tests.model.launch", rule)


def kept_every_row(run: Run, server: ServerUnderTest, database: str) -> bool:
    assert run.exit_code == 0, str(run)
    return contents(server, database, "t", COMPARED) == contents(server, database, "_t_del", COMPARED)


# --- the barrier ------------------------------------------------------------------------------------------------------


@pytest.fixture
def stalling(start_server: StartServer) -> ServerUnderTest:
    """A server on which commits can be stalled between the binlog's sync and the engine."""
    server = start_server()
    make_stallable(server)
    return server


def written_during_a_stall(server: ServerUnderTest, database: str, value: int) -> bool:
    """Change row 5 while commits stall; whether the engine wrote the row into the ghost before the stall had ended."""
    update = f"update t set k = {value} where id = 5"
    pause = threading.Event()
    application = threading.Thread(target=lambda: server.execute(update, database=database))
    with closing(server.admin(database)) as look, look.cursor() as cursor:
        cursor.execute("set session transaction isolation level read uncommitted")

        def ask(query: str) -> tuple[tuple[object, ...], ...]:
            cursor.execute(query)
            return tuple(cursor.fetchall())

        # What the last stall left to reconcile is no answer to this one. A change that was lost in it never comes.
        caught_up = time.monotonic() + CAUGHT_UP_S
        while ask("select k from _t_gho where id = 5") != ask("select k from t where id = 5"):
            if pause.wait(0.05) or time.monotonic() > caught_up:
                break
        before = ask("select written_at from _t_gho where id = 5")
        with commits_stalled(server):
            application.start()
            while not pause.wait(POLL_S):
                waiting = ask(
                    "select 1 from information_schema.innodb_trx t join information_schema.processlist p"
                    f" on p.id = t.trx_mysql_thread_id where p.user = '{MIGRATOR}' and t.trx_rows_modified > 0"
                )
                now = ask("select written_at from _t_gho where id = 5")
                if waiting and now:
                    break
        application.join()
    return now != before


@pytest.mark.parametrize("rule", ["barrier", "nothing"])
def test_without_the_barrier_a_change_that_is_not_visible_yet_is_lost(
    stalling: ServerUnderTest, tmp_path: Path, rule: str
) -> None:
    postpone = tmp_path / "postpone"
    postpone.touch()
    option = ("--postpone-cut-over-flag-file", str(postpone))
    with stalling.fresh_database() as database:
        make_table(stalling, database, 100)
        with migrating(stalling, database, "t", ALTER, *option, program=without(rule)) as running:
            running.wait_for("phase", phase="ready")
            # What is stalled may also be a heartbeat or a checkpoint; then there was nothing to see, and once more.
            values = range(1, 4) if rule == "nothing" else range(1, 41)
            was_early = any(written_during_a_stall(stalling, database, value) for value in values)
            postpone.unlink()
            run = running.end()
        assert was_early is (rule == "barrier")
        assert kept_every_row(run, stalling, database) is (rule == "nothing")


# --- ranges in flight -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["hold", "nothing"])
def test_without_the_hold_a_row_that_is_deleted_while_it_is_copied_comes_back(
    server: ServerUnderTest, database: str, tmp_path: Path, rule: str
) -> None:
    make_table(server, database, 500)
    with copying_up_to(server, database, ALTER, 150, tmp_path, program=without(rule)) as (running, let_go):
        # The statement that copies rows 101 to 200 has its snapshot, and waits at row 150.
        server.execute("delete from t where id = 180", database=database)
        taken = {"keys_reconciled": 1} if rule == "hold" else {"pending_keys": 1}
        running.wait_for("status", **taken)
        let_go()
        run = running.end()
    if rule == "nothing":
        assert kept_every_row(run, server, database)
    else:
        assert (run.exit_code, run.outcome) == (4, "differences"), str(run)
        assert "id = 180" in run.error


# --- other unique keys ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["unique", "nothing"])
def test_a_key_dropped_in_spite_of_another_unique_key_is_lost_to_the_former_owner_of_its_value(
    server: ServerUnderTest, database: str, tmp_path: Path, rule: str
) -> None:
    columns = "id int not null auto_increment primary key, k int not null unique, s varchar(100)"
    make_table(server, database, 500, columns=columns)
    with (
        copying_up_to(server, database, ALTER, 150, tmp_path, program=without(rule)) as (running, let_go),
        closing(server.admin(database)) as holder,
        holder.cursor() as cursor,
    ):
        # The reconciler will wait at row 50, with row 120 held behind it: the ghost keeps that row's old value.
        cursor.execute("begin")
        cursor.execute("select id from _t_gho where id = 50 for update")
        server.execute(
            "begin",
            "update t set s = 'changed' where id = 50",
            "update t set k = -1 where id = 120",
            "update t set k = 840 where id = 250",
            "commit",
            database=database,
        )
        running.wait_for("status", pending_keys=2 if rule == "unique" else 3)
        let_go()
        running.wait_for("phase", phase="verify")
        holder.rollback()
        run = running.end()
    if rule == "nothing":
        assert kept_every_row(run, server, database)
    else:
        assert (run.exit_code, run.outcome) == (4, "differences"), str(run)
        assert "id = 250" in run.error
