"""The migration key: the columns that name a row in both tables, and how one value of it is read, written and compared.

A key travels as a tuple of Python values, the same whether it came out of a binlog event or out of a `SELECT`:

| kind | value | compares in Python as in the server |
| --- | --- | --- |
| integer, bit, year | int | yes |
| binary | bytes, padded to the column's length if it is fixed | yes |
| date, datetime, timestamp (UTC) | ISO text with all the column's fractional digits | yes |
| time, decimal | the text that the server prints | no |
| string | bytes in the column's own character set | no |
| inet4, inet6 (as binary) | its 4 or 16 bytes | yes |
| uuid | its 16 bytes, as they are printed; the server sorts most of them by their last bytes first | no |
| enum, set | the number behind the label(s) | no |
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from osc.mysql.sql import bytes_literal, quote
from osc.table.facts import Column

KeyValue: TypeAlias = int | bytes | str
Key: TypeAlias = tuple[KeyValue, ...]
"""One row's key: a value for each column of the migration key, in its order."""

Kind = Literal[
    "integer",
    "bit",
    "year",
    "binary",
    "date",
    "datetime",
    "timestamp",
    "time",
    "decimal",
    "string",
    "enum",
    "set",
    "uuid",
]

_INTEGERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint"})
_OWN_LENGTHS = {"inet4": 4, "inet6": 16, "uuid": 16}
_COMPARABLE: frozenset[Kind] = frozenset({"integer", "bit", "year", "binary", "date", "datetime", "timestamp"})
BY_TEXT: frozenset[Kind] = frozenset({"date", "datetime", "timestamp", "time", "decimal"})


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """One column of the migration key."""

    name: str
    position: int
    """Its place in the table, 0 for the first column: its index in a binlog row image."""
    kind: Kind
    data_type: str
    is_unsigned: bool = False
    charset: str | None = None
    pad_to: int | None = None
    """Length in bytes that a `BINARY(n)`, a UUID or an address has; the binlog leaves its trailing zero bytes out."""
    fraction_digits: int = 0
    """Digits behind the point of a time."""
    ghost_name: str | None = None
    """Its name in the ghost table, when the ALTER renames it."""

    @property
    def compares(self) -> bool:
        """Whether two values compare in Python exactly as in the server."""
        return self.kind in _COMPARABLE

    @property
    def in_ghost(self) -> str:
        return self.ghost_name or self.name

    def select(self, prefix: str = "", ghost: bool = False) -> str:
        """The SQL expression whose value `from_select` understands, over the original or over the ghost."""
        column = prefix + quote(self.in_ghost if ghost else self.name)
        if self.kind in ("string", "binary", "uuid"):
            return f"hex({column})"
        if self.kind == "decimal":
            return f"cast({column} + 0 as char)"  # without the zeros of ZEROFILL
        if self.kind in BY_TEXT:
            return f"cast({column} as char)"
        if self.kind == "set":
            return f"cast({column} as unsigned)"  # `+ 0` makes the 64th member negative on MySQL
        if self.kind in ("bit", "enum", "year"):
            return f"{column} + 0"
        return column

    def from_select(self, value: object) -> KeyValue:
        """The key value for what the server answered to `select()`."""
        if self.kind in ("string", "binary", "uuid"):
            return bytes.fromhex(value.decode() if isinstance(value, bytes) else str(value))
        if self.kind in BY_TEXT:
            return value.decode() if isinstance(value, bytes) else str(value)
        return int(value)  # type: ignore[call-overload, no-any-return]

    def literal(self, value: KeyValue) -> str:
        """The value as SQL that names the same row whatever the session's character set, and that can use the index.

        Times are in UTC: the session's `time_zone` must be `+00:00`.
        """
        if isinstance(value, int):
            return str(value)
        if isinstance(value, bytes):
            return bytes_literal(value, self.charset or "binary")
        return value if self.kind == "decimal" else f"'{value}'"


def key_column(column: Column) -> KeyColumn | None:
    """How that column serves in a key, or None when its type can't (floating point, JSON, geometry)."""
    kind = _kind(column)
    if kind is None:
        return None
    digits = re.search(r"\((\d+)\)", column.column_type)
    number = int(digits[1]) if digits else 0
    return KeyColumn(
        name=column.name,
        position=column.position - 1,
        kind=kind,
        data_type=column.data_type,
        is_unsigned=column.is_unsigned,
        charset=column.charset if kind == "string" else None,
        pad_to=_OWN_LENGTHS.get(column.data_type, (number or 1) if column.data_type == "binary" else None),
        fraction_digits=number if kind in ("time", "datetime", "timestamp") else 0,
    )


def _kind(column: Column) -> Kind | None:
    match column.data_type:
        case name if name in _INTEGERS:
            return "integer"
        # The 64th member is the sign of a number to the servers, and comparing finds it or not: keys would be lost (seen).
        case "set" if len(re.findall(r"'(?:[^']|'')*'", column.column_type)) == 64:
            return None
        case "bit" | "year" | "date" | "datetime" | "timestamp" | "time" | "decimal" | "enum" | "set" as kind:
            return kind
        case "binary" | "varbinary" | "inet4" | "inet6":
            return "binary"
        case "uuid":
            return "uuid"
        case "char" | "varchar":
            return "string"
    return None
