"""What to select from a column of the original, so that an insert converts it exactly as a direct `ALTER` does.

The servers have two routes from one type to another. `ALTER TABLE` copies fields, and takes many of them by way of their
text or of an integer; `INSERT .. SELECT` stores numbers as numbers. The results differ in silence: a 1 that becomes an
ENUM is the label '1' to an `ALTER` and the first label to an insert (MySQL); a ZEROFILL loses its zeros; a FLOAT of 0.1
becomes the text 0.10000000149011612. Where the routes part, the column is taken by an expression that leads back. Each rule
here was found by comparing both routes for every pair of types.
"""

from __future__ import annotations

from osc.mysql.sql import quote
from osc.table.facts import Column

_INTEGERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "year"})
_FLOATS = frozenset({"float", "double"})
_FRACTIONS = _FLOATS | {"decimal"}
_TIMES = frozenset({"date", "time", "datetime", "timestamp"})
_STRINGS = frozenset(
    {
        *("char", "varchar", "tinytext", "text", "mediumtext", "longtext"),
        *("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"),
    }
)
_LABELS = frozenset({"enum", "set"})
_OWN = frozenset({"inet4", "inet6", "uuid"})


def taken_as(source: Column, ghost: Column, is_mariadb: bool) -> str:
    """The SQL expression to insert into the ghost's column: the column's name where both routes are the same."""
    name = quote(source.name)
    if source.data_type == ghost.data_type:
        return name
    if _goes_by_text(source.data_type, ghost.data_type, is_mariadb):
        return f"concat({name})"
    if _goes_by_integer(source.data_type, ghost.data_type, is_mariadb):
        return f"cast({name} as signed)"
    return name


def _goes_by_text(old: str, new: str, is_mariadb: bool) -> bool:
    if old not in _INTEGERS | _FRACTIONS:
        return False
    if new in _STRINGS | _OWN:
        return True
    if not is_mariadb:
        return new in _TIMES | _LABELS | {"json"}
    return new in _TIMES and old in _FLOATS | {"year"}


def _goes_by_integer(old: str, new: str, is_mariadb: bool) -> bool:
    if new == "bit":
        return old in _FRACTIONS | {"date"} or (is_mariadb and old in _TIMES | _STRINGS)
    if is_mariadb:
        return (old in _FRACTIONS and new in _LABELS) or (old == "bit" and new in _FLOATS)
    return new == "year" and old in _FRACTIONS | {"date"}


def taken_back(source: Column, ghost: Column) -> str:
    """The SQL expression over the ghost's column whose value, inserted where the original's were, is what that was.

    If nothing was lost, that is.
    """
    name = quote(ghost.name)
    if ghost.data_type in _LABELS and source.data_type in _INTEGERS | _FRACTIONS:
        return f"concat({name})"  # the label, not its number
    return name
