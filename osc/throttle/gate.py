"""The gate that every range passes before it is copied or compared; closed while a signal says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from osc.control.stop import StopRequest

Signal = Callable[[], str | None]
"""Why to hold back, or None."""

LOOK_AGAIN_S = 0.1


class Gate:
    """Open unless a signal has a reason. Any thread may pass or look."""

    def __init__(self, signals: Sequence[Signal], stop: StopRequest) -> None:
        self._signals = tuple(signals)
        self._stop = stop

    def closed_by(self) -> str | None:
        """The first reason there is; None when the gate is open."""
        return next((reason for signal in self._signals if (reason := signal()) is not None), None)

    def pass_through(self) -> None:
        """Return when the gate is open. Raises Interrupted when the run is asked to stop."""
        self._stop.check()
        while self.closed_by() is not None:
            self._stop.wait(LOOK_AGAIN_S)
            self._stop.check()
