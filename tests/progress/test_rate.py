"""Rates over a sliding window, driven by a clock that the test holds."""

from __future__ import annotations

import pytest

from osc.progress.rate import RateMeter


class HeldClock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


def feed(meter: RateMeter, clock: HeldClock, seconds: float, rate: float, start: float = 0.0) -> float:
    """Sample four times a second while the total grows at that rate; the total at the end."""
    total = start
    for _ in range(round(seconds * 4)):
        clock.now += 0.25
        total += rate / 4
        meter.update(total)
    return total


def test_a_steady_rate_is_found(clock: HeldClock) -> None:
    meter = RateMeter(clock=clock)
    feed(meter, clock, 20, rate=1000)
    assert meter.rate == pytest.approx(1000)


def test_nothing_is_said_before_a_second_has_passed(clock: HeldClock) -> None:
    meter = RateMeter(clock=clock)
    feed(meter, clock, 0.75, rate=1000)
    assert meter.rate == 0


def test_only_the_window_counts(clock: HeldClock) -> None:
    meter = RateMeter(window_s=10, clock=clock)
    total = feed(meter, clock, 60, rate=1000)
    total = feed(meter, clock, 12, rate=100, start=total)
    assert meter.rate == pytest.approx(100)


def test_a_standstill_is_a_rate_of_nothing(clock: HeldClock) -> None:
    meter = RateMeter(window_s=10, clock=clock)
    total = feed(meter, clock, 30, rate=1000)
    feed(meter, clock, 12, rate=0, start=total)
    assert meter.rate == 0


def test_a_total_that_starts_over_starts_the_window_over(clock: HeldClock) -> None:
    meter = RateMeter(clock=clock)
    feed(meter, clock, 20, rate=1000)
    feed(meter, clock, 5, rate=10)
    assert meter.rate == pytest.approx(10)


def test_very_frequent_samples_neither_pile_up_nor_change_the_rate(clock: HeldClock) -> None:
    meter = RateMeter(window_s=15, clock=clock)
    for step in range(100_000):
        clock.now += 0.001
        meter.update(step)
    assert meter.rate == pytest.approx(1000, rel=0.01)
    assert len(meter._samples) < 200
