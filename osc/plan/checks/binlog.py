"""Whether the binlog tells of every row that changes in the table, in the order in which commits become visible."""

from __future__ import annotations

from osc.mysql.names import folded
from osc.mysql.server import Server
from osc.mysql.session import Conn
from osc.plan.alter import AlterStatement
from osc.plan.checks.ask import ask_for_titled_rows, ask_if_allowed
from osc.plan.findings import Finding, blocking, note, warning
from osc.table.choose import source_candidates
from osc.table.facts import Column, Index, Table
from osc.table.names import Names

SHORT_RETENTION_S = 6 * 3600

_FULL_IMAGES = frozenset({"FULL", "FULL_NODUP"})


def check_binlog(
    connection: Conn, server: Server, names: Names, table: Table | None, alter: AlterStatement | None, where: str = ""
) -> list[Finding]:
    """Findings about the binlog of the server. `where` names the server in the titles when it is not the primary."""
    if not server.is_on("log_bin"):
        return [
            blocking(
                "binlog-off",
                f"the binlog is off{where}",
                "Changes to the table while it is copied are learnt from the binlog.",
                "restart the server with log_bin and binlog_format=ROW",
            )
        ]
    return [
        *_format(server, where),
        *_row_image(server, table, alter, where),
        *_commit_order(server, where),
        *_filters(connection, server, names, where),
        *_retention(server, where),
        *_gtid_mode(server, where),
        *_sessions(connection, server, where),
    ]


def _format(server: Server, where: str) -> list[Finding]:
    current = server.variable("binlog_format", "ROW").upper()
    if current == "ROW":
        return []
    return [
        blocking(
            "binlog-format",
            f"binlog_format is {current}{where}",
            "Statements do not say which rows they change. Sessions that are open keep the old format until they "
            "connect again, and a statement that one of them logs stops the migration.",
            "SET GLOBAL binlog_format = 'ROW';   -- and in the server's configuration file; then let clients reconnect",
        )
    ]


def _row_image(server: Server, table: Table | None, alter: AlterStatement | None, where: str) -> list[Finding]:
    image = server.variable("binlog_row_image", "FULL").upper()
    # NOBLOB leaves out columns only that no key can have.
    if image in _FULL_IMAGES or image == "NOBLOB" or table is None:
        return []
    reason = _why_key_is_missing(server, table, alter)
    if reason is None:
        return []
    return [
        blocking(
            "binlog-row-image",
            f"binlog_row_image is {image}{where}, and {reason}",
            "With that image an event is sure to hold the primary key alone, so the migration could not tell which row "
            "an event is about.",
            "SET GLOBAL binlog_row_image = 'FULL';   -- open sessions keep theirs until they connect again",
        )
    ]


def _why_key_is_missing(server: Server, table: Table, alter: AlterStatement | None) -> str | None:
    """Why events of a minimal row image may lack part of the migration key; None when they can't."""
    usable, _ = source_candidates(table)
    primary = next((index for index in usable if index.is_primary), None)
    if primary is None:
        return "the table has no primary key that could be the migration key"
    changed = {folded(name) for name in (*alter.dropped_columns, *alter.modified_columns)} if alter else set()
    touched = [name for name in primary.columns if folded(name) in changed]
    if touched:
        return f"the ALTER drops or modifies {', '.join(touched)} of the primary key"
    computed = [column.name for column in _columns(table, primary) if not _has_literal_default(server, column)]
    if computed:
        return f"the default of {', '.join(computed)} in the primary key is an expression, whose value is not logged"
    return None


def _columns(table: Table, index: Index) -> list[Column]:
    return [table.column(name) for name in index.columns]


def _has_literal_default(server: Server, column: Column) -> bool:
    """Whether a value that an event lacks can be filled in: the default is a literal, or there is none."""
    if column.default is None:
        return True
    if server.is_mariadb:
        # Shown as SQL: strings in quotes, and every expression has a parenthesis.
        return "(" not in column.default or column.default.startswith("'")
    return "default_generated" not in column.extra.lower()


