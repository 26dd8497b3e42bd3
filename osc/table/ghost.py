"""Making the ghost: an empty table like the original, with the user's `ALTER` run on it by the server itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pymysql

from osc.errors import AlterSyntaxError, Refused
from osc.mysql.server import Server
from osc.mysql.session import PINNED, Conn, error_code, error_text
from osc.mysql.sql import qualified
from osc.table.names import Names

SYNTAX_ERRORS = frozenset({1064, 1149})

_ALTER_VARIABLES = ("sql_mode", "time_zone")
"""The ALTER is read as the server itself would read it: its `sql_mode`, and its zone for a literal default of a TIMESTAMP."""


def create_like(connection: Conn, names: Names) -> None:
    """Create the empty ghost, still with the schema of the original."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"create table {qualified(names.database, names.ghost)} like {qualified(names.database, names.table)}"
        )


def alter_ghost(connection: Conn, names: Names, clauses: str) -> None:
    """Run the clauses on the ghost. Raises AlterSyntaxError or Refused with the server's own message."""
    try:
        run_alter(connection, f"alter table {qualified(names.database, names.ghost)} {clauses}")
    except pymysql.err.MySQLError as error:
        text = error_text(error).replace(names.ghost, names.table)
        if error_code(error) in SYNTAX_ERRORS:
            raise AlterSyntaxError(f"the server cannot read the ALTER: {text}. Nothing was changed") from error
        raise Refused(f"the server refuses the ALTER: {text}. The table is as it was") from error


def run_alter(connection: Conn, statement: str) -> None:
    """Run an `ALTER` as the server itself would read it. Raises pymysql's errors."""
    with connection.cursor() as cursor:
        cursor.execute("set " + ", ".join(f"session {name} = @@global.{name}" for name in _ALTER_VARIABLES))
        try:
            cursor.execute(statement)
        finally:
            # For nothing but the ALTER: under ANSI_QUOTES, SHOW CREATE TABLE would have other quotes.
            cursor.execute("set " + ", ".join(f"session {name} = {PINNED[name]}" for name in _ALTER_VARIABLES))


def constraint_names(connection: Conn, server: Server, names: Names) -> dict[str, str]:
    """What `create table .. like` made of the names of the original's CHECK constraints.

    MySQL gives them new ones, since they must be unique in a database; MariaDB keeps them, since there they belong to the
    table. A constraint is recognised by its text; equal texts keep their order.
    """
    if server.is_mariadb:
        return {}
    old, new = (_checks(connection, names.database, table) for table in (names.table, names.ghost))
    mapping: dict[str, str] = {}
    for name, clause in old:
        match = next((other for other in new if other[1] == clause), None)
        if match is not None:
            new.remove(match)
            mapping[name] = match[0]
    return mapping


def _checks(connection: Conn, database: str, table: str) -> list[tuple[str, str]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "select c.constraint_name, c.check_clause from information_schema.check_constraints c"
            " join information_schema.table_constraints t on t.constraint_schema = c.constraint_schema"
            " and t.constraint_name = c.constraint_name"
            " where t.table_schema = %s and t.table_name = %s and t.constraint_type = 'CHECK' order by 1",
            (database, table),
        )
        return [(str(name), str(clause)) for name, clause in cursor.fetchall()]


def existing(connection: Conn, database: str, tables: Sequence[str]) -> list[str]:
    """Those of the tables that there are, in the same order."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select table_name from information_schema.tables where table_schema = %s and table_name in %s",
            (database, tuple(tables)),
        )
        # With lower_case_table_names=1 the server keeps them in lower case.
        found = {str(row[0]).lower() for row in cursor.fetchall()}
    return [table for table in tables if table.lower() in found]


def drop_tables(connection: Conn, database: str, tables: list[str], noted: Callable[[str], None]) -> None:
    """Drop those of the tables that exist, in this order, up to the first that can't be; `noted` is told why.

    The state table belongs behind the ghost: while it is there, the ghost is known as this engine's.
    """
    # A backup lock lets `drop table if exists` wait for a table that is not there.
    for table in existing(connection, database, tables):
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"drop table if exists {qualified(database, table)}")
        except pymysql.err.MySQLError as error:
            noted(f"{qualified(database, table)} could not be dropped: {error_text(error)}")
            return
