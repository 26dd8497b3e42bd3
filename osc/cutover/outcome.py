"""What every kind of swap offers, and what comes of an attempt."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import pymysql

from osc.mysql.session import Conn
from osc.table.key import Key


@dataclass(frozen=True, slots=True)
class Swapped:
    """The tables have changed places."""

    stall_ms: float
    """From sending the lock request to the release: the longest that a writer was kept waiting."""
    keys: int
    """Keys that were reconciled under the lock."""


class Swap(ABC):
    """A way to let the original and the ghost change places."""

    last_stall_ms = 0.0
    """Of the latest attempt, whether or not it succeeded."""

    @abstractmethod
    def attempt(self, restless: set[Key]) -> Swapped:
        """Try once; `restless` are the keys to be compared under the lock.

        Raises AttemptFailed when another try makes sense, any other error when none does.
        """


def unlock(connection: Conn) -> None:
    """Roll back and release the session's locks. A session that is gone has released them itself."""
    try:
        connection.rollback()
        with connection.cursor() as cursor:
            cursor.execute("unlock tables")
    except (pymysql.err.MySQLError, OSError):
        if connection.open:
            connection.close()
