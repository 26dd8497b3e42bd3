"""Choosing the regions of the table that are sampled: all over the key space, and closer where there are more rows.

The widest segment, by what the server's optimizer takes its rows to be, is cut in two again and again. Nothing is read
for that but the ends of an index and a row at each cut.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from osc.copy.ranges import one_key
from osc.copy.sizing import CHUNK_BYTES
from osc.mysql.session import Conn
from osc.table.key import Key, KeyColumn, KeyValue
from osc.table.projection import Projection
from osc.table.ranges import Range

REGIONS = 7
MOST_SEEKS = 64
"""For one cut: the values of an integer can be halved so often."""

DIGITS = 4
"""So many bytes of a text are looked at, from the first that differs on."""
LOWER = (string.digits + string.ascii_lowercase).encode()
UPPER = (string.digits + string.ascii_uppercase).encode()
PRINTABLE = bytes(range(0x20, 0x80))


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the key space, and where in it the sample begins."""

    start: Key | None
    share: float
    """Of the table's rows, 0 to 1."""


def choose_regions(connection: Conn, projection: Projection, count: int = REGIONS) -> list[Region]:
    """So many regions at most, in key order; their shares come to 1. Empty for an empty table."""

    def seek(key: Key | None) -> Key | None:
        return one_key(connection, projection, projection.range_end(key, 0, None, CHUNK_BYTES))

    first, last = seek(None), one_key(connection, projection, projection.last_key())
    if first is None or last is None:
        return []
    segments = [_Segment(first, last, 1.0)]
    while len(segments) < count:
        candidates = [segment for segment in segments if not segment.is_whole]
        if not candidates:
            break
        widest = max(candidates, key=lambda segment: segment.rows)
        at = segments.index(widest)
        segments[at : at + 1] = _halves(connection, projection, widest, seek)
    total = sum(segment.rows for segment in segments)
    # From the middle of each, so that its first rows do not speak for all of it.
    return [Region(_middle(projection, segment, seek) or segment.start, segment.rows / total) for segment in segments]


@dataclass(frozen=True, slots=True)
class _Segment:
    start: Key
    end: Key
    rows: float
    is_whole: bool = False
    """Whether it cannot be cut."""


def _halves(
    connection: Conn, projection: Projection, segment: _Segment, seek: Callable[[Key | None], Key | None]
) -> list[_Segment]:
    middle = _middle(projection, segment, seek)
    if middle is None:
        return [_Segment(segment.start, segment.end, segment.rows, is_whole=True)]
    parts = [(segment.start, middle), (middle, segment.end)]
    return [_Segment(start, end, _rows(connection, projection, start, end)) for start, end in parts]


def _middle(projection: Projection, segment: _Segment, seek: Callable[[Key | None], Key | None]) -> Key | None:
    """A key that is there, about in the middle of the segment; None where there is none to be found."""
    low, high = segment.start, segment.end
    for _ in range(MOST_SEEKS):
        probe = midway(projection.key.columns, low, high)
        if probe is None:
            return None
        found = seek(probe)
        if found is None or found == segment.end:
            # Nothing lies behind the probe: the rows are all before it.
            high = probe
        elif found == segment.start:
            # As the server's collation has it, it comes before all of them.
            low = probe
        else:
            return found
    return None


def _rows(connection: Conn, projection: Projection, start: Key, end: Key) -> float:
    """What the optimizer takes the rows between the two to be."""
    with connection.cursor() as cursor:
        cursor.execute(projection.explain_range(Range(0, start, end)))
        assert cursor.description is not None
        titles = [str(item[0]).lower() for item in cursor.description]
        row = cursor.fetchone()
    rows = None if row is None else dict(zip(titles, row, strict=True)).get("rows")
    return max(1.0, float(str(rows))) if rows is not None else 1.0


def midway(columns: tuple[KeyColumn, ...], start: Key, end: Key) -> Key | None:
    """A key about in the middle of the two, by the first column in which they differ; None where there is none to be made."""
    for part, (column, low, high) in enumerate(zip(columns, start, end, strict=True)):
        if low != high:
            middle = _between(column, low, high)
            return None if middle is None or middle == low else (*start[:part], middle, *start[part + 1 :])
    return None


def _between(column: KeyColumn, low: KeyValue, high: KeyValue) -> KeyValue | None:
    if isinstance(low, int) and isinstance(high, int):
        return (low + high) // 2
    if isinstance(low, bytes) and isinstance(high, bytes):
        return _bytes_between(low, high)
    try:
        if column.kind == "decimal":
            middle = (Decimal(str(low)) + Decimal(str(high))) / 2
            return f"{middle:f}"
        if column.kind in ("date", "datetime", "timestamp"):
            early, late = (datetime.fromisoformat(str(value)) for value in (low, high))
            halfway = early + (late - early) / 2
            return f"{halfway:%Y-%m-%d}" if column.kind == "date" else f"{halfway:%Y-%m-%d %H:%M:%S}"
    except (ValueError, ArithmeticError):
        return None  # zero dates, and dates of no calendar
    return None  # the text of a TIME does not sort like one


def _bytes_between(low: bytes, high: bytes) -> bytes:
    """Halfway, as fractions: of letters and digits between such, of ASCII between ASCII, or it would be no text.

    What is between a digit and a letter for their bytes is before both, or behind both, in most collations.
    """
    same = next((at for at, (one, other) in enumerate(zip(low, high, strict=False)) if one != other), None)
    same = min(len(low), len(high)) if same is None else same
    parts = [value[same : same + DIGITS] for value in (low, high)]
    digits = _digits_of(b"".join(parts))
    base = len(digits)

    def number(part: bytes) -> int:
        places = [digits.index(byte) for byte in part] + [0] * (DIGITS - len(part))
        return sum(place * base ** (DIGITS - 1 - at) for at, place in enumerate(places))

    middle = sum(number(part) for part in parts) // 2
    return low[:same] + bytes(digits[(middle // base ** (DIGITS - 1 - at)) % base] for at in range(DIGITS))


def _digits_of(values: bytes) -> bytes:
    """The bytes that such values are made of, in order."""
    for digits in (LOWER, UPPER):
        if values and all(byte in digits for byte in values):
            return digits
    if all(byte in PRINTABLE for byte in values):
        return PRINTABLE
    return bytes(range(0x80 if values.isascii() else 0x100))
