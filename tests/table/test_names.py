"""Names of the tables that a migration makes."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osc.table.names import MAX_NAME_LENGTH, decorated, names_for, sorting_after

TABLE_NAMES = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0xFFE5, exclude_categories=["Cs"]), min_size=1, max_size=64
)


def test_names_follow_gh_ost() -> None:
    names = names_for("shop", "orders")
    assert (names.ghost, names.state, names.old) == ("_orders_gho", "_orders_ghc", "_orders_del")


def test_the_old_table_may_carry_the_time() -> None:
    assert names_for("shop", "orders", datetime(2026, 1, 2, 3, 4, 5)).old == "_orders_20260102030405_del"


@given(TABLE_NAMES, st.sampled_from(["_gho", "_ghc", "_del"]))
def test_no_name_is_too_long(table: str, suffix: str) -> None:
    name = decorated(table, suffix)
    assert len(name) <= MAX_NAME_LENGTH
    assert name.startswith("_")
    assert name.endswith(suffix)


def test_long_names_that_begin_alike_do_not_meet() -> None:
    one, other = "a" * 63 + "x", "a" * 63 + "y"
    assert decorated(one, "_gho") != decorated(other, "_gho")


@given(TABLE_NAMES, st.sampled_from(["_gho", "_del"]))
def test_a_swap_name_sorts_behind_the_table_in_bytes_and_fits(table: str, suffix: str) -> None:
    name = sorting_after(table, suffix)
    assert name.encode() > table.encode()
    assert len(name) <= MAX_NAME_LENGTH


def test_the_two_swap_names_of_a_long_table_differ() -> None:
    assert sorting_after("a" * 64, "_gho") != sorting_after("a" * 64, "_del")


def test_a_table_at_the_very_end_of_the_order_is_refused() -> None:
    with pytest.raises(ValueError, match="no usable name"):
        sorting_after("\uffff", "_gho")
