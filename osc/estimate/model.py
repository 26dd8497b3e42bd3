"""From what was measured to how long it will take: a plain calculation, with no server and no clock.

    rows a second = workers at work / (seconds a row + seconds a chunk / rows in a chunk)

All workers are at work where nobody else is active. Elsewhere the governor is played (osc/estimate/pacing.py). Seconds a row
are the regions' own, each weighted with the rows it stands for; how far they lie apart, how little was sampled, and how
differently the plays went, make the range.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from osc.copy.sizing import CHUNK_BYTES, MAX_ROWS, MIN_ROWS
from osc.estimate.measured import Measured, Work
from osc.estimate.pacing import PacedWork, at_work, play
from osc.throttle.governor import CHUNKS_ALONE, IMPACTS, chunk_s_at, impact_factor
from osc.verify.verifier import RANGE_TARGET_S

PhaseName = Literal["prepare", "copy", "verify", "indexes", "swap"]

Z10 = 1.2816
"""Standard deviations from the middle of a normal distribution to its 10th and 90th percentile."""
ROWS_UNSURE = 0.05
"""InnoDB's row count is itself an estimate, from a few pages."""
DRIFT = 0.09
"""Servers are not the same from minute to minute, and a sample of seconds knows only one of them."""
THIN_ROWS = 5_000
THIN_REGIONS = 3
START_S = 0.38
"""The command itself, connections, preflight, the binlog reader and the first heartbeat."""
SWAP_S = 0.2
SLOW_SWAP_S = 1.0
LANES = 2
"""As many sessions reconcile at the same time."""
MOST_RECONCILING = 0.9
MOST_OVERHEAD = 0.5
SLOWED_BY_VERIFYING = 0.5
"""Of the time that verifying beside the copy saves: what it costs the copy."""
SMALLEST_INDEXED_ROWS = 2.0


@dataclass(frozen=True, slots=True)
class Spread:
    """Three durations in seconds: in one of ten cases it is less than the first, in one of ten more than the last."""

    p10_s: float
    p50_s: float
    p90_s: float

    def __add__(self, other: Spread) -> Spread:
        return Spread(self.p10_s + other.p10_s, self.p50_s + other.p50_s, self.p90_s + other.p90_s)

    def times(self, factor: float) -> Spread:
        return Spread(self.p10_s * factor, self.p50_s * factor, self.p90_s * factor)

    @classmethod
    def around(cls, middle_s: float, deviation: float) -> Spread:
        """`deviation`: of the logarithm, so a tenth is about 10%."""
        width = math.exp(Z10 * deviation)
        return cls(middle_s / width, middle_s, middle_s * width)


