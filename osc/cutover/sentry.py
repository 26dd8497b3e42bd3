"""The sentry rename, for servers that refuse a `RENAME` in the session that holds the lock (MariaDB, error 1192).

    session 1                                         session 2
    create table old (the sentry)
    LOCK TABLES t, ghost, sentry, state WRITE         writers queue from here ...
    ... the handover ...
                                                      RENAME TABLE t TO old, ghost TO t     blocks
    waits until session 2 waits for its lock
    DROP TABLE sentry
    UNLOCK TABLES                                     goes ahead of every queued writer ... to here

While the sentry stands, the rename cannot succeed: if session 1 dies early, its locks are gone, the rename fails because
`old` exists, and nothing has happened.

A pending `RENAME` overtakes writers that queue for the same table, but only on the table that it waits for. The server
takes its metadata locks in byte order of the names: were `old` or the ghost first in that order, it would wait there, and
at the unlock the queued writers would win the race for `t`, and write into a table that is then renamed away. So for the
moment of the swap both have names that sort behind `t`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping

import pymysql

from osc.cutover.conditions import AttemptFailed
from osc.cutover.cutover import MOST_PENDING
from osc.cutover.handover import Budget, Handover
from osc.cutover.locked import open_locking_session
from osc.cutover.names import SwapNames, restore_names
from osc.cutover.outcome import Swap, Swapped, unlock
from osc.errors import OscError, Stalled
from osc.mysql.session import LOCK_WAIT_TIMEOUT, Conn, Sessions, connection_id, error_code, error_text
from osc.mysql.sql import qualified
from osc.state.table import SENTRY_COMMENT, table_comment
from osc.table.ghost import existing
from osc.table.key import Key
from osc.table.names import Names
from osc.table.projection import MigrationKey
from osc.table.temporary_key import add_temporary_key, drop_temporary_key, has_temporary_key
from osc.threads import OwnedThread

log = logging.getLogger(__name__)

WAITING_STATE = "Waiting for table metadata lock"
"""Exactly this. Other states contain "lock" as well, and a rename in one of them does not wait for `t` yet."""

POLITE_ATTEMPTS = 20
"""In so many attempts the lock is only asked for without waiting, again and again, for as long as it might wait.

