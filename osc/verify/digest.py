"""A digest of a row, and one of a set of rows that does not depend on their order.

A plain `bit_xor(crc32(row))` is blind to just the damage to look for: CRC-32 is affine, so values of equal length that were
exchanged between two rows cancel out. Here each row's CRC is multiplied by one of its key before the XOR, which is not
linear in the row. NULL flags are part of the digest, since `concat_ws` skips NULLs, and so are the lengths of texts, which may
contain the separator, but for one that the others imply. Wide columns are hashed one by one: a concatenation
beyond `max_allowed_packet` would be NULL.

Most of what verification costs is this expression, so it does no more than it must: without the casts, the superfluous
length and the arithmetic that changes no integer, a row of sysbench's takes two thirds of the time.
"""

from __future__ import annotations

from collections.abc import Sequence

from osc.mysql.sql import quote
from osc.table.facts import Column

_INTEGERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint"})
_NUMBERED = _INTEGERS | {"year", "bit", "enum", "set"}
_FLOATING = frozenset({"float", "double"})
_PRINTED = frozenset({"decimal", "date", "datetime", "time"})
_NARROW_TEXT = frozenset({"char", "varchar"})
_NARROW_BYTES = frozenset({"binary", "varbinary"})
_WIDE_TEXT = frozenset({"tinytext", "text", "mediumtext", "longtext"})
_WIDE_BYTES = frozenset({"tinyblob", "blob", "mediumblob", "longblob"})


def same_form(source: Column, ghost: Column) -> bool:
    """Whether equal values of the two columns have equal digests, so that both tables can be asked directly.

    True for the same type, a widened integer and a lengthened string of the same character set. Anything else is a
    conversion, and only the server's own insert knows what comes out of it.
    """
    if (source.charset, source.collation) != (ghost.charset, ghost.collation):
        return False
    if source.column_type == ghost.column_type:
        return True
    if {source.data_type, ghost.data_type} <= _INTEGERS:
        return source.is_unsigned == ghost.is_unsigned
    return source.data_type == ghost.data_type and source.data_type in ("varchar", "varbinary")


def holds_every_value(source: Column, ghost: Column) -> bool:
    """Whether nothing can be lost on the way from one column to the other."""
    return (
        source.column_type == ghost.column_type and same_form(source, ghost) and source.is_nullable <= ghost.is_nullable
    )


def row_digest(columns: Sequence[Column], key: Sequence[Column], also: Sequence[str] = ()) -> str:
    """An integer expression over the row: different rows differ in it, but for one chance in 2^32.

    `also`: further expressions that count.
    """
    return f"crc32({_serialised(columns, also)}) * (crc32({_serialised(key)}) | 1)"


def set_digest(row: str) -> str:
    """The aggregate of the rows' digests: the same for the same set of rows in any order."""
    return f"bit_xor({row})"


def _serialised(columns: Sequence[Column], also: Sequence[str] = ()) -> str:
    nulls = [f"isnull({quote(column.name)})" for column in columns if column.is_nullable]
    whole = [f"length({quote(column.name)})" for column in columns if column.data_type in _NARROW_TEXT | _NARROW_BYTES]
    hashed = [f"length({quote(column.name)})" for column in columns if column.data_type in _WIDE_TEXT | _WIDE_BYTES]
    # Texts of one character set and collation, the session's own set, are put together byte by byte as they are.
    texts = {(column.charset, column.collation) for column in columns if column.data_type in _NARROW_TEXT}
    is_cast = not (len(texts) == 1 and texts.pop()[0] == "utf8mb4")
    values = [_value(column, is_cast) for column in columns]
    parts = [*nulls, *whole[1:], *hashed, *values, *also]
    return parts[0] if len(parts) == 1 else f"concat_ws('#', {', '.join(parts)})"


def has_its_default(column: Column, filler: str | None) -> str | None:
    """A condition that is true where a column that the `ALTER` adds has the value that every row gets.

    `filler`: the literal that rows get where the column has no default. None where the value is not the same for all: a
    default of now, a random one, one that is made of other columns, a counter.
    """
    name = quote(column.name)
    if column.is_auto_increment or not (filler or column.has_plain_default):
        return None
    if filler is not None:
        # A JSON value is not equal to its text.
        return f"{f'cast({name} as char)' if column.data_type == 'json' else name} <=> {filler}"
    # As binary, or 'a' would be the same as 'A', and a number as a text that begins with it.
    return f"cast({name} as binary) <=> cast(default({name}) as binary)"


def _value(column: Column, is_cast: bool) -> str:
    """The column's value, exactly, in a form that does not depend on the session. `is_cast`: texts as bytes."""
    name = quote(column.name)
    kind = column.data_type
    if kind in _INTEGERS and "zerofill" not in column.column_type.lower():
        return name
    if kind in _NUMBERED:
        return f"{name} + 0"
    if kind in _FLOATING:
        # A FLOAT prints six digits; as a double it prints all that tell it from its neighbours.
        return f"{name} * 1e0"
    if kind == "timestamp":
        # Seconds since the epoch: printed in local time, two of them are the same at the end of summer.
        return f"unix_timestamp({name})"
    if kind in _PRINTED or kind in _NARROW_BYTES:
        return name
    if kind in _NARROW_TEXT:
        return f"cast({name} as binary)" if is_cast else name
    if kind in _WIDE_TEXT:
        return f"crc32(cast({name} as binary))"
    if kind in _WIDE_BYTES:
        return f"crc32({name})"
    if kind == "json":
        return f"crc32(cast({name} as char))"
    return f"crc32(hex({name}))"
