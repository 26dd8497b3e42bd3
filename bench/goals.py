"""What the engine is to reach, and what was measured of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.measure import Run
from bench.results import Cell, Results, median


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was measured of a goal."""

    measured: str
    met: bool


@dataclass(frozen=True, slots=True)
class Goal:
    """One goal. `judge` gives None where this run has not measured it."""

    subject: str
    goal: str
    scenario: str
    setting: str | None
    judge: Callable[[Cell, Results], Verdict | None]


def verdicts(results: Results) -> Iterator[tuple[str, str, Verdict | None]]:
    """Of every goal its subject, the goal, and what was measured of it; None where it was not."""
    for goal in GOALS:
        cell = results.cell(goal.scenario, goal.setting)
        yield goal.subject, goal.goal, goal.judge(cell, results) if cell and cell.of("osc") else None
    rate = median(one.row_events_per_cpu_s for one in results.tail)
    verdict = None if rate is None else Verdict(f"{rate:,.0f} a second of processor time", rate >= 100_000)
    yield "tail", "100,000 row events a second on one core", verdict


def _faster(times: float, contender: str = "osc", than: str = "gh-ost") -> Callable[[Cell, Results], Verdict | None]:
    """The contender takes at most 1 / `times` of what the other one takes, who may never have finished."""

    def judge(cell: Cell, _: Results) -> Verdict | None:
        if not cell.of(than) or not cell.of(contender):
            return None
        own, other = cell.wall_s(contender), cell.wall_s(than)
        if own is None:
            return Verdict(f"{contender} did not finish", False)
        if other is None:
            return Verdict(f"{own:.1f} s; {than} did not finish", True)
        return Verdict(f"{other / own:.2f} times ({own:.1f} s, {than} {other:.1f} s)", other / own >= times)

    return judge


def _p99(times: float) -> Callable[[Cell, Results], Verdict | None]:
    """Over the whole migration, at most so many times what it is alone."""

    def judge(cell: Cell, _: Results) -> Verdict | None:
        ratio = median(
            run.felt.spans["whole"].p99_ms / run.felt.spans["before"].p99_ms for run in cell.of("osc") if run.felt
        )
        if ratio is None:
            return None
        peer = cell.span("gh-ost", "swap", "p99_ms")
        also = f"; gh-ost's at its swap {peer:.0f} ms" if peer else ""
        alone, whole = cell.span("osc", "before", "p99_ms"), cell.span("osc", "whole", "p99_ms")
        return Verdict(f"{ratio:.1f} times (alone {alone:.1f} ms, with it {whole:.1f} ms{also})", ratio <= times)

    return judge


def _p99_no_worse(cell: Cell, _: Results) -> Verdict | None:
    own, peer = cell.span("osc", "during", "p99_ms"), cell.span("gh-ost", "during", "p99_ms")
    if own is None or peer is None:
        return None
    return Verdict(f"p99 while copying {own:.0f} ms, gh-ost's {peer:.0f} ms", own <= peer)


def _stall(cell: Cell, _: Results) -> Verdict | None:
    stalls = [stall for run in cell.of("osc") if (stall := run.stall_ms) is not None]
    middle = median(stalls)
    if middle is None:
        return None
    said = f"{middle:.0f} ms median, {max(stalls):.0f} ms worst of {len(stalls)}"
    return Verdict(said, middle < 50 and max(stalls) < 150 and len(stalls) >= 20)


def _throughput(cell: Cell, _: Results) -> Verdict | None:
    before, during = cell.span("osc", "before", "per_second"), cell.span("osc", "whole", "per_second")
    if not before or during is None:
        return None
    finished = all(run.finished for run in cell.of("osc"))
    said = f"{100 * during / before:.0f}% of {before:,.0f} a second" + ("" if finished else "; did not finish")
    return Verdict(said, finished and during >= 0.8 * before)


