"""What others do, told by a real server: neither the engine's own statements nor an odd statement of somebody's confuse it."""

from __future__ import annotations

import threading
from contextlib import closing

import pytest

from osc.mysql.session import Sessions
from osc.throttle.others import Others, others_are_busy
from tests.mysql.test_transactions import statement_with_an_emoji
from tests.servers import ServerUnderTest

LOOKS = 30


in_turn = pytest.mark.in_turn(reason="two status variables, which both flavors have")


@in_turn
def test_statements_and_commits_of_the_engine_are_not_those_of_others(server: ServerUnderTest, database: str) -> None:
    server.execute("create table t (id int primary key, n int)", "insert into t values (1, 0)", database=database)
    sessions = Sessions(server.migrator)
    done = threading.Event()

    def work() -> None:
        with closing(sessions.open("work", {"autocommit": "0"})) as connection, connection.cursor() as cursor:
            while not done.is_set():
                cursor.execute(f"update {database}.t set n = n + 1")
                connection.commit()

    worker = threading.Thread(target=work)
    worker.start()
    try:
        with closing(sessions.open("look")) as connection:
            others = Others(sessions)
            looks = [others.look(connection) for _ in range(LOOKS)]
    finally:
        done.set()
        worker.join()
    assert sum(look.under_way for look in looks) / LOOKS < 0.5


@pytest.mark.everyday("mysql-9.7", reason="only MySQL hides the list of sessions (error 3854)")
def test_what_waits_is_under_way_and_hides_nothing(server: ServerUnderTest, database: str) -> None:
    sessions = Sessions(server.migrator)
    with closing(sessions.open("look")) as connection, statement_with_an_emoji(server, database):
        others = Others(sessions)
        while others.look(connection).under_way < 0.5:
            pass
        assert not others_are_busy(sessions, connection)


@in_turn
def test_an_application_that_sends_many_statements_is_busy(server: ServerUnderTest) -> None:
    sessions = Sessions(server.migrator)
    done = threading.Event()

    def work() -> None:
        with closing(server.admin()) as application, application.cursor() as cursor:
            while not done.is_set():
                cursor.execute("do 1")

    worker = threading.Thread(target=work)
    with closing(sessions.open("look")) as connection:
        assert not others_are_busy(sessions, connection)
        worker.start()
        try:
            while not others_are_busy(sessions, connection):
                pass
        finally:
            done.set()
            worker.join()
