"""The calibration from the command to the report, as small as can be, on a real server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.calibration.__main__ import main
from bench.calibration.estimates import Calibrated
from bench.calibration.report import Found, markdown


@pytest.mark.everyday("mysql-9.7", reason="the calibration's own doing is the same on all")
def test_a_plan_is_made_its_migration_follows_and_the_report_compares_them(server_name: str, tmp_path: Path) -> None:
    # Nothing is judged by the clock: so small a table is foretold badly, and that is told as well.
    main([f"--server={server_name}", "--scenario=bare-idle", "--rows=2000", f"--output={tmp_path}"])

    (one,) = json.loads((tmp_path / "calibration.json").read_text())["estimates"]
    assert (one["scenario"], one["rows"], one["problem"]) == ("bare-idle", 2000, None)
    p10, p50, p90 = one["total"]
    assert 0 < p10 <= p50 <= p90
    assert one["actual_s"] > one["told"]["duration_s"] > 0
    assert one["told"]["rows_copied"] == 2000
    assert set(one["actual_phases"]) == {"prepare", "copy", "verify", "swap"}
    assert sum(one["actual_phases"].values()) == pytest.approx(one["actual_s"])
    assert one["sample"]["rows"] > 0
    report = (tmp_path / "calibration.md").read_text()
    assert "| bare-idle | 2,000 | none |" in report
    assert "of 1, inside p10 to p90 in" in report


def calibrated(scenario: str, actual_s: float, load: str = "none") -> Calibrated:
    """Foretold were 8, 10 and 15 seconds."""
    return Calibrated("mysql-9.7", scenario, load, 1_000, 1, None, 5.0, 1.0, None, (8.0, 10.0, 15.0), {}, actual_s)


def test_what_was_foretold_well_is_counted_idle_and_under_a_load() -> None:
    found = Found((calibrated("one", 10.5), calibrated("two", 7.9), calibrated("three", 14.0, "write@200")))
    report = markdown(found)
    assert "- All: the actual time lies within 20% of the p50 in 1 of 3, inside p10 to p90 in 2 of 3." in report
    assert "- Idle: the actual time lies within 20% of the p50 in 1 of 2, inside p10 to p90 in 1 of 2." in report
    assert (
        "- Under a load: the actual time lies within 20% of the p50 in 0 of 1, inside p10 to p90 in 1 of 1." in report
    )


def test_a_later_run_replaces_the_same_scenario_and_keeps_the_others() -> None:
    earlier = Found((calibrated("one", 10.5), calibrated("two", 7.9)))
    both = Found((calibrated("two", 11.0),)).added_to(earlier)
    assert [(one.scenario, one.actual_s) for one in both.estimates] == [("one", 10.5), ("two", 11.0)]


@pytest.mark.parametrize(
    ("words", "said"), [("--scenario=nothing", "invalid choice: 'nothing'"), ("--rows=0", "0 is not above 0")]
)
def test_words_that_make_no_sense_are_refused(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([words])
    assert said in capsys.readouterr().err
