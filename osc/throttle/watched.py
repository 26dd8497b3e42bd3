"""A signal that has to be asked for somewhere else: read on a thread of its own, at an interval, and never believed when old.

Named by the operator, or read once, it counts as bad when it cannot be read: whoever asked for it wants to be obeyed. One
that was merely discovered, and could never be read, is a warning.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from osc.threads import OwnedThread

STALE_S = 5.0
WARN_AFTER_S = 10.0


class Unreadable(Exception):
    """The signal cannot be read; the message says why."""


class Watched:
    """Reads until it is closed; `signal` may be asked by any thread."""

    def __init__(
        self,
        name: str,
        read: Callable[[], str | None],
        interval_s: float,
        warn: Callable[[str], None],
        *,
        is_named: bool = True,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        """`read`: why to hold back, or None; raises Unreadable. `close` gives up what `read` holds."""
        self.name = name
        self._read = read
        self._interval_s = interval_s
        self._warn = warn
        self._counts = is_named
        self._close = close
        self._lock = threading.Lock()
        self._reason: str | None = f"{name} was not read yet"
        self._read_at_s = self._began_s = time.monotonic()
        self._has_warned = False
        self._closing = threading.Event()
        self.thread = OwnedThread(f"watch {name}", self._run)

    def start(self) -> None:
        self._read_at_s = self._began_s = time.monotonic()
        self.thread.start()

    def signal(self) -> str | None:
        """Why to hold back, or None."""
        with self._lock:
            if not self._counts:
                return None
            silent_s = time.monotonic() - self._read_at_s
            if silent_s > STALE_S + self._interval_s:
                return f"{self.name} has not answered for {silent_s:.0f} s"
            return self._reason

    def _run(self) -> None:
        try:
            while not self._closing.is_set():
                self._look()
                self._closing.wait(self._interval_s)
        finally:
            self._close()

    def _look(self) -> None:
        try:
            reason, is_read = self._read(), True
        except Unreadable as error:
            reason, is_read = f"{self.name} cannot be read: {error}", False
        with self._lock:
            self._counts = self._counts or is_read
            self._reason, self._read_at_s = reason, time.monotonic()
            warns = not self._counts and not self._has_warned and self._read_at_s - self._began_s > WARN_AFTER_S
            self._has_warned = self._has_warned or warns
        if warns:
            self._warn(f"{reason}. It was not named, so the migration goes on without it")

    def close(self) -> None:
        """End the thread, after the reading that it is at."""
        self._closing.set()
        if self.thread.is_started:
            self.thread.join()
