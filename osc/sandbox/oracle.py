"""Whether two tables are the same, exactly: structure, and every column of every row, bytes where text is meant.

The comparison runs on the server, as a join over the primary key, and has nothing of the engine's own verification.
"""

from __future__ import annotations

from dataclasses import dataclass

from osc.mysql.session import Conn
from osc.mysql.sql import columns_list, qualified, quote
from osc.table.facts import Column, Table, read_table

SAMPLES = 5

_TEXTS = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set"})


@dataclass(frozen=True, slots=True)
class RowDifference:
    """A row that is not the same in both tables; None where a table does not have it."""

    expected: tuple[object, ...] | None
    found: tuple[object, ...] | None

    def __str__(self) -> str:
        return f"expected {self.expected}\n   found {self.found}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was compared and how it differs."""

    rows_expected: int
    rows_found: int
    missing: int
    """Rows that are expected and not there, by primary key."""
    unexpected: int
    """Rows that are there and not expected, by primary key."""
    different: int
    """Rows that are in both with different values."""
    structure: tuple[str, ...]
    """How the tables' columns and indexes differ, in words."""
    samples: tuple[RowDifference, ...]
    """A few of the rows."""

    @property
    def equal(self) -> bool:
        return not (self.missing or self.unexpected or self.different or self.structure)

    def __str__(self) -> str:
        if self.equal:
            return f"{self.rows_found:,} rows, all as expected"
        lines = [
            f"{self.rows_expected:,} rows expected and {self.rows_found:,} found:"
            f" {self.missing:,} missing, {self.unexpected:,} unexpected, {self.different:,} different",
            *self.structure,
            *map(str, self.samples),
        ]
        return "\n".join(lines)


def compare_tables(connection: Conn, database: str, expected: str, found: str) -> Comparison:
    """Compare the table `found` with `expected`, which must have a primary key. Raises LookupError without them."""
    left, right = _table(connection, database, expected), _table(connection, database, found)
    structure = _structure_differences(left, right)
    if {column.name for column in left.columns} != {column.name for column in right.columns}:
        rows = _count(connection, left), _count(connection, right)
        return Comparison(*rows, 0, 0, 0, structure, ())
    if left.primary_key is None:
        raise LookupError(f"{qualified(database, expected)} has no primary key to join over")
    keys = left.primary_key.columns
    on = " and ".join(f"e.{quote(key)} = f.{quote(key)}" for key in keys)
    unequal = " or ".join(f"not {_equal(column)}" for column in left.columns)
    tables = f"{qualified(database, expected)} e {{kind}} join {qualified(database, found)} f on {on}"
    inner = tables.format(kind="inner")
    with connection.cursor() as cursor:
        cursor.execute(f"select count(*), coalesce(sum({unequal}), 0) from {inner}")
        both, different = (int(value) for value in cursor.fetchone() or (0, 0))
    rows_expected, rows_found = _count(connection, left), _count(connection, right)
    samples: list[RowDifference] = []
    names = [column.name for column in left.columns]
    without = f"where {{side}}.{quote(keys[0])} is null"
    if different:
        samples += _samples(connection, f"{inner} where {unequal}", names)
    if rows_expected > both:
        samples += _samples(connection, f"{tables.format(kind='left')} {without.format(side='f')}", names, found=False)
    if rows_found > both:
        rest = f"{tables.format(kind='right')} {without.format(side='e')}"
        samples += _samples(connection, rest, names, expected=False)
    return Comparison(
        rows_expected, rows_found, rows_expected - both, rows_found - both, different, structure, tuple(samples)
    )


def _table(connection: Conn, database: str, name: str) -> Table:
    table = read_table(connection, database, name)
    if table is None:
        raise LookupError(f"there is no table {qualified(database, name)}")
    return table


def _structure_differences(expected: Table, found: Table) -> tuple[str, ...]:
    pairs = {
        "columns": (expected.columns, found.columns),
        "indexes": (
            tuple(sorted(expected.indexes, key=lambda index: index.name)),
            tuple(sorted(found.indexes, key=lambda index: index.name)),
        ),
    }
    return tuple(
        f"{what}: expected {mine}, found {theirs}"
        for what, (ours, others) in pairs.items()
        for mine, theirs in [
            ([item for item in ours if item not in others], [item for item in others if item not in ours])
        ]
        if ours != others
    )


def _count(connection: Conn, table: Table) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"select count(*) from {qualified(table.database, table.name)}")
        row = cursor.fetchone()
    assert row is not None
    return int(row[0])


def _equal(column: Column) -> str:
    """The SQL condition that both sides have exactly the same value; texts as bytes, whatever their collation."""
    left, right = f"e.{quote(column.name)}", f"f.{quote(column.name)}"
    if column.data_type == "json":
        left, right = f"cast({left} as char)", f"cast({right} as char)"
    if column.data_type in _TEXTS or column.data_type == "json":
        return f"(cast({left} as binary) <=> cast({right} as binary))"
    return f"({left} <=> {right})"


def _samples(
    connection: Conn, source: str, names: list[str], *, expected: bool = True, found: bool = True
) -> list[RowDifference]:
    with connection.cursor() as cursor:
        cursor.execute(f"select {columns_list(names, 'e.')}, {columns_list(names, 'f.')} from {source} limit {SAMPLES}")
        rows = cursor.fetchall()
    width = len(names)
    return [RowDifference(row[:width] if expected else None, row[width:] if found else None) for row in rows]
