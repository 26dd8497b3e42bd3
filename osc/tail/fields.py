"""One column of a row image: how many bytes its value takes, and what the key value in them is.

The layouts are those of the servers' `Field::pack`, and the table map's metadata tells their sizes (MySQL Source Code
Documentation, "Table_map_event"). A value is decoded for key columns only; all other types must merely be passed over.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from osc.table.key import KeyColumn, KeyValue
from osc.tail.oldtimes import DATETIME_BYTES, TIME_BYTES, TIMESTAMP_BYTES, old_datetime, old_time, old_timestamp

TINY, SHORT, LONG, FLOAT, DOUBLE, NULL, TIMESTAMP, LONGLONG, INT24, DATE, TIME, DATETIME, YEAR, NEWDATE = range(1, 15)
VARCHAR, BIT, TIMESTAMP2, DATETIME2, TIME2 = range(15, 20)
VARCHAR_COMPRESSED: Final = 141
BLOB_COMPRESSED: Final = 140
VECTOR: Final = 242
JSON: Final = 245
NEWDECIMAL: Final = 246
ENUM: Final = 247
SET: Final = 248
TINY_BLOB, MEDIUM_BLOB, LONG_BLOB, BLOB, VAR_STRING, STRING, GEOMETRY = range(249, 256)

METADATA_LENGTHS: Final[dict[int, int]] = {
    **dict.fromkeys((TINY, SHORT, LONG, NULL, TIMESTAMP, LONGLONG, INT24, DATE, TIME, DATETIME, YEAR, NEWDATE), 0),
    **dict.fromkeys((FLOAT, DOUBLE, TIMESTAMP2, DATETIME2, TIME2), 1),
    **dict.fromkeys((TINY_BLOB, MEDIUM_BLOB, LONG_BLOB, BLOB, GEOMETRY, JSON, VECTOR, BLOB_COMPRESSED), 1),
    **dict.fromkeys((VARCHAR, VARCHAR_COMPRESSED, BIT, NEWDECIMAL, ENUM, SET, VAR_STRING, STRING), 2),
}
"""Bytes of metadata that a table map has for a column of each type."""

_FIXED: Final[dict[int, int]] = {
    TINY: 1, SHORT: 2, INT24: 3, LONG: 4, LONGLONG: 8, NULL: 0, YEAR: 1,
    DATE: 3, NEWDATE: 3,
}  # fmt: skip

_EPOCH = datetime(1970, 1, 1)
_DIGITS_TO_BYTES = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)


@dataclass(frozen=True, slots=True)
class Field:
    """A column as a table map describes it."""

    type: int
    """The true type: a table map says STRING for ENUM and SET."""
    meta: tuple[int, int]
    digits: int = 0
    """Of a time in an old format, which a table map does not tell: digits behind the point."""

    @property
    def fixed_size(self) -> int | None:
        """Bytes of a value, None when each value carries its length."""
        if (size := _FIXED.get(self.type)) is not None:
            return size
        first, second = self.meta
        match self.type:
            case 4 | 5:
                return first
            case 7:
                return TIMESTAMP_BYTES[self.digits]
            case 11:
                return TIME_BYTES[self.digits]
            case 12:
                return DATETIME_BYTES[self.digits]
            case 17:
                return 4 + (first + 1) // 2
            case 18:
                return 5 + (first + 1) // 2
            case 19:
                return 3 + (first + 1) // 2
            case 16:
                return second + (1 if first else 0)
            case 246:
                return _decimal_size(first, second)
            case 247 | 248:
                return second
        return None

    @property
    def length_width(self) -> int:
        """Bytes of the length in front of a value; 0 for a fixed size."""
        if self.fixed_size is not None:
            return 0
        if self.type in (VARCHAR, VARCHAR_COMPRESSED, VAR_STRING):
            return 1 if self.meta[0] | self.meta[1] << 8 < 256 else 2
        if self.type == STRING:
            return 1 if self.max_length < 256 else 2
        return self.meta[0]

    @property
    def max_length(self) -> int:
        """The longest CHAR in bytes; bits 8 and 9 are hidden, inverted, in the type's byte (MySQL bug 37426)."""
        return ((self.meta[0] & 0x30) ^ 0x30) << 4 | self.meta[1]


def field(type_: int, meta: bytes, digits: int = 0) -> Field:
    """The column of a table map's type and metadata; `digits`, of a time, as the table says.

    Raises ValueError for a type that no server is known to write.
    """
    if type_ not in METADATA_LENGTHS:
        raise ValueError(f"column type {type_} is unknown")
    first = meta[0] if meta else 0
    second = meta[1] if len(meta) > 1 else 0
    if type_ == STRING and first in (ENUM, SET):
        return Field(first, (0, second))
    if type_ in (ENUM, SET):
        return Field(type_, (0, second))
    return Field(type_, (first, second), digits if type_ in (TIMESTAMP, TIME, DATETIME) else 0)


