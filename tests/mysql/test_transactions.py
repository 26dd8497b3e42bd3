"""The lists of transactions and sessions while somebody runs a statement that MySQL cannot show in them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

from osc.cutover.blockers import old_snapshots
from osc.mysql.session import Sessions
from osc.mysql.transactions import ask_for_sessions
from tests.servers import ServerUnderTest

RUNNING = "select trx_mysql_thread_id from information_schema.innodb_trx"


@contextmanager
def statement_with_an_emoji(server: ServerUnderTest, database: str) -> Iterator[None]:
    """While inside, a session runs one: it waits for a row's lock."""
    server.execute("create table t (id int primary key, v text)", "insert into t values (1, '')", database=database)
    with closing(server.admin(database)) as holder, closing(server.admin(database)) as runner:
        with holder.cursor() as cursor:
            cursor.execute("begin")
            cursor.execute("select * from t for update")

        def run() -> None:
            with runner.cursor() as cursor:
                cursor.execute("update t set v = '🍷' where id = 1")

        thread = threading.Thread(target=run)
        thread.start()
        try:
            while "update t set v" not in str(server.query("show full processlist")):
                assert thread.is_alive()
            yield
        finally:
            holder.rollback()
            thread.join()


def test_a_statement_that_cannot_be_shown_hides_the_list_and_raises_nothing(
    server: ServerUnderTest, database: str
) -> None:
    with closing(Sessions(server.migrator).open("look")) as connection:
        with statement_with_an_emoji(server, database):
            found = ask_for_sessions(connection, RUNNING)
        assert found is None if server.flavor == "mysql" else found
        assert ask_for_sessions(connection, RUNNING) is not None


def test_the_list_is_there_once_the_statement_has_ended(server: ServerUnderTest, database: str) -> None:
    with closing(Sessions(server.migrator).open("look")) as connection:
        asked: list[list[tuple[object, ...]] | None] = []
        with statement_with_an_emoji(server, database):
            asking = threading.Thread(target=lambda: asked.append(ask_for_sessions(connection, RUNNING)))
            asking.start()
        asking.join()
    assert asked != [None]


def test_the_swap_waits_while_the_list_of_transactions_is_hidden(server: ServerUnderTest, database: str) -> None:
    with (
        closing(Sessions(server.migrator).open("look", {"time_zone": "'SYSTEM'"})) as connection,
        statement_with_an_emoji(server, database),
    ):
        blockers = old_snapshots(connection, "2038-01-01 00:00:00", frozenset())
    assert blockers
    assert ("3854" in blockers[0].text) == (server.flavor == "mysql")
