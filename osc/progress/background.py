"""Reports shown by a thread of their own, so that a stopped terminal or a full pipe never holds the engine up.

Between taking the swap's locks and giving them back, every moment that the engine waits for a screen is a moment that
the application's writers wait.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

from osc.progress.report import JsonValue, Reporter, Result, Status

log = logging.getLogger(__name__)


class BackgroundReporter:
    """Hands every report to `reporter`, in order, on one thread; of statuses that queue up only the newest is shown.

    A report that the renderer fails on is left out, and the failure logged: no picture is worth a migration.
    """

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._newest: Status | None = None
        self._has_failed = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)
        self._thread.start()

    def event(self, name: str, **fields: JsonValue) -> None:
        self._calls.put(lambda: self._reporter.event(name, **fields))

    def status(self, status: Status) -> None:
        with self._lock:
            is_queued = self._newest is not None
            self._newest = status
        if not is_queued:
            self._calls.put(self._show_newest)

    def warning(self, text: str) -> None:
        self._calls.put(lambda: self._reporter.warning(text))

    def finished(self, result: Result) -> None:
        self._calls.put(lambda: self._reporter.finished(result))

    def drain(self) -> None:
        """Wait until everything reported so far is shown."""
        shown = threading.Event()
        self._calls.put(shown.set)
        shown.wait()

    def close(self) -> None:
        """Show what is queued, then close the renderer."""
        self.closed_within(None)

    def closed_within(self, seconds: float | None) -> bool:
        """The same, waiting at most so long for the screen (None: as long as it takes). Whether all was shown."""
        if not self._closed:
            self._closed = True
            self._calls.put(self._reporter.close)
            self._calls.put(None)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _show_newest(self) -> None:
        with self._lock:
            status, self._newest = self._newest, None
        if status is not None:
            self._reporter.status(status)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call()
            except Exception as error:
                if not self._has_failed:
                    log.error("the display failed, the run goes on: %r (this is a bug in osc)", error, exc_info=error)
                self._has_failed = True
