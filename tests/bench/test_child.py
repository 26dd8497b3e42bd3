"""A program that is run and measured."""

from __future__ import annotations

import signal
import sys

from bench.child import run


def python(program: str) -> list[str]:
    return [sys.executable, "-u", "-c", program]


def test_every_line_is_kept_with_the_moment_at_which_it_came() -> None:
    ran = run(python("import time; print('one'); time.sleep(0.1); print('two 7')"), limit_s=60)
    first, second = ran.at("one"), ran.at("two")
    assert first is not None
    assert second is not None
    assert ran.began < first < second <= ran.ended
    found = ran.last(r"two (\d)")
    assert found is not None
    assert found[1] == "7"
    assert ran.at("three") is None
    assert (ran.exit_code, ran.timed_out, ran.last_line) == (0, False, "two 7")


def test_the_peak_is_the_programs_own_however_large_this_process_is() -> None:
    ballast = bytearray(300 << 20)
    ballast[::4096] = b"x" * len(ballast[::4096])
    small = run(python("import time; time.sleep(1)"), limit_s=60)
    large = run(python("import time; kept = bytearray(b'x') * (90 << 20); time.sleep(1)"), limit_s=60)
    assert len(ballast) == 300 << 20
    assert 1 < small.peak_mib < 60
    assert 90 < large.peak_mib < 150


def test_the_processor_time_is_the_programs_own() -> None:
    busy = run(python("import time\nwhile time.process_time() < 0.4: pass"), limit_s=60)
    assert 0.4 <= busy.cpu_s < 2


def test_one_that_takes_too_long_is_asked_to_end() -> None:
    ran = run(python("import time; print('begun'); time.sleep(600)"), limit_s=0.5)
    assert ran.timed_out
    assert ran.exit_code == -signal.SIGTERM
    assert ran.ended - ran.began < 600
