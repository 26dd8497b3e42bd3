"""How far the copy has come in the migration key: a rough measure of what is done that does not rest on a count of rows.

Only for telling people how long it takes; nothing is decided by it. So strings are taken by their bytes, which is about the
order that most collations give to keys that are made by programs.
"""

from __future__ import annotations

import logging
from datetime import datetime
from decimal import Decimal

import pymysql

from osc.control.stop import StopRequest
from osc.copy.ranges import one_key
from osc.copy.sizing import CHUNK_BYTES
from osc.errors import Interrupted, OscError
from osc.mysql.ending import time_limit
from osc.mysql.session import Conn, Sessions, error_text
from osc.mysql.steady import SteadySession
from osc.table.key import Key, KeyColumn, KeyValue
from osc.table.projection import Projection

log = logging.getLogger(__name__)

LOOK_FOR_S = 1
"""The most that a look may take: somebody may have locked the original, or the end of the key may be full of deleted rows."""
DIGITS = 8
"""Bytes behind those that the first and the last key have in common."""


class KeySpan:
    """From the original's first key to its last; None where there are no rows. The last one moves as rows are appended."""

    def __init__(self, projection: Projection, sessions: Sessions, stop: StopRequest) -> None:
        self._projection = projection
        self._session = SteadySession(
            sessions,
            "look how far the copy has come",
            stop,
            variables={"lock_wait_timeout": str(LOOK_FOR_S), **time_limit(sessions.server, LOOK_FOR_S)},
            attempts=1,
        )
        self._ends: tuple[Key, Key] | None = None

    def look(self) -> None:
        """Look for the two keys, by a seek each. Whatever goes wrong is not worth a migration, and raises only Interrupted."""
        try:
            self._session.run(self._find)
        except Interrupted:
            raise
        except (pymysql.err.MySQLError, OscError, OSError) as error:
            log.info("how far the copy has come in the key is not known: %s", error_text(error))

    def close(self) -> None:
        self._session.close()

    def _find(self, connection: Conn) -> None:
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
