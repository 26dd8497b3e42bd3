"""Questions to a server that may not be allowed to answer."""

from __future__ import annotations

from collections.abc import Sequence

import pymysql

from osc.mysql.session import Conn, error_code
from osc.mysql.transactions import ask_for_sessions

Row = tuple[object, ...]

NOT_ALLOWED = frozenset(
    {
        1044,  # no access to the database
        1142,  # no privilege on the table
        1143,  # no privilege on the column
        1227,  # a global privilege is missing
        1401,  # MySQL's XA RECOVER without XA_RECOVER_ADMIN (seen on 9.7)
    }
)
"""Error codes that mean: the login may not ask this."""


def ask(connection: Conn, query: str, values: Sequence[str | int] = ()) -> list[Row]:
    """The rows of a query. Raises pymysql's errors."""
    with connection.cursor() as cursor:
        cursor.execute(query, tuple(values) or None)
        return [tuple(row) for row in cursor.fetchall()]


def ask_if_allowed(connection: Conn, query: str, values: Sequence[str | int] = ()) -> list[Row] | None:
    """The rows of a query; None when the login may not ask, which the check of the grants reports."""
    try:
        return ask(connection, query, values)
    except pymysql.err.MySQLError as error:
        if error_code(error) in NOT_ALLOWED:
            return None
        raise


def ask_for_sessions_if_allowed(connection: Conn, query: str, values: Sequence[str | int] = ()) -> list[Row] | None:
    """The rows of a query of `innodb_trx` or `processlist`; None when nobody, or not this login, can see them now."""
    try:
        return ask_for_sessions(connection, query, values)
    except pymysql.err.MySQLError as error:
        if error_code(error) in NOT_ALLOWED:
            return None
        raise


def ask_for_titled_rows(connection: Conn, query: str) -> list[dict[str, str]] | None:
    """The rows of a `SHOW` statement by column title, lower-case, NULL as ''; None when the login may not ask."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(query)
            titles = [str(column[0]).lower() for column in cursor.description or ()]
            return [
                {title: "" if value is None else str(value) for title, value in zip(titles, row, strict=True)}
                for row in cursor.fetchall()
            ]
    except pymysql.err.MySQLError as error:
        if error_code(error) in NOT_ALLOWED:
            return None
        raise
