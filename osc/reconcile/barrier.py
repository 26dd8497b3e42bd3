"""The barrier: commit a heartbeat, and wait for that commit to return.

A binlog reader receives a transaction before its rows are visible: group commit writes and syncs the binlog, and semi-sync
waits, before the engine commits. But engines commit in binlog order. So once the commit of a heartbeat returns, every
transaction that had been received before the heartbeat was issued is visible to new reads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from osc.errors import CommitOrderLost
from osc.mysql.server import Server
from osc.mysql.session import Conn
from osc.mysql.steady import SteadySession
from osc.state.table import StateTable

REMEMBERED_BEATS = 1_000


def require_commit_order(connection: Conn, server: Server) -> None:
    """Make sure that engines still commit in the binlog's order. Raises CommitOrderLost. MariaDB knows no other.

    Asked before each checkpoint is saved: so the last one that was is from before the order was given up, and a run that
    resumes from there reconciles once more every key that was reconciled since.
    """
    if server.is_mariadb:
        return
    with connection.cursor() as cursor:
        cursor.execute("select @@global.binlog_order_commits")
        row = cursor.fetchone()
    if row is None or not row[0]:
        raise CommitOrderLost(
            "binlog_order_commits was turned off on the server while the migration ran, so a row that was read again after "
            "its event may have been the old one. The original is untouched, nothing was swapped. SET GLOBAL "
            "binlog_order_commits = ON and run the same command again: it reads again what changed since the last checkpoint"
        )


class Heartbeat:
    """Commits heartbeats on a session of its own. Thread-safe."""

    def __init__(self, session: SteadySession, state: StateTable) -> None:
        self._session = session
        self._state = state
        self._lock = threading.Lock()
        self._returned: dict[int, float] = {}
        self._met: tuple[int, float] | None = None
        self._is_silenced = False
        self.commit_s = 0.0
        """How long the latest heartbeat's commit took: what a commit costs on this server right now."""

    def barrier(self) -> int:
        """Commit a heartbeat; returns its counter once everything received before this call is visible.

        Raises ServerLost when the server stays away.
        """
        with self._lock:
            return self._session.run(self._beat)

    def pulse(self) -> float | None:
        """Commit a heartbeat only to learn what a commit costs, in seconds; None while `silenced`."""
        with self._lock:
            if self._is_silenced:
                return None
            self._session.run(self._beat)
            return self.commit_s

    @contextmanager
    def silenced(self) -> Iterator[None]:
        """Inside, no heartbeat is committed but by `barrier`: during a swap the last one must be the swap's own."""
        with self._lock:
            self._is_silenced = True
        try:
            yield
        finally:
            with self._lock:
                self._is_silenced = False

    def _beat(self, connection: Conn) -> int:
        started = time.monotonic()
        beat = self._state.beat(connection)
        returned = time.monotonic()
        self.commit_s = returned - started
        self._returned[beat] = returned
        if len(self._returned) > REMEMBERED_BEATS:
            del self._returned[next(iter(self._returned))]
        return beat

    def seen(self, beat: int) -> None:
        """The tail met this heartbeat in the binlog; often before its commit returns."""
        self._met = (beat, time.monotonic())

    @property
    def lag_s(self) -> float | None:
        """How far the tail is behind the server, in seconds; None before it has met the first heartbeat.

        That is the time by which it met the latest one after its commit had returned, or, when a later one has been
        committed that it has not met, the time since then.
        """
        if self._met is None:
            return None
        beat, met = self._met
        took = max(0.0, met - self._returned.get(beat, met))
        return max(took, self.behind_s(beat))

    def behind_s(self, beat: int) -> float:
        """How long ago the first heartbeat above that number was committed, in seconds; 0 when there was none."""
        missing = min((at for number, at in list(self._returned.items()) if number > beat), default=None)
        return 0.0 if missing is None else time.monotonic() - missing

    def close(self) -> None:
        self._session.close()
