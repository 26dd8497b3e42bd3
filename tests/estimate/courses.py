"""Courses of migrations that never were, played to the calculation of what is left, a look at a time."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from osc.estimate.model import SWAP_S
from osc.estimate.remaining import Look, Planned, Remaining

LOOK_EVERY_S = 0.25
BEGAN_AT_S = 864_000.0
"""The clock of a machine that has been up for ten days."""


@dataclass(frozen=True, slots=True)
class Said:
    """What was said at one moment, and what it came to."""

    share: float
    """Of the whole migration's work that was done, 0 to 1."""
    phase: str
    is_held: bool
    eta_s: float | None
    left_s: float
    """The work that was left in truth."""

    @property
    def error(self) -> float:
        """Of the whole duration that the ETA stands for: 0.05 is 5% too long."""
        assert self.eta_s is not None
        return (self.eta_s - self.left_s) / (self.left_s / (1 - self.share))


def steady(rows_s: float) -> Callable[[float, float], float]:
    """A pace that is always the same: what `play` takes."""
    return lambda share, at_s: rows_s


def noisy(pace: Callable[[float, float], float], seed: int, deviation: float = 0.3) -> Callable[[float, float], float]:
    """That pace as servers keep it: each second another, and a second of next to nothing now and then."""

    def at(share: float, at_s: float) -> float:
        chance = random.Random(seed * 1_000_003 + int(at_s))
        return pace(share, at_s) * (0.1 if chance.random() < 0.03 else math.exp(chance.gauss(0, deviation)))

    return at


def play(
    rows: int,
    pace: Callable[[float, float], float],
    *,
    estimated: int | None = None,
    keys: Callable[[float], float] | None = lambda share: share,
    verify_s: float = 0.0,
    build_s: float = 0.0,
    swap_s: float = SWAP_S,
    planned: Planned | None = None,
    held: Callable[[float], bool] = lambda at_s: False,
    copied_before: int = 0,
) -> list[Said]:
    """What is said in a migration of so many rows, at each look.

    `pace(share of the rows copied, time worked)` is in rows a second. `estimated`: by the server; else it is right.
    `keys(share of the rows)`: the share of the key space that they lie in; None where the key tells nothing. Verification and
    the build of an index, beside each other, take as given. `held(time)`: when it may not go on.
    """
    remaining = Remaining(rows if estimated is None else estimated, planned, 1 if build_s else 0)
    at_s = worked_s = 0.0
    copied, verified, phase_s = float(copied_before), 0.0, 0.0
    phase = "copy"
    seen: list[tuple[float, str, bool, float | None]] = []
    while phase != "done":
        is_held = held(at_s)
        remaining.saw(
            Look(
                at_s=BEGAN_AT_S + at_s,
                phase=phase,  # type: ignore[arg-type]
                rows_copied=round(copied),
                rows_verified=round(verified),
                key_share=None if keys is None else keys(copied / rows),
                is_held=is_held,
                is_building=phase == "verify" and phase_s < build_s,
            )
        )
        seen.append((worked_s, phase, is_held, remaining.eta_s))
        at_s += LOOK_EVERY_S
        if is_held:
            continue
        worked_s += LOOK_EVERY_S
        phase_s += LOOK_EVERY_S
        if phase == "copy":
            copied = min(rows, copied + LOOK_EVERY_S * pace(copied / rows, worked_s))
            if copied == rows:
                phase, phase_s = "verify", 0.0
        elif phase == "verify":
            verified = min(rows, verified + LOOK_EVERY_S * rows / verify_s) if verify_s else rows
            if verified == rows and phase_s >= build_s:
                phase, phase_s = "ready", 0.0
        elif phase_s >= swap_s:
            phase = "done"
    return [Said(at / worked_s, phase, is_held, eta, worked_s - at) for at, phase, is_held, eta in seen]


def after(share: float, said: list[Said], until: float = 1.0) -> list[Said]:
    """What was said from that share of the work on."""
    return [one for one in said if share <= one.share < until]


def worst(said: list[Said]) -> float:
    """The largest error, of the whole duration."""
    return max(abs(one.error) for one in said)
