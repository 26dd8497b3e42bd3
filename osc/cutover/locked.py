"""The locked rename, for MySQL 8.0.13 and later: one session locks, reconciles and renames.

    SET autocommit = 0
    LOCK TABLES t WRITE, ghost WRITE, state WRITE      writers queue from here ...
    ... the handover ...
    RENAME TABLE t TO old, ghost TO t                  both or none, and nobody sees the name missing
    UNLOCK TABLES                                      ... to here, and find the new table

If the session dies before the rename, the server releases the locks and nothing has happened.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import pymysql

from osc.cutover.conditions import AttemptFailed
from osc.cutover.handover import Budget, Handover
from osc.cutover.outcome import Swap, Swapped, unlock
from osc.mysql.session import LOCK_WAIT_TIMEOUT, Conn, Sessions, error_code, error_text
from osc.mysql.sql import qualified
from osc.table.key import Key
from osc.table.names import Names
from osc.table.projection import MigrationKey
from osc.table.temporary_key import drop_temporary_key


class LockedRename(Swap):
    """Swaps under one session's lock."""

    def __init__(
        self,
        sessions: Sessions,
        names: Names,
        key: MigrationKey,
        handover: Handover,
        lock_timeout_s: int,
        variables: Mapping[str, str],
    ) -> None:
        """`variables`: of every session that turns rows of the original into rows of the ghost."""
        self._sessions = sessions
        self._names = names
        self._key = key
        self._handover = handover
        self._lock_timeout_s = lock_timeout_s
        self._variables = variables

    def attempt(self, restless: set[Key]) -> Swapped:
        """Try once. Raises AttemptFailed when another try makes sense, and any other error when none does."""
        connection = open_locking_session(self._sessions, self._lock_timeout_s, self._variables)
        names = self._names
        table, ghost, state, old = (
            qualified(names.database, name) for name in (names.table, names.ghost, names.state, names.old)
        )
        try:
            self._handover.prepare(connection, names.ghost)
            started = time.monotonic()
            with connection.cursor() as cursor:
                try:
                    self._lock(connection, f"lock tables {table} write, {ghost} write, {state} write")
                    budget = Budget.of(self._lock_timeout_s)
                    keys = self._handover.run(connection, names.ghost, restless, budget)
                    cursor.execute(f"set session lock_wait_timeout = {max(1, round(budget.left_s))}")
                    cursor.execute(f"rename table {table} to {old}, {ghost} to {table}")
                    if self._key.ghost_index_is_temporary:
                        # Not before: an attempt that fails must leave the ghost as it was. Nobody sees it, for the lock.
                        drop_temporary_key(connection, names.database, names.table, self._key)
                finally:
                    unlock(connection)
                    self.last_stall_ms = (time.monotonic() - started) * 1_000
            return Swapped(self.last_stall_ms, keys)
        finally:
            if connection.open:
                connection.close()

    def _lock(self, connection: Conn, statement: str) -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
        except pymysql.err.MySQLError as error:
            if error_code(error) == LOCK_WAIT_TIMEOUT:
                raise AttemptFailed(
                    f"the table was in use for {self._lock_timeout_s} s: {error_text(error)}"
                ) from error
            raise


def open_locking_session(sessions: Sessions, lock_timeout_s: int, variables: Mapping[str, str]) -> Conn:
    """A session whose locks do not outlive this process by long.

    A lock outlives a host that vanishes until `wait_timeout`, by default for 8 hours. Here that is a second more than the
    swap may take.
    """
    return sessions.open(
        "lock the tables for the swap",
        {
            **variables,
            "autocommit": "0",
            "lock_wait_timeout": str(lock_timeout_s),
            "innodb_lock_wait_timeout": str(lock_timeout_s),
            "wait_timeout": str(lock_timeout_s + 1),
        },
        read_timeout_s=lock_timeout_s * 3 + 5,
    )
