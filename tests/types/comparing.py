"""Two tables compared to the last bit, by reading both: an oracle that shares nothing with the engine's own verification."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from osc.mysql.session import Conn
from osc.mysql.sql import qualified, quote
from osc.table.facts import Column, Table, read_table

Row = tuple[object, ...]

_NUMBERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "year", "decimal"})
_TIMES = frozenset({"date", "datetime", "timestamp", "time"})
_SAMPLES = 5


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the second table differs from the first; empty when it does not."""

    structure: tuple[str, str] | None
    missing: tuple[Row, ...]
    unexpected: tuple[Row, ...]

    @property
    def equal(self) -> bool:
        return self.structure is None and not self.missing and not self.unexpected

    def __str__(self) -> str:
        lines = []
        if self.structure is not None:
            lines += ["structure expected:", self.structure[0], "found:", self.structure[1]]
        if self.missing and self.unexpected and len(self.missing) == len(self.unexpected):
            pairs = zip(self.missing, self.unexpected, strict=True)
            for one, other in list(pairs)[:_SAMPLES]:
                differing = [(left, right) for left, right in zip(one, other, strict=True) if left != right]
                lines.append(f"a row {one[:2]}: expected and found {differing}")
        else:
            lines += [f"missing: {row}" for row in self.missing[:_SAMPLES]]
            lines += [f"unexpected: {row}" for row in self.unexpected[:_SAMPLES]]
        return f"{len(self.missing)} rows missing, {len(self.unexpected)} unexpected\n" + "\n".join(lines)


def compare_exactly(
    connection: Conn, database: str, expected: str, found: str, without: frozenset[str] = frozenset()
) -> Verdict:
    """Both structures, by `SHOW CREATE TABLE`, and every value of every column, bit by bit.

    Columns named in `without` are left out: what a direct `ALTER` puts there depends on when it runs.
    """
    tables = [_read(connection, database, name) for name in (expected, found)]
    texts = [structure(table) for table in tables]
    rows = [_rows(connection, table, without) for table in tables]
    return Verdict(
        None if texts[0] == texts[1] else (texts[0], texts[1]),
        tuple((rows[0] - rows[1]).elements()),
        tuple((rows[1] - rows[0]).elements()),
    )


def structure(table: Table) -> str:
    """`SHOW CREATE TABLE` without the name, the counter and, on MySQL, the generated names of CHECK constraints."""
    text = re.sub(r"CONSTRAINT `[^`]*` CHECK", "CHECK", table.structure)
    lines = text.split("\n")
    checks = sorted(line.strip().rstrip(",") for line in lines if line.strip().startswith("CHECK"))
    others = [line.rstrip(",") for line in lines if not line.strip().startswith("CHECK")]
    return "\n".join(others + checks)


def _read(connection: Conn, database: str, name: str) -> Table:
    table = read_table(connection, database, name)
    assert table is not None, f"there is no table {name}"
    return table


def _rows(connection: Conn, table: Table, without: frozenset[str]) -> Counter[Row]:
    exact = ", ".join(_exact(column) for column in table.columns if column.name not in without)
    with connection.cursor() as cursor:
        cursor.execute("set time_zone = '+00:00'")
        cursor.execute(f"select {exact} from {qualified(table.database, table.name)}")
        return Counter(map(_with_signs, cursor.fetchall()))


def _exact(column: Column) -> str:
    name = quote(column.name)
    match column.data_type:
        case "float" | "double":
            return f"{name} * 1e0"
        case "json":
            return f"hex(cast({name} as char character set utf8mb4))"
        case kind if kind in _NUMBERS | _TIMES:
            return f"cast({name} as char)"
        case "enum" | "set":
            # The label, and the number: an invalid value and an empty label look alike.
            return f"concat(hex(cast({name} as binary)), '/', cast({name} as unsigned))"
        case "geometry" | "point" | "bit" | "vector" | "uuid" | "inet4" | "inet6":
            return f"hex({name})"
    return f"hex(cast({name} as binary))"


def _with_signs(row: Row) -> Row:
    """Floats as text that tells 0.0 from -0.0."""
    return tuple(repr(value) if isinstance(value, float) else value for value in row)
