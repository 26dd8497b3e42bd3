"""Before anything is created: every reason not to start, and everything worth knowing, in one go.

Nothing here writes, locks or waits, and every question is one that the login of a migration may ask.
"""

from __future__ import annotations

from dataclasses import dataclass

from osc.mysql.server import Server
from osc.mysql.session import Conn
from osc.plan.alter import AlterStatement
from osc.plan.checks.activity import check_activity
from osc.plan.checks.alter import check_alter
from osc.plan.checks.binlog import check_binlog
from osc.plan.checks.grants import check_binlog_server_grants, check_grants
from osc.plan.checks.keys import check_keys
from osc.plan.checks.leftovers import RoomMaking, check_leftovers
from osc.plan.checks.replication import check_binlog_server, check_reader_id, check_replication
from osc.plan.checks.server import check_server, check_version
from osc.plan.checks.table import check_table
from osc.plan.findings import Finding, in_order
from osc.table.facts import Table
from osc.table.names import Names


@dataclass(frozen=True, slots=True)
class BinlogServer:
    """A replica whose binlog is read in place of the primary's: a session on it, and what it is."""

    connection: Conn
    server: Server


def preflight(
    connection: Conn,
    server: Server,
    names: Names,
    table: Table | None,
    alter: AlterStatement | None = None,
    *,
    binlog_server: BinlogServer | None = None,
    reader_id: int | None = None,
    room: RoomMaking | None = None,
) -> list[Finding]:
    """Everything there is to say before a migration of `names.table` starts, the blocking findings first.

    `connection` is a session on the primary, in autocommit; `table` is what `read_table_if_allowed` returned;
    `reader_id` is the server id under which the binlog will be read, when the operator chose it. Raises pymysql's errors
    when a connection breaks.
    """
    too_old = check_version(server)
    if too_old:
        return too_old
    findings = [
        *check_grants(connection, server, names),
        *check_server(server, names),
        *check_binlog(connection, server, names, table, alter),
        *check_replication(connection, server),
        *check_table(connection, server, names, table),
        *check_leftovers(connection, server, names, room or RoomMaking()),
        *check_activity(connection, server, names),
    ]
    if table is not None:
        findings += check_keys(table)
    if alter is not None:
        findings += check_alter(server, names, alter)
    if binlog_server is not None:
        findings += _of_binlog_server(binlog_server, server, names, table, alter)
    if reader_id is not None:
        findings += check_reader_id(
            *((binlog_server.connection, binlog_server.server) if binlog_server else (connection, server)), reader_id
        )
    return in_order(findings)


def _of_binlog_server(
    binlog_server: BinlogServer, primary: Server, names: Names, table: Table | None, alter: AlterStatement | None
) -> list[Finding]:
    """What has to hold on a replica whose binlog is read."""
    connection, server = binlog_server.connection, binlog_server.server
    too_old = check_version(server)
    if too_old:
        return too_old
    return [
        *check_binlog_server_grants(connection, server, names),
        *check_binlog_server(connection, server, primary, names),
        *check_binlog(connection, server, names, table, alter, where=" on the binlog server"),
    ]
