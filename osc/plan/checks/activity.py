"""What is going on at the moment that would hold a migration up: prepared XA transactions, old transactions, locks."""

from __future__ import annotations

from osc.mysql.server import Server
from osc.mysql.session import Conn
from osc.plan.checks.ask import Row, ask, ask_for_sessions_if_allowed, ask_if_allowed
from osc.plan.findings import Finding, warning
from osc.table.names import Names

OLD_TRANSACTION_S = 60


def check_activity(connection: Conn, server: Server, names: Names) -> list[Finding]:
    """Findings about what other sessions are doing; each may be gone a moment later."""
    return [
        *_prepared_xa(connection, server),
        *_old_transactions(connection),
        *_locks(connection, names),
    ]


def _prepared_xa(connection: Conn, server: Server) -> list[Finding]:
    rows = ask_if_allowed(connection, "xa recover format='SQL'" if server.is_mariadb else "xa recover convert xid")
    if not rows:
        return []
    xids = [str(row[3]) if server.is_mariadb else _mysql_xid(row) for row in rows]
    return [
        warning(
            "prepared-xa",
            f"{len(xids)} prepared XA transaction{'s' if len(xids) > 1 else ''} on the server",
            f"The migration starts copying only when each of them has ended: {'; '.join(xids)}.",
            "\n".join(f"XA COMMIT {xid};   -- or XA ROLLBACK {xid};" for xid in xids),
        )
    ]


def _mysql_xid(row: Row) -> str:
    """The xid as `XA COMMIT` takes it, out of format, two lengths in bytes, and `0x` with both parts in hexadecimal."""
    end = 2 + 2 * int(str(row[1]))
    data = str(row[3])
    branch = f"0x{data[end:]}" if data[end:] else "''"
    return f"{data[:end]},{branch},{row[0]}"


def _old_transactions(connection: Conn) -> list[Finding]:
    # trx_started is in the time zone of the operating system, whatever that of the session is (seen).
    rows = ask_for_sessions_if_allowed(
        connection,
        "select trx_mysql_thread_id, age, trx_query from (select trx_mysql_thread_id, trx_query, timestampdiff(second,"
        " trx_started, convert_tz(now(), @@session.time_zone, 'SYSTEM')) as age from information_schema.innodb_trx) t"
        " where age >= %s and trx_mysql_thread_id not in (0, connection_id()) order by age desc",
        (OLD_TRANSACTION_S,),
    )
    if not rows:
        return []
    owners = {row[0]: f"{row[1]}@{row[2]}" for row in ask(connection, "show full processlist")}
    listed = "; ".join(
        f"connection {row[0]} ({owners.get(row[0], 'gone by now')}), {row[1]} s, "
        + (f"running {' '.join(str(row[2]).split())[:80]}" if row[2] else "idle")
        for row in rows
    )
    return [
        warning(
            "old-transactions",
            f"{len(rows)} transaction{'s' if len(rows) > 1 else ''} open for more than {OLD_TRANSACTION_S} s",
            f"The swap waits for transactions that are older than the end of the copy: {listed}.",
            "\n".join(f"KILL {row[0]};" for row in rows),
        )
    ]


def _locks(connection: Conn, names: Names) -> list[Finding]:
    """Backup locks, and locks on the table itself. Empty where the server does not record metadata locks."""
    rows = ask_if_allowed(
        connection,
        "select t.processlist_id, t.processlist_user, t.processlist_host, m.object_type, m.lock_type"
        " from performance_schema.metadata_locks m join performance_schema.threads t on t.thread_id = m.owner_thread_id"
        " where m.lock_status = 'GRANTED' and t.processlist_id <> connection_id() and ("
        # LOCK INSTANCE FOR BACKUP takes BACKUP LOCK, FLUSH TABLES WITH READ LOCK takes GLOBAL and COMMIT; on MariaDB
        # both take BACKUP (seen).
        " (m.object_type in ('BACKUP LOCK', 'BACKUP', 'GLOBAL', 'COMMIT') and m.lock_duration = 'EXPLICIT')"
        " or (m.object_type = 'TABLE' and m.object_schema = %s and m.object_name = %s and m.lock_type in"
        " ('SHARED_UPGRADABLE', 'SHARED_READ_ONLY', 'SHARED_NO_WRITE', 'SHARED_NO_READ_WRITE', 'EXCLUSIVE')))"
        " order by 1",
        (names.database, names.table),
    )
    if not rows:
        return []
    listed = "; ".join(f"connection {row[0]} ({row[1]}@{row[2]}) holds {row[3]} {row[4]}" for row in rows)
    return [
        warning(
            "locks-held",
            "somebody holds a lock that keeps a migration from making tables or from swapping them",
            f"A backup, LOCK TABLES or an ALTER: {listed}.",
            "\n".join(f"KILL {number};" for number in dict.fromkeys(row[0] for row in rows)),
        )
    ]
