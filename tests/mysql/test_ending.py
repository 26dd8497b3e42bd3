"""Ending statements on a server that would go on with them."""

from __future__ import annotations

import time
from contextlib import closing
from threading import Thread

import pymysql
import pytest

from osc.control.stop import StopRequest
from osc.errors import Interrupted
from osc.mysql.ending import TIMED_OUT, ended_on_request, kill, time_limit
from osc.mysql.session import Sessions, connection_id, error_code
from tests.servers import ServerUnderTest

ENDLESS = (
    "select count(*) from information_schema.columns a, information_schema.columns b, information_schema.columns c"
)


def running(server: ServerUnderTest, session: int) -> bool:
    """Whether that session is at work on the endless statement."""
    rows = server.query(f"select info from information_schema.processlist where id = {session}")
    return any(str(info).startswith(ENDLESS) for (info,) in rows)


@pytest.mark.in_turn(reason="both kinds of server end statements so")
def test_a_request_to_stop_ends_what_the_server_is_at(server: ServerUnderTest) -> None:
    sessions, stop = Sessions(server.migrator), StopRequest()
    with closing(sessions.open("count")) as connection:
        session = connection_id(connection)

        def press_ctrl_c() -> None:
            while not running(server, session):
                time.sleep(0.05)
            stop.request("Ctrl-C")

        person = Thread(target=press_ctrl_c, daemon=True)
        person.start()
        with (
            pytest.raises(Interrupted, match="stopped by Ctrl-C"),
            ended_on_request(stop, sessions, connection, "the counting"),
            connection.cursor() as cursor,
        ):
            cursor.execute(ENDLESS)
        person.join()
        assert not running(server, session)


def test_the_server_ends_a_search_that_takes_longer_than_it_may(server: ServerUnderTest) -> None:
    sessions = Sessions(server.migrator)
    with (
        closing(sessions.open("count", time_limit(sessions.server, 1))) as connection,
        connection.cursor() as cursor,
        pytest.raises(pymysql.err.MySQLError) as raised,
    ):
        cursor.execute(ENDLESS)
    assert error_code(raised.value) in TIMED_OUT


@pytest.mark.everyday("mysql-9.7", reason="all say the same of a session that is not there")
def test_a_session_that_has_ended_by_itself_is_as_good_as_ended(server: ServerUnderTest) -> None:
    sessions = Sessions(server.migrator)
    with closing(sessions.open("be there")) as other:
        gone = connection_id(other)
    with closing(sessions.open("look")) as connection:
        while server.query(f"select 1 from information_schema.processlist where id = {gone}"):
            time.sleep(0.05)
        kill(connection, "kill query", gone)
