"""Times with fractions in the format that MariaDB had before MySQL 5.6's (`mysql56_temporal_format=OFF`, MariaDB 5.3 on).

A table map tells nothing about their digits: they have to be known from the table. Numbers are big-endian, and how many bytes
they have depends on the digits (`Field_temporal_hires` of MariaDB's `sql/field.cc`).
"""

from __future__ import annotations

from typing import Final

TIME_BYTES: Final = (3, 4, 4, 5, 5, 5, 6)
DATETIME_BYTES: Final = (8, 6, 6, 7, 7, 7, 8)
TIMESTAMP_BYTES: Final = (4, 5, 5, 6, 6, 7, 7)
"""Bytes of a value by the number of digits; without digits the older format of MySQL."""

_LONGEST_TIME_S: Final = 838 * 3600 + 59 * 60 + 59


def old_time(packed: bytes, digits: int) -> str:
    """The text of a `TIME(digits)`, digits not 0."""
    # Kept above zero by adding one unit more than the longest time, in digits of the column's own precision.
    value = int.from_bytes(packed, "big") - (_LONGEST_TIME_S + 1) * 10**digits
    rest, fraction = divmod(abs(value), 10**digits)
    rest, seconds = divmod(rest, 60)
    rest, minutes = divmod(rest, 60)
    return f"{'-' if value < 0 else ''}{rest:02d}:{minutes:02d}:{seconds:02d}.{fraction:0{digits}d}"


def old_datetime(packed: bytes, digits: int) -> str:
    """The text of a `DATETIME(digits)`, digits not 0."""
    rest, fraction = divmod(int.from_bytes(packed, "big"), 10**digits)
    rest, seconds = divmod(rest, 60)
    rest, minutes = divmod(rest, 60)
    rest, hours = divmod(rest, 24)
    rest, day = divmod(rest, 32)
    year, month = divmod(rest, 13)
    return f"{year:04d}-{month:02d}-{day:02d} {hours:02d}:{minutes:02d}:{seconds:02d}.{fraction:0{digits}d}"


def old_timestamp(packed: bytes, digits: int) -> tuple[int, str]:
    """Seconds since 1970 and the fraction, with its point, of a `TIMESTAMP(digits)`, digits not 0."""
    return int.from_bytes(packed[:4], "big"), f".{int.from_bytes(packed[4:], 'big'):0{digits}d}"