NOTHING = Spread(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be done, besides what was measured."""

    rows: int
    row_bytes: float
    """Average length of a row of the original; 0 where it is not known."""
    buffer_pool_bytes: int
    table_bytes: int
    """Data and indexes of the original."""
    workers: int
    chunk_target_s: float
    nice_ratio: float
    impact: str
    rows_are_counted: bool = False
    """Whether `rows` is exact, as of now."""
    verifies_ahead: bool = False
    """Whether rows can be compared while others are still being copied, where there is time to spare."""


@dataclass(frozen=True, slots=True)
class AtImpact:
    """How long it takes at one impact."""

    impact: str
    level: float
    """The governor's, 0 to 1."""
    total: Spread
    phases: tuple[tuple[PhaseName, Spread], ...]

    @property
    def dominated_by(self) -> PhaseName:
        """The phase that takes the longest."""
        return max(self.phases, key=lambda phase: phase[1].p50_s)[0]


@dataclass(frozen=True, slots=True)
class Estimate:
    """How long, and on what that rests."""

    chosen: AtImpact
    """At the impact that was asked for."""
    at_impacts: tuple[AtImpact, ...]
    rows_per_s: float
    reconciling_share: float
    """Of what can be reconciled at all: from 1 on, changes come faster than they can be reconciled."""
    is_thin: bool
    """Whether it rests on too little to be relied on."""
    doubts: tuple[str, ...]
    """What the figures do not know, or rest on weakly; a sentence each."""


def estimate(measured: Measured, job: Job) -> Estimate | None:
    """None where no row was sampled of a table that has rows."""
    if not measured.rows and job.rows:
        return None
    impacts = list(dict.fromkeys((*IMPACTS, job.impact)))
    found = {impact: _at(impact, measured, job) for impact in impacts}
    chosen = found[job.impact]
    copy_s = dict(chosen.phases)["copy"].p50_s
    doubts = _doubts(measured, job)
    return Estimate(
        chosen=chosen,
        at_impacts=tuple(found.values()),
        rows_per_s=job.rows / copy_s if copy_s else 0.0,
        reconciling_share=_reconciling_share(measured),
        is_thin=_is_thin(measured, job),
        doubts=doubts,
    )


def _at(impact: str, measured: Measured, job: Job) -> AtImpact:
    factor = impact_factor(impact)
    load = measured.load
    is_paced = load.is_active and factor is not None
    deviation = _deviation(measured, job)
    build = _build(measured, job, deviation)
    share = _reconciling_share(measured) * LANES / max(job.workers, LANES)

    def copy_s(level: float) -> float:
        chunk_s = _chunk_s(is_paced, factor, level, job)
        # Half of the table, on average, is copied already when a row of it is written.
        return _work_s(measured.copied, measured.copy_overhead_s, chunk_s, level, job) * _stretch(share / 2)

    def verify_s(level: float) -> float:
        range_s = min(RANGE_TARGET_S, 2 * _chunk_s(is_paced, factor, level, job))
        return _work_s(measured.verified, measured.verify_overhead_s, range_s, level, job) * _stretch(share)

    if is_paced and factor is not None and job.rows:
        works = (PacedWork(copy_s), PacedWork(verify_s, 0.0 if build is None else build.p50_s))
        played = play(load, factor, job.workers, job.chunk_target_s, works)
        level = played.level
        copy, verify = (_quantiles(seconds, deviation) for seconds in played.seconds)
    else:
        level = 1.0
        copy, verify = Spread.around(copy_s(level), deviation), Spread.around(verify_s(level), deviation)
    if job.table_bytes * 2 > job.buffer_pool_bytes:
        # Pages that the sample found in memory will have to be read again.
        verify = Spread(verify.p10_s, verify.p50_s * 1.3, verify.p90_s * 2.5)
    if job.verifies_ahead and not is_paced and not job.nice_ratio:
        copy, verify = _ahead(copy, verify, job.workers)
    start_s = START_S + measured.made_s
    phases: list[tuple[PhaseName, Spread]] = [
        ("prepare", Spread(start_s * 0.7, start_s, start_s * 1.6)),
        ("copy", copy),
        ("verify", verify),
    ]
    if build is not None:
        phases.append(("indexes", _beside(verify, build)))
    phases.append(("swap", Spread(SWAP_S / 2, SWAP_S, SLOW_SWAP_S)))
    total = _sum([spread for _, spread in phases])
    return AtImpact(impact, level, total, tuple(phases))


def _chunk_s(is_paced: bool, factor: float | None, level: float, job: Job) -> float:
    """How long a chunk of the copy takes at that level."""
    if is_paced:
        return chunk_s_at(level, job.chunk_target_s)
    return job.chunk_target_s * (CHUNKS_ALONE if factor is not None else 1)


def _work_s(works: Sequence[Work], overhead_s: float, chunk_s: float, level: float, job: Job) -> float:
    """All rows of the table at what a row took in the sample, in seconds."""
    overhead_s = _bounded(works, overhead_s)
    row_s = _row_s(works, overhead_s)
    if not row_s or not job.rows:
        return 0.0
    most = min(MAX_ROWS, CHUNK_BYTES / job.row_bytes if job.row_bytes else MAX_ROWS)
    chunk_rows = min(most, max(MIN_ROWS, chunk_s / row_s))
    per_row_s = row_s + overhead_s / chunk_rows
    return job.rows * per_row_s * (1 / at_work(level, job.workers) + job.nice_ratio / job.workers)


def _quantiles(seconds: Sequence[float], deviation: float) -> Spread:
    """What came of the plays, with what else is not known of each."""
    tenths = statistics.quantiles(seconds, n=10, method="inclusive")
    p10, p50, p90 = max(tenths[0], 1e-9), max(tenths[4], 1e-9), max(tenths[8], 1e-9)
    below, above = (math.hypot(math.log(ratio), Z10 * deviation) for ratio in (p50 / p10, p90 / p50))
    return Spread(p50 / math.exp(below), p50, p50 * math.exp(above))


def _bounded(works: Sequence[Work], overhead_s: float) -> float:
    """The overhead of a piece, at most a part of what whole pieces took.

    It was measured at another moment. With that bound, pieces as large as those of the sample take just as long.
    """
    return min(
        [overhead_s, *(MOST_OVERHEAD * work.busy_s / work.pieces for work in works if work.rows and work.pieces)]
    )


def _row_s(works: Sequence[Work], overhead_s: float) -> float:
    """Seconds of work a row, each region weighted with the rows that it stands for."""
    each = [(work.share, seconds) for work in works if (seconds := _seconds_a_row(work, overhead_s)) is not None]
    total = sum(share for share, _ in each)
    return sum(share * seconds for share, seconds in each) / total if total else 0.0


def _seconds_a_row(work: Work, overhead_s: float) -> float | None:
    if not work.rows:
        return None
    return (work.busy_s - work.pieces * overhead_s) / work.rows


def _deviation(measured: Measured, job: Job) -> float:
    """Of the logarithm of the duration."""
    overhead_s = _bounded(measured.copied, measured.copy_overhead_s)
    each = [s for work in measured.copied if (s := _seconds_a_row(work, overhead_s)) is not None]
    between = statistics.stdev(each) / statistics.mean(each) / math.sqrt(len(each)) if len(each) > 1 else 0.3
    thin = 0.2 if _is_thin(measured, job) else 0.0
    return math.hypot(between, 0.0 if job.rows_are_counted else ROWS_UNSURE, DRIFT, thin)


def _build(measured: Measured, job: Job, deviation: float) -> Spread | None:
    """The deferred indexes: sorted, so a little more than in proportion."""
    if measured.build_s is None or measured.rows < SMALLEST_INDEXED_ROWS:
        return None
    ratio = job.rows / measured.rows
    growth = math.log(max(job.rows, 3)) / math.log(max(measured.rows, 3))
    return Spread.around(measured.build_s * max(1.0, ratio * growth), math.hypot(deviation, 0.1))


def _ahead(copy: Spread, verify: Spread, workers: int) -> tuple[Spread, Spread]:
    """Copying and verifying, when one thread compares during the copy what is copied already.

    How much longer the copy then takes depends on what the server has to spare.
    """

    def part(copy_s: float, verify_s: float, slowed: float) -> tuple[float, float]:
        share = min(1.0, copy_s / (verify_s * workers)) if verify_s else 0.0
        return copy_s + slowed * share * verify_s, verify_s * (1 - share)

    (c10, v10), (c50, v50), (c90, v90) = (
        part(copy_s, verify_s, slowed)
        for copy_s, verify_s, slowed in (
            (copy.p10_s, verify.p10_s, 0.0),
            (copy.p50_s, verify.p50_s, SLOWED_BY_VERIFYING),
            (copy.p90_s, verify.p90_s, 1.0),
        )
    )
    return Spread(c10, c50, c90), Spread(min(v10, v50), v50, max(v50, v90))


def _beside(verify: Spread, build: Spread) -> Spread:
    """What the build takes longer than the verification that goes on beside it, each slowing the other."""

    def rest(v: float, b: float, together: float) -> float:
        return max(v, b) + together * min(v, b) - v

    return Spread(
        max(0.0, rest(verify.p10_s, build.p10_s, 0.0)),
        max(0.0, rest(verify.p50_s, build.p50_s, 0.4)),
        max(0.0, rest(verify.p90_s, build.p90_s, 0.8)),
    )


def _sum(spreads: Sequence[Spread]) -> Spread:
    """Phases share the server that they run on, so their deviations add up."""
    total = NOTHING
    for spread in spreads:
        total = total + spread
    return total


def _reconciling_share(measured: Measured) -> float:
    """What share of the time two sessions are busy reconciling the table's changes."""
    if measured.traffic is None or measured.reconcile_key_s is None:
        return 0.0
    return measured.traffic.table_rows_s * measured.reconcile_key_s / LANES


def _stretch(share: float) -> float:
    return 1 / (1 - min(share, MOST_RECONCILING))


def _is_thin(measured: Measured, job: Job) -> bool:
    enough = min(job.rows * 0.9, THIN_ROWS)
    return measured.rows < enough or (job.rows > THIN_ROWS and measured.regions < THIN_REGIONS)


def _doubts(measured: Measured, job: Job) -> tuple[str, ...]:
    found = []
    if measured.held_back_by is not None:
        found.append(f"the sample was held back: {measured.held_back_by}. A migration would wait as well")
    if _is_thin(measured, job):
        found.append(
            f"it rests on too little: {measured.rows:,} rows from {measured.regions} places. Plan again with a larger "
            "--sample-seconds"
        )
    if job.table_bytes * 2 > job.buffer_pool_bytes:
        found.append(
            "both tables together do not fit into the buffer pool: what is verified may be read from disk again"
        )
    if measured.traffic is None:
        found.append("what the application writes is not known, so nothing is added for reconciling it")
    elif _reconciling_share(measured) >= 1:
        found.append("rows are changed faster than they can be reconciled: at this rate it would not end")
    return tuple(found)
