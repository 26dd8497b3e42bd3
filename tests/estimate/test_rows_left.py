"""How many rows seem to be left, where the server's figure, the key or both mislead."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from osc.estimate.rows_left import RowsLeft

ROWS = 100_000


def left(estimated: int, keys: Callable[[float], float] | None, until: float) -> float:
    """Rows that seem to be left, of the rows that are left, when that share of them is copied."""
    rows_left = RowsLeft(estimated)
    for rows in range(0, round(until * ROWS) + 1, 500):
        rows_left.saw(rows, None if keys is None else keys(rows / ROWS))
    return rows_left.left / (ROWS * (1 - until))


def dense(share: float) -> float:
    return share


def with_a_gap(share: float) -> float:
    """Nine tenths of the keys are missing, in the middle."""
    return share / 10 if share < 0.5 else 0.9 + share / 10


def purged(share: float) -> float:
    """Of the older half of the keys only a tenth of the rows are left."""
    return 5 * share if share < 0.1 else 0.5 + (share - 0.1) * 0.5 / 0.9


@pytest.mark.parametrize("estimated", [0, ROWS // 10, round(0.8 * ROWS), ROWS, round(1.25 * ROWS)])
@pytest.mark.parametrize("until", [0.12, 0.3, 0.9])
def test_dense_keys_set_right_what_the_server_does_not_know(estimated: int, until: float) -> None:
    assert left(estimated, dense, until) == pytest.approx(1.0, rel=0.02)


def test_where_both_say_about_the_same_neither_is_preferred() -> None:
    assert left(round(1.04 * ROWS), dense, 0.3) == pytest.approx((0.74 + 0.70) / 2 / 0.7, rel=0.01)


@pytest.mark.parametrize("until", [0.1, 0.45, 0.55, 0.9])
def test_a_gap_in_the_keys_is_no_lack_of_rows(until: float) -> None:
    assert left(ROWS, with_a_gap, until) == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize("until", [0.05, 0.3, 0.9])
def test_keys_that_are_sparse_at_first_do_not_hide_the_rows_behind_them(until: float) -> None:
    assert left(ROWS, purged, until) == pytest.approx(1.0, rel=0.25)


def test_where_the_key_tells_nothing_the_server_is_believed() -> None:
    assert left(ROWS, None, 0.3) == pytest.approx(1.0)
    assert left(round(1.1 * ROWS), lambda share: 0.0, 0.3) == pytest.approx(0.8 / 0.7)
    assert left(round(0.2 * ROWS), None, 0.3) == 0


def test_the_end_of_the_keys_is_the_end_whatever_the_server_says() -> None:
    rows_left = RowsLeft(ROWS)
    rows_left.saw(ROWS // 2, 1.0)
    assert (rows_left.left, rows_left.total) == (0, ROWS // 2)


def test_one_key_far_behind_all_others_does_not_mislead() -> None:
    rows, far = 1_000_000, 2**63 - 1
    found = RowsLeft(rows)
    for copied in range(0, 900_000, 1_000):
        found.saw(copied, copied / far)
    assert found.left == pytest.approx(rows - 899_000, rel=0.05)
