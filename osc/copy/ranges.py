"""Cutting the original into ranges, in key order, each found by an index seek from where the last one ended."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass

from osc.copy.sizing import CHUNK_BYTES
from osc.mysql.session import Conn
from osc.reconcile.watermarks import Watermarks
from osc.steps import carry_out
from osc.table.key import Key
from osc.table.projection import Projection
from osc.table.ranges import Range


@dataclass(slots=True)
class RangeEnd:
    """Seek the key `rows` rows behind `start`, among the keys up to `last` where one is given."""

    start: Key | None
    rows: int
    last: Key | None = None
    found: Key | None = None
    """Answer: the key; None where there are not so many."""


@dataclass(slots=True)
class LastKey:
    """Seek the largest key."""

    found: Key | None = None
    """Answer: the key; None where there is none."""


class RangeCutter:
    """Decides where ranges end. Used by one caller at a time.

    The copy ends with the largest key that there was when it came near the end. From then on no key is above the high
    watermark, so rows that are appended later are reconciled and an append-only table comes to its end, and a row that was
    dropped before as "not copied yet" lies below that largest key, because it was visible when it was dropped.
    """

    def __init__(self, watermarks: Watermarks) -> None:
        self._watermarks = watermarks
        self._last: Key | None = None
        self._end_is_fixed = False
        self._is_exhausted = False

    def next(self, rows: int) -> Generator[RangeEnd | LastKey, None, Range | None]:
        """The next range of about `rows` rows, already in flight; None when there is nothing left to hand out."""
        if self._is_exhausted:
            return None
        if not self._end_is_fixed:
            seek = RangeEnd(self._watermarks.high, rows)
            yield seek
            if seek.found is not None:
                return self._watermarks.dispatch(end=seek.found)
            yield from self._fix_end()
        if self._last is None:
            self._is_exhausted = True
            return None
        seek = RangeEnd(self._watermarks.high, rows, self._last)
        yield seek
        if seek.found is not None:
            return self._watermarks.dispatch(end=seek.found)
        self._is_exhausted = True
        return self._watermarks.dispatch(last=self._last)

    def next_below(self, rows: int, below: Key) -> Generator[RangeEnd, None, Range | None]:
        """The next range of at most about `rows` rows that ends at `below` or before; None when there is none left.

        Only for keys that compare in Python as in the server.
        """
        high = self._watermarks.high
        if self._is_exhausted or (high is not None and high >= below):
            return None
        seek = RangeEnd(high, rows, below)
        yield seek
        return self._watermarks.dispatch(end=below if seek.found is None else seek.found)

    def _fix_end(self) -> Generator[LastKey, None, None]:
        self._watermarks.open_end()
        seek = LastKey()
        yield seek
        self._last = seek.found
        self._end_is_fixed = True


class RangeDispatcher:
    """Hands out the next range to whichever worker asks. Thread-safe; the seek runs on the asking worker's session."""

    def __init__(self, projection: Projection, watermarks: Watermarks) -> None:
        self._projection = projection
        self._cutter = RangeCutter(watermarks)
        self._lock = threading.Lock()

    def next(self, query: Callable[[str], Key | None], rows: int, below: Key | None = None) -> Range | None:
        """The next range of about `rows` rows, already in flight; None when there is nothing left to hand out.

        `below`: only what ends there or before, for now.
        """

        def seek(step: RangeEnd | LastKey) -> None:
            match step:
                case RangeEnd():
                    step.found = query(self._projection.range_end(step.start, step.rows, step.last, CHUNK_BYTES))
                case LastKey():
                    step.found = query(self._projection.last_key())

        with self._lock:
            return carry_out(self._cutter.next(rows) if below is None else self._cutter.next_below(rows, below), seek)


def one_key(connection: Conn, projection: Projection, statement: str) -> Key | None:
    """What one of the projection's key queries answers: a key, or None."""
    with connection.cursor() as cursor:
        cursor.execute(statement)
        row = cursor.fetchone()
    return None if row is None else projection.key_from_row(row)
