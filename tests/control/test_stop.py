"""Asking a run to stop: by signals, and by threads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from osc.control.stop import STOP_SIGNALS, StopRequest, stop_on_signals
from osc.errors import Interrupted


class Notices:
    """What a person was told, to be waited for."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self._changed = threading.Condition()

    def __call__(self, text: str) -> None:
        with self._changed:
            self.told.append(text)
            self._changed.notify_all()

    def wait_for(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.told) >= count, timeout=60)


def test_nothing_is_asked_at_first() -> None:
    stop = StopRequest()
    stop.check()
    assert not stop.is_requested
    assert not stop.wait(0)
    assert stop.reason is None


def test_the_first_reason_counts_and_check_raises_it() -> None:
    stop = StopRequest()
    assert stop.request("the first")
    assert not stop.request("the second")
    assert stop.wait(0)
    with pytest.raises(Interrupted, match="stopped by the first"):
        stop.check()


def test_a_thread_that_waits_is_woken() -> None:
    stop = StopRequest()
    woken: list[bool] = []
    waiter = threading.Thread(target=lambda: woken.append(stop.wait(60)))
    waiter.start()
    stop.request("done")
    waiter.join()
    assert woken == [True]


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_asks_to_stop_and_a_second_one_is_told_that_it_is_under_way(number: signal.Signals) -> None:
    stop, notices = StopRequest(), Notices()
    with stop_on_signals(stop, notices):
        os.kill(os.getpid(), number)
        notices.wait_for(1)
        assert stop.is_requested
        assert stop.reason is not None
        assert number.name in stop.reason
        os.kill(os.getpid(), number)
        notices.wait_for(2)
    assert "stopping cleanly" in notices.told[0]
    assert "already stopping" in notices.told[1]


def test_the_handlers_of_before_are_back_afterwards() -> None:
    before = [signal.getsignal(number) for number in STOP_SIGNALS]
    with stop_on_signals(StopRequest(), Notices()):
        assert [signal.getsignal(number) for number in STOP_SIGNALS] != before
    assert [signal.getsignal(number) for number in STOP_SIGNALS] == before


def test_a_hang_up_that_nohup_has_ignored_stays_ignored() -> None:
    script = (
        "import os, signal, sys\n"
        "from osc.control.stop import StopRequest, stop_on_signals\n"
        "from osc.progress.output import Output\n"
        "stop, out = StopRequest(), Output(sys.stdout)\n"
        "with stop_on_signals(stop, out.line):\n"
        "    os.kill(os.getpid(), signal.SIGHUP)\n"
        "    out.line(f'hang-up {stop.is_requested}')\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    out.line(f'term {stop.wait(60)}')\n"
    )
    done = subprocess.run(["nohup", sys.executable, "-c", script], capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if not line.startswith("SIGTERM")]
    assert lines == ["hang-up False", "term True"]
