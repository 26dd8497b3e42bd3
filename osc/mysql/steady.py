"""A session that is opened again when it is lost, and whose work is tried again when the server asks for that.

A lost session may live on in the server: a statement of it goes on, its transaction holds row locks until the server hears
that nobody is there. So the session that takes its place ends it first. That makes the retry quick; it is not what makes it
safe: a transaction whose `COMMIT` was not sent cannot be committed, and one whose `COMMIT` is on its way holds its locks,
which the retry waits for.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import pymysql

from osc.control.stop import StopRequest
from osc.errors import ServerLost, Stalled
from osc.mysql.session import Conn, Sessions, connection_id, end_session, error_text, is_lost, is_retryable

T = TypeVar("T")

DEFAULT_ATTEMPTS = 20
LONGEST_PAUSE_S = 2.0

PATIENCE_S = 60.0
"""How long a lost server is tried again. As long as the tail does: without it nothing can go on."""


class SteadySession:
    """One session, used by one thread at a time."""

    def __init__(
        self,
        sessions: Sessions,
        purpose: str,
        stop: StopRequest,
        *,
        variables: Mapping[str, str] | None = None,
        attempts: int = DEFAULT_ATTEMPTS,
        prepare: Callable[[Conn], None] | None = None,
        read_timeout_s: float | None = None,
    ) -> None:
        """`purpose` completes "cannot …" in errors; `prepare` is called with each session that is opened."""
        self._sessions = sessions
        self._purpose = purpose
        self._stop = stop
        self._variables = dict(variables or {})
        self._attempts = attempts
        self._prepare = prepare
        self._read_timeout_s = read_timeout_s
        self._connection: Conn | None = None
        self._opened_at = 0.0
        self._predecessor: tuple[int, float] | None = None
        """A lost session, and when it was opened."""

    def run(self, work: Callable[[Conn], T]) -> T:
        """What `work` returns. It must be safe to repeat: after a lost connection nobody knows how far it came.

        Deadlocks and lock wait timeouts are tried again as often as allowed, lost connections for a minute, with jitter; in
        the end they raise Stalled or ServerLost. Any other error of the server's is raised as it is. In every case the
        transaction is rolled back: a lock wait timeout undoes one statement only, and what came before it would be committed
        later.
        """
        failures = losses = 0
        lost_since = 0.0
        while True:
            try:
                return work(self._open())
            except (pymysql.err.MySQLError, ServerLost, OSError) as error:
                self._roll_back(error)
                if isinstance(error, ServerLost) or is_lost(error):
                    losses += 1
                    lost_since = lost_since or time.monotonic()
                    if time.monotonic() - lost_since > PATIENCE_S:
                        raise ServerLost(
                            f"cannot {self._purpose}, tried for {PATIENCE_S:.0f} s: {error_text(error)}"
                        ) from error
                elif is_retryable(error):
                    failures += 1
                    # A server that answers is not lost.
                    losses, lost_since = 0, 0.0
                    if failures >= self._attempts:
                        raise Stalled(f"cannot {self._purpose}, tried {failures} times: {error_text(error)}") from error
                else:
                    raise
            self._stop.wait(_pause_s(failures + losses))
            self._stop.check()

    def _open(self) -> Conn:
        if self._connection is None:
            connection = self._sessions.open(self._purpose, self._variables, self._read_timeout_s)
            opened_at = time.monotonic()
            try:
                if self._predecessor is not None:
                    end_session(connection, *self._predecessor)
                    self._predecessor = None
                if self._prepare is not None:
                    self._prepare(connection)
            except BaseException:
                # Half prepared, it must not be worked on when the work is tried again.
                self._predecessor = self._predecessor or (connection_id(connection), opened_at)
                if connection.open:
                    connection.close()
                raise
            self._connection, self._opened_at = connection, opened_at
        return self._connection

    def _roll_back(self, error: Exception) -> None:
        if self._connection is None:
            return
        if is_lost(error):
            self._give_up()
            return
        try:
            self._connection.rollback()
        except (pymysql.err.MySQLError, OSError):
            self._give_up()

    def _give_up(self) -> None:
        if self._connection is not None:
            self._predecessor = (connection_id(self._connection), self._opened_at)
        self.close()

    def close(self) -> None:
        """Close the session; the server rolls an open transaction back."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            if connection.open:
                connection.close()


def _pause_s(attempt: int) -> float:
    """20 ms doubled with each attempt, up to 2 s, less up to a half by chance, so that two losers don't meet again."""
    return min(LONGEST_PAUSE_S, 0.02 * 2.0 ** min(attempt - 1, 10)) * random.uniform(0.5, 1.0)
