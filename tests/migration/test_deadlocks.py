"""Deadlocks on the ghost that the tool loses: rolled back, tried again, and every row is right in the end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from pymysql.cursors import Cursor

from tests.migration.migrating import postponed
from tests.migration.tables import contents, make_table
from tests.servers import ServerUnderTest

ROWS = 200
PLAIN = "add column z int not null default 7"
STRICTER = f"{PLAIN}, add unique index (k)"
"""With a unique index that the original does not have, keys are reconciled by other statements."""


@contextmanager
def somebody_with_more_to_lose(server: ServerUnderTest, database: str) -> Iterator[Cursor]:
    """A session within a transaction: of two in a deadlock, the servers roll the one back that has written less."""
    server.execute("drop table if exists written_before", database=database)
    make_table(server, database, 2_000, name="written_before")
    with closing(server.admin(database)) as connection, connection.cursor() as cursor:
        cursor.execute("begin")
        cursor.execute("update written_before set k = -k")
        yield cursor
        connection.rollback()


def deadlocks_so_far(server: ServerUnderTest) -> int:
    """How many the server has found since its start."""
    [(count,)] = server.query(
        "select variable_value from information_schema.global_status where variable_name = 'Innodb_deadlocks'"
        if server.is_mariadb
        else "select count from information_schema.innodb_metrics where name = 'lock_deadlocks'"
    )
    return int(str(count))


def lose(server: ServerUnderTest, statement: str, other: Cursor) -> None:
    """The tool, which works upwards and waits for row 20, which `other` holds, loses a deadlock."""
    before = deadlocks_so_far(server)
    waiting = (
        f"select 1 from information_schema.innodb_trx where trx_state = 'LOCK WAIT' and trx_query like '{statement}%'"
    )
    for row in range(19, 0, -1):
        while not server.query(waiting):
            # Whoever asks more often sees the past: the list is made anew when nobody has read it for a tenth of a second.
            time.sleep(0.15)
        other.execute(f"select * from _t_gho where id = {row} for update")
        # On a slow machine it may have given up waiting in between, and waits for this row next.
        if deadlocks_so_far(server) > before:
            return
    raise AssertionError("no deadlock")


@pytest.mark.everyday("mysql-9.7", "mariadb-11.8", reason="one of each flavor")
@pytest.mark.parametrize("alter", [PLAIN, STRICTER])
def test_a_deadlock_that_the_tool_loses_is_tried_again(
    server: ServerUnderTest, database: str, tmp_path: Path, alter: str
) -> None:
    make_table(server, database, ROWS)
    hold = tmp_path / "hold"
    hold.touch()
    options = ("--workers", "1", "--throttle-flag-file", str(hold))
    with postponed(server, database, alter, tmp_path, *options, ready=False) as (running, let_go):
        running.wait_for("throttled")
        with somebody_with_more_to_lose(server, database) as other:
            other.execute("insert into _t_gho (id, k) values (20, -20)")
            hold.unlink()
            lose(server, "insert into `%_t_gho`", other)
        running.wait_for("phase", phase="ready")
        with somebody_with_more_to_lose(server, database) as other:
            other.execute("select * from _t_gho where id = 20 for update")
            server.execute("update t set s = 'changed' where id <= 20", database=database)
            lose(server, "delete from `%_t_gho`", other)
        let_go()
        run = running.end()
    assert run.exit_code == 0, str(run)
    assert contents(server, database, what="id, k, s") == contents(server, database, "_t_del")
