"""How many rows are left to copy: by the server's estimate, and by how far the copy has come in the migration key.

The server's figure comes from a few pages, and may be tens of percent off, or years old. How many keys a row has taken so far
tells how many rows there are in the keys that are left, and gets better with every row; but keys are not dense everywhere.
So the median of many pieces is taken, which a gap does not move. Where it says about what the server says, the mean of the two
is taken; where it says something else, as far off as the server's figure often is, it counts alone. Where the two contradict
each other altogether, the server is believed, until the copy has come near the end of the keys or has found more rows than
there should be.
"""

from __future__ import annotations

import statistics
from itertools import pairwise

PIECES = 100
"""A piece is that part of the rows that were expected."""
ENOUGH_PIECES = 8
COUNTED = 3 / 4
"""Of the pieces, the last ones."""
ALIKE, APART = 0.05, 0.15
"""Of all rows: up to the first, either may be the better figure; from the second on it is the key's."""
AGREES, CONTRADICTS = 0.3, 0.6
"""By the first the server's estimate is often wrong; from the second on it is the key that misleads."""
NEARLY = 0.95
"""Of the server's figure: from there on it becomes doubtful, and with more rows than that it is refuted."""
MOST_TIMES = 10.0
"""Of all rows: a single key far behind all others would tell of any number."""


class RowsLeft:
    """Fed with the rows copied and the share of the key space that they lie in."""

    def __init__(self, estimated: int) -> None:
        """`estimated`: the server's figure for the whole table."""
        self._estimated = max(1, estimated)
        self._piece_rows = max(1.0, self._estimated / PIECES)
        self._seen: list[tuple[float, float]] = []
        self._rows = 0.0
        self._share: float | None = None
        self.left: float = self._estimated
        """Rows that seem to be left to copy."""

    def saw(self, rows: float, share: float | None) -> None:
        """So many rows of the whole table are copied, and that share (0 to 1) of its keys; None where that is not known."""
        self._rows, self._share = rows, share
        if share is not None and (not self._seen or rows - self._seen[-1][0] >= self._piece_rows):
            self._seen.append((rows, share))
        if len(self._seen) > 4 * PIECES:
            # The server knew of far too few rows.
            self._seen = self._seen[::2]
            self._piece_rows *= 2
        self.left = self._left()

    @property
    def total(self) -> float:
        """Rows of the whole table: those copied and those that seem to be left."""
        return self._rows + self.left

    def _left(self) -> float:
        by_server = max(0.0, self._estimated - self._rows)
        by_key = self._by_key()
        if by_key is None or self._share is None:
            return by_server
        by_key = min(by_key, MOST_TIMES * max(self._estimated, self._rows))
        apart = abs(by_key - by_server) / max(self._estimated, self._rows)
        own_say = 0.5 + 0.5 * _part(apart, ALIKE, APART)
        agreement = own_say * (1 - _part(apart, AGREES, CONTRADICTS))
        is_refuted = _part(self._rows / self._estimated, NEARLY, 1.0)
        weight = max(agreement, self._share**3, is_refuted)
        return weight * by_key + (1 - weight) * by_server

    def _by_key(self) -> float | None:
        """By the keys that a row took so far; None where that cannot be told."""
        if self._share is not None and self._share >= 1.0:
            return 0.0
        if self._share is None or len(self._seen) <= ENOUGH_PIECES:
            return None
        latter = self._seen[round(len(self._seen) * (1 - COUNTED)) :]
        share_a_row = statistics.median(
            (share - before) / (rows - rows_before) for (rows_before, before), (rows, share) in pairwise(latter)
        )
        return (1.0 - self._share) / share_a_row if share_a_row > 0 else None


def _part(value: float, start: float, end: float) -> float:
    """How far the value has come from the one to the other, 0 to 1."""
    return min(1.0, max(0.0, (value - start) / (end - start)))
