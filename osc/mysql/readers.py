"""Who reads this server's binlog right now: replicas, and whatever else follows it."""

from __future__ import annotations

from osc.mysql.session import Conn
from osc.mysql.transactions import ask_for_sessions


def binlog_readers(connection: Conn) -> int | None:
    """How many sessions follow the binlog, a running engine's own included; None when the server cannot tell now.

    Asked of the process list, which the required PROCESS privilege opens on both servers. A replica that is down at the
    moment is not in it.
    """
    rows = ask_for_sessions(
        connection, "select id from information_schema.processlist where command like 'Binlog Dump%'"
    )
    return None if rows is None else len(rows)
