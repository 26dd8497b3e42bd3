"""The report of a calibration: JSON with everything, and Markdown for people."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path

from bench.calibration.estimates import PHASES, Calibrated
from bench.report import markdown_table

JSON_NAME, MARKDOWN_NAME = "calibration.json", "calibration.md"


def write(found: Sequence[Calibrated], folder: Path) -> str:
    """Write both into the folder. Returns the Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"estimates": [asdict(one) for one in found]}, indent=1)
    (folder / JSON_NAME).write_text(text + "\n", encoding="utf-8")
    report = markdown(found)
    (folder / MARKDOWN_NAME).write_text(report, encoding="utf-8")
    return report


def read(folder: Path) -> list[Calibrated]:
    """What an earlier run wrote into the folder; empty when there is nothing."""
    file = folder / JSON_NAME
    if not file.exists():
        return []
    known = {each.name for each in fields(Calibrated)}
    rows = json.loads(file.read_text(encoding="utf-8"))["estimates"]
    return [Calibrated(**{name: value for name, value in row.items() if name in known}) for row in rows]


def markdown(found: Sequence[Calibrated]) -> str:
    """The report for people."""
    lines = [
        "# Calibration of `osc plan`",
        "",
        f"{os.cpu_count()} CPUs ({platform.machine()}). `actual` is the whole of `osc migrate`, from the command"
        " to its end. Each migration follows its plan, under the same load.",
    ]
    for server in dict.fromkeys(one.server for one in found):
        lines += ["", *_of_server(server, [one for one in found if one.server == server])]
    return "\n".join(lines) + "\n"


def _of_server(server: str, found: Sequence[Calibrated]) -> list[str]:
    head = ["scenario", "rows", "load", "p10", "p50", "p90", "actual", "actual / p50", "inside"]
    phases = ["scenario", "plan took", *(f"{phase}: p50, actual" for phase in PHASES), "level: foretold, actual"]
    lines = [f"## {server}", "", *summary(found), "", *markdown_table(head, (_totals(one) for one in found))]
    lines += ["", "Phase by phase, in seconds:", "", *markdown_table(phases, (_phases(one) for one in found))]
    for one in found:
        if one.problem:
            lines += ["", f"{one.scenario}, round {one.number}: {one.problem.splitlines()[0]}"]
    return lines


def summary(found: Sequence[Calibrated]) -> list[str]:
    """How many were foretold well: in all, idle, and under a load."""
    parts = {
        "All": found,
        "Idle": [one for one in found if not one.is_loaded],
        "Under a load": [one for one in found if one.is_loaded],
    }
    return [
        f"- {name}: the actual time lies within 20% of the p50 in {_count(one.is_near for one in some)} of {len(some)},"
        f" inside p10 to p90 in {_count(one.is_inside for one in some)} of {len(some)}."
        for name, some in parts.items()
        if some
    ]


def _count(found: Iterable[bool]) -> int:
    return sum(found)


def _totals(one: Calibrated) -> list[str]:
    if one.total is None or one.actual_s is None or one.ratio is None:
        return [one.scenario, f"{one.rows:,}", one.load, "", "", "", "failed", "", ""]
    figures = [f"{value:.1f}" for value in (*one.total, one.actual_s)]
    return [one.scenario, f"{one.rows:,}", one.load, *figures, f"{one.ratio:.2f}", "yes" if one.is_inside else "no"]


def _phases(one: Calibrated) -> list[str]:
    pairs = [
        f"{one.phases[phase][1]:.2f}, {one.actual_phases[phase]:.2f}" if one.actual_phases else "" for phase in PHASES
    ]
    levels = [f"{level:.2f}" if level is not None else "-" for level in (one.level, one.pace)]
    return [one.scenario, f"{one.plan_s:.1f}", *pairs, ", ".join(levels)]


def line(one: Calibrated) -> str:
    """A round in a line, for the terminal."""
    if one.problem or one.total is None:
        return one.problem or "no estimate"
    p10, p50, p90 = one.total
    phases = ", ".join(f"{name} {one.phases[name][1]:.2f} → {one.actual_phases[name]:.2f}" for name in PHASES)
    level = "-" if one.pace is None else f"{one.pace:.2f}"
    return (
        f"p10 {p10:.1f}, p50 {p50:.1f}, p90 {p90:.1f} s; actual {one.actual_s:.1f} s, {one.ratio:.2f} of p50,"
        f" {'inside' if one.is_inside else 'outside'} ({phases}; level {one.level:.2f} → {level})"
    )
