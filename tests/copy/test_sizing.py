"""The size of the next range follows the time that the last ones took."""

from __future__ import annotations

from osc.copy.sizing import FIRST_ROWS, MAX_ROWS, MIN_ROWS, ChunkSizer


def test_a_fast_range_lets_the_next_grow_by_a_half_at_most() -> None:
    sizer = ChunkSizer(0.1)
    sizer.took(FIRST_ROWS, 0.001)
    assert sizer.rows == FIRST_ROWS * 1.5


def test_a_slow_range_shrinks_the_next_at_once() -> None:
    sizer = ChunkSizer(0.1)
    sizer.took(FIRST_ROWS, 1.0)
    assert sizer.rows == FIRST_ROWS // 10


def test_the_size_stays_within_its_bounds() -> None:
    sizer = ChunkSizer(0.1)
    for _ in range(50):
        sizer.took(sizer.rows, 0.000_001)
    assert sizer.rows == MAX_ROWS
    for _ in range(50):
        sizer.took(sizer.rows, 1_000.0)
    assert sizer.rows == MIN_ROWS


def test_a_size_that_the_operator_gives_is_the_first_and_the_most() -> None:
    sizer = ChunkSizer(0.1, 250, 250)
    assert sizer.rows == 250
    sizer.took(250, 0.001)
    assert sizer.rows == 250


def test_ranges_that_take_the_target_time_keep_their_size() -> None:
    sizer = ChunkSizer(0.1)
    sizer.took(sizer.rows, 0.1)
    assert sizer.rows == FIRST_ROWS
