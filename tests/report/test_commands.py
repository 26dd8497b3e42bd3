"""The commands and statements of a runbook, whatever the names in them."""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from osc.plan.findings import warning
from osc.report.blockers import _one_line
from osc.report.command import (
    PANIC,
    PAUSE,
    POSTPONE,
    cleanup_command,
    command,
    flag_file,
    rollback_statement,
    start_command,
)
from osc.report.markdown import render_markdown
from osc.report.plan import Changes, ColumnChange, How, Plan, ServerFacts, TableFacts
from osc.report.text import render_text
from osc.table.names import names_for

NASTY = "it's `a` $(touch x) | table"


def plan(table: str = "orders", alter: str = "add column x int") -> Plan:
    names = names_for("shop", table)
    return Plan(
        made_at=datetime(2026, 1, 31, 12, 0, tzinfo=UTC),
        osc_version="0",
        alter=alter,
        options={"--impact": "high", "--allow-lossy": True},
        server=ServerFacts("MySQL 9", "9.7.4", "db1:3306", ("--host", "db1", "--user", "o'c"), "id", {}, 0),
        table=TableFacts("shop", table, 10, 100, 10, 2, 1, "PRIMARY (id)", False, False, False, ""),
        changes=Changes(added=(ColumnChange("x", after="int"),)),
        how=How("copy", "nothing else is possible"),
        estimate=None,
        measured=None,
        costs=None,
        blockers=(),
        findings=(warning("some", f"a {NASTY}\nin two lines", "why", "do this"),),
        unknown=(),
        names={"ghost": names.ghost, "state": names.state, "old": names.old},
    )


@pytest.mark.parametrize("table", ["orders", NASTY])
def test_a_shell_reads_the_words_that_were_meant(table: str) -> None:
    found = plan(table, "add column note varchar(20) default 'it''s'")
    words = shlex.split(command(found, "plan"))
    assert words[:2] == ["osc", "plan"]
    assert words[words.index("--table") + 1] == table
    assert words[words.index("--user") + 1] == "o'c"
    assert words[words.index("--alter") + 1] == found.alter
    assert words[words.index("--impact") + 1] == "high"
    assert words.count("--allow-lossy") == 1
    assert shlex.split(cleanup_command(found, "--execute"))[-1] == "--execute"


def test_the_plan_file_stands_for_table_and_statement() -> None:
    words = shlex.split(start_command(replace(plan(), file="/tmp/my plan.json")))
    assert words[words.index("--plan") + 1] == "/tmp/my plan.json"
    assert "--alter" not in words
    assert "--yes" in words


def test_flag_files_are_those_that_were_asked_for_or_fit_for_a_path() -> None:
    assert flag_file(replace(plan(), options={PANIC: "/run/abort"}), PANIC) == "/run/abort"
    path = flag_file(plan(NASTY), PANIC)
    assert path.startswith("/tmp/osc.shop.")
    assert shlex.quote(path) == path


@pytest.mark.parametrize(
    ("planned", "pinned"),
    [("copy", "copy"), ("unknown", "copy"), ("instant", "instant"), ("inplace-rebuild", "inplace")],
)
def test_what_was_planned_is_what_is_done(planned: str, pinned: str) -> None:
    words = shlex.split(start_command(replace(plan(), how=How(planned, "so"))))
    assert words[words.index("--strategy") + 1] == pinned
    asked_for = replace(plan(), options={"--strategy": "auto"}, how=How(planned, "so"))
    assert shlex.split(start_command(asked_for)).count("--strategy") == 1


def test_flag_files_are_quoted_wherever_they_are_named() -> None:
    files = {option: f"/run/my {option}; $(reboot)" for option in (POSTPONE, PAUSE, PANIC)}
    runbook = render_markdown(replace(plan(), options=files))
    commands = [line for line in runbook.splitlines() if line.startswith(("touch ", "rm -f "))]
    assert {shlex.split(line)[-1] for line in commands} == set(files.values())


def test_what_others_run_is_told_without_its_literals() -> None:
    told = _one_line("update users\n set password = 'it''s \\' secret' where name = \"o\" and note = 'cut o")
    assert told == "update users set password = ? where name = ? and note = ?"


def test_names_are_quoted_in_the_statement_that_rolls_back() -> None:
    assert rollback_statement(plan("a`b")) == (
        "RENAME TABLE `shop`.`a``b` TO `shop`.`_a``b_new`, `shop`.`_a``b_del` TO `shop`.`a``b`;"
    )


def test_a_runbook_without_an_old_table_says_so() -> None:
    native = render_markdown(replace(plan(), how=How("instant", "at once", "ALTER TABLE ...")))
    assert "There will be no old table" in native
    assert "RENAME TABLE" not in native
    dropped = render_markdown(replace(plan(), options={"--ok-to-drop-table": True}))
    assert "not with this plan" in dropped
    assert "RENAME TABLE" not in dropped


@pytest.mark.parametrize("render", [render_markdown, render_text])
def test_control_characters_drive_no_terminal(render: object) -> None:
    assert callable(render)
    found = plan("bad\x1b[31m[bold]")
    text = render(found)
    assert "\x1b[31m" not in text
    assert "[bold]" in text
