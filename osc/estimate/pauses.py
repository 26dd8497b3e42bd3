"""Pauses that come back, as where replicas fall behind again and again: by how much they draw out what is left.

What counts is the later half of the time, so pauses that have stopped tell less and less. One pause tells nothing of the next;
and one that is far longer than the others, as an operator's over night, counts as a long one of theirs.
"""

from __future__ import annotations

import statistics
from collections import deque

FEWEST = 4
"""Pauses in the time that counts."""
COUNTED = 1 / 2
"""Of the time since the first look, its last part."""
LONGEST = 3.0
"""Times the median pause."""
_KEPT = 4_096


class Pauses:
    """Fed with whether it is held, in order of time."""

    def __init__(self) -> None:
        self._first_s: float | None = None
        self._at_s = 0.0
        self._held_since_s: float | None = None
        self._pauses: deque[tuple[float, float]] = deque(maxlen=_KEPT)

    def saw(self, at_s: float, is_held: bool) -> None:
        """Whether it is held at that time; where that changed, it did so half-way since the last look."""
        if self._first_s is None:
            self._first_s = self._at_s = at_s
        changed_s = (self._at_s + at_s) / 2
        if is_held and self._held_since_s is None:
            self._held_since_s = changed_s
        elif self._held_since_s is not None and not is_held:
            self._pauses.append((self._held_since_s, changed_s))
            self._held_since_s = None
        self._at_s = at_s

    @property
    def stretch(self) -> float:
        """How many times as long as the work itself the work and its pauses take; 1 where none are to be expected.

        It does not change during a pause.
        """
        if self._first_s is None:
            return 1.0
        now_s = self._at_s if self._held_since_s is None else self._held_since_s
        since_s = now_s - COUNTED * (now_s - self._first_s)
        if len(self._pauses) == _KEPT:
            since_s = max(since_s, self._pauses[0][0])
        lengths_s = [until_s - max(began_s, since_s) for began_s, until_s in self._pauses if until_s > since_s]
        if len(lengths_s) < FEWEST:
            return 1.0
        longest_s = LONGEST * statistics.median(lengths_s)
        held_s = sum(min(length_s, longest_s) for length_s in lengths_s)
        worked_s = now_s - since_s - sum(lengths_s)
        return 1.0 + held_s / worked_s if worked_s > 0 else 1.0
