"""How many rows the next range gets, so that it takes about the time it should."""

from __future__ import annotations

import threading

CHUNK_BYTES = 4 << 20
"""The most that one transaction should write, whatever the time that it takes: other commits wait while it goes into the
binlog, and a replica applies it in one piece."""

FIRST_ROWS = 1_000
FIRST_WIDE_ROWS = 50
"""Where a row can be as large as thousands of others."""
MAX_ROWS = 20_000
MIN_ROWS = 10


class ChunkSizer:
    """Follows the target time: up by at most a half at a time, down at once. Thread-safe."""

    def __init__(self, target_s: float, first_rows: int = FIRST_ROWS, most_rows: int = MAX_ROWS) -> None:
        """A range never has more than `most_rows`, the first one included."""
        self._lock = threading.Lock()
        self._target_s = target_s
        self._most = most_rows
        self._rows = float(min(first_rows, most_rows))
        self.last_s = 0.0

    @property
    def rows(self) -> int:
        """Rows for the next range."""
        with self._lock:
            return int(self._rows)

    @property
    def target_s(self) -> float:
        """How long a range should take."""
        return self._target_s

    def aim(self, target_s: float) -> None:
        """Ranges should take that long from now on."""
        with self._lock:
            if target_s < self._target_s:
                self._rows = max(float(min(MIN_ROWS, self._most)), self._rows * target_s / self._target_s)
            self._target_s = target_s

    def took(self, rows: int, seconds: float) -> None:
        """A range asked for with `rows` took that long."""
        with self._lock:
            self.last_s = seconds
            fitting = rows * self._target_s / max(seconds, 0.000_1)
            # Only a range of today's size says something about growing; an old, smaller one would hold growth back.
            wanted = min(fitting, self._rows * 1.5) if fitting > self._rows else fitting
            self._rows = max(float(min(MIN_ROWS, self._most)), min(float(self._most), wanted))
