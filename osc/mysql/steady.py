"""A session that is opened again when it is lost, and whose work is tried again when the server asks for that."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import TypeVar

import pymysql

from osc.control.stop import StopRequest
from osc.errors import ServerLost, Stalled
from osc.mysql.session import Conn, Sessions, error_text, is_lost, is_retryable

T = TypeVar("T")

DEFAULT_ATTEMPTS = 20
LONGEST_PAUSE_S = 2.0


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

    def run(self, work: Callable[[Conn], T]) -> T:
        """What `work` returns. It must be safe to repeat: after a lost connection nobody knows how far it came.

        Deadlocks, lock wait timeouts and lost connections are tried again, with jitter; in the end they raise Stalled or
        ServerLost. Any other error of the server's is raised as it is. In every case the transaction is rolled back: a
        lock wait timeout undoes one statement only, and what came before it would be committed later.
        """
        for attempt in range(1, self._attempts + 1):
            try:
                return work(self._open())
            except (pymysql.err.MySQLError, ServerLost, OSError) as error:
                self._roll_back(error)
                lost = isinstance(error, ServerLost) or is_lost(error)
                if not lost and not is_retryable(error):
                    raise
                if attempt == self._attempts:
                    text = f"cannot {self._purpose}, tried {attempt} times: {error_text(error)}"
                    raise (ServerLost(text) if lost else Stalled(text)) from error
            self._stop.wait(_pause_s(attempt))
            self._stop.check()
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _open(self) -> Conn:
        if self._connection is None:
            connection = self._sessions.open(self._purpose, self._variables, self._read_timeout_s)
            self._connection = connection
            if self._prepare is not None:
                self._prepare(connection)
        return self._connection

    def _roll_back(self, error: Exception) -> None:
        if self._connection is None:
            return
        if is_lost(error):
            self.close()
            return
        try:
            self._connection.rollback()
        except (pymysql.err.MySQLError, OSError):
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