def _commit_order(server: Server, where: str) -> list[Finding]:
    if server.is_on("binlog_order_commits", True):
        return []
    return [
        blocking(
            "binlog-order-commits",
            f"binlog_order_commits is OFF{where}",
            "Transactions then become visible in another order than that of the binlog, and a row that is read again "
            "after its event may still be the old one.",
            "SET GLOBAL binlog_order_commits = ON;",
        )
    ]


def _filters(connection: Conn, server: Server, names: Names, where: str) -> list[Finding]:
    renamed = not server.is_mariadb and server.version >= (8, 2, 0)
    rows = ask_for_titled_rows(connection, "show binary log status" if renamed else "show master status")
    if not rows:
        return []
    logged, ignored = (_listed(rows[0][title]) for title in ("binlog_do_db", "binlog_ignore_db"))
    hidden_by = []
    if logged and names.database not in logged:
        hidden_by.append(f"binlog_do_db={','.join(logged)}")
    if names.database in ignored:
        hidden_by.append(f"binlog_ignore_db={','.join(ignored)}")
    if not hidden_by:
        return []
    return [
        blocking(
            "binlog-filter",
            f"the binlog leaves database {names.database} out{where}",
            f"The server runs with {' and '.join(hidden_by)}: changes to the table would not be seen.",
            "restart the server with options that log this database",
        )
    ]


def _listed(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def _retention(server: Server, where: str) -> list[Finding]:
    findings = []
    seconds = float(server.variable("binlog_expire_logs_seconds", "0") or 0)
    if not seconds:
        seconds = float(server.variable("expire_logs_days", "0") or 0) * 86_400
    purges = server.is_on("binlog_expire_logs_auto_purge", True)
    if purges and 0 < seconds < SHORT_RETENTION_S:
        findings.append(
            note(
                "binlog-retention",
                f"binlogs are purged after {seconds / 3600:.1f} hours{where}",
                "A migration that is interrupted for longer cannot be resumed.",
                f"SET GLOBAL binlog_expire_logs_seconds = {86_400};",
            )
        )
    size = int(server.variable("max_binlog_total_size", "0") or 0)
    if size:
        findings.append(
            note(
                "binlog-retention",
                f"binlogs are purged beyond {size:,} bytes{where} (max_binlog_total_size)",
                "A migration writes about as much as the table has. One that falls behind, or is interrupted, needs "
                "binlogs that are purged already.",
                "SET GLOBAL max_binlog_total_size = 0;",
            )
        )
    return findings


def _gtid_mode(server: Server, where: str) -> list[Finding]:
    mode = server.variable("gtid_mode", "OFF").upper()
    if mode in ("ON", "OFF"):
        return []
    return [
        note(
            "gtid-rollout",
            f"gtid_mode is {mode}{where}",
            "GTIDs are being introduced or taken away; the binlog is read by file and position. Leave the mode as it "
            "is until the migration has ended.",
        )
    ]


def _sessions(connection: Conn, server: Server, where: str) -> list[Finding]:
    """Sessions whose own settings keep row events out of the binlog; only MySQL shows them."""
    if server.is_mariadb:
        return []
    rows = ask_if_allowed(
        connection,
        "select t.processlist_id, t.processlist_user, t.processlist_host, v.variable_name, v.variable_value"
        " from performance_schema.variables_by_thread v join performance_schema.threads t using (thread_id)"
        " where t.processlist_id is not null and t.processlist_id <> connection_id()"
        " and ((v.variable_name = 'binlog_format' and v.variable_value <> 'ROW')"
        " or (v.variable_name = 'sql_log_bin' and v.variable_value = 'OFF')) order by 1",
    )
    if not rows:
        return []
    listed = "; ".join(f"{row[0]} ({row[1]}@{row[2]}): {row[3]}={row[4]}" for row in rows)
    return [
        warning(
            "session-binlog-settings",
            f"{len(rows)} of the open sessions have binlog settings of their own{where}",
            f"What they write to the table would not be seen as rows, and the migration would stop: {listed}.",
            "\n".join(f"KILL {number};" for number in dict.fromkeys(row[0] for row in rows)),
        )
    ]
