"""A range of the migration key: what one copy statement covers."""

from __future__ import annotations

from dataclasses import dataclass

from osc.table.key import Key


@dataclass(frozen=True, slots=True)
class Range:
    """Rows from `start` (included) to `end` (excluded), or to `last` (included); None stands for no bound there."""

    number: int
    """Ranges are numbered in the order in which they were handed out, which is key order."""
    start: Key | None
    end: Key | None = None
    last: Key | None = None

    def contains(self, key: Key) -> bool:
        """Whether the key lies in the range. Only for keys that compare in Python as in the server."""
        return (
            (self.start is None or key >= self.start)
            and (self.end is None or key < self.end)
            and (self.last is None or key <= self.last)
        )
