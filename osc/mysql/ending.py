"""Ending a statement on the server: a client that goes away, or gives up, does not end what it has asked for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Literal

import pymysql

from osc.control.stop import StopRequest
from osc.errors import OscError
from osc.mysql.server import Server
from osc.mysql.session import NO_SUCH_THREAD, Conn, Sessions, connection_id, error_code, error_text
from osc.threads import OwnedThread

log = logging.getLogger(__name__)

TIMED_OUT = frozenset({1969, 3024})
"""MariaDB and MySQL: the statement took longer than `time_limit` allows."""

LOOK_EVERY_S = 0.1
AGAIN_S = 1.0
"""A statement that was just about to be sent is not ended by what comes before it."""


def kill(connection: Conn, verb: Literal["kill", "kill query"], session: int) -> None:
    """End the session, or what it is running; one that has ended by itself is as good."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"{verb} {session}")
    except pymysql.err.MySQLError as error:
        if error_code(error) != NO_SUCH_THREAD:
            raise


def kill_query(sessions: Sessions, session: int, what: str) -> None:
    """End what that session is running, over another connection; `what` names it where that fails, in the log."""
    try:
        with closing(sessions.open(f"end {what}")) as connection:
            kill(connection, "kill query", session)
    except (OscError, pymysql.err.MySQLError, OSError) as error:
        log.warning("%s could not be ended: %s", what, error_text(error))


@contextmanager
def ended_on_request(stop: StopRequest, sessions: Sessions, connection: Conn, what: str) -> Iterator[None]:
    """Inside, a request to stop ends on the server what `connection` is running. Raises Interrupted then."""
    session = connection_id(connection)
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(LOOK_EVERY_S):
            if stop.is_requested:
                kill_query(sessions, session, what)
                is_over.wait(AGAIN_S)

    watcher = OwnedThread("end-statement", watch)
    watcher.start()
    try:
        yield
    except pymysql.err.MySQLError:
        stop.check()
        raise
    finally:
        is_over.set()
        watcher.join()
    stop.check()


def time_limit(server: Server, seconds: int) -> Mapping[str, str]:
    """Session variables with which the server ends a SELECT after so long; none where it cannot."""
    if "max_statement_time" in server.variables:
        return {"max_statement_time": str(seconds)}
    return {"max_execution_time": str(seconds * 1_000)} if "max_execution_time" in server.variables else {}
