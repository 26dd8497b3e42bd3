"""How long the application is left alone between two attempts at the swap."""

from __future__ import annotations

import pytest

from osc.cutover.cutover import LONGEST_PAUSE_S, pause_after
from osc.progress.report import CutOverAttempt


def pauses(stalls_ms: list[float]) -> list[float]:
    """After each of those attempts, in seconds."""
    attempts = [CutOverAttempt(number, stall_ms, "failed") for number, stall_ms in enumerate(stalls_ms, 1)]
    return [pause_after(attempts[:number]) for number in range(1, len(attempts) + 1)]


def test_pauses_double_after_attempts_that_made_the_application_wait() -> None:
    assert pauses([3_000.0] * 8) == [0.5, 1, 2, 4, 8, 16, LONGEST_PAUSE_S, LONGEST_PAUSE_S]


def test_attempts_that_made_nobody_wait_follow_each_other_soon() -> None:
    assert pauses([1.0] * 10) == pytest.approx([0.25 * number for number in range(1, 11)])
    assert max(pauses([1.0] * 500)) == LONGEST_PAUSE_S


def test_attempts_that_made_nobody_wait_do_not_count_for_those_that_did() -> None:
    assert pauses([1.0] * 10 + [3_000.0, 3_000.0])[-2:] == [0.5, 1]
