"""How long transactions took, as the application that sent them saw it, and what that was in a span of time.

Moments are seconds of `time.monotonic()`, which all processes of one machine share.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class LatencySummary:
    """The latencies of one span of time. Without transactions the times are NaN."""

    transactions: int
    per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    worst_ms: float


@dataclass(frozen=True, slots=True)
class Latencies:
    """Every transaction's start and duration, in the order of their starts.

    With a fixed rate the start is when the transaction was due, so that one stall shows in all that queued behind it.
    """

    starts: array[float]
    durations_s: array[float]
    queued_s: array[float]
    """The part of the duration that went by before the writer came to it."""

    def __len__(self) -> int:
        return len(self.starts)

    def summary(self, since: float = -math.inf, until: float = math.inf) -> LatencySummary:
        """Of the transactions that started in `[since, until)`."""
        chosen = [took for start, took in zip(self.starts, self.durations_s, strict=True) if since <= start < until]
        if not chosen:
            return _summarize([], 0.0)
        return _summarize(chosen, min(until, self._end()) - max(since, self.starts[0]))

    def touching(self, since: float, until: float) -> LatencySummary:
        """Of the transactions that were under way at any moment of `[since, until]`."""
        pairs = zip(self.starts, self.durations_s, strict=True)
        return _summarize([took for start, took in pairs if start <= until and start + took >= since], until - since)

    def longest_gap_s(self, since: float = -math.inf, until: float = math.inf) -> float:
        """The longest time in `[since, until]` in which no transaction came to an end; 0 when fewer than two did."""
        pairs = zip(self.starts, self.durations_s, strict=True)
        ends = sorted(end for start, took in pairs if since <= (end := start + took) <= until)
        return max((later - earlier for earlier, later in pairwise(ends)), default=0.0)

    def slowest_execution_s(self, since: float, until: float) -> float:
        """The longest that a transaction which ran at any moment of `[since, until]` took itself, its queueing left out."""
        return max(
            (
                took - queued
                for start, took, queued in zip(self.starts, self.durations_s, self.queued_s, strict=True)
                if start + queued <= until and start + took >= since
            ),
            default=0.0,
        )

    def _end(self) -> float:
        return max(start + took for start, took in zip(self.starts, self.durations_s, strict=True))


def merged(parts: Iterable[Latencies]) -> Latencies:
    """The latencies of several writers as one."""
    rows = sorted(row for part in parts for row in zip(part.starts, part.durations_s, part.queued_s, strict=True))
    return Latencies(*(array("d", (row[place] for row in rows)) for place in range(3)))


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below or at which `share` of the ordered values lie (nearest rank); NaN of none."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def _summarize(durations_s: list[float], span_s: float) -> LatencySummary:
    ordered = sorted(took * 1000 for took in durations_s)
    return LatencySummary(
        transactions=len(ordered),
        per_second=len(ordered) / span_s if span_s > 0 else 0.0,
        p50_ms=percentile(ordered, 0.50),
        p95_ms=percentile(ordered, 0.95),
        p99_ms=percentile(ordered, 0.99),
        worst_ms=percentile(ordered, 1.0),
    )
