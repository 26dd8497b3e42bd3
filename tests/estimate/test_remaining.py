"""What is said of the time left, in courses that are known to their end."""

from __future__ import annotations

import random
import statistics
from itertools import pairwise

import pytest

from osc.estimate.model import SWAP_S, Spread
from osc.estimate.remaining import VERIFY_SHARE, Look, Planned, Remaining
from osc.verify.ahead import FRESH_S
from tests.estimate.courses import LOOK_EVERY_S, Said, after, noisy, play, steady, worst

ROWS = 600_000
ROWS_S = 1_000
COPY_S = ROWS / ROWS_S
VERIFY_S = VERIFY_SHARE * COPY_S


@pytest.mark.parametrize("seed", range(4))
def test_a_steady_course_is_foretold_within_a_few_percent_from_a_tenth_on(seed: int) -> None:
    said = play(ROWS, noisy(steady(ROWS_S), seed, deviation=0.15), verify_s=VERIFY_S)
    assert worst(after(0.1, said)) < 0.08
    assert worst(after(0.2, said)) < 0.05
    assert worst(after(0.6, said)) < 0.03


@pytest.mark.parametrize("seed", range(4))
def test_what_it_says_does_not_jump(seed: int) -> None:
    said = after(0.1, play(ROWS, noisy(steady(ROWS_S), seed, deviation=0.15), verify_s=VERIFY_S))
    totals = [one.eta_s - one.left_s for one in said if one.eta_s is not None]
    for second in range(0, len(totals) - 20, 20):
        assert abs(totals[second + 20] - totals[second]) < 0.03 * (COPY_S + VERIFY_S), "in five seconds"


def test_a_slow_start_is_soon_of_no_account() -> None:
    said = play(ROWS, lambda share, at_s: ROWS_S * min(1.0, 0.1 + at_s / 30), verify_s=VERIFY_S)
    assert worst(after(0.1, said)) < 0.03


def test_a_moment_in_which_next_to_nothing_is_done_is_no_change_of_pace() -> None:
    said = play(ROWS, lambda share, at_s: ROWS_S if not 200 < at_s < 220 else 50, verify_s=VERIFY_S)
    assert worst(after(0.1, said)) < 0.12


@pytest.mark.parametrize(("before", "then"), [(1000, 400), (400, 1000), (1000, 1500)])
def test_a_lasting_change_of_pace_is_followed(before: int, then: int) -> None:
    changed_at_s = 0.4 * ROWS / before
    whole_s = changed_at_s + 0.6 * ROWS / then + VERIFY_SHARE * ROWS / then
    pace = noisy(lambda share, at_s: before if share < 0.4 else then, seed=3, deviation=0.15)
    said = play(ROWS, pace, verify_s=VERIFY_SHARE * ROWS / then)
    followed_at = 1.3 * changed_at_s / whole_s
    assert worst(after(followed_at, said)) < 0.08


def test_a_governor_that_slows_it_down_is_followed_as_the_pace_it_is() -> None:
    said = play(ROWS, lambda share, at_s: ROWS_S * (1.0 if share < 0.2 else 0.25), verify_s=4 * VERIFY_S)
    assert worst(after(0.1, said)) < 0.7, "nobody could know"
    assert worst(after(0.15, said)) < 0.05


def test_while_it_is_held_the_eta_stands_still_and_goes_on_from_there() -> None:
    def held(at_s: float) -> bool:
        return 200 < at_s < 5_000

    said = play(ROWS, noisy(steady(ROWS_S), 3, deviation=0.15), verify_s=VERIFY_S, held=held)
    standing = {one.eta_s for one in said if one.is_held}
    assert len(standing) == 1
    assert worst(after(0.1, said)) < 0.08


def in_wall_time(said: list[Said]) -> list[tuple[float, float]]:
    """For each look, the time that had passed, and by what share of the whole the ETA was too long; pauses count."""
    whole_s = len(said) * LOOK_EVERY_S
    return [
        (at_s, (one.eta_s - (whole_s - at_s)) / whole_s)
        for at_s, one in ((number * LOOK_EVERY_S, one) for number, one in enumerate(said))
        if one.eta_s is not None and not one.is_held
    ]


