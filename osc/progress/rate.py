"""How fast a count grows, over the last seconds."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

Clock = Callable[[], float]

DEFAULT_WINDOW_S = 15.0
MINIMUM_SPAN_S = 1.0
"""A rate over less is noise: one chunk more or less decides it."""

_SAMPLES_PER_WINDOW = 60


class RateMeter:
    """Watches one growing total; not thread-safe, the one who samples also asks."""

    def __init__(self, window_s: float = DEFAULT_WINDOW_S, clock: Clock = time.monotonic) -> None:
        self._window_s = window_s
        self._clock = clock
        self._samples: deque[tuple[float, float]] = deque()

    def update(self, total: float) -> None:
        """Note the total as of now. A total that shrank (a phase that starts over) starts the window afresh."""
        now = self._clock()
        if self._samples and total < self._samples[-1][1]:
            self._samples.clear()
        # The newest sample moves on until it is far enough from the one before: the deque stays short however often
        # this is called.
        spacing_s = self._window_s / _SAMPLES_PER_WINDOW
        if len(self._samples) >= 2 and now - self._samples[-2][0] < spacing_s:
            self._samples[-1] = (now, total)
        else:
            self._samples.append((now, total))
        # The first sample kept is the last one at or before the window's start, so that the window is always full.
        while len(self._samples) > 2 and self._samples[1][0] <= now - self._window_s:
            self._samples.popleft()

    @property
    def rate(self) -> float:
        """Units a second over the window; 0 while the window is too short to tell."""
        if len(self._samples) < 2:
            return 0.0
        (first_time, first_total), (last_time, last_total) = self._samples[0], self._samples[-1]
        span_s = last_time - first_time
        return (last_total - first_total) / span_s if span_s >= MINIMUM_SPAN_S else 0.0
