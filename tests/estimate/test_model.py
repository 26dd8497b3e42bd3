"""The model: what it makes of a sample, without a server."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osc.estimate.measured import Load, Measured, Traffic, Work
from osc.estimate.model import Estimate, Job, estimate

JOB = Job(
    rows=1_000_000,
    row_bytes=200.0,
    buffer_pool_bytes=2 << 30,
    table_bytes=200 << 20,
    workers=2,
    chunk_target_s=0.075,
    nice_ratio=0.0,
    impact="low",
)
IDLE = Load(False)
BUSY = Load(True, 0.002, ((0.1, 0.0025), (0.2, 0.003), (0.4, 0.004)))
"""A commit becomes dearer by 5 ms from no work to full speed."""


def works(row_s: float = 10e-6, regions: int = 7, rows: int = 20_000) -> tuple[Work, ...]:
    """Regions that are all alike, without an overhead."""
    return tuple(Work(1 / regions, rows, 10, rows * row_s) for _ in range(regions))


def measured(load: Load = IDLE, copied: tuple[Work, ...] | None = None) -> Measured:
    return Measured(
        took_s=10.0,
        made_s=0.1,
        copied=works() if copied is None else copied,
        copy_overhead_s=0.0,
        verified=works(3e-6),
        verify_overhead_s=0.0,
        reconcile_key_s=50e-6,
        build_s=None,
        data_bytes_per_row=200.0,
        index_bytes_per_row=20.0,
        binlog_bytes_per_row=180.0,
        load=load,
        traffic=Traffic(8.0, 0.0, 0.0),
    )


def estimated(sample: Measured, job: Job = JOB) -> Estimate:
    found = estimate(sample, job)
    assert found is not None
    return found


def phase_s(found: Estimate, name: str) -> float:
    return next(spread.p50_s for phase, spread in found.chosen.phases if phase == name)


def test_an_idle_server_is_copied_at_the_speed_of_the_sample() -> None:
    found = estimated(measured())
    assert phase_s(found, "copy") == pytest.approx(1_000_000 * 10e-6 / 2)
    assert phase_s(found, "verify") == pytest.approx(1_000_000 * 3e-6 / 2)
    assert found.chosen.dominated_by == "copy"
    assert {one.level for one in found.at_impacts} == {1.0}
    assert not found.is_thin
    assert found.doubts == ()


def test_what_is_verified_during_the_copy_need_not_be_verified_behind_it() -> None:
    behind, ahead = estimated(measured()), estimated(measured(), replace(JOB, verifies_ahead=True))
    assert ahead.chosen.total.p50_s < behind.chosen.total.p50_s
    assert ahead.chosen.total.p50_s > phase_s(behind, "copy")
    paced = replace(JOB, verifies_ahead=True, nice_ratio=0.5)
    assert estimated(measured(), paced) == estimated(measured(), replace(paced, verifies_ahead=False))


def test_an_overhead_that_was_measured_at_a_bad_moment_counts_only_as_far_as_chunks_bear_it_out() -> None:
    bad = replace(measured(), copy_overhead_s=10.0)
    chunk_s = 2 * JOB.chunk_target_s
    seen = tuple(replace(work, pieces=round(work.busy_s / chunk_s) or 1) for work in works())
    found = estimated(replace(bad, copied=seen))
    assert phase_s(found, "copy") == pytest.approx(1_000_000 * 10e-6 / 2, rel=0.4)


def test_regions_count_by_the_rows_that_they_stand_for() -> None:
    cheap, dear = Work(0.9, 10_000, 5, 0.05), Work(0.1, 10_000, 5, 0.50)
    found = estimated(measured(copied=(cheap, dear)))
    assert phase_s(found, "copy") == pytest.approx(1_000_000 * (0.9 * 5e-6 + 0.1 * 50e-6) / 2)


def test_the_less_is_spared_the_sooner_it_ends() -> None:
    found = estimated(measured(BUSY))
    levels = [one.level for one in found.at_impacts]
    times = [one.total.p50_s for one in found.at_impacts]
    assert [one.impact for one in found.at_impacts] == ["low", "medium", "high", "max"]
    assert levels == sorted(levels)
    assert times == sorted(times, reverse=True)
    assert times[0] > 2 * times[-1]


def test_an_impact_in_figures_is_among_those_that_are_told() -> None:
    found = estimated(measured(BUSY), replace(JOB, impact="3"))
    assert found.chosen.impact == "3"
    by_impact = {one.impact: one.total.p50_s for one in found.at_impacts}
    assert by_impact["medium"] < by_impact["3"] < by_impact["low"]


def test_what_rests_on_little_says_so_and_is_wider() -> None:
    thin = estimated(measured(copied=works(regions=2, rows=100)))
    sound = estimated(measured())
    assert thin.is_thin
    assert any("rests on too little" in doubt for doubt in thin.doubts)
    assert thin.chosen.total.p90_s > sound.chosen.total.p90_s


def test_a_small_table_that_was_sampled_whole_is_not_thin() -> None:
    assert not estimated(measured(copied=works(regions=1, rows=300)), replace(JOB, rows=300)).is_thin


def test_nothing_sampled_is_no_estimate_unless_there_is_nothing_to_copy() -> None:
    nothing = measured(copied=())
    assert estimate(nothing, JOB) is None
    assert estimate(nothing, replace(JOB, rows=0)) is not None


def test_writes_that_are_faster_than_reconciling_are_told() -> None:
    flood = replace(measured(), traffic=Traffic(8.0, 50_000.0, 1e7))
    found = estimated(flood)
    assert found.reconciling_share > 1
    assert any("would not end" in doubt for doubt in found.doubts)
    assert found.chosen.total.p50_s > estimated(measured()).chosen.total.p50_s


def test_indexes_built_afterwards_take_longer_the_more_rows_there_are() -> None:
    with_indexes = replace(measured(), build_s=0.5)
    found, larger = estimated(with_indexes), estimated(with_indexes, replace(JOB, rows=10_000_000))
    assert phase_s(found, "indexes") > 0
    assert phase_s(larger, "indexes") > 10 * phase_s(found, "indexes")


@settings(max_examples=25)
@given(
    rows=st.integers(1, 10**10),
    row_s=st.floats(1e-7, 1e-2),
    overhead_s=st.floats(0, 0.1),
    load=st.sampled_from([IDLE, BUSY, Load(True, 0.001), Load(True, 0.001, ((0.5, 0.0001),))]),
    workers=st.integers(1, 64),
    build_s=st.none() | st.floats(0.001, 100),
)
def test_the_range_is_in_order_and_more_rows_never_take_less(
    rows: int, row_s: float, overhead_s: float, load: Load, workers: int, build_s: float | None
) -> None:
    sample = replace(measured(load, works(row_s)), copy_overhead_s=overhead_s, build_s=build_s)
    job = replace(JOB, rows=rows, workers=workers)
    found, twice = estimated(sample, job), estimated(sample, replace(job, rows=2 * rows))
    for one in found.at_impacts:
        assert 0 < one.total.p10_s <= one.total.p50_s <= one.total.p90_s
    assert twice.chosen.total.p50_s > found.chosen.total.p50_s
