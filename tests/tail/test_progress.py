from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osc.mysql.server import Server
from osc.tail.coordinate import Coordinate
from osc.tail.progress import MARK_INTERVAL_S, MARK_TRANSACTIONS, Progress

SERVER = Server("mysql", (9, 7, 0), "9.7.0", {})
START = Coordinate("binlog.000009", 4)


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@given(
    st.lists(st.tuples(st.sampled_from(["transaction", "broken off", "rotation"]), st.floats(0, 0.2)), max_size=60),
    st.data(),
)
def test_before_a_checkpoint_there_is_no_transaction_that_is_still_pending(
    steps: list[tuple[str, float]], data: st.DataObject
) -> None:
    clock = Clock()
    progress = Progress(START, SERVER, clock)
    file, position = 9, 4
    began: dict[int, Coordinate] = {}
    oldest = 1
    for kind, pause_s in steps:
        clock.now_s += pause_s
        if kind == "rotation":
            file, position = file + 1, 4
            progress.rotated(f"binlog.{file:06}", position)
            continue
        number = progress.begin()
        began[number] = Coordinate(f"binlog.{file:06}", position)
        if kind == "transaction":  # else the connection broke, and it comes again from where it began
            position += 100
            progress.end(f"binlog.{file:06}", position)
        if data.draw(st.booleans()):
            oldest = data.draw(st.integers(oldest, progress.number))
            place = progress.checkpoint(oldest)
            assert all(place <= where for pending, where in began.items() if pending >= oldest)
            assert place in {START, *began.values()}
    end = progress.checkpoint(None)
    assert end == progress.complete[0]
    assert end <= Coordinate(f"binlog.{file:06}", position)


def test_places_are_remembered_by_time_and_by_number_of_transactions() -> None:
    clock = Clock()
    progress = Progress(START, SERVER, clock)
    for number in range(1, 2 * MARK_TRANSACTIONS + 10):
        assert progress.begin() == number
        progress.end(START.file, 4 + number)
    assert progress.checkpoint(MARK_TRANSACTIONS) == START
    assert progress.checkpoint(MARK_TRANSACTIONS + 1).position == 4 + MARK_TRANSACTIONS
    assert progress.checkpoint(MARK_TRANSACTIONS + 500).position == 4 + MARK_TRANSACTIONS
    clock.now_s += MARK_INTERVAL_S
    number = progress.begin()
    assert progress.checkpoint(number).position == 4 + number - 1


def test_a_checkpoint_that_goes_back_behind_what_is_remembered_is_refused() -> None:
    clock = Clock()
    progress = Progress(START, SERVER, clock)
    for number in range(1, 4):
        clock.now_s += MARK_INTERVAL_S
        progress.begin()
        progress.end(START.file, 4 + number)
    progress.checkpoint(3)
    with pytest.raises(ValueError, match="older"):
        progress.checkpoint(2)


def test_the_end_stays_in_its_file_while_a_transaction_is_open() -> None:
    progress = Progress(START, SERVER, Clock())
    progress.begin()
    progress.rotated("binlog.000010", 4)
    assert progress.complete == (START, 0)
    progress.end("binlog.000010", 50)
    progress.rotated("binlog.000009", 4)  # what a dump by GTIDs begins with may be an earlier file
    assert progress.complete == (Coordinate("binlog.000010", 50), 1)
