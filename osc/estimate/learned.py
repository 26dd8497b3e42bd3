"""What a row takes, learned from the rows done so far: steady while the pace is, and soon right again when it changes.

Most of the time worked counts, not its last seconds: chunks differ, and a slow one, or a server that is busy for a moment, is
no change of pace. One that lasts is: when every quarter of the latest part of the time lies apart from the whole, and all to
the same side, what came before that part is forgotten.
"""

from __future__ import annotations

import math
from bisect import bisect_right

LEAST_S = 1.0
"""A pace over less is noise: one chunk more or less decides it."""
COUNTED = 2 / 3
"""Of the time worked, its last part: how it begins, with small chunks and a careful pace, says little."""
LATEST = 0.2
"""Of the time worked, within these bounds: the part in which a change of pace shows."""
SHORTEST_S = 5.0
LONGEST_S = 300.0
QUARTERS = 4
APART = 0.2
"""As a logarithm, so about a fifth slower or faster."""

_MOST_SAMPLES = 512


class SecondsARow:
    """Fed with a growing count of rows and the time worked for it, which the caller keeps: pauses are not in it."""

    def __init__(self) -> None:
        self._at_s: list[float] = []
        self._counts: list[float] = []
        self.rows = 0.0
        """Rows done since the first look."""

    def saw(self, worked_s: float, count: float) -> None:
        """So many rows were done after so much work. A count that shrank starts everything over."""
        if self._counts and count < self._counts[-1]:
            self._at_s, self._counts, self.rows = [], [], 0.0
        if self._counts:
            self.rows += count - self._counts[-1]
        if not self.rows:
            # Before the first row it has not begun: connections are opened, commits are measured.
            self._at_s, self._counts = [worked_s], [count]
            return
        # Looks that follow each other closer than that are one: the list stays short however often there is a look.
        if len(self._at_s) >= 2 and worked_s - self._at_s[-2] < 2 * self._worked_s / _MOST_SAMPLES:
            self._at_s[-1], self._counts[-1] = worked_s, count
        else:
            self._at_s.append(worked_s)
            self._counts.append(count)
        if len(self._at_s) > _MOST_SAMPLES:
            del self._at_s[1:-1:2], self._counts[1:-1:2]
        self._forget_another_pace()

    @property
    def value(self) -> float | None:
        """Seconds of time worked for a row from now on; None while there is too little to tell."""
        if not self._at_s or self._worked_s < LEAST_S:
            return None
        now_s = self._at_s[-1]
        return self._between(now_s - COUNTED * self._worked_s, now_s) or self._between(self._at_s[0], now_s)

    @property
    def _worked_s(self) -> float:
        return self._at_s[-1] - self._at_s[0]

    def _forget_another_pace(self) -> None:
        latest_s = min(LONGEST_S, max(SHORTEST_S, LATEST * self._worked_s))
        value = self.value
        if value is None or latest_s > self._worked_s / 2:
            return
        since_s, quarter_s = self._at_s[-1] - latest_s, latest_s / QUARTERS
        quarters = [self._between(since_s + n * quarter_s, since_s + (n + 1) * quarter_s) for n in range(QUARTERS)]
        # A quarter without a row may be a standstill that is over any moment: there is no pace to be learned from it.
        apart = [math.log(each / value) for each in quarters if each is not None]
        if len(apart) == QUARTERS and (min(apart) > APART or max(apart) < -APART):
            count = self._count_at(since_s)
            gone = bisect_right(self._at_s, since_s)
            self._at_s[:gone], self._counts[:gone] = [since_s], [count]

    def _between(self, since_s: float, until_s: float) -> float | None:
        """Seconds a row in that part of the time; None where no row was done in it."""
        rows = self._count_at(until_s) - self._count_at(since_s)
        return (until_s - since_s) / rows if rows > 0 else None

    def _count_at(self, at_s: float) -> float:
        after = bisect_right(self._at_s, at_s)
        if after == 0:
            return self._counts[0]
        if after == len(self._at_s):
            return self._counts[-1]
        (t0, t1), (c0, c1) = self._at_s[after - 1 : after + 1], self._counts[after - 1 : after + 1]
        return c0 + (c1 - c0) * (at_s - t0) / (t1 - t0)
