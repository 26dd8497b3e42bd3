"""The watermarks: which keys are copied, which are being copied, and so what to do with a key that changed.

    ──── copied ────┤ L ── ranges in flight ──┤ H ──── not copied yet ────

`L`, the low watermark: every range below it is done. `H`, the high watermark: the end of the last range handed out. All
decisions are taken under the one lock that also hands out ranges, so that a key is never judged against a watermark that
has just moved.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from osc.table.key import Key
from osc.table.ranges import Range

Verdict = Literal["reconcile", "hold", "drop"]


@dataclass(frozen=True, slots=True)
class Sorted:
    """The keys of one cycle by what is to be done with them."""

    reconcile: list[Key]
    hold: list[Key]
    drop: list[Key]
    after_ranges: frozenset[int]
    """Numbers of the ranges that must have finished before anything of `reconcile` is applied."""


class Watermarks:
    """Hands out ranges in key order and judges keys against them."""

    def __init__(self, *, compares: bool, may_drop: bool, low: Key | None = None, guard: Key | None = None) -> None:
        """`low`: copy from there (None: from the start). `compares`: keys compare in Python as in the server.

        `may_drop`: the ghost has no unique key other than the migration key. `guard`: the largest key that was in the
        ghost when a resumed run began; keys up to it may be in the ghost already, so they are never dropped.
        """
        self._lock = threading.Lock()
        self._moved = threading.Condition(self._lock)
        self._compares = compares
        self._may_drop = may_drop and compares
        self._guard = guard
        self._high: Key | None = low
        self._high_is_open = False
        self._in_flight: dict[int, Range] = {}
        self._dispatched = 0

    # --- the copy's side ------------------------------------------------------------------------------------------

    def dispatch(self, end: Key | None = None, last: Key | None = None) -> Range:
        """Hand out the range from the high watermark to `end` (excluded), or the final one to `last` (included)."""
        with self._lock:
            assert end is not None or self._high_is_open, "the end of the copy was fixed before it was opened"
            span = Range(self._dispatched + 1, self._high, end, last)
            self._dispatched += 1
            self._in_flight[span.number] = span
            if end is not None:
                self._high = end
            return span

    def complete(self, number: int) -> None:
        """The range's rows are committed in the ghost. Ranges may finish in any order."""
        with self._lock:
            del self._in_flight[number]
            self._moved.notify_all()

    def open_end(self) -> None:
        """From now on no key is above the high watermark: what is added behind the end is reconciled, not copied.

        Called before the end of the copy is fixed. A row dropped earlier was visible when it was dropped, so it lies at or
        below the last key that is read after this call, and is copied.
        """
        with self._lock:
            self._high_is_open = True

    @property
    def low(self) -> Key | None:
        """The low watermark; None before the first range is done from the very start."""
        with self._lock:
            oldest = min(self._in_flight, default=None)
            return self._high if oldest is None else self._in_flight[oldest].start

    @property
    def high(self) -> Key | None:
        """Where the next range begins; None before the first."""
        with self._lock:
            return self._high

    # --- the reconciler's side ------------------------------------------------------------------------------------

    def sort(self, keys: Iterable[Key]) -> Sorted:
        """Judge the keys of a cycle, in one go. Only after the cycle's barrier: then a fresh read sees their changes."""
        with self._lock:
            if not self._compares:
                return Sorted(list(keys), [], [], frozenset(self._in_flight))
            piles: dict[Verdict, list[Key]] = {"reconcile": [], "hold": [], "drop": []}
            for key in keys:
                piles[self._judge(key)].append(key)
            return Sorted(piles["reconcile"], piles["hold"], piles["drop"], frozenset())

    def _judge(self, key: Key) -> Verdict:
        if not self._high_is_open and (self._high is None or key >= self._high):
            above_guard = self._guard is None or key > self._guard
            return "drop" if self._may_drop and above_guard else "reconcile"
        if any(span.contains(key) for span in self._in_flight.values()):
            return "hold"
        return "reconcile"

    def wait_until_done(self, ranges: frozenset[int], timeout_s: float) -> bool:
        """Wait until none of these ranges is in flight; whether that is so."""
        with self._lock:
            return self._moved.wait_for(lambda: ranges.isdisjoint(self._in_flight), timeout_s)