def reconciled_share(run: Run) -> float | None:
    """Keys that the engine reconciled, as a share of the load's row changes."""
    keys = run.told.get("keys_reconciled")
    return None if keys is None or not run.felt or not run.felt.row_changes else keys / run.felt.row_changes


def _reconciled(cell: Cell, _: Results) -> Verdict | None:
    share = median(reconciled_share(run) for run in cell.of("osc"))
    if share is None:
        return None
    finished = all(run.finished for run in cell.of("osc"))
    return Verdict(f"{100 * share:.1f}%" + ("" if finished else "; did not finish"), finished and share <= 0.05)


def _tail_lag(_: Cell, results: Results) -> Verdict | None:
    lags = [lag for one in results.cells for run in one.runs if (lag := run.told.get("worst_tail_lag_s")) is not None]
    return Verdict(f"{max(lags):.2f} s behind at worst, in {len(lags)} runs", max(lags) <= 1) if lags else None


def _memory(cell: Cell, results: Results) -> Verdict | None:
    large = results.cell("growth-20")
    small_mib = cell.median("osc", lambda run: run.peak_mib)
    large_mib = large.median("osc", lambda run: run.peak_mib) if large else None
    if small_mib is None:
        return None
    if large_mib is None or large is None:
        return Verdict(f"{small_mib:.0f} MiB at {cell.rows:,} rows", small_mib < 150)
    said = f"{small_mib:.0f} MiB at {cell.rows:,} rows, {large_mib:.0f} MiB at {large.rows:,}"
    return Verdict(said, small_mib < 150 and large_mib <= 1.1 * small_mib)


def _growth(cell: Cell, results: Results) -> Verdict | None:
    large = results.cell("growth-20")
    small_s, large_s = cell.wall_s("osc"), large.wall_s("osc") if large else None
    if large is None or small_s is None or large_s is None:
        return None
    costs = 1e6 * small_s / cell.rows, 1e6 * large_s / large.rows
    said = f"{costs[0]:.2f} µs a row at {cell.rows:,} rows, {costs[1]:.2f} µs at {large.rows:,}"
    return Verdict(said, costs[1] <= 1.1 * costs[0])


GOALS = (
    Goal("first table, idle", "3.5 times faster than gh-ost", "idle", "default", _faster(3.5)),
    Goal("first table, idle", "no slower than `COPY`", "idle", "default", _faster(1, than="COPY")),
    Goal("five-index table, idle", "3 times faster than gh-ost", "idle-indexes", None, _faster(3)),
    Goal(
        "five-index table, idle", "within 1.2 times `INPLACE`", "idle-indexes", None, _faster(1 / 1.2, than="INPLACE")
    ),
    Goal("1,000 tps, low, log writers on", "twice as fast as gh-ost", "write-1000", "log-writers", _faster(2)),
    Goal("1,000 tps, low, log writers on", "p99 at most 3 times alone", "write-1000", "log-writers", _p99(3)),
    Goal("1,000 tps, low, server's default", "no slower than gh-ost", "write-1000", "default", _faster(1)),
    Goal("1,000 tps, low, server's default", "p99 no worse than gh-ost's", "write-1000", "default", _p99_no_worse),
    Goal("1,000 tps, medium", "three times as fast as gh-ost", "write-1000", "log-writers", _faster(3, "osc:medium")),
    Goal("1,000 tps, max", "as fast as pt-osc", "write-1000", "log-writers", _faster(1, "osc:max", "pt-osc")),
    Goal("swap at 1,000 tps", "under 50 ms, worst of 20 under 150 ms", "swaps", None, _stall),
    Goal("full-speed load", "finishes, throughput at least 80%", "write-full", None, _throughput),
    Goal("90% hot rows at full speed", "keys at most 5% of the row changes", "hot-full", None, _reconciled),
    Goal("tail", "never more than a second behind", "write-1000", None, _tail_lag),
    Goal("memory", "under 150 MB, the same within 10% at 20 times the rows", "growth-1", None, _memory),
    Goal("how cost grows", "time a row within 10% at 20 times the rows", "growth-1", None, _growth),
)
