"""The benchmark from the command to the report, as small as can be, on a real server under a real load."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.__main__ import main


@pytest.mark.everyday("mysql-9.7", reason="the benchmark's own doing is the same on all")
def test_a_table_is_altered_under_load_and_the_report_tells_what_it_cost(server_name: str, tmp_path: Path) -> None:
    # Nothing is judged by the clock: who takes minutes on a slow machine finishes as well.
    choice = ["--preset=smoke", "--scenario=write-50", "--contenders=osc:max,INPLACE", "--rows=2000", "--limit=250"]
    main([f"--server={server_name}", *choice, f"--output={tmp_path}"])

    (cell,) = json.loads((tmp_path / "report.json").read_text())["cells"]
    osc, inplace = cell["runs"]
    assert (osc["contender"], osc["problem"]) == ("osc:max", None)
    assert (inplace["contender"], inplace["problem"]) == ("INPLACE", None)
    assert osc["told"]["rows_copied"] > 0
    assert osc["cpu_s"] > 0.1
    assert osc["peak_mib"] > 10
    assert osc["binlog_mib"] > 0.2
    assert 0 < osc["swap_s"][0] <= osc["swap_s"][1] <= osc["wall_s"]
    felt = osc["felt"]
    assert felt["spans"]["before"]["transactions"] > 0
    assert felt["row_changes"] == 4 * felt["spans"]["whole"]["transactions"] > 0
    assert felt["stall_ms"] > 0
    assert len(felt["points"]) > 3
    report = (tmp_path / "report.md").read_text()
    assert "| write-50, default | 1 (" in report
    assert "not finished" not in report


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--contenders=ghost", "unknown contender 'ghost'"),
        ("--settings=fast", "unknown setting fast; known are default, log-writers"),
        ("--gh-ost=/nowhere/gh-ost", "/nowhere/gh-ost is no program"),
        ("--rows=0", "0 is not above 0"),
        ("--scenario=nothing", "invalid choice: 'nothing'"),
    ],
)
def test_words_that_make_no_sense_are_refused_before_anything_starts(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([words])
    assert said in capsys.readouterr().err
