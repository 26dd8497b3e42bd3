"""The watermarks: what is dropped, what is held, what is reconciled, and where a resumed copy goes on."""

from __future__ import annotations

import pytest

from osc.reconcile.watermarks import Watermarks


def marks(**changes: object) -> Watermarks:
    settings: dict[str, object] = {"compares": True, "may_drop": True, **changes}
    return Watermarks(**settings)  # type: ignore[arg-type]


def test_before_the_first_range_every_key_will_still_be_copied() -> None:
    assert marks().sort([(1,), (99,)]).drop == [(1,), (99,)]


def test_a_key_above_the_high_watermark_is_dropped_one_in_flight_held_and_one_below_reconciled() -> None:
    watermarks = marks()
    first = watermarks.dispatch(end=(10,))
    watermarks.dispatch(end=(20,))
    watermarks.complete(first.number)
    verdict = watermarks.sort([(5,), (10,), (19,), (20,), (21,)])
    assert (verdict.reconcile, verdict.hold, verdict.drop) == ([(5,)], [(10,), (19,)], [(20,), (21,)])


def test_with_another_unique_key_nothing_is_ever_dropped() -> None:
    watermarks = marks(may_drop=False)
    watermarks.dispatch(end=(10,))
    verdict = watermarks.sort([(5,), (50,)])
    assert (verdict.reconcile, verdict.hold, verdict.drop) == ([(50,)], [(5,)], [])


def test_keys_that_do_not_compare_in_python_wait_for_all_ranges_in_flight() -> None:
    watermarks = marks(compares=False)
    first = watermarks.dispatch(end=(b"m",))
    second = watermarks.dispatch(end=(b"t",))
    watermarks.complete(first.number)
    verdict = watermarks.sort([(b"z",), (b"A",)])
    assert (verdict.reconcile, verdict.hold, verdict.drop) == ([(b"z",), (b"A",)], [], [])
    assert verdict.after_ranges == {second.number}
    assert not watermarks.wait_until_done(verdict.after_ranges, 0.0)
    watermarks.dispatch(end=(b"x",))
    watermarks.complete(second.number)
    assert watermarks.wait_until_done(verdict.after_ranges, 0.0)


def test_the_low_watermark_is_the_start_of_the_oldest_range_in_flight() -> None:
    watermarks = marks()
    lows = [watermarks.low]
    first, second = watermarks.dispatch(end=(10,)), watermarks.dispatch(end=(20,))
    for number in (second.number, first.number):
        watermarks.complete(number)
        lows.append(watermarks.low)
    watermarks.dispatch(end=(30,))
    lows.append(watermarks.low)
    assert lows == [None, None, (20,), (20,)]


def test_once_the_end_is_open_no_key_is_above_the_high_watermark() -> None:
    watermarks = marks()
    done = watermarks.dispatch(end=(10,))
    watermarks.complete(done.number)
    watermarks.open_end()
    assert watermarks.sort([(5,), (50,)]).reconcile == [(5,), (50,)]
    watermarks.dispatch(last=(60,))
    verdict = watermarks.sort([(5,), (10,), (60,), (61,)])
    assert (verdict.reconcile, verdict.hold, verdict.drop) == ([(5,), (61,)], [(10,), (60,)], [])


def test_the_end_cannot_be_fixed_before_it_was_opened() -> None:
    with pytest.raises(AssertionError):
        marks().dispatch(last=(60,))


def test_after_a_resume_keys_that_may_be_in_the_ghost_already_are_not_dropped() -> None:
    watermarks = marks(low=(10,), guard=(40,))
    verdict = watermarks.sort([(5,), (10,), (40,), (41,)])
    assert (verdict.reconcile, verdict.drop) == ([(5,), (10,), (40,)], [(41,)])
    assert watermarks.dispatch(end=(20,)).start == (10,)


def test_composite_keys_are_judged_part_by_part() -> None:
    watermarks = marks()
    watermarks.dispatch(end=(2, 5))
    verdict = watermarks.sort([(1, 99), (2, 4), (2, 5), (3, 0)])
    assert (verdict.hold, verdict.drop) == ([(1, 99), (2, 4)], [(2, 5), (3, 0)])