A request that waits makes every writer wait behind it, and makes the server fail transactions that have read the table and now
want to write it. Measured on MariaDB 10.11, eight swaps each: with 4 to 16 sessions that did just that, in the table for a
sixth to four fifths of their time, waiting got the lock within 80 ms and cost the application 11 to 74 deadlock errors (1213).
Not waiting, but asking every 5 ms, cost it none, and got the lock within 0.6 s at the median, 3 s at the worst; but in four
of the eight, not at all within 5 s, where 16 sessions held it for four fifths. So in the end there is an attempt that
waits: else a table that is never free would never be swapped. Meanwhile the application goes on and nobody reconciles, the
ghost having its name for the swap; so an attempt also ends when there is too much left to do under the lock.
"""

NO_WAIT_PAUSE_S = 0.001
"""The more often it is asked, the likelier it is asked at a moment at which the table is free. Beside four writers that never
pause, five swaps took seven attempts in vain; asking every 5 ms, at least fourteen (MariaDB 10.11).
"""

TABLE_EXISTS = 1050


class SentryRename(Swap):
    """Swaps with a second session that waits behind the lock."""

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
        self._swap_names = SwapNames.of(names)
        self._has_set_up = False
        self._attempts = 0
        self._asked_at = 0.0

    def attempt(self, restless: set[Key]) -> Swapped:
        """Try once. Raises AttemptFailed when another try makes sense, and any other error when none does."""
        self._attempts += 1
        lock_session = open_locking_session(self._sessions, self._lock_timeout_s, self._variables)
        rename_session: Conn | None = None
        try:
            rename_session = self._sessions.open(
                "rename the tables",
                {"lock_wait_timeout": str(self._lock_timeout_s), "wait_timeout": str(self._lock_timeout_s * 3 + 5)},
                read_timeout_s=self._lock_timeout_s * 3 + 5,
            )
            self._set_up(rename_session)
            self._handover.prepare(lock_session, self._swap_names.ghost)
            return self._swap(lock_session, rename_session, restless)
        finally:
            for session in (lock_session, rename_session):
                if session is not None and session.open:
                    session.close()
            self._put_names_right()

    def _swap(self, lock_session: Conn, rename_session: Conn, restless: set[Key]) -> Swapped:
        rename = OwnedThread("rename", lambda: self._rename(rename_session))
        self._asked_at = time.monotonic()
        try:
            self._lock(lock_session)
            budget = Budget.of(self._lock_timeout_s)
            keys = self._handover.run(lock_session, self._swap_names.ghost, restless, budget)
            rename.start()
            self._wait_until_queued(lock_session, rename, connection_id(rename_session), budget)
            if self._key.ghost_index_is_temporary:
                drop_temporary_key(lock_session, self._names.database, self._swap_names.ghost, self._key)
            self._drop_sentry(lock_session)
        finally:
            unlock(lock_session)
            self.last_stall_ms = (time.monotonic() - self._asked_at) * 1_000
            if rename.is_started:
                rename.join()
        rename.raise_if_dead()
        self.last_stall_ms = (time.monotonic() - self._asked_at) * 1_000
        return Swapped(self.last_stall_ms, keys)

    # --- the lock -------------------------------------------------------------------------------------------------

    def _lock(self, connection: Conn) -> None:
        """Get the lock, or raise AttemptFailed. Nobody waits before the request that gets it, or that waits, is sent."""
        tables = ", ".join(
            f"{qualified(self._names.database, name)} write"
            for name in (self._names.table, self._swap_names.ghost, self._swap_names.old, self._names.state)
        )
        is_polite = self._attempts <= POLITE_ATTEMPTS
        ends_at = time.monotonic() + (self._lock_timeout_s if is_polite else 0)
        pause = threading.Event()
        while True:
            self._asked_at = time.monotonic()
            try:
                with connection.cursor() as cursor:
                    cursor.execute(f"lock tables {tables} {'nowait' if is_polite else f'wait {self._lock_timeout_s}'}")
                return
            except pymysql.err.MySQLError as error:
                if error_code(error) != LOCK_WAIT_TIMEOUT:
                    raise
                if is_polite and self._handover.waiting_keys > MOST_PENDING:
                    raise AttemptFailed(
                        f"the table was in use, and {self._handover.waiting_keys} keys changed while the lock was asked for"
                    ) from error
                if time.monotonic() >= ends_at:
                    waited = "asked for without making anybody wait" if is_polite else "waited for"
                    raise AttemptFailed(
                        f"the table was in use whenever it was {waited}, for {self._lock_timeout_s} s: {error_text(error)}"
                    ) from error
            pause.wait(NO_WAIT_PAUSE_S)

    # --- the rename -----------------------------------------------------------------------------------------------

    def _rename(self, connection: Conn) -> None:
        names = (self._names.table, self._swap_names.ghost, self._swap_names.old)
        assert names[0].encode() == min(name.encode() for name in names), f"{names[0]!r} does not sort first in {names}"
        table, ghost, old = (qualified(self._names.database, name) for name in names)
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"rename table {table} to {old}, {ghost} to {table}")
        except pymysql.err.MySQLError as error:
            if error_code(error) in (LOCK_WAIT_TIMEOUT, TABLE_EXISTS):
                raise AttemptFailed(f"the rename did not go through: {error_text(error)}") from error
            raise

    def _wait_until_queued(self, connection: Conn, rename: OwnedThread, rename_id: int, budget: Budget) -> None:
        pause = threading.Event()
        while True:
            rename.raise_if_dead()
            with connection.cursor() as cursor:
                cursor.execute("select state from information_schema.processlist where id = %s", (rename_id,))
                row = cursor.fetchone()
            if row is not None and row[0] == WAITING_STATE:
                return
            budget.check("waiting for the rename to queue")
            pause.wait(0.001)

    def _drop_sentry(self, connection: Conn) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"drop table {qualified(self._names.database, self._swap_names.old)}")

    # --- names ----------------------------------------------------------------------------------------------------

    def _set_up(self, connection: Conn) -> None:
        """Make the sentry, and give the ghost the name under which it can be swapped."""
        if self._has_set_up:
            restore_names(connection, self._names)
        if table_comment(connection, self._names.database, self._swap_names.old) == SENTRY_COMMENT:
            # Made for an attempt whose connection broke before it heard of that.
            try:
                restore_names(connection, self._names)
            except Stalled as error:
                raise AttemptFailed(str(error)) from error
        self._make_sentry(connection)
        self._has_set_up = True
        if self._swap_names.ghost != self._names.ghost:
            ghost, new = (qualified(self._names.database, n) for n in (self._names.ghost, self._swap_names.ghost))
            with connection.cursor() as cursor:
                cursor.execute(f"rename table {ghost} to {new}")

    def _make_sentry(self, connection: Conn) -> None:
        sentry = qualified(self._names.database, self._swap_names.old)
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"create table {sentry} (id int primary key) engine=InnoDB comment='{SENTRY_COMMENT}'")
        except pymysql.err.OperationalError as error:
            if error_code(error) != TABLE_EXISTS:
                raise
            raise AttemptFailed(f"{sentry} exists, and the swap needs that name for a moment") from error

    def _put_names_right(self) -> None:
        """Lasting names for the old table after a swap, the ghost's own name, its key and no sentry after none.

        Only what this attempt has made or renamed. A failure must not hide how the swap went; the next attempt, or the next
        run, finds the names as they are.
        """
        if not self._has_set_up:
            return
        try:
            connection = self._sessions.open("put the names right", {"lock_wait_timeout": "10"})
            try:
                restore_names(connection, self._names)
                self._restore_key(connection)
            finally:
                connection.close()
        except (OscError, pymysql.err.MySQLError, OSError) as error:
            log.warning("the swap's temporary names could not be put right: %s", error_text(error))

    def _restore_key(self, connection: Conn) -> None:
        """An attempt that failed after it had dropped the temporary key must leave the ghost as it was."""
        names = self._names
        if (
            self._key.ghost_index_is_temporary
            and existing(connection, names.database, [names.ghost])
            and not has_temporary_key(connection, names.database, names.ghost, self._key)
        ):
            add_temporary_key(connection, names.database, names.ghost, self._key)
