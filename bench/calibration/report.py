"""The report of a calibration: JSON with everything, and Markdown for people."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bench.calibration.estimates import PHASES, Calibrated
from bench.calibration.instant import Changed
from bench.calibration.sparing import Spared
from bench.report import markdown_table

JSON_NAME, MARKDOWN_NAME = "calibration.json", "calibration.md"


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that was found."""

    estimates: tuple[Calibrated, ...] = ()
    spared: tuple[Spared, ...] = ()
    changed: tuple[Changed, ...] = ()

    def with_one(self, one: Calibrated | Spared | Changed) -> Found:
        """The same and one more."""
        match one:
            case Calibrated():
                return replace(self, estimates=(*self.estimates, one))
            case Spared():
                return replace(self, spared=(*self.spared, one))
            case Changed():
                return replace(self, changed=(*self.changed, one))

    def added_to(self, earlier: Found) -> Found:
        """With what an earlier run has found of other servers and scenarios."""
        anew = {(one.server, one.scenario) for one in self.estimates}
        spared, changed = ({one.server for one in some} for some in (self.spared, self.changed))
        return Found(
            (*(one for one in earlier.estimates if (one.server, one.scenario) not in anew), *self.estimates),
            (*(one for one in earlier.spared if one.server not in spared), *self.spared),
            (*(one for one in earlier.changed if one.server not in changed), *self.changed),
        )

    def of(self, server: str) -> Found:
        """Of one server."""
        return Found(
            tuple(one for one in self.estimates if one.server == server),
            tuple(one for one in self.spared if one.server == server),
            tuple(one for one in self.changed if one.server == server),
        )


def write(found: Found, folder: Path) -> str:
    """Write both into the folder. Returns the Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / JSON_NAME).write_text(json.dumps(asdict(found), indent=1) + "\n", encoding="utf-8")
    report = markdown(found)
    (folder / MARKDOWN_NAME).write_text(report, encoding="utf-8")
    return report


def read(folder: Path) -> Found:
    """What an earlier run wrote into the folder; empty when there is nothing."""
    file = folder / JSON_NAME
    if not file.exists():
        return Found()
    found = json.loads(file.read_text(encoding="utf-8"))
    return Found(
        tuple(Calibrated(**one) for one in found["estimates"]),
        tuple(Spared(**one) for one in found["spared"]),
        tuple(Changed(**one) for one in found["changed"]),
    )


def markdown(found: Found) -> str:
    """The report for people."""
    lines = [
        "# Calibration of `osc plan`",
        "",
        f"{os.cpu_count()} CPUs ({platform.machine()}). `actual` is the whole of `osc migrate`, from the command"
        " to its end. Each migration follows its plan, under the same load.",
    ]
    servers = [one.server for one in found.estimates]
    servers += [one.server for one in found.spared]
    servers += [one.server for one in found.changed]
    for server in dict.fromkeys(servers):
        own = found.of(server)
        lines += ["", f"## {server}"]
        lines += ["", *_estimates(own.estimates)] if own.estimates else []
        lines += ["", *_spared(own.spared)] if own.spared else []
        lines += ["", *_changed(own.changed)] if own.changed else []
    return "\n".join(lines) + "\n"


def _spared(found: Sequence[Spared]) -> list[str]:
    head = [
        "round",
        "rows",
        "plan took",
        "p50 / p99 / worst before, ms",
        "while the plan ran",
        "p99, times",
        "left behind",
    ]
    rows = []
    for one in found:
        spans = [
            " / ".join(f"{span[figure]:.1f}" for figure in ("p50_ms", "p99_ms", "worst_ms")) if span else ""
            for span in (one.before, one.during)
        ]
        left = "; ".join((*one.left, *one.left_after_kill)) or "nothing"
        ratio = "" if one.ratio is None else f"{one.ratio:.2f}"
        rows.append([str(one.number), f"{one.rows:,}", f"{one.plan_s:.1f} s", *spans, ratio, one.problem or left])
    text = f"A plan under `{found[0].load}`, then one that is killed, and another:"
    return [text, "", *markdown_table(head, rows)]


def _changed(found: Sequence[Changed]) -> list[str]:
    head = ["kind", "strategy", "statement, ms", "command, s"]
    rows = [
        [
            f"`{one.alter}`",
            one.strategy or one.problem or "",
            "" if one.alter_ms is None else f"{one.alter_ms:.0f}",
            f"{one.duration_s:.2f}",
        ]
        for one in found
    ]
    instant = _count(one.strategy == "instant" for one in found)
    text = (
        f"What the server takes with `ALGORITHM=INSTANT`, on {found[0].rows:,} rows: {instant} of {len(found)} found."
    )
    return [text, "", *markdown_table(head, rows)]


def _estimates(found: Sequence[Calibrated]) -> list[str]:
    head = ["scenario", "rows", "load", "p10", "p50", "p90", "actual", "actual / p50", "inside"]
    phases = ["scenario", "plan took", *(f"{phase}: p50, actual" for phase in PHASES), "level: foretold, actual"]
    lines = [*summary(found), "", *markdown_table(head, (_totals(one) for one in found))]
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
