"""What others do on the server: how many statements they send, and how many of theirs are under way at a moment.

By Little's law (J. D. C. Little, "A Proof for the Queuing Formula L = λW", 1961) the mean number under way, divided by the rate
at which they are sent, is how long one of them takes: what the application feels of the server, told by any server to anybody.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

import pymysql

from osc.mysql.session import Conn, Sessions, error_text, is_lost

log = logging.getLogger(__name__)

_NOT_WORK = ("Binlog Dump", "Binlog Dump GTID", "Daemon")
"""Sessions that count as running all the time: replicas that are fed, and the event scheduler."""
_LOOK_FOR_THEM_EVERY_S = 10.0

BUSY_STATEMENTS_S = 50
_BUSY_LOOK_S = 0.2


@dataclass(frozen=True, slots=True)
class Look:
    """One look. The numbers of statements are as close as they can be known."""

    at_s: float
    sent_at_least: int
    sent_at_most: int
    """Since the server's start, by others."""
    under_way: float
    """Statements of others."""


class Others:
    """Looks at them, on the session of whoever asks. Used by one thread."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._not_work = 0
        self._looked_for_them_at_s: float | None = None

    def look(self, connection: Conn) -> Look:
        """How it is now."""
        self._look_for_what_is_no_work(connection)
        sent_before, under_way_before = self._sessions.statements, self._sessions.statements_under_way
        with connection.cursor() as cursor:
            cursor.execute("show global status where variable_name in ('Queries', 'Threads_running')")
            status = {str(name).lower(): int(str(value)) for name, value in cursor.fetchall()}
        # The server counted at some moment in between; this statement was one of those under way.
        sent, under_way = self._sessions.statements, self._sessions.statements_under_way
        own = 1 + (under_way_before + under_way) / 2
        return Look(
            at_s=time.monotonic(),
            sent_at_least=status["queries"] - sent,
            sent_at_most=status["queries"] - sent_before,
            under_way=max(0.0, status["threads_running"] - own - self._not_work),
        )

    def _look_for_what_is_no_work(self, connection: Conn) -> None:
        now = time.monotonic()
        if self._looked_for_them_at_s is not None and now - self._looked_for_them_at_s < _LOOK_FOR_THEM_EVERY_S:
            return
        self._looked_for_them_at_s = now
        try:
            with connection.cursor() as cursor:
                cursor.execute("select count(*) from information_schema.processlist where command in %s", (_NOT_WORK,))
                row = cursor.fetchone()
        except pymysql.err.MySQLError as error:
            if is_lost(error):
                raise
            # On MySQL a statement with characters beyond the basic plane hides the list (error 3854).
            log.info("who is fed with the binlog is taken for what it was: %s", error_text(error))
            return
        self._not_work = 0 if row is None else int(row[0])


def others_are_busy(sessions: Sessions, connection: Conn) -> bool:
    """Whether others send 50 statements a second or more. Takes a fifth of a second."""
    others = Others(sessions)
    first = others.look(connection)
    time.sleep(_BUSY_LOOK_S)
    last = others.look(connection)
    return last.sent_at_least - first.sent_at_most >= BUSY_STATEMENTS_S * (last.at_s - first.at_s)
