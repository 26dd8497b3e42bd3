"""The gate that every range passes before it is copied or compared: closed while a signal says so, else as wide as the pace.

A worker that has no place at the moment waits here, its session kept, and goes on when there is one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from osc.control.stop import StopRequest
from osc.throttle.governor import Pace

Signal = Callable[[], str | None]
"""Why to hold back, or None."""

LOOK_AGAIN_S = 0.1
LONGEST_REST_S = 1.0
"""For the pace's sake: a chunk that waited for a lock was not all work."""


class Gate:
    """Open unless a signal has a reason. Any thread may pass or look."""

    def __init__(
        self, signals: Sequence[Signal], stop: StopRequest, pace: Callable[[], Pace], nice_ratio: float = 0.0
    ) -> None:
        """`nice_ratio`: seconds of pause for each second of work, whatever the pace."""
        self._signals = tuple(signals)
        self._stop = stop
        self._pace = pace
        self._nice_ratio = nice_ratio
        self._changed = threading.Condition()
        self._working: dict[threading.Thread, float] = {}
        """Who has passed and not come back, and when."""

    def closed_by(self) -> str | None:
        """The first reason there is; None when the gate is open."""
        return next((reason for signal in self._signals if (reason := signal()) is not None), None)

    @property
    def is_at_rest(self) -> bool:
        """Whether nobody is at work behind the gate."""
        with self._changed:
            return not self._at_work()

    def pass_through(self) -> None:
        """Return when the gate is open and there is a place, after the rest that the last piece of work earned.

        Who passes again has finished what it passed for before. Raises Interrupted when the run is asked to stop.
        """
        self._stop.check()
        self._rest(self._come_back())
        while not self._enter():
            self._stop.check()
            if self.closed_by() is not None:
                self._stop.wait(LOOK_AGAIN_S)

    def pace_changed(self) -> None:
        """Let those who wait look at the pace again."""
        with self._changed:
            self._changed.notify_all()

    def _come_back(self) -> float:
        """Give up the place; how long it was held."""
        with self._changed:
            passed = self._working.pop(threading.current_thread(), None)
            self._changed.notify_all()
        return 0.0 if passed is None else time.monotonic() - passed

    def _rest(self, worked_s: float) -> None:
        began = time.monotonic()
        while (left_s := self._rest_for(worked_s) - (time.monotonic() - began)) > 0:
            # In steps: the pace may have become faster.
            self._stop.wait(min(left_s, LOOK_AGAIN_S))
            self._stop.check()

    def _rest_for(self, worked_s: float) -> float:
        return min(worked_s * self._pace().rest, LONGEST_REST_S) + worked_s * self._nice_ratio

    def _enter(self) -> bool:
        """Take a place, waiting a moment for one; whether there was one, and the gate open."""
        if self.closed_by() is not None:
            return False
        with self._changed:
            if len(self._at_work()) >= self._pace().workers:
                self._changed.wait(LOOK_AGAIN_S)
                return False
            self._working[threading.current_thread()] = time.monotonic()
            return True

    def _at_work(self) -> dict[threading.Thread, float]:
        """Those behind the gate; a thread that has ended there has left."""
        for thread in [thread for thread in self._working if not thread.is_alive()]:
            del self._working[thread]
        return self._working
