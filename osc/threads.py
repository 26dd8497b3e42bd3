"""Threads that cannot die in silence: the owner that started one ends it, and hears what it died of."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence


class OwnedThread:
    """A thread whose error its owner re-raises."""

    def __init__(self, name: str, target: Callable[[], None]) -> None:
        self.name = name
        self.error: BaseException | None = None
        self._target = target
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def _run(self) -> None:
        try:
            self._target()
        except BaseException as error:
            self.error = error

    def start(self) -> None:
        self._thread.start()

    def join(self, timeout_s: float | None = None) -> None:
        self._thread.join(timeout_s)

    @property
    def is_started(self) -> bool:
        return self._thread.ident is not None

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def raise_if_dead(self) -> None:
        """Re-raise what the thread died of, if it did."""
        if self.error is not None:
            raise self.error


def join_all(threads: Sequence[OwnedThread], while_waiting: Callable[[], None], interval_s: float = 0.1) -> None:
    """Wait until every thread has ended, calling `while_waiting` now and then; raises the first error of any of them."""
    while any(thread.is_alive for thread in threads):
        for thread in threads:
            thread.join(interval_s / max(1, len(threads)))
            thread.raise_if_dead()
        while_waiting()
    for thread in threads:
        thread.raise_if_dead()
