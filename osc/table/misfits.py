"""Rows that the new schema does not take: found by narrowing down the statement that the server refused.

The server names the column, and a row by its number within the statement, which tells nobody which row it is. So the rows
of the statement are tried again in halves, each try rolled back, down to the single rows that are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pymysql

from osc.errors import ConversionFailed
from osc.mysql.session import Conn, error_code, error_text
from osc.table.key import Key
from osc.table.projection import Projection

MISFIT_ERRORS = frozenset(
    {
        *(1048, 1138, 1263),  # NULL where there may be none
        *(1264, 1690),  # out of range
        *(1265, 1292, 1366, 1367, 1406, 1411, 1525),  # no value of that type, or too long
        *(1300, 1977, 3854),  # characters that the new character set does not have
        *(1416, 3643),  # geometries
        1526,  # no partition
        *(3140, 3156),  # JSON
        *(3819, 4025),  # CHECK
    }
)
"""The server's errors about a value that the new schema does not take."""

MOST_SHOWN = 5


def raise_misfits(
    connection: Conn, projection: Projection, keys: Sequence[Key], condition: Callable[[Sequence[Key]], str]
) -> None:
    """Raise ConversionFailed with the first of these keys whose rows are refused; return when none is (any more).

    `condition` selects the rows of some successive keys. They are tried in a transaction that is rolled back, again and again.
    """
    found: list[tuple[Key, str]] = []

    def search(some: Sequence[Key]) -> None:
        if len(found) == MOST_SHOWN or not some:
            return
        refused = _refused(connection, projection.copy_where(condition(some)))
        if refused is None:
            return
        if len(some) == 1:
            found.append((some[0], refused))
            return
        middle = len(some) // 2
        search(some[:middle])
        search(some[middle:])

    search(keys)
    if found:
        raise _conversion_failed(projection, found)


def _refused(connection: Conn, statement: str) -> str | None:
    """What the server has against the statement's rows; None when it takes them."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
    except pymysql.err.MySQLError as error:
        if error_code(error) not in MISFIT_ERRORS:
            raise
        return error_text(error)
    finally:
        connection.rollback()
    return None


def _conversion_failed(projection: Projection, misfits: Sequence[tuple[Key, str]]) -> ConversionFailed:
    """The error that names the column and the rows, in the server's words."""
    said = re.sub(r" at row \d+", "", misfits[0][1]).replace(projection.ghost, projection.source)
    rows = ", ".join(projection.key.row_text(key) for key, _ in misfits)
    more = ", and maybe more" if len(misfits) == MOST_SHOWN else ""
    return ConversionFailed(
        f"values of {projection.source_table} do not fit the new schema: {said}. Such rows: {rows}{more}. The "
        "original is untouched. Correct these rows or the ALTER: a direct ALTER in strict mode would refuse them as well. "
        "With --allow-lossy they are changed to what the server makes of them"
    )