Decoder = Callable[[bytes, int, int], KeyValue]
"""Takes the row image, where the value starts and where it ends (behind any length)."""

_TYPES_OF_DATA_TYPE: Final[dict[str, frozenset[int]]] = {
    "tinyint": frozenset({TINY}),
    "smallint": frozenset({SHORT}),
    "mediumint": frozenset({INT24}),
    "int": frozenset({LONG}),
    "bigint": frozenset({LONGLONG}),
    "bit": frozenset({BIT}),
    "year": frozenset({YEAR}),
    "date": frozenset({DATE, NEWDATE}),
    "datetime": frozenset({DATETIME, DATETIME2}),
    "timestamp": frozenset({TIMESTAMP, TIMESTAMP2}),
    "time": frozenset({TIME, TIME2}),
    "decimal": frozenset({NEWDECIMAL}),
    "enum": frozenset({ENUM}),
    "set": frozenset({SET}),
    "binary": frozenset({STRING}),
    "inet4": frozenset({STRING}),
    "inet6": frozenset({STRING}),
    "uuid": frozenset({STRING}),
    "char": frozenset({STRING}),
    "varbinary": frozenset({VARCHAR, VAR_STRING}),
    "varchar": frozenset({VARCHAR, VAR_STRING}),
}


def decoder(found: Field, column: KeyColumn) -> Decoder | None:
    """How to take the key value of `column` out of an image; None when the column in the binlog is of another type."""
    if found.type not in _TYPES_OF_DATA_TYPE[column.data_type]:
        return None
    match column.kind:
        case "integer":
            return _integer(found, column.is_unsigned)
        case "bit":
            return _big_endian
        case "enum" | "set":
            return _little_endian
        case "year":
            return _year
        case "binary" | "uuid":
            return _binary(column.pad_to or 0)
        case "string":
            return _char(column.charset or "") if found.type == STRING else _bytes
        case "decimal":
            return _decimal(*found.meta)
        case "date":
            return _date
        case "datetime":
            return _datetime(found.meta[0]) if found.type == DATETIME2 else _old_datetime(found.digits)
        case "timestamp":
            return _timestamp(found.meta[0]) if found.type == TIMESTAMP2 else _old_timestamp(found.digits)
        case "time":
            return _time(found.meta[0]) if found.type == TIME2 else _old_time(found.digits)


def _integer(found: Field, is_unsigned: bool) -> Decoder:
    codes = {TINY: "b", SHORT: "h", LONG: "i", LONGLONG: "q"}
    code = codes.get(found.type)
    if code is None:

        def medium(image: bytes, start: int, end: int) -> int:
            return int.from_bytes(image[start:end], "little", signed=not is_unsigned)

        return medium
    unpack = struct.Struct("<" + (code.upper() if is_unsigned else code)).unpack_from

    def integer(image: bytes, start: int, end: int) -> int:
        return unpack(image, start)[0]  # type: ignore[no-any-return]

    return integer


def _big_endian(image: bytes, start: int, end: int) -> int:
    return int.from_bytes(image[start:end], "big")


def _little_endian(image: bytes, start: int, end: int) -> int:
    return int.from_bytes(image[start:end], "little")


def _year(image: bytes, start: int, end: int) -> int:
    return image[start] + 1900 if image[start] else 0


def _bytes(image: bytes, start: int, end: int) -> bytes:
    return image[start:end]


def _binary(pad_to: int) -> Decoder:
    def binary(image: bytes, start: int, end: int) -> bytes:
        return image[start:end].ljust(pad_to, b"\0")

    return binary


_SPACES: Final[dict[str, bytes]] = {
    "ucs2": b"\0 ", "utf16": b"\0 ", "utf16le": b" \0", "utf32": b"\0\0\0 ",
}  # fmt: skip


def _char(charset: str) -> Decoder:
    """A `SELECT` gives no trailing spaces of a CHAR; the binlog does where the character set's space is several bytes."""
    space = _SPACES.get(charset, b" ")

    def char(image: bytes, start: int, end: int) -> bytes:
        value = image[start:end]
        while value.endswith(space) and len(value) % len(space) == 0:
            value = value[: -len(space)]
        return value

    return char


