"""The gate: as many at work as the pace allows, the others parked; closed while a signal says so."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from osc.control.stop import StopRequest
from osc.errors import Interrupted
from osc.threads import OwnedThread
from osc.throttle.gate import Gate
from osc.throttle.governor import Pace


class Site:
    """A gate whose pace and reasons a test sets, and workers that report each passage."""

    def __init__(self, workers: int, nice_ratio: float = 0.0) -> None:
        self.pace = Pace(1.0, workers, 0.1, 0.0)
        self.reason: str | None = None
        self.stop = StopRequest()
        self.gate = Gate([lambda: self.reason], self.stop, lambda: self.pace, nice_ratio)
        self.passed = threading.Semaphore(0)
        self.may_come_back = threading.Semaphore(0)

    def set_workers(self, workers: int) -> None:
        self.pace = Pace(workers / 4, workers, 0.1, 0.0)
        self.gate.pace_changed()

    def work(self) -> None:
        while True:
            self.gate.pass_through()
            self.passed.release()
            self.may_come_back.acquire()

    def pass_once(self) -> None:
        self.gate.pass_through()
        self.passed.release()

    def is_at_rest(self) -> bool:
        return self.gate.is_at_rest

    def passes(self) -> bool:
        """Whether one more comes through within the time that it takes the slowest machine."""
        return self.passed.acquire(timeout=60)

    def nobody_passes(self) -> bool:
        """Whether none comes through for a moment. A moment too short finds nothing, and never fails by mistake."""
        return not self.passed.acquire(timeout=0.3)


@contextmanager
def working(site: Site, *targets: Callable[[], None]) -> Iterator[list[OwnedThread]]:
    threads = [OwnedThread(f"worker-{number}", target) for number, target in enumerate(targets)]
    for thread in threads:
        thread.start()
    try:
        yield threads
    finally:
        site.stop.request("the end of the test")
        for _ in threads:
            site.may_come_back.release(10)
        for thread in threads:
            thread.join()


def test_no_more_pass_than_the_pace_allows_and_the_others_wait_for_a_place() -> None:
    site = Site(workers=2)
    with working(site, *[site.work] * 4):
        assert site.passes()
        assert site.passes()
        assert site.nobody_passes()
        site.may_come_back.release()
        assert site.passes()
        site.set_workers(4)
        assert site.passes()
        assert site.passes()


def test_workers_that_have_no_place_any_more_park_and_go_on_when_there_is_one() -> None:
    site = Site(workers=2)
    with working(site, *[site.work] * 2) as threads:
        assert site.passes()
        assert site.passes()
        assert not site.is_at_rest()
        site.set_workers(0)
        site.may_come_back.release(2)
        assert site.nobody_passes()
        while not site.is_at_rest():
            pass
        assert all(thread.is_alive for thread in threads)
        site.set_workers(1)
        assert site.passes()
        assert site.nobody_passes()


def test_a_worker_that_has_ended_leaves_its_place_to_another() -> None:
    site = Site(workers=1)
    with working(site, site.pass_once):
        assert site.passes()
        other = OwnedThread("another", site.pass_once)
        other.start()
        assert site.passes()
        other.join()


def test_a_reason_closes_the_gate_for_all_until_it_is_gone() -> None:
    site = Site(workers=4)
    site.reason = "too busy"
    with working(site, *[site.work] * 2):
        assert site.nobody_passes()
        assert site.gate.closed_by() == "too busy"
        site.reason = None
        assert site.passes()
        assert site.passes()


def test_rest_follows_work_in_proportion() -> None:
    site = Site(workers=1)
    site.gate.pass_through()
    assert site.gate._rest_for(0.2) == 0
    site.pace = Pace(0.2, 1, 0.01, 4.0)
    assert site.gate._rest_for(0.05) == pytest.approx(0.2)
    assert site.gate._rest_for(60.0) == 1.0


def test_a_nice_ratio_is_kept_on_top_of_the_pace_whatever_it_is() -> None:
    site = Site(workers=1, nice_ratio=2.0)
    assert site.gate._rest_for(3.0) == pytest.approx(6.0)
    site.pace = Pace(0.5, 1, 0.01, 1.0)
    assert site.gate._rest_for(0.1) == pytest.approx(0.3)


def test_who_waits_hears_of_the_end() -> None:
    site = Site(workers=0)
    with working(site, site.work) as [thread]:
        assert site.nobody_passes()
        site.stop.request("a test")
        thread.join()
        with pytest.raises(Interrupted, match="a test"):
            thread.raise_if_dead()
