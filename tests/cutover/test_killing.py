"""`--kill-blockers-after`: who is killed that keeps the swap waiting, and who is spared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pymysql
import pytest

from osc.mysql.session import connect
from tests.migration.migrating import migrating
from tests.migration.tables import make_table
from tests.servers import ServerUnderTest

ALTER = "add column z int not null default 7"


@pytest.fixture
def killer(server: ServerUnderTest) -> Iterator[ServerUnderTest]:
    """The server, whose migrator may end others' sessions."""
    privilege = "CONNECTION ADMIN" if server.is_mariadb else "CONNECTION_ADMIN"
    server.execute(f"grant {privilege} on *.* to '{server.migrator.user}'@'%'")
    yield server
    server.execute(f"revoke {privilege} on *.* from '{server.migrator.user}'@'%'")


def test_a_transaction_that_keeps_the_swap_waiting_is_killed_where_that_was_asked_for(
    killer: ServerUnderTest, database: str
) -> None:
    make_table(killer, database, 100)
    with closing(connect(killer.full_migrator, database=database)) as application, application.cursor() as cursor:
        cursor.execute("set session transaction isolation level repeatable read")
        cursor.execute("begin")
        cursor.execute("update t set k = -1 where id = 1")
        with migrating(killer, database, "t", ALTER, "--kill-blockers-after", "1") as running:
            told = ""
            while "was killed" not in told:
                told = str(running.wait_for("warning")["text"])
            run = running.end()
        with pytest.raises(pymysql.err.MySQLError):
            cursor.execute("select 1")
    assert "was killed, having kept the swap waiting for 1 s" in told
    assert run.exit_code == 0, str(run)
    assert killer.query("select k from t where id = 1", database=database) == ((7,),)


def test_one_that_would_take_long_to_undo_is_spared_and_the_reason_told(killer: ServerUnderTest, database: str) -> None:
    make_table(killer, database, 100)
    killer.execute("create table much (id int primary key, n int)", database=database)
    limit = "max_recursive_iterations" if killer.is_mariadb else "cte_max_recursion_depth"
    with closing(connect(killer.full_migrator, database=database)) as application, application.cursor() as cursor:
        cursor.execute(f"set session {limit} = 100000")
        cursor.execute("set session transaction isolation level repeatable read")
        cursor.execute("begin")
        cursor.execute("select count(*) from t")
        cursor.execute(
            "insert into much with recursive n (i) as (select 1 union all select i + 1 from n where i < 12000)"
            " select i, i from n"
        )
        with migrating(killer, database, "t", ALTER, "--kill-blockers-after", "1") as running:
            while "it is not killed" not in str(running.wait_for("status")["waiting_for"]):
                pass
            application.commit()
            run = running.end()
    assert run.exit_code == 0, str(run)
    assert killer.query("select count(*) from much", database=database) == ((12_000,),)
