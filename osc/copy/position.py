"""How far the copy has come in the migration key: a rough measure of what is done that does not rest on a count of rows.

Only for telling people how long it takes; nothing is decided by it. So strings are taken by their bytes, which is about the
order that most collations give to keys that are made by programs.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from osc.copy.ranges import one_key
from osc.copy.sizing import CHUNK_BYTES
from osc.mysql.session import Conn
from osc.table.key import Key, KeyColumn, KeyValue
from osc.table.projection import Projection

DIGITS = 8
"""Bytes behind those that the first and the last key have in common."""


class KeySpan:
    """From the original's first key to its last; None where there are no rows. The last one moves as rows are appended."""

    def __init__(self, projection: Projection) -> None:
        self._projection = projection
        self._ends: tuple[Key, Key] | None = None

    def look(self, connection: Conn) -> None:
        """Look for the two keys, by a seek each."""
        projection = self._projection
        first = self._ends[0] if self._ends else self._first(connection)
        last = one_key(connection, projection, projection.last_key())
        self._ends = None if first is None or last is None else (first, last)

    def share_below(self, key: Key | None) -> float | None:
        """What share of it lies below that key, 0 to 1 (None: below the first); None where that cannot be told."""
        if self._ends is None:
            return None
        return 0.0 if key is None else share_below(self._projection.key.columns, *self._ends, key)

    def _first(self, connection: Conn) -> Key | None:
        return one_key(connection, self._projection, self._projection.range_end(None, 0, None, CHUNK_BYTES))


def share_below(columns: tuple[KeyColumn, ...], first: Key, last: Key, key: Key) -> float | None:
    """What share of the keys from `first` to `last` lies below `key`, by the first column in which the two differ."""
    for column, low, high, here in zip(columns, first, last, key, strict=True):
        if low != high:
            share = _share(column, low, high, here)
            return None if share is None else min(1.0, max(0.0, share))
    return None


def _share(column: KeyColumn, low: KeyValue, high: KeyValue, here: KeyValue) -> float | None:
    if isinstance(low, int) and isinstance(high, int) and isinstance(here, int):
        return (here - low) / (high - low)
    if isinstance(low, bytes) and isinstance(high, bytes) and isinstance(here, bytes):
        # The bytes of a UUID are not what the server sorts it by.
        return None if column.kind == "uuid" else _share_of_bytes(low, high, here)
    try:
        if column.kind == "decimal":
            first, last, key = (Decimal(str(value)) for value in (low, high, here))
            return float((key - first) / (last - first))
        if column.kind in ("date", "datetime", "timestamp"):
            early, late, now = (datetime.fromisoformat(str(value)) for value in (low, high, here))
            return (now - early) / (late - early)
    except (ValueError, ArithmeticError):
        return None  # zero dates, and dates of no calendar
    return None  # the text of a TIME does not sort like one


def _share_of_bytes(low: bytes, high: bytes, here: bytes) -> float | None:
    same = next((at for at, (one, other) in enumerate(zip(low, high, strict=False)) if one != other), None)
    skipped = min(len(low), len(high)) if same is None else same
    first, last, key = (_number(value[skipped:]) for value in (low, high, here))
    return (key - first) / (last - first) if last != first else None


def _number(value: bytes) -> int:
    return int.from_bytes(value[:DIGITS].ljust(DIGITS, b"\0"), "big")
