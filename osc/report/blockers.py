"""Who would keep the swap waiting if it came now: open transactions and locks on the table, by user and statement."""

from __future__ import annotations

import re
from collections.abc import Collection

from osc.mysql.session import Conn
from osc.plan.checks.ask import ask, ask_for_sessions_if_allowed, ask_if_allowed
from osc.report.plan import Blocker
from osc.table.names import Names

OPEN_FOR_S = 5
"""Younger transactions are the application at work."""
MOST_SHOWN = 20

_LITERAL = re.compile(r"""'(?:[^'\\]|\\.|'')*(?:'|$)|"(?:[^"\\]|\\.|"")*(?:"|$)""", re.DOTALL)
"""A string, also one that the server has cut off."""


def blockers_now(connection: Conn, names: Names, own: Collection[int]) -> tuple[Blocker, ...]:
    """The oldest first. `own`: connections that do not count. Empty where the login may not see them."""
    # trx_started is in the time zone of the operating system.
    rows = ask_for_sessions_if_allowed(
        connection,
        "select trx_mysql_thread_id, age, trx_query from (select trx_mysql_thread_id, trx_query, timestampdiff(second,"
        " trx_started, convert_tz(now(), @@session.time_zone, 'SYSTEM')) as age from information_schema.innodb_trx) t"
        " where age >= %s and trx_mysql_thread_id <> 0 order by age desc",
        (OPEN_FOR_S,),
    )
    owners = {int(str(row[0])): f"{row[1]}@{row[2]}" for row in ask(connection, "show full processlist")}
    found = [
        Blocker(session, owners.get(session, "gone by now"), "transaction", int(str(row[1])), _one_line(row[2]))
        for row in rows or ()
        if (session := int(str(row[0]))) not in own
    ]
    locks = ask_if_allowed(
        connection,
        "select t.processlist_id, m.lock_type, t.processlist_info"
        " from performance_schema.metadata_locks m join performance_schema.threads t on t.thread_id = m.owner_thread_id"
        " where m.lock_status = 'GRANTED' and m.object_type = 'TABLE' and m.object_schema = %s and m.object_name = %s"
        " and t.processlist_id <> connection_id() order by 1",
        (names.database, names.table),
    )
    listed = {blocker.session for blocker in found}
    found += [
        Blocker(session, owners.get(session, "gone by now"), f"metadata lock {row[1]}", None, _one_line(row[2]))
        for row in locks or ()
        if (session := int(str(row[0]))) not in own and session not in listed and "EXCLUSIVE" in str(row[1])
    ]
    return tuple(found[:MOST_SHOWN])


def _one_line(statement: object) -> str:
    """The statement without its literals: a plan is passed around, and they may be anybody's data, or a password."""
    return "" if statement is None else " ".join(_LITERAL.sub("?", str(statement)).split())[:200]
