"""Playing the governor: what its level comes to, and what that makes of the time."""

from __future__ import annotations

import statistics

import pytest

from osc.estimate.measured import Load
from osc.estimate.pacing import PacedWork, Played, at_work, play

BASELINE_S = 0.002


def load(added: float) -> Load:
    """A sample's work made commits dearer by that share of what they cost alone."""
    return Load(True, BASELINE_S, tuple((level, BASELINE_S * (1 + added)) for level in (0.1, 0.2, 0.15, 0.2) * 10))


def work(seconds: float) -> PacedWork:
    """Takes so long with both workers at work all the time."""
    return PacedWork(lambda level: seconds * 2 / at_work(level, 2))


def played(load: Load, *works: PacedWork, factor: float = 2.0) -> Played:
    return play(load, factor, 2, 0.075, works)


def middle_s(found: Played, place: int = 0) -> float:
    return statistics.median(found.seconds[place])


def test_the_dearer_commits_become_the_lower_the_level_and_the_longer_it_takes() -> None:
    cheap, usual, dear = (played(load(added), work(5.0)) for added in (0.05, 0.6, 2.0))
    assert 1 >= cheap.level > usual.level > dear.level > 0
    assert 5.0 < middle_s(cheap) < middle_s(usual) < middle_s(dear)


def test_who_may_be_disturbed_more_is_disturbed_for_a_shorter_time() -> None:
    times = [middle_s(played(load(0.6), work(5.0), factor=factor)) for factor in (2.0, 4.0, 8.0)]
    assert times == sorted(times, reverse=True)


def test_more_work_takes_longer_in_every_play_and_all_of_the_time_is_counted() -> None:
    less, more = played(load(0.6), work(3.0)), played(load(0.6), work(30.0))
    assert all(one < other for one, other in zip(less.seconds[0], more.seconds[0], strict=True))
    assert middle_s(more) > 5 * middle_s(less)
    # Where others are active it is first measured what a commit costs.
    assert min(less.seconds[0]) > 1.0 + 3.0


def test_indexes_that_are_built_beside_it_hold_it_up() -> None:
    beside = PacedWork(work(3.0).takes_s, build_s=5.0)
    assert middle_s(played(load(0.6), work(1.0), beside), 1) > middle_s(played(load(0.6), work(1.0), work(3.0)), 1)


def test_the_same_sample_gives_the_same_answer() -> None:
    assert played(load(0.6), work(3.0)) == played(load(0.6), work(3.0))


def test_a_migration_of_days_is_played_for_a_while_only() -> None:
    hours, days = (middle_s(played(load(0.6), work(seconds))) for seconds in (10_000.0, 1_000_000.0))
    assert days == pytest.approx(100 * hours, rel=0.05)


@pytest.mark.parametrize(("level", "expected"), [(0.1, 0.4), (0.25, 1.0), (0.5, 1.0), (0.75, 1.5), (1.0, 2.0)])
def test_a_place_that_one_worker_leaves_another_takes(level: float, expected: float) -> None:
    assert at_work(level, 2) == pytest.approx(expected)
    assert at_work(level, 1) == pytest.approx(level)
