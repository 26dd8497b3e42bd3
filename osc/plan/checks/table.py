"""Whether the table is one that can be migrated: an InnoDB base table without what the swap would leave behind."""

from __future__ import annotations

import difflib
import re

import pymysql

from osc.mysql.server import Server
from osc.mysql.session import Conn, error_code
from osc.mysql.sql import qualified, quote
from osc.plan.checks.ask import NOT_ALLOWED, ask, ask_if_allowed
from osc.plan.findings import Finding, blocking, warning
from osc.table.facts import Table, read_table
from osc.table.names import Names

SYSTEM_SCHEMAS = frozenset({"mysql", "sys", "information_schema", "performance_schema", "ndbinfo"})


def read_table_if_allowed(connection: Conn, database: str, name: str) -> Table | None:
    """The table; None when there is no base table of that name, or when the login may not read it."""
    try:
        return read_table(connection, database, name)
    except pymysql.err.MySQLError as error:
        if error_code(error) in NOT_ALLOWED:
            return None
        raise


def check_table(connection: Conn, server: Server, names: Names, table: Table | None) -> list[Finding]:
    """Findings about what stands under the table's name. `table` is what could be read of it."""
    if names.database.lower() in SYSTEM_SCHEMAS:
        return [
            blocking(
                "system-table",
                f"{qualified(names.database, names.table)} belongs to the server",
                f"{names.database} is a system schema.",
            )
        ]
    kind = _kind(connection, names.database, names.table)
    if kind is not None and kind not in ("BASE TABLE", "SYSTEM VERSIONED"):
        return [_other_kind(names, kind)]
    if kind is None:
        return [_absent(connection, names)]
    if table is None:
        return [
            blocking(
                "table-unreadable",
                f"the login may not read {qualified(names.database, names.table)}",
                "The table is there, but its columns and keys are not shown without SELECT, so it was not looked at.",
                "give the missing privileges first",
            )
        ]
    return [
        *_storage(table, kind),
        *_triggers(connection, table),
        *_foreign_keys(connection, server, table),
        *_file_place(table),
    ]


def _kind(connection: Conn, database: str, name: str) -> str | None:
    rows = ask(
        connection,
        "select table_type from information_schema.tables where table_schema = %s and table_name = %s",
        (database, name),
    )
    return str(rows[0][0]) if rows else None


def _absent(connection: Conn, names: Names) -> Finding:
    """Say what is there instead: no such database, a similar name, or a swap that stopped half-way."""
    others = [
        str(row[0])
        for row in ask(
            connection, "select table_name from information_schema.tables where table_schema = %s", (names.database,)
        )
    ]
    title = f"there is no table {qualified(names.database, names.table)}, or the login may not see it"
    if names.old in others:
        return blocking(
            "table-missing",
            title,
            f"{qualified(names.database, names.old)} exists: if that is the original, a swap was cut off half-way.",
            f"RENAME TABLE {qualified(names.database, names.old)} TO {qualified(names.database, names.table)};",
        )
    folded = {name.lower(): name for name in others}
    similar = difflib.get_close_matches(names.table.lower(), folded, 3)
    known = ask(connection, "select 1 from information_schema.schemata where schema_name = %s", (names.database,))
    if not known:
        detail = f"There is no database {quote(names.database)}, or the login has no privilege on it."
    elif similar:
        detail = f"Similar names in {quote(names.database)}: {', '.join(folded[name] for name in similar)}."
    else:
        detail = (
            f"{quote(names.database)} has no table of a similar name. A TEMPORARY table is seen by its session alone."
        )
    return blocking("table-missing", title, detail, "check --database and --table, and how the name is capitalised")


def _other_kind(names: Names, kind: str) -> Finding:
    name = qualified(names.database, names.table)
    if kind.endswith("VIEW"):
        return blocking(
            "not-a-table",
            f"{name} is a view",
            "A view has no rows of its own to copy.",
            f"SHOW CREATE VIEW {name};   -- and migrate the table behind it",
        )
    if kind == "SEQUENCE":
        return blocking("not-a-table", f"{name} is a sequence", "", f"ALTER SEQUENCE {name} ...;   -- takes no copy")
    return blocking("not-a-table", f"{name} is a {kind.lower()}", "Only base tables are migrated.")


def _storage(table: Table, kind: str) -> list[Finding]:
    name = qualified(table.database, table.name)
    findings = []
    if table.engine.lower() != "innodb":
        findings.append(
            blocking(
                "engine",
                f"{name} is a {table.engine or 'damaged'} table",
                "Only InnoDB lets rows be copied in transactions while others write them.",
                f"ALTER TABLE {name} ENGINE=InnoDB;   -- locks the table",
            )
        )
    if kind == "SYSTEM VERSIONED":
        findings.append(
            blocking(
                "system-versioned",
                f"{name} is system-versioned",
                "Its history cannot be carried over by copying rows.",
                "alter it directly (system_versioning_alter_history=KEEP)",
            )
        )
    # MariaDB: INSERT .. ON DUPLICATE KEY UPDATE and REPLACE fail with 1235 where a key is WITHOUT OVERLAPS (seen).
    if re.search(r"^  PERIOD FOR (?!SYSTEM_TIME)", table.create_statement, re.MULTILINE):
        findings.append(
            blocking(
                "period",
                f"{name} has an application-time period",
                "Tables with periods are not supported.",
                "alter it directly",
            )
        )
    return findings


