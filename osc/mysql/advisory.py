"""The advisory lock that lets only one engine work on a table, and dies with its holder."""

from __future__ import annotations

import hashlib
import threading
import time

import pymysql

from osc.errors import AlreadyRunning, ServerLost, TakenOver
from osc.mysql.session import Conn, Sessions, error_text

PING_EVERY_S = 5.0
WAIT_TIMEOUT_S = 30
"""The server releases the lock of a host that vanished after so long; the engine pings far more often."""


class AdvisoryLock:
    """Held from `take` to `release`. `keep` must be called now and then."""

    def __init__(self, sessions: Sessions, database: str, table: str) -> None:
        self._sessions = sessions
        self._table = f"{database}.{table}"
        # At most 64 characters (MySQL Reference Manual, "Locking Functions").
        self._name = "osc:" + hashlib.sha256(self._table.encode()).hexdigest()[:40]
        self._guard = threading.Lock()
        self._connection: Conn | None = None
        self._kept_at = 0.0

    def take(self) -> None:
        """Raises AlreadyRunning when another engine works on the table."""
        connection = self._sessions.open("take the advisory lock", {"wait_timeout": str(WAIT_TIMEOUT_S)})
        with connection.cursor() as cursor:
            cursor.execute("select get_lock(%s, 0), is_used_lock(%s)", (self._name, self._name))
            row = cursor.fetchone()
        if row is None or row[0] != 1:
            connection.close()
            holder = f" (connection {row[1]})" if row is not None and row[1] else ""
            raise AlreadyRunning(
                f"another osc is at work on {self._table}{holder}. Nothing was changed. Wait for it, or stop it; the lock goes "
                f"away with its connection, at the latest {WAIT_TIMEOUT_S} s after its host has vanished"
            )
        self._connection = connection
        self._kept_at = time.monotonic()

    def keep(self) -> None:
        """Ping every few seconds. A lock that was lost is taken again. Raises AlreadyRunning, ServerLost."""
        with self._guard:
            if self._connection is None or time.monotonic() - self._kept_at < PING_EVERY_S:
                return
            try:
                self._connection.ping(reconnect=False)
                self._kept_at = time.monotonic()
            except (pymysql.err.MySQLError, OSError) as error:
                self._close()
                try:
                    self.take()
                except AlreadyRunning as taken:
                    raise TakenOver(f"the advisory lock was lost, and meanwhile {taken}") from taken
                except ServerLost as lost:
                    raise ServerLost(f"the advisory lock is lost: {error_text(error)}") from lost

    def release(self) -> None:
        """Let the next engine have it."""
        with self._guard:
            self._close()

    def _close(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            if connection.open:
                connection.close()
