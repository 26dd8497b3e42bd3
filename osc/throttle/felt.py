"""What is felt of the migration: what a commit costs, how long a statement of others takes, and how much more either may be.

No clock and no connection: a plain calculation with what was measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from osc.throttle.others import Look

NEVER_MINDED_S = 0.0005
"""By so much a commit may always become dearer: on a fast disk a factor of next to nothing would forbid any work."""

NEVER_MINDED_STATEMENTS = 1.5
"""So many more of others' statements may always be under way: somebody's report may have begun."""

LESS_COUNTS = 0.5
"""The share of what is less than the baseline that goes into it."""
FEWEST_LOOKS = 8
"""From fewer, a mean is chance."""
SLOWEST_LEFT_OUT = 0.1
"""The share of the slowest commits that does not count: a single stall is not what is usual."""


class Baseline:
    """What something takes while the migration rests."""

    def __init__(self, value_s: float) -> None:
        self.value_s = value_s

    def learn(self, value_s: float, weight: float) -> None:
        """It took that long at rest. What is less disproves the baseline, since the migration can only have made it more; what
        is more may have been a bad moment of the application's own, and has a say."""
        if value_s < self.value_s:
            weight = max(weight, LESS_COUNTS)
        self.drift(value_s, weight)

    def drift(self, value_s: float, weight: float) -> None:
        """It took that long for a moment, which has a say whether that is more or less."""
        self.value_s += weight * (value_s - self.value_s)


def learned(baseline: Baseline | None, value_s: float, weight: float) -> Baseline:
    """The baseline with what was measured; the first measurement is one by itself."""
    if baseline is None:
        return Baseline(value_s)
    baseline.learn(value_s, weight)
    return baseline


@dataclass(frozen=True, slots=True)
class Felt:
    """What others' statements were like over a while."""

    under_way: float
    """On average."""
    statements_a_second: float

    @property
    def statement_s(self) -> float:
        """How long one took, by Little's law."""
        return self.under_way / self.statements_a_second


def felt_by_others(looks: Sequence[Look], since_s: float) -> Felt | None:
    """From the looks since then; None where they are too few, or nothing was sent."""
    recent = [look for look in looks if look.at_s >= since_s]
    if len(recent) < FEWEST_LOOKS:
        return None
    span_s = recent[-1].at_s - recent[0].at_s
    sent = recent[-1].sent_at_least - recent[0].sent_at_most
    if span_s <= 0 or sent <= 0:
        return None
    return Felt(sum(look.under_way for look in recent) / len(recent), sent / span_s)


def most_under_way(statement_s: float, statements_a_second: float, factor: float, usually: float) -> float:
    """How many statements of others may be under way at a time that take `statement_s` without the migration.

    `usually`: so many were at the last measurement; some may run all the time, however few others are sent.
    """
    without = statement_s * statements_a_second
    return max(factor * without, max(without, usually) + NEVER_MINDED_STATEMENTS)


def commit_limit_s(baseline_s: float, factor: float) -> float:
    """What a commit may cost that costs `baseline_s` without the migration, in seconds."""
    return max(baseline_s * factor, baseline_s + NEVER_MINDED_S)


def usual(samples_s: Sequence[float]) -> float:
    """The mean of the samples, the slowest tenth left out."""
    kept = sorted(samples_s)[: max(1, round(len(samples_s) * (1 - SLOWEST_LEFT_OUT)))]
    return sum(kept) / len(kept)
