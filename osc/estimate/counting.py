"""Counting the rows of a table that is soon counted: InnoDB's own figure is made of a few pages, and wrong where rows differ in
length along the key."""

from __future__ import annotations

from contextlib import closing

import pymysql

from osc.mysql.server import Server
from osc.mysql.session import Sessions, error_code
from osc.mysql.sql import qualified
from osc.table.facts import Table

COUNT_S = 0.5
"""The most that it may take. Nothing is locked, but it is not paced either."""
MOST_ROWS = 5_000_000
"""More are not counted in that time, so it is not begun."""
TOOK_TOO_LONG = frozenset({3024, 1317, 1969})
"""MySQL's error codes and MariaDB's."""


def count_rows(sessions: Sessions, table: Table) -> int | None:
    """The rows as they are now; None where counting them would take too long. Raises MySQLError."""
    if table.estimated_rows > MOST_ROWS:
        return None
    name = qualified(table.database, table.name)
    with closing(sessions.open("count the rows")) as connection, connection.cursor() as cursor:
        try:
            cursor.execute(_count(sessions.server, name))
        except pymysql.err.MySQLError as error:
            if error_code(error) in TOOK_TOO_LONG:
                return None
            raise
        row = cursor.fetchone()
    return None if row is None else int(row[0] or 0)


def _count(server: Server, table: str) -> str:
    """MySQL would count(*) by all of the table, on several threads; for a sum it reads the smallest index, on one."""
    if server.is_mariadb:
        return f"set statement max_statement_time = {COUNT_S} for select sum(1) from {table}"
    return f"select /*+ max_execution_time({COUNT_S * 1000:.0f}) */ sum(1) from {table}"
