"""Sessions whose network fails them: told from those whose statement only takes long, and replaced."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from osc.control.stop import StopRequest
from osc.errors import ServerLost
from osc.mysql import session as sessions_module
from osc.mysql import steady
from osc.mysql.advisory import AdvisoryLock
from osc.mysql.session import Conn, Sessions, connection_id
from osc.mysql.steady import SteadySession
from osc.sandbox.proxy import Link, Proxy
from tests.servers import ServerUnderTest


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions_module, "LOOK_AFTER_S", 0.3)


@pytest.fixture
def proxy(server: ServerUnderTest) -> Iterator[Proxy]:
    with Proxy((server.host, server.port)) as running:
        yield running


@pytest.fixture
def sessions(server: ServerUnderTest, proxy: Proxy) -> Sessions:
    """Through the proxy."""
    return Sessions(replace(server.migrator, host=proxy.host, port=proxy.port, connect_timeout_s=2.0))


def link_of(server: ServerUnderTest, proxy: Proxy, connection: Conn) -> Link:
    [(host,)] = server.query(f"select host from information_schema.processlist where id = {connection_id(connection)}")
    return proxy.link_from(str(host))


def is_connected(server: ServerUnderTest, session_id: int) -> bool:
    return bool(server.query(f"select 1 from information_schema.processlist where id = {session_id}"))


def test_a_statement_may_take_many_times_as_long_as_the_silence_that_is_looked_into(sessions: Sessions) -> None:
    with closing(sessions.open("wait")) as connection, connection.cursor() as cursor:
        cursor.execute("select sleep(2)")
        assert cursor.fetchone() == (0,)


def test_a_session_whose_answer_was_lost_is_replaced_and_what_it_left_is_ended(
    server: ServerUnderTest, database: str, sessions: Sessions, proxy: Proxy
) -> None:
    server.execute("create table t (id int primary key, n int)", "insert into t values (1, 0)", database=database)
    ids: list[int] = []

    def work(connection: Conn) -> None:
        ids.append(connection_id(connection))
        with connection.cursor() as cursor:
            cursor.execute(f"update {database}.t set n = n + 1 where id = 1")
            if len(ids) == 1:
                # From here on the server hears nothing: it would keep the row locked until `wait_timeout`.
                proxy.hold([link_of(server, proxy, connection)])
        connection.commit()

    session = SteadySession(sessions, "count", StopRequest(), variables={"autocommit": "0"})
    session.run(work)
    session.close()
    assert len(set(ids)) == len(ids) == 2
    assert server.query("select n from t", database=database) == ((1,),)
    assert not is_connected(server, ids[0])


def test_a_server_that_is_out_of_reach_is_lost_after_a_while_and_not_before(
    sessions: Sessions, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steady, "PATIENCE_S", 3.0)
    attempts: list[int] = []

    def work(connection: Conn) -> None:
        attempts.append(connection_id(connection))
        proxy.hold()
        with connection.cursor() as cursor:
            cursor.execute("select 1")

    with pytest.raises(ServerLost, match="tried for 3 s"):
        SteadySession(sessions, "ask", StopRequest()).run(work)
    assert len(attempts) == 1


def test_work_goes_on_after_the_network_was_cut_and_healed(sessions: Sessions, proxy: Proxy) -> None:
    answers: list[int] = []

    def work(connection: Conn) -> int:
        answers.append(connection_id(connection))
        if len(answers) == 1:
            proxy.hold()
            threading.Timer(1.0, proxy.heal).start()
        with connection.cursor() as cursor:
            return cursor.execute("select 1")

    assert SteadySession(sessions, "ask", StopRequest()).run(work) == 1
    assert len(answers) == 2


def test_the_advisory_lock_is_taken_back_from_the_own_session_that_the_network_has_lost(
    server: ServerUnderTest, sessions: Sessions, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("osc.mysql.advisory.PING_EVERY_S", 0.0)
    lock = AdvisoryLock(sessions, "some database", "some table")
    lock.take()
    proxy.hold(proxy.links)
    lock.keep()
    lock.keep()
    lock.release()


def test_another_server_under_the_same_address_is_not_written(
    server: ServerUnderTest, sessions: Sessions, proxy: Proxy
) -> None:
    elsewhere = replace(sessions.server, variables={**sessions.server.variables, "server_uuid": "x", "server_id": "1"})
    sessions.server = elsewhere
    with pytest.raises(ServerLost, match="another server answers"):
        sessions.open("write")


def test_a_session_whose_preparation_failed_is_prepared_before_it_is_worked_on(
    server: ServerUnderTest, sessions: Sessions, database: str
) -> None:
    prepared: list[int] = []

    def prepare(connection: Conn) -> None:
        if not prepared:
            prepared.append(0)
            with connection.cursor() as cursor:  # as a lock wait that lasts too long would end it
                cursor.execute(
                    "signal sqlstate 'HY000' set mysql_errno = 1205, message_text = 'Lock wait timeout exceeded'"
                )
        prepared.append(connection_id(connection))

    session = SteadySession(sessions, "test", StopRequest(), prepare=prepare)
    worked_on = session.run(connection_id)
    session.close()
    assert prepared == [0, worked_on]
