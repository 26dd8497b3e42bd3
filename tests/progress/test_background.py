"""Reports that are shown by a thread of their own."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from osc.progress.background import BackgroundReporter
from osc.progress.report import JsonValue, Result, Status
from tests.progress.reports import COPYING, SWAPPED


class SlowReporter:
    """Shows nothing until it may, and remembers what it was given."""

    def __init__(self) -> None:
        self.may_go_on = threading.Event()
        self.is_busy = threading.Event()
        self.shown: list[object] = []
        self.is_closed = False

    def _show(self, what: object) -> None:
        self.is_busy.set()
        assert self.may_go_on.wait(60)
        self.shown.append(what)

    def event(self, name: str, **fields: JsonValue) -> None:
        self._show(name)

    def status(self, status: Status) -> None:
        self._show(status)

    def warning(self, text: str) -> None:
        self._show(text)

    def finished(self, result: Result) -> None:
        self._show(result)

    def close(self) -> None:
        self.is_closed = True


class FailingReporter(SlowReporter):
    """Cannot show warnings."""

    def warning(self, text: str) -> None:
        raise RuntimeError("cannot draw")


def test_the_engine_goes_on_while_the_terminal_stands_still_and_nothing_is_lost() -> None:
    slow = SlowReporter()
    reporter = BackgroundReporter(slow)
    reporter.event("started")
    assert slow.is_busy.wait(60)
    for elapsed in range(1000):
        reporter.status(replace(COPYING, elapsed_s=float(elapsed)))
    reporter.warning("look out")
    reporter.finished(SWAPPED)
    assert slow.shown == []
    slow.may_go_on.set()
    reporter.close()
    assert slow.shown == ["started", replace(COPYING, elapsed_s=999.0), "look out", SWAPPED]
    assert slow.is_closed


def test_draining_waits_for_what_was_reported() -> None:
    slow = SlowReporter()
    slow.may_go_on.set()
    reporter = BackgroundReporter(slow)
    reporter.warning("one")
    reporter.drain()
    assert slow.shown == ["one"]
    reporter.close()


def test_a_report_that_cannot_be_shown_is_logged_and_stops_neither_the_engine_nor_what_follows(
    caplog: pytest.LogCaptureFixture,
) -> None:
    failing = FailingReporter()
    failing.may_go_on.set()
    reporter = BackgroundReporter(failing)
    reporter.warning("one")
    reporter.warning("two")
    reporter.finished(SWAPPED)
    reporter.close()
    assert failing.shown == [SWAPPED]
    assert len([record for record in caplog.records if "cannot draw" in record.getMessage()]) == 1


def test_closing_twice_is_harmless() -> None:
    slow = SlowReporter()
    slow.may_go_on.set()
    reporter = BackgroundReporter(slow)
    reporter.close()
    reporter.close()
    assert slow.is_closed
