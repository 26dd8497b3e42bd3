"""What is in the way of a swap, by name, so that somebody can do something about it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import pymysql

from osc.cutover.holders import OF_THE_SERVER, holders
from osc.mysql.session import LOCK_WAIT_TIMEOUT, Conn, error_code, error_text
from osc.mysql.transactions import ask_for_sessions
from osc.state.table import STATE_COMMENT
from osc.table.names import Names


@dataclass(frozen=True, slots=True)
class Blocker:
    """Somebody or something in the way of the swap."""

    text: str
    """For people."""
    session: int | None = None
    """The connection that would have to end; None where it is none that could be ended."""
    rows_modified: int | None = None
    """By its transaction; None where that is not known."""
    is_explicit: bool = False
    """Whether it holds a lock on purpose: `LOCK TABLES` and the like."""
    since: str = ""
    """What tells its transaction from another one of the same connection."""
    is_of_the_server: bool = False
    """Whether it is a thread of the server's own, as those that apply what is replicated."""


def server_now(connection: Conn) -> str:
    """The server's own time, in the zone in which it shows when transactions began. The session's zone must be SYSTEM."""
    with connection.cursor() as cursor:
        cursor.execute("select now(6)")
        row = cursor.fetchone()
    assert row is not None
    return str(row[0])


def old_snapshots(connection: Conn, copied_at: str, own: Collection[int]) -> list[Blocker]:
    """Transactions, other than the engine's own, that may see the ghost as it was before `copied_at`.

    Under REPEATABLE READ, one that has not read the table yet would find it half full after the swap, without an error. A
    backup that dumps table by table is of that kind. Needs PROCESS; the session's time zone must be SYSTEM.
    """
    rows = ask_for_sessions(
        connection,
        "select t.trx_mysql_thread_id, t.trx_started, p.user, p.host, t.trx_rows_modified"
        " from information_schema.innodb_trx t join information_schema.processlist p on p.id = t.trx_mysql_thread_id"
        " where t.trx_isolation_level in ('REPEATABLE READ', 'SERIALIZABLE') and t.trx_started <= %s",
        (copied_at,),
    )
    if rows is None:
        hidden = "a statement with characters beyond the basic plane, which hides the list of transactions (error 3854)"
        return [Blocker(hidden)]
    return [
        Blocker(
            f"transaction of connection {thread} ({user}@{host}), open since {began}",
            int(str(thread)),
            int(str(modified)),
            since=str(began),
            is_of_the_server=user in OF_THE_SERVER,
        )
        for thread, began, user, host, modified in rows
        if thread not in own
    ]


def table_users(connection: Conn, names: Names, own: Collection[int], longer_than_s: float) -> list[Blocker]:
    """Sessions that keep the table's metadata lock: an attempt at the swap would wait for them in vain, and others for it.

    Empty where this login may not see who holds it; then the attempt finds out.
    """
    return [
        Blocker(
            holder.text,
            holder.connection,
            holder.rows_modified,
            holder.is_explicit,
            holder.since,
            holder.is_of_the_server,
        )
        for holder in holders(connection, names.database, names.table, own, longer_than_s)
        if holder.keeps_it
    ]


def prepared_transactions(connection: Conn) -> list[str]:
    """XA transactions that are prepared and wait for somebody to decide them. Needs XA_RECOVER_ADMIN on MySQL."""
    with connection.cursor() as cursor:
        cursor.execute("xa recover")
        return [f"prepared XA transaction {_printable(row[3])}" for row in cursor.fetchall()]


DEFINITION_LOCK = "a lock that lets nobody define tables: LOCK INSTANCE FOR BACKUP, BACKUP STAGE or a global read lock"


def definition_lock(connection: Conn, state_table: str) -> bool:
    """Whether there is a backup lock or a global read lock, for which a `RENAME` would wait while writers wait for it.

    Found by trying: a change of the engine's own state table that changes nothing has to wait for the same lock. Whoever
    holds it can only be named with the optional privileges. The session's `lock_wait_timeout` is how long it tries.
    """
    with connection.cursor() as cursor:
        try:
            cursor.execute(f"alter table {state_table} comment = '{STATE_COMMENT}'")
        except pymysql.err.OperationalError as error:
            if error_code(error) != LOCK_WAIT_TIMEOUT:
                raise
            return True
    return False


def defines(connection: Conn, state_table: str, define: Callable[[Conn], None]) -> str | None:
    """Define something about the ghost; what is in the way when the server did not get the lock for it in time.

    Nothing is asked of the ghost while nobody may define tables, but such a lock may come in between, and a transaction
    that has read the ghost keeps it from being altered as well.
    """
    if definition_lock(connection, state_table):
        return DEFINITION_LOCK
    try:
        define(connection)
    except pymysql.err.OperationalError as error:
        if error_code(error) != LOCK_WAIT_TIMEOUT:
            raise
        return f"somebody who uses the ghost table, or {DEFINITION_LOCK}: {error_text(error)}"
    return None


def is_renaming(connection: Conn) -> bool:
    """Whether a session of this login is in the middle of a `RENAME TABLE`."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select 1 from information_schema.processlist where user = substring_index(user(), '@', 1)"
            " and info like 'rename table%' limit 1"
        )
        return cursor.fetchone() is not None


def _printable(xid: str | bytes) -> str:
    return repr(xid.decode(errors="backslashreplace") if isinstance(xid, bytes) else xid)