def _decimal_size(precision: int, scale: int) -> int:
    whole, fraction = divmod(precision - scale, 9), divmod(scale, 9)
    return whole[0] * 4 + _DIGITS_TO_BYTES[whole[1]] + fraction[0] * 4 + _DIGITS_TO_BYTES[fraction[1]]


def _decimal(precision: int, scale: int) -> Decoder:
    """Big-endian groups of nine digits, inverted below zero, the first bit flipped (MySQL's `strings/decimal.c`)."""
    whole_groups, whole_rest = divmod(precision - scale, 9)
    fraction_groups, fraction_rest = divmod(scale, 9)
    groups = [whole_rest] * bool(whole_rest) + [9] * whole_groups
    behind_point = len(groups)
    groups += [9] * fraction_groups + [fraction_rest] * bool(fraction_rest)

    def decimal(image: bytes, start: int, end: int) -> str:
        negative = not image[start] & 0x80
        packed = bytes((image[start] ^ 0x80,)) + image[start + 1 : end]
        if negative:
            packed = bytes(byte ^ 0xFF for byte in packed)
        texts: list[str] = []
        at = 0
        for digits in groups:
            width = _DIGITS_TO_BYTES[digits]
            texts.append(f"{int.from_bytes(packed[at : at + width], 'big'):0{digits}d}")
            at += width
        whole = "".join(texts[:behind_point]).lstrip("0") or "0"
        return ("-" if negative else "") + whole + ("." + "".join(texts[behind_point:]) if scale else "")

    return decimal


def _date(image: bytes, start: int, end: int) -> str:
    packed = int.from_bytes(image[start:end], "little")
    return f"{packed >> 9:04d}-{packed >> 5 & 15:02d}-{packed & 31:02d}"


def _fraction(packed: int, digits: int) -> str:
    """The fraction of `digits` digits, kept in whole bytes of two digits each, with its point."""
    return "." + f"{packed:0{(digits + 1) // 2 * 2}d}"[:digits] if digits else ""


def _datetime(digits: int) -> Decoder:
    def datetime2(image: bytes, start: int, end: int) -> str:
        packed = int.from_bytes(image[start : start + 5], "big") - 0x8000000000
        date, time = packed >> 17, packed & 0x1FFFF
        year, month = divmod(date >> 5, 13)
        fraction = _fraction(int.from_bytes(image[start + 5 : end], "big"), digits)
        return f"{year:04d}-{month:02d}-{date & 31:02d} {time >> 12:02d}:{time >> 6 & 63:02d}:{time & 63:02d}{fraction}"

    return datetime2


def _old_datetime(digits: int) -> Decoder:
    def datetime(image: bytes, start: int, end: int) -> str:
        if digits:
            return old_datetime(image[start:end], digits)
        text = f"{int.from_bytes(image[start:end], 'little'):014d}"
        return f"{text[:4]}-{text[4:6]}-{text[6:8]} {text[8:10]}:{text[10:12]}:{text[12:]}"

    return datetime


def _utc(seconds: int, fraction: str) -> str:
    if not seconds and not fraction.strip(".0"):
        return "0000-00-00 00:00:00" + fraction
    return (_EPOCH + timedelta(seconds=seconds)).isoformat(" ") + fraction


def _timestamp(digits: int) -> Decoder:
    def timestamp2(image: bytes, start: int, end: int) -> str:
        fraction = _fraction(int.from_bytes(image[start + 4 : end], "big"), digits)
        return _utc(int.from_bytes(image[start : start + 4], "big"), fraction)

    return timestamp2


def _old_timestamp(digits: int) -> Decoder:
    def timestamp(image: bytes, start: int, end: int) -> str:
        if digits:
            return _utc(*old_timestamp(image[start:end], digits))
        return _utc(int.from_bytes(image[start:end], "little"), "")

    return timestamp


def _time(digits: int) -> Decoder:
    def time2(image: bytes, start: int, end: int) -> str:
        fraction_bits = (end - start - 3) * 8
        packed = int.from_bytes(image[start:end], "big") - (0x800000 << fraction_bits)
        time, fraction = divmod(abs(packed), 1 << fraction_bits)
        sign = "-" if packed < 0 else ""
        return f"{sign}{time >> 12:02d}:{time >> 6 & 63:02d}:{time & 63:02d}{_fraction(fraction, digits)}"

    return time2


def _old_time(digits: int) -> Decoder:
    def time(image: bytes, start: int, end: int) -> str:
        if digits:
            return old_time(image[start:end], digits)
        packed = int.from_bytes(image[start:end], "little", signed=True)
        value = abs(packed)
        return f"{'-' if packed < 0 else ''}{value // 10000:02d}:{value // 100 % 100:02d}:{value % 100:02d}"

    return time
