"""The report: JSON with everything, and Markdown for people, ratios first."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from bench.goals import reconciled_share, verdicts
from bench.loads import Load
from bench.measure import Run
from bench.results import Cell, Results, median
from bench.tables import ALTER, TABLES

_SPANS = ("before", "during", "swap", "after", "whole")


def write(results: Results, folder: Path, plots: Sequence[Path]) -> str:
    """Write `report.json` and `report.md` into the folder. Returns the Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(_without_nan(asdict(results)), indent=1, allow_nan=False)
    (folder / "report.json").write_text(text + "\n", encoding="utf-8")
    report = markdown(results, [path.relative_to(folder).as_posix() for path in plots])
    (folder / "report.md").write_text(report, encoding="utf-8")
    return report


def _without_nan(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_nan(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def markdown(results: Results, plots: Sequence[str]) -> str:
    """The report for people."""
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    lines = [
        f"# Benchmark on {results.server}",
        "",
        f"{results.taken_at}, preset `{results.preset}`, {results.cpus} CPUs ({results.machine}), load average"
        f" {results.load_average:.1f} at the beginning; {versions}.",
        f"`ALTER TABLE .. {ALTER}`. Every row is compared by osc, none by the others. Figures are medians of the rounds;"
        " compare them within this report only.",
    ]
    for setting, variables in results.server_settings.items():
        lines.append(
            f"Setting `{setting}`: " + ", ".join(f"`{name}={value}`" for name, value in variables.items()) + "."
        )
    lines += [
        "",
        "## Time, in times of the first contender's",
        "",
        *_ratios(results),
        "",
        "## Goals",
        "",
        *_goals(results),
    ]
    if results.tail:
        lines += ["", "## The binlog reader by itself", "", *(f"- {rate}" for rate in results.tail)]
    for cell in results.cells:
        lines += ["", *_cell(cell)]
        stem = f"{cell.scenario}-{cell.setting}.png"
        lines += ["", *(f"![latency over time]({plot})" for plot in plots if plot == stem)] if stem in plots else []
    return "\n".join(lines) + "\n"


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def _ratios(results: Results) -> list[str]:
    contenders = list(dict.fromkeys(name for cell in results.cells for name in cell.contenders))
    rows = []
    for cell in results.cells:
        figures = [_ratio(cell, name) for name in contenders]
        rows.append([f"{cell.scenario}, {cell.setting}", *figures])
    return markdown_table(["scenario", *contenders], rows)


def _ratio(cell: Cell, contender: str) -> str:
    if not cell.of(contender):
        return ""
    wall, ratio = cell.wall_s(contender), cell.ratio(contender)
    if wall is None:
        return _unfinished(cell, contender)
    if ratio is None:
        return f"{wall:.1f} s"
    return f"{ratio:.2f}" if contender != cell.contenders[0] else f"1 ({wall:.1f} s)"


def _unfinished(cell: Cell, contender: str) -> str:
    return "not finished" if any(run.ran_out_of_time for run in cell.of(contender)) else "failed"


def _goals(results: Results) -> list[str]:
    rows = []
    for subject, goal, verdict in verdicts(results):
        said = [verdict.measured, "yes" if verdict.met else "no"] if verdict else ["not measured in this run", ""]
        rows.append([subject, goal, *said])
    meant = [] if results.preset == "full" else ["They are meant for the tables of the preset `full`.", ""]
    return [*meant, *markdown_table(["", "goal", "measured", "met"], rows)]


def _cell(cell: Cell) -> list[str]:
    load = Load.parse(cell.load)
    lines = [
        f"## {cell.scenario}, {cell.setting}",
        "",
        f"{cell.rows:,} rows ({cell.data_mib:,.0f} MiB), {TABLES[cell.table].title}; load: {load.title if load else 'none'}.",
    ]
    if cell.absent:
        lines.append(f"Not on this machine: {', '.join(cell.absent)}.")
    head = ["", "time", "of the rounds", "CPU", "memory", "binlog", "swap's stall"]
    lines += ["", *markdown_table(head, (_costs(cell, name) for name in cell.contenders))]
    if load:
        head = ["", *(f"{span}: p50 / p95 / p99 / worst, ms" for span in _SPANS), "tps", "failed", "keys reconciled"]
        lines += ["", *markdown_table(head, (_felt(cell, name) for name in cell.contenders))]
    for name in cell.contenders:
        if told := _told(cell, name):
            lines += ["", f"{name}'s own account, medians: {told}."]
    for run in cell.runs:
        if run.felt and run.felt.errors:
            said = f"the application met {len(run.felt.errors)} errors, the first: {run.felt.errors[0]}"
            lines += ["", f"{run.contender}, round {run.number}: {said}"]
        if run.problem:
            lines += [
                "",
                f"{run.contender}, round {run.number}, after {run.wall_s:.1f} s: {run.problem.splitlines()[0]}",
            ]
    return lines


def _told(cell: Cell, contender: str) -> str:
    names = dict.fromkeys(name for run in cell.of(contender) for name in run.told)
    figures = ((name, median(run.told.get(name) for run in cell.of(contender) if run.finished)) for name in names)
    return ", ".join(f"{name} {figure:,.4g}" for name, figure in figures if figure is not None)


def _costs(cell: Cell, name: str) -> list[str]:
    wall = cell.wall_s(name)
    stalls = [run.stall_ms for run in cell.of(name) if run.stall_ms is not None]
    stall = cell.median(name, lambda run: run.stall_ms)
    return [
        name,
        _unfinished(cell, name) if wall is None else f"{wall:.1f} s",
        ", ".join(f"{run.wall_s:.1f}" + ("" if run.finished else "!") for run in cell.of(name)),
        _number(cell.median(name, lambda run: run.cpu_s), "{:.1f} s"),
        _number(cell.median(name, lambda run: run.peak_mib), "{:.0f} MiB"),
        _number(cell.median(name, lambda run: run.binlog_mib), "{:.0f} MiB"),
        "" if stall is None else f"{stall:.0f} ms" + (f", worst {max(stalls):.0f}" if len(stalls) > 1 else ""),
    ]


def _felt(cell: Cell, name: str) -> list[str]:
    spans = []
    for span in _SPANS:
        figures = [cell.span(name, span, figure) for figure in ("p50_ms", "p95_ms", "p99_ms", "worst_ms")]
        spans.append(" / ".join(_number(figure, "{:.1f}") or "-" for figure in figures))
    before, during = (cell.span(name, span, "per_second") for span in ("before", "whole"))
    failed = sum(run.felt.failed_during for run in cell.of(name) if run.felt)
    share = cell.median(name, reconciled_share)
    return [
        name,
        *spans,
        f"{_number(before, '{:,.0f}')} → {_number(during, '{:,.0f}')}",
        str(failed),
        "" if share is None else f"{100 * share:.1f}%",
    ]


def _number(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)


def line(run: Run) -> str:
    """A run in a line, for the terminal."""
    parts = [f"{run.wall_s:.1f} s"]
    if run.problem:
        parts.append(run.problem.splitlines()[0])
    if run.felt and run.felt.errors:
        parts.append(f"{len(run.felt.errors)} errors, the first: {run.felt.errors[0]}")
    if run.stall_ms is not None:
        parts.append(f"stall {run.stall_ms:.0f} ms")
    if run.felt:
        before, whole = run.felt.spans["before"], run.felt.spans["whole"]
        parts.append(
            f"p99 {before.p99_ms:.1f} → {whole.p99_ms:.1f} ms, tps {before.per_second:,.0f} → {whole.per_second:,.0f}"
        )
    return ", ".join(parts)
