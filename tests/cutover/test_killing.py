"""`--kill-blockers-after`: who is killed that keeps the swap waiting, and who is spared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pymysql
import pytest
from pymysql.cursors import Cursor

from osc.mysql.session import Conn, connect
from osc.sandbox.distributions import DISTRIBUTIONS
from tests.conftest import StartServer
from tests.migration.migrating import RunningMigration, migrating
from tests.migration.tables import make_table
from tests.servers import ServerUnderTest

ALTER = "add column z int not null default 7"
AFTER_A_SECOND = ("--kill-blockers-after", "1")


SEEING = {"performance_schema": "ON", "performance_schema_instrument": "wait/lock/metadata/sql/mdl=ON"}
"""With which MariaDB shows who holds metadata locks; MySQL does by default."""


@pytest.fixture
def killer(server_name: str, start_server: StartServer) -> ServerUnderTest:
    """A server that shows locks, whose migrator may see them and end others' sessions."""
    server = start_server(SEEING if DISTRIBUTIONS[server_name].flavor == "mariadb" else {})
    privilege = "CONNECTION ADMIN" if server.is_mariadb else "CONNECTION_ADMIN"
    for what in (f"{privilege} on *.*", "select on performance_schema.*"):
        server.execute(f"grant {what} to '{server.migrator.user}'@'%'")
    return server


@pytest.fixture
def home(killer: ServerUnderTest) -> Iterator[str]:
    """A database on that server."""
    with killer.fresh_database() as database:
        yield database


@contextmanager
def in_the_way(server: ServerUnderTest, database: str) -> Iterator[tuple[Conn, Cursor]]:
    """An application's transaction under REPEATABLE READ, which the swap waits for."""
    with closing(connect(server.full_migrator, database=database)) as application, application.cursor() as cursor:
        cursor.execute("set session transaction isolation level repeatable read")
        cursor.execute("begin")
        yield application, cursor


def spared_because(running: RunningMigration) -> str:
    """What it says of a session that it does not kill, once it does."""
    while "it is not killed" not in (waiting := str(running.wait_for("status")["waiting_for"])):
        pass
    return waiting


def test_a_transaction_that_keeps_the_swap_waiting_is_killed_where_that_was_asked_for(
    killer: ServerUnderTest, home: str
) -> None:
    make_table(killer, home, 100)
    with in_the_way(killer, home) as (_, cursor):
        cursor.execute("update t set k = -1 where id = 1")
        with migrating(killer, home, "t", ALTER, *AFTER_A_SECOND) as running:
            told = ""
            while "was killed" not in told:
                told = str(running.wait_for("warning")["text"])
            run = running.end()
        with pytest.raises(pymysql.err.MySQLError):
            cursor.execute("select 1")
    assert "was killed, having kept the swap waiting for 1 s" in told
    assert run.exit_code == 0, str(run)
    assert killer.query("select k from t where id = 1", database=home) == ((7,),)


def test_one_that_would_take_long_to_undo_is_spared(killer: ServerUnderTest, home: str) -> None:
    make_table(killer, home, 100)
    make_table(killer, home, 12_000, name="much")
    with in_the_way(killer, home) as (application, cursor):
        cursor.execute("update much set k = k + 1")
        with migrating(killer, home, "t", ALTER, *AFTER_A_SECOND) as running:
            assert "12,000 rows" in spared_because(running)
            application.commit()
            run = running.end()
    assert run.exit_code == 0, str(run)
    assert killer.query("select sum(k) - 7 * sum(id) from much", database=home) == ((12_000,),)


def test_one_that_has_locked_a_table_on_purpose_is_spared(killer: ServerUnderTest, home: str) -> None:
    make_table(killer, home, 100)
    killer.execute("create table locked (id int primary key)", database=home)
    with closing(connect(killer.full_migrator, database=home)) as application, application.cursor() as cursor:
        cursor.execute("set session transaction isolation level repeatable read")
        cursor.execute("set session autocommit = 0")
        # MariaDB shows a lock for reading as it shows any reading transaction.
        cursor.execute(f"lock tables locked {'write' if killer.is_mariadb else 'read'}")
        cursor.execute("select * from locked")
        with migrating(killer, home, "t", ALTER, *AFTER_A_SECOND) as running:
            assert "it holds a lock on purpose" in spared_because(running)
            cursor.execute("unlock tables")
            application.commit()
            run = running.end()
    assert run.exit_code == 0, str(run)


def test_where_nobody_sees_who_holds_locks_on_purpose_nobody_is_killed(server: ServerUnderTest, database: str) -> None:
    # The migrator of all tests may not read the performance schema.
    make_table(server, database, 100)
    with closing(server.admin(database)) as application, application.cursor() as cursor:
        cursor.execute("begin")
        cursor.execute("select * from t")
        with migrating(server, database, "t", ALTER, *AFTER_A_SECOND) as running:
            assert "cannot be seen here" in spared_because(running)
            application.commit()
            run = running.end()
    assert run.exit_code == 0, str(run)
