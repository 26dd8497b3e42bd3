"""What the latency statistics say of transactions whose times are known."""

from __future__ import annotations

import math
from array import array

import pytest

from osc.sandbox.latency import Latencies, merged, percentile


def of(*pairs: tuple[float, float]) -> Latencies:
    starts, durations = zip(*pairs, strict=True)
    return Latencies(array("d", starts), array("d", durations), array("d", [0.0] * len(pairs)))


def test_percentiles_are_values_that_occurred() -> None:
    ordered = [float(value) for value in range(1, 201)]
    assert [percentile(ordered, share) for share in (0.5, 0.95, 0.99, 1.0)] == [100, 190, 198, 200]


def test_the_percentile_of_a_single_value_is_that_value() -> None:
    assert percentile([7.0], 0.01) == percentile([7.0], 0.99) == 7.0


def test_a_summary_takes_the_transactions_that_started_in_its_span() -> None:
    summary = of((0.0, 0.001), (1.0, 0.002), (2.0, 0.004), (3.0, 0.5)).summary(1.0, 3.0)
    assert (summary.transactions, summary.p50_ms, summary.worst_ms) == (2, 2.0, 4.0)


def test_the_rate_of_a_summary_is_over_the_span_in_which_there_were_transactions() -> None:
    trace = of(*((start / 10, 0.0) for start in range(101)))
    assert trace.summary(2.0, 4.0).per_second == pytest.approx(10)
    assert trace.summary(since=5.0).per_second == pytest.approx(51 / 5)


def test_a_span_without_transactions_has_no_percentiles() -> None:
    summary = of((0.0, 0.001)).summary(5.0, 6.0)
    assert summary.transactions == 0
    assert math.isnan(summary.p99_ms)


def test_a_transaction_that_began_before_a_stall_and_ended_after_it_touches_it() -> None:
    trace = of((0.0, 0.1), (0.9, 0.5), (2.0, 0.1))
    assert trace.touching(1.0, 1.2).worst_ms == 500


def test_the_slowest_execution_leaves_out_the_time_in_the_queue() -> None:
    trace = Latencies(array("d", [0.0, 0.1, 5.0]), array("d", [1.0, 1.2, 9.0]), array("d", [0.0, 0.9, 0.0]))
    assert trace.slowest_execution_s(1.05, 1.1) == pytest.approx(0.3)
    assert trace.slowest_execution_s(0.5, 0.6) == 1.0
    assert trace.slowest_execution_s(2.0, 3.0) == 0


def test_the_longest_gap_is_between_two_ends() -> None:
    trace = of((0.0, 0.1), (0.1, 1.0), (0.2, 1.0), (1.2, 0.1))
    assert trace.longest_gap_s() == pytest.approx(1.0)
    assert of((0.0, 0.1)).longest_gap_s() == 0


def test_merging_orders_by_start() -> None:
    both = merged([of((0.0, 0.1), (2.0, 0.2)), of((1.0, 0.3))])
    assert list(both.starts) == [0.0, 1.0, 2.0]
    assert list(both.durations_s) == [0.1, 0.3, 0.2]