def _triggers(connection: Conn, table: Table) -> list[Finding]:
    rows = ask(
        connection,
        "select trigger_name, action_timing, event_manipulation from information_schema.triggers"
        " where event_object_schema = %s and event_object_table = %s order by 1",
        (table.database, table.name),
    )
    if not rows:
        return []
    listed = ", ".join(f"{row[0]} ({row[1]} {row[2]})" for row in rows)
    return [
        blocking(
            "triggers",
            f"{qualified(table.database, table.name)} has triggers",
            f"They would stay with the old table: {listed}.",
            "\n".join(
                f"DROP TRIGGER {qualified(table.database, str(row[0]))};   -- and create it again after the migration"
                for row in rows
            ),
        )
    ]


def _foreign_keys(connection: Conn, server: Server, table: Table) -> list[Finding]:
    name = qualified(table.database, table.name)
    findings = []
    own = ask(
        connection,
        "select distinct constraint_name, referenced_table_schema, referenced_table_name"
        " from information_schema.key_column_usage"
        " where table_schema = %s and table_name = %s and referenced_table_name is not null order by 1",
        (table.database, table.name),
    )
    if own:
        listed = ", ".join(f"{row[0]} (to {row[1]}.{row[2]})" for row in own)
        findings.append(
            blocking(
                "foreign-keys",
                f"{name} has foreign keys",
                f"{listed}. One on the ghost would refuse legal writes while both tables exist, and on some servers "
                "rows that a cascade deletes or updates here are not in the binlog.",
                "\n".join(
                    f"ALTER TABLE {name} DROP FOREIGN KEY {quote(str(row[0]))};   -- and add it again afterwards"
                    for row in own
                ),
            )
        )
    children = _children(connection, server, table)
    if children:
        listed = ", ".join(f"{constraint} of {database}.{child}" for database, child, constraint in children)
        findings.append(
            blocking(
                "referenced-by-foreign-keys",
                f"foreign keys reference {name}",
                f"{listed}. After the swap they would reference the old table.",
                "\n".join(
                    f"ALTER TABLE {qualified(database, child)} DROP FOREIGN KEY {quote(constraint)};"
                    "   -- and add it again afterwards"
                    for database, child, constraint in children
                ),
            )
        )
    return findings


def _children(connection: Conn, server: Server, table: Table) -> list[tuple[str, str, str]]:
    """Database, table and name of each foreign key of another table that references this one.

    From InnoDB's own list, which is quick and complete with PROCESS: `key_column_usage` hides tables that the login has
    no privilege on, and MariaDB opens every table of the server to answer from it. MySQL answers from its dictionary,
    and is asked both ways.
    """
    folds = server.variable("lower_case_table_names") == "1"
    target = (table.database.lower(), table.name.lower()) if folds else (table.database, table.name)
    if server.is_mariadb:
        # InnoDB's names are in the character set of file names there: `my@002dtable` (seen).
        rows = ask_if_allowed(
            connection,
            "select convert(convert(substring_index(cast(for_name as binary), '/', 1) using filename) using utf8mb4),"
            " convert(convert(substring_index(cast(for_name as binary), '/', -1) using filename) using utf8mb4),"
            " substring_index(id, '/', -1) from information_schema.innodb_sys_foreign"
            " where cast(ref_name as binary) = concat(cast(convert(%s using filename) as binary), '/',"
            " cast(convert(%s using filename) as binary))",
            target,
        )
        found = set(rows or [])
    else:
        rows = ask_if_allowed(
            connection,
            "select substring_index(for_name, '/', 1), substring_index(for_name, '/', -1), substring_index(id, '/', -1)"
            " from information_schema.innodb_foreign where ref_name = concat(%s, '/', %s)",
            target,
        )
        found = set(rows or []) | set(
            ask(
                connection,
                "select table_schema, table_name, constraint_name from information_schema.key_column_usage"
                " where referenced_table_schema = %s and referenced_table_name = %s",
                target,
            )
        )
    children = {(str(database), str(child), str(constraint)) for database, child, constraint in found}
    return sorted(child for child in children if child[:2] != target)


def _file_place(table: Table) -> list[Finding]:
    place = re.search(r"\bDATA DIRECTORY\s*=\s*'([^']*)'", table.create_statement)
    if place is None:
        return []
    return [
        warning(
            "data-directory",
            f"{qualified(table.database, table.name)} lies in {place[1]}",
            "The new table will lie in the server's own data directory: CREATE TABLE .. LIKE leaves DATA DIRECTORY "
            "out.",
        )
    ]
