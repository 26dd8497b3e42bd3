"""One run of one contender under one load, and everything that is told of it."""

from __future__ import annotations

import contextlib
import math
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pymysql

from bench.contenders import NOT_IN_TIME, Contender, Outcome
from bench.host import Host
from bench.loads import Load, LoadFailed, LoadRecords, running
from osc.mysql.session import error_text
from osc.sandbox.latency import LatencySummary, percentile

_MOST_POINTS = 300
_SHORTEST_POINT_S = 0.1
_AROUND_THE_SWAP_S = 0.1
"""When a contender says that it swapped is known by when its words arrived."""


@dataclass(frozen=True, slots=True)
class Point:
    """What the load felt in a short span of time, by when its transactions were due."""

    at_s: float
    """The middle of the span, since the contender began."""
    per_second: float
    p50_ms: float | None
    p99_ms: float | None
    worst_ms: float | None


@dataclass(frozen=True, slots=True)
class Felt:
    """What the load felt: `before`, `during` (up to the swap), `swap`, `after`, and `whole`, from start to end."""

    spans: Mapping[str, LatencySummary]
    failed_before: int
    failed_during: int
    errors: tuple[str, ...]
    """Of those that failed during, what no application is prepared for."""
    row_changes: int
    """Of the load, while the contender was at work."""
    stall_ms: float | None
    """The longest that a transaction took, its queueing left out, which ran at the swap; None without a swap."""
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """One run. Moments are seconds since the contender began."""

    contender: str
    number: int
    wall_s: float
    problem: str | None
    phases: tuple[tuple[str, float], ...]
    swap_s: tuple[float, float] | None
    told: Mapping[str, float]
    cpu_s: float | None
    peak_mib: float | None
    binlog_mib: float
    """Written while it was at work, the load's share included."""
    felt: Felt | None = field(default=None)

    @property
    def finished(self) -> bool:
        return self.problem is None

    @property
    def ran_out_of_time(self) -> bool:
        return self.problem is not None and self.problem.startswith(NOT_IN_TIME)

    @property
    def stall_ms(self) -> float | None:
        """The stall of the swap: as the load saw it, else as the contender tells."""
        return self.felt.stall_ms if self.felt else self.told.get("cut_over_stall_ms")


@dataclass(frozen=True, slots=True)
class Timing:
    """How long the load runs alone, and how long a contender may take."""

    before_s: float
    after_s: float
    limit_s: float


def measure(
    host: Host, load: Load | None, name: str, number: int, contender: Contender, timing: Timing, sysbench: str | None
) -> Run:
    """Let the contender alter the table under the load. Rows that are lost, or a load that breaks off, are its problem."""
    host.settle()
    records: LoadRecords | None = None
    broken_off: str | None = None
    with contextlib.ExitStack() as stack:
        began_load = time.monotonic()
        if load:
            assert sysbench is not None, "a load needs sysbench"
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="osc-bench-")))
            load_at_work = stack.enter_context(running(load, host, sysbench, folder))
            began_load = time.monotonic()
            time.sleep(timing.before_s)
        binlog = host.binlog_bytes()
        outcome = contender(host, timing.limit_s)
        binlog = host.binlog_bytes() - binlog
        if load:
            time.sleep(timing.after_s)
            try:
                records = load_at_work.stop()
            except LoadFailed as error:
                broken_off = str(error)
    return Run(
        contender=name,
        number=number,
        wall_s=outcome.wall_s,
        problem="; ".join(filter(None, (outcome.problem, broken_off))) or _lost_rows(host, records),
        phases=tuple((phase, moment - outcome.began) for phase, moment in outcome.phases),
        swap_s=None if outcome.swap is None else (outcome.swap[0] - outcome.began, outcome.swap[1] - outcome.began),
        told=outcome.told,
        cpu_s=outcome.cpu_s,
        peak_mib=outcome.peak_mib,
        binlog_mib=binlog / 2**20,
        felt=felt(records, outcome, began_load, load.rows_per_transaction) if load and records else None,
    )


def _lost_rows(host: Host, records: LoadRecords | None) -> str | None:
    """That rows are missing, for people; None when they are all there."""
    try:
        found = host.count_filled()
    except pymysql.err.Error as error:
        return f"the table cannot be read: {error_text(error)}"
    # A transaction that failed half-way may have left a row deleted, as sysbench goes about it.
    if found == host.rows or (records and records.failures):
        return None
    return f"{found:,} of {host.rows:,} rows are left"


def felt(records: LoadRecords, outcome: Outcome, began_load: float, rows_per_transaction: int) -> Felt:
    """What the load felt of the outcome. The first fifth of the time before it, when caches fill, does not count."""
    latencies = records.latencies
    warm = began_load + (outcome.began - began_load) / 5
    begin, end = outcome.swap or (outcome.ended, outcome.ended)
    spans = {
        "before": latencies.summary(warm, outcome.began),
        "during": latencies.summary(outcome.began, begin),
        "after": latencies.summary(outcome.ended),
        "whole": latencies.summary(outcome.began, outcome.ended),
    }
    stall_ms = None
    if outcome.swap:
        around = (begin - _AROUND_THE_SWAP_S, end + _AROUND_THE_SWAP_S)
        spans["swap"] = latencies.touching(*around)
        stall_ms = latencies.slowest_execution_s(*around) * 1000
    during = records.failed(outcome.began, outcome.ended)
    return Felt(
        spans=spans,
        failed_before=len(records.failed(warm, outcome.began)),
        failed_during=len(during),
        errors=tuple(str(failure) for failure in during if failure.is_error),
        row_changes=spans["whole"].transactions * rows_per_transaction,
        stall_ms=stall_ms,
        points=_points(records, warm, outcome.began),
    )


def _points(records: LoadRecords, since: float, zero: float) -> tuple[Point, ...]:
    latencies = records.latencies
    if not len(latencies):
        return ()
    span = max(_SHORTEST_POINT_S, (latencies.starts[-1] - since) / _MOST_POINTS)
    slots: dict[int, list[float]] = {}
    for start, took in zip(latencies.starts, latencies.durations_s, strict=True):
        if start >= since:
            slots.setdefault(int((start - since) / span), []).append(took * 1000)
    points = []
    for slot in range(max(slots, default=-1)):
        ordered = sorted(slots.get(slot, []))
        at_s = since + (slot + 0.5) * span - zero
        ranks = [percentile(ordered, share) for share in (0.5, 0.99, 1.0)]
        p50, p99, worst = (None if math.isnan(value) else value for value in ranks)
        points.append(Point(at_s, len(ordered) / span, p50, p99, worst))
    return tuple(points)