@pytest.mark.parametrize(("every_s", "for_s"), [(10, 3), (10, 8), (40, 20), (100, 60)])
def test_pauses_that_come_back_are_expected(every_s: int, for_s: int) -> None:
    """Also where the first look is within one."""
    chance = random.Random(5)
    lengths_s = [for_s * chance.uniform(0.8, 1.2) for _ in range(1_000)]

    def held(at_s: float) -> bool:
        return at_s % every_s < lengths_s[int(at_s // every_s)]

    said = play(ROWS, noisy(steady(ROWS_S), 3, deviation=0.15), verify_s=VERIFY_S, held=held)
    known_at_s = max(10 * every_s, 0.15 * len(said) * LOOK_EVERY_S)
    errors = [abs(error) for at_s, error in in_wall_time(said) if at_s > known_at_s]
    assert statistics.median(errors) < 0.04
    assert max(errors) < 0.15


def test_while_it_is_held_again_and_again_the_eta_stands_still_in_each_pause() -> None:
    said = play(ROWS, steady(ROWS_S), verify_s=VERIFY_S, held=lambda at_s: at_s % 50 < 20)
    for one, then in pairwise(said):
        if one.is_held and then.is_held:
            assert then.eta_s == one.eta_s


def test_pauses_that_have_stopped_coming_are_soon_no_longer_expected() -> None:
    said = play(ROWS, steady(ROWS_S), verify_s=VERIFY_S, held=lambda at_s: at_s < 100 and at_s % 10 < 5)
    assert max(abs(error) for at_s, error in in_wall_time(said) if at_s > 210) < 0.03


def test_a_burst_of_pauses_changes_little() -> None:
    said = play(ROWS, steady(ROWS_S), verify_s=VERIFY_S, held=lambda at_s: 300 < at_s < 340 and at_s % 2 < 1.75)
    assert max(abs(error) for at_s, error in in_wall_time(said) if at_s > 100) < 0.25


def test_a_night_in_which_an_operator_held_it_back_is_not_expected_again() -> None:
    def held(at_s: float) -> bool:
        return 300 < at_s < 30_000 or (at_s % 60 < 1)

    said = play(ROWS, steady(ROWS_S), verify_s=VERIFY_S, held=held)
    left = [(one.eta_s, one.left_s) for one in said if one.eta_s is not None and one.share > 0.1]
    assert max(eta_s / left_s for eta_s, left_s in left if left_s > 10) < 1.1


def test_pauses_of_the_copy_do_not_draw_out_the_swap() -> None:
    said = play(ROWS, steady(ROWS_S), verify_s=VERIFY_S, swap_s=10.0, held=lambda at_s: at_s % 10 < 8)
    assert {one.phase for one in said} == {"copy", "verify", "ready"}
    assert max(one.eta_s or 0.0 for one in said if one.phase == "ready") <= SWAP_S


def test_rows_that_were_done_while_nobody_looked_are_learned_from() -> None:
    remaining = Remaining(2_000)
    remaining.saw(Look(0.0, "copy", key_share=0.0, is_held=True))
    for at_s in (0.25, 0.5, 0.75, 1.0, 1.25):
        remaining.saw(Look(at_s, "copy", 1_500, key_share=0.75))
    assert remaining.eta_s is not None
    assert 0 < remaining.eta_s < 2


def test_without_a_plan_nothing_is_said_before_there_is_something_to_go_by() -> None:
    said = play(ROWS, steady(ROWS_S), verify_s=VERIFY_S)
    assert said[0].eta_s is None
    assert next(at for at, one in enumerate(said) if one.eta_s is not None) <= 8, "two seconds"


def planned(copy_s: float, verify_s: float, indexes_s: float = 0.0, rows: int = ROWS) -> Planned:
    parts = {"prepare": 0.3, "copy": copy_s, "verify": verify_s, "indexes": indexes_s, "swap": SWAP_S}
    phases = {name: Spread(0.8 * s, s, 1.3 * s) for name, s in parts.items()}
    return Planned(rows, Spread(0.8 * copy_s, copy_s + verify_s, 1.3 * copy_s), phases)


def test_with_a_plan_something_is_said_from_the_first_moment_on() -> None:
    said = play(ROWS, steady(ROWS_S), verify_s=300, planned=planned(1.1 * COPY_S, 330))
    assert worst(said) < 0.12
    assert worst(after(0.15, said)) < 0.01


def test_a_plan_knows_what_comes_after_the_copy_though_the_copy_is_slower_than_planned() -> None:
    said = play(ROWS, steady(ROWS_S), verify_s=300, build_s=480, planned=planned(COPY_S / 3, 100, 60))
    assert worst(after(0.15, said, until=0.95)) < 0.01
    assert worst(after(0.95, said)) < 0.05, "a build gives no count, and may yet take longer than planned"


def test_a_plan_that_is_far_off_has_no_say_from_a_tenth_of_the_rows_on() -> None:
    said = play(ROWS, steady(ROWS_S), planned=planned(10 * COPY_S, 0))
    assert worst(after(0.11, said)) < 0.02


def test_verification_that_is_slower_than_usual_is_learned_within_its_first_tenth() -> None:
    said = play(ROWS, steady(ROWS_S), verify_s=COPY_S)
    verifying = [one for one in said if one.phase == "verify"]
    assert worst(verifying[len(verifying) // 8 :]) < 0.01


def test_a_build_that_takes_longer_than_verification_is_not_said_to_be_over() -> None:
    said = play(ROWS, steady(ROWS_S), verify_s=VERIFY_S, build_s=4 * VERIFY_S)
    building = [one for one in said if one.phase == "verify"]
    assert min(one.eta_s or 0.0 for one in building) > SWAP_S


def test_a_build_that_is_about_to_begin_is_counted() -> None:
    remaining = Remaining(ROWS, deferred_indexes=1)
    for second in range(0, 601, 10):
        remaining.saw(Look(second, "copy", second * ROWS_S, key_share=second / 600))
    before = remaining.eta_s
    remaining.saw(Look(600.1, "verify", ROWS))
    assert remaining.eta_s == pytest.approx(before, rel=0.01)


@pytest.mark.parametrize("off", [0.8, 1.2])
def test_rows_that_the_server_takes_for_a_fifth_fewer_or_more_are_found_by_the_key(off: float) -> None:
    said = play(ROWS, steady(ROWS_S), estimated=round(off * ROWS), verify_s=VERIFY_S)
    assert worst(after(0.1, said)) < 0.02


def test_where_the_key_tells_nothing_the_etas_error_is_that_of_the_rows() -> None:
    said = play(ROWS, steady(ROWS_S), estimated=round(0.8 * ROWS), verify_s=VERIFY_S, keys=None)
    assert worst(after(0.1, said)) < 0.21
    assert worst([one for one in said if one.phase == "verify"]) < 0.02


def test_a_resumed_run_counts_from_the_rows_that_are_left() -> None:
    said = play(ROWS, steady(ROWS_S), copied_before=ROWS // 2, verify_s=VERIFY_S)
    assert worst(after(0.05, said)) < 0.01
    again = play(ROWS, steady(ROWS_S), copied_before=ROWS // 2, verify_s=VERIFY_S, planned=planned(COPY_S, VERIFY_S))
    assert worst(again) < 0.01


def test_verification_ahead_of_the_copys_end_is_taken_off_unless_it_will_be_too_old_to_count() -> None:
    def eta_s(copied: int, rows: int) -> float:
        remaining = Remaining(rows)
        for second in range(11):
            done = copied * second
            remaining.saw(Look(second, "copy", done, done // 2, done / rows))
        assert remaining.eta_s is not None
        return remaining.eta_s

    assert eta_s(1_000, 100_000) == pytest.approx(90 + 100 * VERIFY_SHARE / 2 + SWAP_S)
    rows = round(2 * FRESH_S * 1_000)
    assert eta_s(1_000, rows) == pytest.approx(rows / 1_000 * (1 + VERIFY_SHARE) - 10 + SWAP_S)


def test_an_empty_table_needs_next_to_nothing() -> None:
    remaining = Remaining(0)
    remaining.saw(Look(0.0, "copy"))
    remaining.saw(Look(0.1, "verify"))
    assert (remaining.eta_s, remaining.rows_total) == (SWAP_S, 0)


def test_a_postponed_swap_is_all_that_is_left_however_long_it_waits() -> None:
    remaining = Remaining(100)
    for at_s in (0.0, 1.0, 3_600.0):
        remaining.saw(Look(at_s, "ready", 100, 100, is_held=True))
        assert remaining.eta_s == SWAP_S
    remaining.saw(Look(3_600.1, "cut-over", 100, 100))
    remaining.saw(Look(3_601.0, "done", 100, 100))
    assert remaining.eta_s == 0.0


def test_rows_found_during_the_copy_are_counted() -> None:
    remaining = Remaining(1_000)
    remaining.saw(Look(0.0, "copy", 1_500, 0, None))
    assert remaining.rows_total == 1_500
    remaining.saw(Look(1.0, "verify", 1_700, 0, None))
    assert remaining.rows_total == 1_700
