"""Timing the pieces of work that several threads do behind the gate."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Stopwatch:
    """A gate around the gate: what happens between two passes of a thread is a piece of work. The rest that the gate asks for
    in between is none."""

    def __init__(self, gate: Callable[[], None]) -> None:
        self._gate = gate
        self._lock = threading.Lock()
        self._since: dict[threading.Thread, float] = {}
        self.pieces = 0
        self.busy_s = 0.0

    def pass_through(self) -> None:
        """Return when the gate lets the next piece be done."""
        self._stop()
        self._gate()
        with self._lock:
            self._since[threading.current_thread()] = time.monotonic()

    def _stop(self) -> None:
        now = time.monotonic()
        with self._lock:
            since = self._since.pop(threading.current_thread(), None)
            if since is not None:
                self.pieces += 1
                self.busy_s += now - since
