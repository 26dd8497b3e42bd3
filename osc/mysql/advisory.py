"""The advisory lock that lets only one engine work on a table, and dies with its holder."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pymysql

from osc.control.stop import StopRequest
from osc.errors import AlreadyRunning, ServerLost, TakenOver
from osc.mysql.session import Conn, Sessions, connection_id, end_session, error_text, is_lost
from osc.mysql.steady import PATIENCE_S
from osc.threads import OwnedThread

PING_EVERY_S = 5.0
WAIT_TIMEOUT_S = 30
"""The server releases the lock of a host that vanished after so long; the engine pings far more often."""

LOST_LOCK_WAIT_S = WAIT_TIMEOUT_S + 5
"""For a lock whose holder was this run's own session: at the latest then the server has released it."""

PAUSE_S = 0.5


class AdvisoryLock:
    """Held from `take` to `release`. `keep` must be called now and then; within `kept`, a thread does."""

    def __init__(self, sessions: Sessions, database: str, table: str, stop: StopRequest | None = None) -> None:
        """`stop` ends the wait for a server that is away."""
        self._sessions = sessions
        self._stop = stop or StopRequest()
        self._table = f"{database}.{table}"
        # At most 64 characters (MySQL Reference Manual, "Locking Functions").
        self.name = "osc:" + hashlib.sha256(self._table.encode()).hexdigest()[:40]
        self._guard = threading.Lock()
        self._connection: Conn | None = None
        self._opened_at = self._kept_at = 0.0

    def take(self, lost: tuple[int, float] | None = None) -> None:
        """Raises AlreadyRunning when another engine works on the table.

        `lost`: the session that held it before, and when that was opened. The server may not know yet that it is gone.
        """
        connection = self._sessions.open("take the advisory lock", {"wait_timeout": str(WAIT_TIMEOUT_S)})
        try:
            if lost is not None:
                end_session(connection, *lost)
            # Once killed, a session is gone within moments; the lock cannot be taken before.
            row = self._get(connection, 0 if lost is None else LOST_LOCK_WAIT_S)
        except BaseException:
            connection.close()
            raise
        if row is None or row[0] != 1:
            connection.close()
            holder = f" (connection {row[1]})" if row is not None and row[1] else ""
            raise AlreadyRunning(
                f"another osc is at work on {self._table}{holder}. Nothing was changed. Wait for it, or stop it; the lock goes "
                f"away with its connection, at the latest {WAIT_TIMEOUT_S} s after its host has vanished"
            )
        self._connection = connection
        self._opened_at = self._kept_at = time.monotonic()

    def _get(self, connection: Conn, wait_s: int) -> tuple[object, ...] | None:
        with connection.cursor() as cursor:
            cursor.execute("select get_lock(%s, %s), is_used_lock(%s)", (self.name, wait_s, self.name))
            return cursor.fetchone()

    def keep(self) -> None:
        """Ping every few seconds. A lock that was lost is taken again. Raises AlreadyRunning, ServerLost."""
        with self._guard:
            if self._connection is None or time.monotonic() - self._kept_at < PING_EVERY_S:
                return
            try:
                self._connection.ping(reconnect=False)
                self._kept_at = time.monotonic()
            except (pymysql.err.MySQLError, OSError) as error:
                lost = (connection_id(self._connection), self._opened_at)
                self._close()
                self._take_again(lost, error)

    def _take_again(self, lost: tuple[int, float], reason: Exception) -> None:
        """As patiently as the other sessions wait for a server that is away: the table is safe, by the epoch."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return self.take(lost)
            except AlreadyRunning as taken:
                raise TakenOver(f"the advisory lock was lost, and meanwhile {taken}") from taken
            except (ServerLost, pymysql.err.MySQLError, OSError) as error:
                if not isinstance(error, ServerLost) and not is_lost(error):
                    raise
                if time.monotonic() > deadline:
                    raise ServerLost(f"the advisory lock is lost: {error_text(reason)}") from error
            self._stop.wait(PAUSE_S)
            self._stop.check()

    @contextmanager
    def kept(self) -> Iterator[Callable[[], None]]:
        """Inside, a thread keeps the lock; gives what raises, when called, what the thread died of.

        Phases that wait for one statement (a lock, a table's statistics) call nobody for longer than the lock would live.
        """
        ended = threading.Event()

        def keep() -> None:
            while not ended.wait(PING_EVERY_S / 5):
                self.keep()

        keeper = OwnedThread("advisory lock", keep)
        keeper.start()
        try:
            yield keeper.raise_if_dead
        finally:
            ended.set()
            keeper.join()

    def release(self) -> None:
        """Let the next engine have it."""
        with self._guard:
            self._close()

    def _close(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            if connection.open:
                connection.close()
