"""Signals that are asked for elsewhere: queries, web servers, replicas; and what happens when they do not answer."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from osc.control.stop import StopRequest
from osc.mysql.session import Sessions
from osc.mysql.steady import SteadySession
from osc.reconcile.barrier import Heartbeat
from osc.state.table import StateTable
from osc.throttle import watched
from osc.throttle.ask import ThrottleQuery, throttle_http
from osc.throttle.replicas import Address, ReplicaLag, addresses, registered_replicas
from osc.throttle.watched import Unreadable, Watched
from tests.conftest import StartReplica, StartServer
from tests.servers import ServerUnderTest


def until(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    """Wait for it."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        threading.Event().wait(0.02)


@contextmanager
def watching(
    read: Callable[[], str | None], *, is_named: bool = True, warn: Callable[[str], None] = print
) -> Iterator[Watched]:
    one = Watched("the signal", read, 0.02, warn, is_named=is_named)
    one.start()
    try:
        yield one
    finally:
        one.close()
        one.thread.raise_if_dead()


# --- believing what was read --------------------------------------------------------------------------------------


def test_a_named_signal_counts_as_bad_until_it_was_read_and_whenever_it_cannot_be() -> None:
    answers: dict[str, str | None] = {}

    def read() -> str | None:
        if "reason" not in answers:
            raise Unreadable("nobody is there")
        return answers["reason"]

    one = Watched("the signal", read, 0.02, print)
    assert one.signal() == "the signal was not read yet"
    with watching(read) as one:
        until(lambda: one.signal() == "the signal cannot be read: nobody is there")
        answers["reason"] = None
        until(lambda: one.signal() is None)
        answers["reason"] = "too busy"
        until(lambda: one.signal() == "too busy")
        del answers["reason"]
        until(lambda: one.signal() == "the signal cannot be read: nobody is there")


def test_a_discovered_signal_that_was_never_read_is_a_warning_and_holds_nobody_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watched, "WARN_AFTER_S", 0.1)
    warnings: list[str] = []

    def read() -> str | None:
        raise Unreadable("no route")

    with watching(read, is_named=False, warn=warnings.append) as one:
        until(lambda: bool(warnings))
        assert one.signal() is None
    assert warnings == ["the signal cannot be read: no route. It was not named, so the migration goes on without it"]


def test_a_discovered_signal_that_was_read_once_counts_from_then_on() -> None:
    answers = [True]

    def read() -> str | None:
        if answers:
            return None
        raise Unreadable("gone")

    with watching(read, is_named=False) as one:
        until(lambda: one.thread.is_alive and one.signal() is None and one._counts)
        answers.clear()
        until(lambda: one.signal() == "the signal cannot be read: gone")


def test_a_signal_that_does_not_come_back_counts_as_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched, "STALE_S", 0.1)
    hangs, goes_on = threading.Event(), threading.Event()

    def read() -> str | None:
        if hangs.is_set():
            goes_on.wait(60)
        return None

    with watching(read) as one:
        until(lambda: one.signal() is None)
        hangs.set()
        until(lambda: (one.signal() or "").startswith("the signal has not answered for"))
        goes_on.set()


# --- queries and web servers --------------------------------------------------------------------------------------


def test_a_query_holds_back_while_its_answer_is_above_zero(server: ServerUnderTest, database: str) -> None:
    server.execute("create table busy (n int)", database=database)
    query = ThrottleQuery(Sessions(server.migrator), f"select count(*) from {database}.busy")
    assert query.read() is None
    server.execute("insert into busy values (1), (2)", database=database)
    assert query.read() == "--throttle-query answers with 2"
    server.execute("delete from busy", database=database)
    assert query.read() is None
    query.close()


@pytest.mark.parametrize(
    ("statement", "why"),
    [("select n from nowhere.t", "denied"), ("select null", "None"), ("select 1 from dual where 1 = 0", "None")],
)
def test_a_query_without_an_answer_cannot_be_read(
    server: ServerUnderTest, database: str, statement: str, why: str
) -> None:
    query = ThrottleQuery(Sessions(server.migrator), statement)
    with pytest.raises(Unreadable, match=why):
        query.read()
    query.close()


