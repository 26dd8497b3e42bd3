"""The figures of the report, of runs whose outcome is known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from bench.calibration.scenarios import INSTANT_TABLE
from bench.calibration.scenarios import SCENARIOS as CALIBRATED
from bench.contenders import NOT_IN_TIME
from bench.goals import GOALS, verdicts
from bench.measure import Felt, Run
from bench.report import markdown, write
from bench.results import Cell, Results
from bench.scenarios import PRESETS, SCENARIOS
from bench.tables import TABLES
from bench.tail import TailRate
from osc.sandbox.latency import LatencySummary

NAN = float("nan")


def a_run(contender: str, wall_s: float, *, problem: str | None = None, felt: Felt | None = None, **told: float) -> Run:
    return Run(contender, 1, wall_s, problem, (), None, told, 1.0, 50.0, 3.0, felt)


def a_felt(before_ms: float, whole_ms: float, stall_ms: float = 20.0, row_changes: int = 1000) -> Felt:
    spans = {
        name: LatencySummary(100, per_second, p99, p99, p99, p99)
        for name, p99, per_second in (
            ("before", before_ms, 1000.0),
            ("whole", whole_ms, 850.0),
            ("during", whole_ms, 850.0),
        )
    }
    spans["after"] = LatencySummary(0, 0.0, NAN, NAN, NAN, NAN)
    return Felt(spans, 0, 2, (), row_changes, stall_ms, ())


def results(*cells: Cell) -> Results:
    return Results("2026-01-01T00:00:00+00:00", "full", "MySQL 9.7.4", "x86_64", 2, 0.1, {"osc": "1"}, {}, cells)


def a_cell(scenario: str, *runs: Run, setting: str = "default", rows: int = 1000) -> Cell:
    return Cell(scenario, setting, SCENARIOS[scenario].table, rows, 5.0, SCENARIOS[scenario].load, runs, ())


def said_of(found: Results, goal: str) -> tuple[str, bool] | None:
    (verdict,) = (verdict for _, text, verdict in verdicts(found) if text == goal)
    return (verdict.measured, verdict.met) if verdict else None


def test_a_contender_that_did_not_finish_every_time_has_no_time() -> None:
    cell = a_cell(
        "idle", a_run("osc", 2.0), a_run("osc", 4.0), a_run("gh-ost", 9.0), a_run("gh-ost", 1.0, problem="no")
    )
    assert (cell.wall_s("osc"), cell.ratio("osc")) == (3.0, 1.0)
    assert (cell.wall_s("gh-ost"), cell.ratio("gh-ost")) == (None, None)
    assert "| idle, default | 1 (3.0 s) | failed |" in markdown(results(cell), [])


def test_who_ran_out_of_time_has_not_finished_and_who_lost_rows_has_failed() -> None:
    cell = a_cell("write-500", a_run("osc", 2.0), a_run("pt-osc", 9.0, problem=NOT_IN_TIME))
    lost = a_cell("write-500", a_run("osc", 2.0), a_run("gh-ost", 9.0, problem="999 of 1,000 rows are left"))
    assert "| write-500, default | 1 (2.0 s) | not finished |" in markdown(results(cell), [])
    assert "| write-500, default | 1 (2.0 s) | failed |" in markdown(results(lost), [])
    assert "gh-ost, round 1, after 9.0 s: 999 of 1,000 rows are left" in markdown(results(lost), [])


def test_the_tails_rate_is_judged_by_the_processor_time_that_it_takes() -> None:
    found = replace(results(), tail=(TailRate("MySQL", 500_000, 90.0, 300_000, 200_000, 100_000, 9.0, 2.0),) * 3)
    assert said_of(found, "100,000 row events a second on one core") == ("150,000 a second of processor time", True)


def test_goals_are_judged_by_ratios() -> None:
    idle = a_cell("idle", a_run("osc", 2.0), a_run("gh-ost", 7.2), a_run("COPY", 1.9))
    assert said_of(results(idle), "3.5 times faster than gh-ost") == ("3.60 times (2.0 s, gh-ost 7.2 s)", True)
    assert said_of(results(idle), "no slower than `COPY`") == ("0.95 times (2.0 s, COPY 1.9 s)", False)


def test_a_peer_that_never_finishes_is_beaten_and_an_osc_that_does_not_beats_nobody() -> None:
    loaded = a_cell("write-1000", a_run("osc", 9.0), a_run("gh-ost", 90.0, problem="no"), setting="log-writers")
    assert said_of(results(loaded), "twice as fast as gh-ost") == ("9.0 s; gh-ost did not finish", True)
    stuck = a_cell("write-1000", a_run("osc", 9.0, problem="no"), a_run("gh-ost", 90.0), setting="log-writers")
    assert said_of(results(stuck), "twice as fast as gh-ost") == ("osc did not finish", False)


def test_what_was_not_measured_is_not_judged() -> None:
    assert {verdict for _, _, verdict in verdicts(results())} == {None}
    default_only = a_cell("write-1000", a_run("osc", 9.0), a_run("gh-ost", 90.0))
    assert said_of(results(default_only), "twice as fast as gh-ost") is None


def test_latency_throughput_and_reconciled_keys_are_judged_by_what_the_load_felt() -> None:
    loaded = a_cell("write-1000", a_run("osc", 9.0, felt=a_felt(4.0, 10.0)), setting="log-writers")
    assert said_of(results(loaded), "p99 at most 3 times alone") == ("2.5 times (alone 4.0 ms, with it 10.0 ms)", True)
    full = a_cell("write-full", a_run("osc", 9.0, felt=a_felt(4.0, 10.0)))
    assert said_of(results(full), "finishes, throughput at least 80%") == ("85% of 1,000 a second", True)
    hot = a_cell("hot-full", a_run("osc", 9.0, felt=a_felt(4.0, 10.0), keys_reconciled=60.0))
    assert said_of(results(hot), "keys at most 5% of the row changes") == ("6.0%", False)


def test_twenty_swaps_are_needed_for_the_worst_of_twenty() -> None:
    goal = "under 50 ms, worst of 20 under 150 ms"
    runs = [a_run("osc", 9.0, felt=a_felt(4.0, 10.0, stall_ms=10.0 + place)) for place in range(20)]
    assert said_of(results(a_cell("swaps", *runs)), goal) == ("20 ms median, 29 ms worst of 20", True)
    assert said_of(results(a_cell("swaps", *runs[:-1])), goal) == ("19 ms median, 28 ms worst of 19", False)


def test_how_time_and_memory_grow_is_judged_by_two_sizes() -> None:
    small = a_cell("growth-1", a_run("osc", 4.0), rows=1_000_000)
    large = a_cell("growth-20", a_run("osc", 84.0), rows=20_000_000)
    goal = "time a row within 10% at 20 times the rows"
    assert said_of(results(small, large), goal) == ("4.00 µs a row at 1,000,000 rows, 4.20 µs at 20,000,000", True)
    assert said_of(results(small), goal) is None


def test_the_json_has_no_number_that_json_does_not_know(tmp_path: Path) -> None:
    cell = a_cell("write-1000", a_run("osc", 9.0, felt=a_felt(4.0, 10.0)))
    write(results(cell), tmp_path, [tmp_path / "write-1000-default.png"])
    found = json.loads((tmp_path / "report.json").read_text())
    assert found["cells"][0]["runs"][0]["felt"]["spans"]["after"]["p99_ms"] is None
    assert "![latency over time](write-1000-default.png)" in (tmp_path / "report.md").read_text()


def test_every_scenario_and_every_goal_is_of_something_that_exists() -> None:
    tables = {scenario.table for scenario in SCENARIOS.values()} | {scenario.table for scenario in CALIBRATED.values()}
    assert tables | {INSTANT_TABLE} == set(TABLES)
    assert {goal.scenario for goal in GOALS} <= set(SCENARIOS)
    for goal in GOALS:
        assert goal.setting in (None, *SCENARIOS[goal.scenario].settings)
    assert all(name in SCENARIOS for preset in PRESETS.values() for name in preset.scenarios)
    assert {goal.scenario for goal in GOALS} <= set(PRESETS["full"].scenarios)
