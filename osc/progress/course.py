"""The course of the ETA, pauses left out: what it said at each tenth of the way, to be held against what it came to."""

from __future__ import annotations

from osc.progress.report import EtaPoint


class Course:
    """Fed with every ETA, in order."""

    def __init__(self) -> None:
        self.points: list[EtaPoint] = []

    def saw(self, elapsed_s: float, waited_s: float, eta_s: float | None) -> EtaPoint | None:
        """The point that this ETA, of work alone, makes; None where it makes none.

        `waited_s`: how much of the time that has passed was not spent at work.
        """
        if eta_s is None:
            return None
        worked_s = elapsed_s - waited_s
        total_s = worked_s + eta_s
        tenths = int(10 * worked_s / total_s) if total_s > 0 else 0
        if not 1 <= tenths <= 9 or (self.points and tenths <= round(10 * self.points[-1].done)):
            return None
        point = EtaPoint(tenths / 10, round(elapsed_s, 3), round(eta_s, 3), round(total_s, 3))
        self.points.append(point)
        return point