def test_a_query_whose_session_was_killed_is_asked_on_another(server: ServerUnderTest, database: str) -> None:
    query = ThrottleQuery(Sessions(server.migrator), "select connection_id() * 0")
    assert query.read() is None
    assert query._connection is not None
    server.execute(f"kill {query._connection.thread_id()}")  # type: ignore[no-untyped-call]

    def fails() -> bool:
        try:
            query.read()
        except Unreadable:
            return True
        return False

    until(fails)
    assert query.read() is None
    query.close()


def test_a_web_server_holds_back_unless_it_says_200() -> None:
    codes = [200]

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(codes[-1])
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as web:
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{web.server_port}/may-i"
            read = throttle_http(url)
            assert read() is None
            codes.append(429)
            assert read() == f"{url} answers with 429"
            codes.append(204)
            assert read() == f"{url} answers with 204"
        finally:
            web.shutdown()
            thread.join()
    with pytest.raises(Unreadable):
        read()
    with pytest.raises(Unreadable):
        throttle_http("no address")()


# --- replicas -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("db2", (Address("db2", 3306),)),
        (" db2:3307, [::1]:3308 ,[::1]", (Address("db2", 3307), Address("::1", 3308), Address("::1", 3306))),
        ("", ()),
    ],
)
def test_addresses_of_replicas_are_read(text: str, meant: tuple[Address, ...]) -> None:
    assert addresses(text) == meant


@pytest.mark.parametrize("text", ["db2:", ":3306", "db2:port", "db2:70000"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not of the form"):
        addresses(text)


def test_a_replica_that_stops_applying_is_found_behind_until_it_has_caught_up(
    start_server: StartServer, start_replica: StartReplica
) -> None:
    primary = start_server({})
    with primary.fresh_database() as database:
        replica = start_replica(primary)
        sessions = Sessions(primary.full_migrator)
        state = StateTable(database, "_t_ghc")
        with closing(sessions.open("prepare")) as connection:
            state.create(connection)
            assert registered_replicas(connection, sessions.server) == [Address("127.0.0.1", replica.port)]
        heartbeat = Heartbeat(SteadySession(sessions, "beat", StopRequest()), state)
        address = Address(replica.host, replica.port)
        lag = ReplicaLag(sessions.settings, address, state, heartbeat.behind_s, 0.2, minds_delay=False)
        word = "slave" if primary.is_mariadb else "replica"
        sql_thread = f"{word} sql_thread"

        def beaten(expected: bool) -> bool:
            heartbeat.barrier()
            return (lag.read() is not None) == expected

        until(lambda: beaten(False))
        replica.execute(f"stop {sql_thread}")
        until(lambda: beaten(True))
        reason = lag.read()
        assert reason is not None
        assert reason.startswith(f"the replica {address} is ")
        replica.execute(f"start {sql_thread}")
        until(lambda: beaten(False))
        lag.close()

        change = "change master to master_delay" if primary.is_mariadb else "change replication source to source_delay"
        replica.execute(f"stop {word}", f"{change} = 3600", f"start {word}")
        heartbeat.barrier()
        minding = ReplicaLag(sessions.settings, address, state, heartbeat.behind_s, 0.2, minds_delay=True)
        until(lambda: minding.read() is not None)
        minding.close()
        other = ReplicaLag(sessions.settings, address, state, heartbeat.behind_s, 0.2, minds_delay=False)
        assert other.read() is None
        assert other.lag_s is not None
        assert other.lag_s > 0.2
        other.close()

        nobody = ReplicaLag(
            sessions.settings, Address("127.0.0.1", 1), state, heartbeat.behind_s, 0.2, minds_delay=True
        )
        with pytest.raises(Unreadable, match="cannot reach"):
            nobody.read()
        heartbeat.close()
