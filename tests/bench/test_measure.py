"""What is told of a load whose transactions are known."""

from __future__ import annotations

from array import array
from pathlib import Path

import pytest

from bench.contenders import Outcome
from bench.loads import Failure, Load, LoadRecords, read_records
from bench.measure import felt
from bench.tables import TABLES
from osc.sandbox.latency import Latencies


def test_the_spans_are_those_of_the_migration() -> None:
    # One transaction every 0.1 s, due at 0.05, 0.15, ..: 1 ms alone, 3 ms during, 80 ms around the swap at 8 to 9.
    starts = [0.05 + place / 10 for place in range(120)]
    durations = [0.001 if start < 5 or start > 10 else 0.08 if 8 <= start <= 9 else 0.003 for start in starts]
    records = LoadRecords(
        Latencies(array("d", starts), array("d", durations), array("d", [0.0] * 120)),
        (Failure(4.0, 1213, "deadlock"), Failure(6.0, 1205, "waited"), Failure(6.1, 1146, "no table")),
    )
    outcome = Outcome(began=5.0, ended=10.0, swap=(8.0, 9.0))
    found = felt(records, outcome, began_load=0.0, rows_per_transaction=4)
    assert {name: (span.transactions, round(span.worst_ms, 6)) for name, span in found.spans.items()} == {
        "before": (40, 1.0),  # the first second does not count
        "during": (30, 3.0),
        "swap": (12, 80.0),
        "after": (20, 1.0),
        "whole": (50, 80.0),
    }
    assert (found.failed_before, found.failed_during, found.row_changes) == (1, 2, 200)
    assert found.errors == ("1146: no table",)
    assert found.stall_ms == pytest.approx(80)
    assert found.points[0].at_s == pytest.approx(-3.95)
    assert max(point.worst_ms or 0 for point in found.points) == pytest.approx(80)


def test_waiting_in_the_queue_is_latency_but_not_the_swaps_stall() -> None:
    latencies = Latencies(array("d", [1.0, 1.1]), array("d", [0.5, 0.41]), array("d", [0.0, 0.4]))
    found = felt(LoadRecords(latencies), Outcome(0.5, 2.0, swap=(1.48, 1.52)), 0.0, 4)
    assert found.spans["swap"].worst_ms == pytest.approx(500)
    assert found.stall_ms == pytest.approx(500)
    behind = felt(LoadRecords(latencies), Outcome(0.5, 2.0, swap=(1.605, 1.61)), 0.0, 4)
    assert behind.stall_ms == pytest.approx(10)
    assert behind.spans["swap"].worst_ms == pytest.approx(410)


def test_without_a_swap_there_is_no_stall() -> None:
    latencies = Latencies(array("d", [1.0]), array("d", [0.5]), array("d", [0.0]))
    found = felt(LoadRecords(latencies), Outcome(0.5, 2.0, problem="not finished in time"), 0.0, 4)
    assert found.stall_ms is None
    assert "swap" not in found.spans


def test_what_the_threads_wrote_down_is_read_in_the_order_of_time(tmp_path: Path) -> None:
    (tmp_path / "records.0").write_bytes(array("d", [10.0, 0.1, 0.01, 12.0, 0.2, 0.02]).tobytes())
    (tmp_path / "records.1").write_bytes(array("d", [11.0, 0.3, 0.03]).tobytes())
    (tmp_path / "records.0.failures").write_text("")
    (tmp_path / "records.1.failures").write_text("11.2 1146 Table 'a b' doesn't exist\n10.5 1213 Deadlock found\n")
    records = read_records(tmp_path)
    assert list(records.latencies.starts) == [10.0, 11.0, 12.0]
    assert list(records.latencies.durations_s) == [0.1, 0.3, 0.2]
    assert list(records.latencies.queued_s) == [0.01, 0.03, 0.02]
    assert [(str(failure), failure.is_error) for failure in records.failures] == [
        ("1213: Deadlock found", False),
        ("1146: Table 'a b' doesn't exist", True),
    ]
    assert len(records.failed(11.0, 11.5)) == 1


def test_loads_have_names() -> None:
    assert Load.parse("none") is None
    assert Load.parse("write@1000") == Load("write", 1000.0)
    assert Load.parse("hot@full") == Load("hot", None)
    for wrong in ("write", "read@5", "write@fast", "write@"):
        with pytest.raises(ValueError, match="is no load"):
            Load.parse(wrong)


def test_only_the_table_that_sysbench_knows_is_left_to_its_own_statements() -> None:
    writes = Load("write", None)
    assert writes.statements(TABLES["sysbench"]) == []
    assert len(writes.statements(TABLES["string"])) == 4
    assert len(Load("hot", None).statements(TABLES["sysbench"])) == 4
    assert len(Load("append", None).statements(TABLES["sysbench"])) == 1
