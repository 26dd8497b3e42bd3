"""How many rows are left to copy: by the server's estimate, and by how far the copy has come in the migration key.

The server's figure comes from a few pages, and may be tens of percent off, or years old. How many keys a row has taken so far
tells how many rows there are in the keys that are left, and gets better with every row; but keys are not dense everywhere.
So the median of many pieces is taken, which a gap does not move, and it counts as long as it says about what the server says.
Where the two contradict each other, the server is believed, until the copy has come near the end of the keys or has found
more rows than there should be.
"""

from __future__ import annotations

import statistics
from itertools import pairwise

PIECES = 100
"""A piece is that part of the rows that were expected."""
ENOUGH_PIECES = 4
AGREES = 0.3
"""Of all rows: by so much the server's estimate is often wrong."""
CONTRADICTS = 0.6


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
        apart = abs(by_key - by_server) / max(self._estimated, self._rows)
        agreement = min(1.0, max(0.0, (CONTRADICTS - apart) / (CONTRADICTS - AGREES)))
        is_refuted = min(1.0, self._rows / self._estimated) ** 8
        weight = max(agreement, self._share**3, is_refuted)
        return weight * by_key + (1 - weight) * by_server

    def _by_key(self) -> float | None:
        """By the keys that a row took in the latter half of the copy; None where that cannot be told."""
        if self._share is not None and self._share >= 1.0:
            return 0.0
        if self._share is None or len(self._seen) <= ENOUGH_PIECES:
            return None
        latter = self._seen[len(self._seen) // 2 - 1 :]
        share_a_row = statistics.median(
            (share - before) / (rows - rows_before) for (rows_before, before), (rows, share) in pairwise(latter)
        )
        return (1.0 - self._share) / share_a_row if share_a_row > 0 else None
