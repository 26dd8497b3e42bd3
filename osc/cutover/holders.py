"""Who holds the table's metadata lock, by name, so that somebody can do something about it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from osc.mysql.session import Conn
from osc.plan.checks.ask import ask_for_sessions_if_allowed, ask_if_allowed

_AGE = "timestampdiff(second, x.trx_started, convert_tz(now(), @@session.time_zone, 'SYSTEM'))"
"""`trx_started` is in the time zone of the operating system."""

OF_THE_SERVER = frozenset({None, "", "system user", "event_scheduler"})
"""Users of threads that are the server's own."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A session in whose way a change of the table's definition is, or may be."""

    connection: int
    text: str
    """For people."""
    keeps_it: bool
    """Whether the lock is held on purpose (`LOCK TABLES`), or has been for longer than was asked about."""
    is_explicit: bool = False
    """Whether it is `LOCK TABLES` or the like."""
    rows_modified: int | None = None
    """What it would take to roll the session's transaction back; None where it has none, or it is not known."""
    since: str = ""
    """When its transaction began, by the server's clock."""
    is_of_the_server: bool = False


def holders(connection: Conn, database: str, table: str, own: Collection[int], longer_than_s: float) -> list[Holder]:
    """Sessions that hold a lock on the table.

    Where the server does not show those (no performance schema, or no privilege), the sessions with a transaction older
    than `longer_than_s`, which may be in the way; then nobody is known to keep the lock.
    """
    rows = ask_for_sessions_if_allowed(
        connection,
        "select t.processlist_id, t.processlist_user, t.processlist_host, max(m.lock_duration = 'EXPLICIT'),"
        f" max({_AGE}), max(t.processlist_info), max(x.trx_rows_modified), max(x.trx_started)"
        " from performance_schema.metadata_locks m"
        " join performance_schema.threads t on t.thread_id = m.owner_thread_id"
        " left join information_schema.innodb_trx x on x.trx_mysql_thread_id = t.processlist_id"
        " where m.object_type = 'TABLE' and m.object_schema = %s and m.object_name = %s and m.lock_status = 'GRANTED'"
        " group by t.processlist_id, t.processlist_user, t.processlist_host order by 1",
        (database, table),
    )
    if rows:
        return [
            Holder(
                int(str(number)),
                f"connection {number} ({user}@{host}), which {_doing(age, info)}",
                bool(explicit) or (age is not None and int(str(age)) >= longer_than_s),
                bool(explicit),
                None if modified is None else int(str(modified)),
                str(began),
                user in OF_THE_SERVER,
            )
            for number, user, host, explicit, age, info, modified, began in rows
            if number is not None and number not in own
        ]
    suspects = ask_for_sessions_if_allowed(
        connection,
        f"select x.trx_mysql_thread_id, p.user, p.host, {_AGE} from information_schema.innodb_trx x"
        " join information_schema.processlist p on p.id = x.trx_mysql_thread_id"
        f" where {_AGE} >= %s order by x.trx_started",
        (int(longer_than_s),),
    )
    return [
        Holder(int(str(number)), f"perhaps connection {number} ({user}@{host}), in a transaction for {age} s", False)
        for number, user, host, age in suspects or ()
        if number not in own
    ]


_LOCKED_TABLES = ("SHARED_READ_ONLY", "SHARED_NO_WRITE", "SHARED_NO_READ_WRITE")
"""What `LOCK TABLES` takes, with the duration of a transaction, and no statement of an application."""


def deliberate_lockers(connection: Conn) -> frozenset[int] | None:
    """Sessions that hold a lock on purpose: `LOCK TABLES` on any table, a global read lock, a backup's.

    On MariaDB `LOCK TABLES ... READ` looks like any reading transaction, and is not among them. None where nothing of this can
    be seen: without `SELECT` on `performance_schema`, or where that is off, as MariaDB's is by
    default, or does not watch metadata locks.
    """
    watched = ask_if_allowed(
        connection,
        "select 1 from performance_schema.setup_instruments where name = 'wait/lock/metadata/sql/mdl' and enabled = 'YES'",
    )
    if not watched:
        return None
    rows = ask_if_allowed(
        connection,
        "select distinct t.processlist_id from performance_schema.metadata_locks m"
        " join performance_schema.threads t on t.thread_id = m.owner_thread_id"
        " where m.lock_status = 'GRANTED' and m.object_type <> 'USER LEVEL LOCK' and t.processlist_id is not null"
        " and (m.lock_duration = 'EXPLICIT' or m.lock_type in (%s, %s, %s))",
        _LOCKED_TABLES,
    )
    return None if rows is None else frozenset(int(str(row[0])) for row in rows)


def _doing(age: object, info: object) -> str:
    transaction = "uses the table" if age is None else f"has been using the table in a transaction of {age} s"
    return f"{transaction} and runs {' '.join(str(info).split())[:80]}" if info else f"{transaction} and is idle"
