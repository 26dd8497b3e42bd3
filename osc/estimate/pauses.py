"""Pauses that come back, as where replicas fall behind again and again: by how much they draw out what is left.

One pause tells nothing of the next; several tell how often they come and how long they are. They count until none has come
for much longer than it ever took.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise

LEAST = 3
"""Periods, each from the beginning of one pause to that of the next."""
COUNTED = 30
"""Of the periods, the last ones."""
MISSED = 3.0
"""Times the longest period without a pause: there will be no more of them."""


class Pauses:
    """Fed with whether it is held, in order of time."""

    def __init__(self) -> None:
        self._began_s: deque[float] = deque(maxlen=COUNTED + 1)
        self._held_s: deque[float] = deque(maxlen=COUNTED + 1)
        self._at_s = 0.0
        self._is_held = False

    def saw(self, at_s: float, is_held: bool) -> None:
        """Whether it is held at that time; where that changed, it did so half-way since the last look."""
        changed_s = (self._at_s + at_s) / 2
        if is_held and not self._is_held:
            self._began_s.append(changed_s)
            self._held_s.append(0.0)
        elif self._is_held and not is_held:
            self._held_s[-1] = changed_s - self._began_s[-1]
        self._at_s, self._is_held = at_s, is_held

    @property
    def stretch(self) -> float:
        """How many times as long as the work itself the work and its pauses take; 1 where none are to be expected."""
        began_s = list(self._began_s)
        if len(began_s) <= LEAST:
            return 1.0
        periods_s = [then - one for one, then in pairwise(began_s)]
        if not self._is_held and self._at_s - began_s[-1] > MISSED * max(periods_s):
            return 1.0
        whole_s = began_s[-1] - began_s[0]
        worked_s = whole_s - sum(list(self._held_s)[: len(periods_s)])
        return whole_s / worked_s if worked_s > 0 else 1.0
