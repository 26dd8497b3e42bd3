"""The one way in which a run is asked to stop early: by a signal, or by any thread that has a reason.

A signal's handler runs between two bytecodes of the main thread, which may hold the very lock that an `Event` needs; it
only puts the signal into a reentrant queue, and a thread of its own does the rest.
"""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from osc.errors import Interrupted

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_REASONS = {
    signal.SIGINT: "Ctrl-C (SIGINT)",
    signal.SIGTERM: "SIGTERM",
    signal.SIGHUP: "SIGHUP (the terminal went away)",
}


class StopRequest:
    """Asked once, it stays asked; the first reason counts. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._lock = threading.Lock()
        self._reason: str | None = None

    @property
    def reason(self) -> str | None:
        """Who or what asked; None while nobody did."""
        return self._reason

    @property
    def is_requested(self) -> bool:
        return self._asked.is_set()

    def request(self, reason: str) -> bool:
        """Ask to stop. Whether this was the first time; a later reason is not kept."""
        with self._lock:
            if self._reason is not None:
                return False
            self._reason = reason
        self._asked.set()
        return True

    def check(self) -> None:
        """Raise Interrupted when a stop was asked for."""
        if self._asked.is_set():
            raise Interrupted(f"stopped by {self._reason}")

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the request, at most `seconds` (None: as long as it takes). Whether it was asked."""
        return self._asked.wait(seconds)


@contextmanager
def stop_on_signals(stop: StopRequest, notice: Callable[[str], None]) -> Iterator[None]:
    """While inside, SIGINT, SIGTERM and SIGHUP ask `stop`; `notice` is told of each signal, from another thread.

    A signal that is ignored when this starts (SIGHUP under `nohup`) stays ignored. To be used on the main thread.
    """
    signals: queue.SimpleQueue[int | None] = queue.SimpleQueue()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        signals.put(number)

    def watch() -> None:
        while (number := signals.get()) is not None:
            reason = _REASONS[signal.Signals(number)]
            if stop.request(reason):
                notice(f"{reason}: stopping cleanly, this takes a few seconds")
            else:
                notice(f"{reason}: already stopping")

    taken = [number for number in STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    watcher = threading.Thread(target=watch, name="signals", daemon=True)
    watcher.start()
    before = {number: signal.signal(number, on_signal) for number in taken}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signals.put(None)
        watcher.join()
