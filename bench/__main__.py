"""Alter tables under load with osc, its peers and the server itself, in turn, and write a report.

Absolute figures drift from machine to machine: a report compares what ran in it, by the medians of its rounds. It wants a
machine with nothing else to do.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.arguments import positive
from bench.contenders import Programs
from bench.loads import LoadFailed
from bench.report import write
from bench.results import Cell
from bench.scenarios import PRESETS, SCENARIOS
from bench.suite import Plan, run
from osc.errors import OscError
from osc.sandbox.servers import server_names

REPORT = Path(__file__).parent / "report"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command. Ends with exit code 1 when a benchmark could not be run."""
    plan, output = _parse(arguments)
    report = ""
    plots: list[Path] = []
    output.mkdir(parents=True, exist_ok=True)
    try:
        for results in run(plan, lambda text: print(text, flush=True)):
            plots += _plots(results.cells[-1], output)
            report = write(results, output, plots)
    except (OscError, LoadFailed) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(
            f"interrupted; {output} has the report of the scenarios that were through" if report else "interrupted"
        )
    print(f"\n{report}\nwritten to {output}/report.md and report.json")


def _plots(cell: Cell, folder: Path) -> list[Path]:
    if not any(run.felt for run in cell.runs):
        return []
    try:
        from bench.plots import plot
    except ModuleNotFoundError as missing:
        print(f"no plots: {missing.name} is not installed (make bench installs it)", file=sys.stderr)
        return []
    return plot(cell, folder)


def _parse(arguments: Sequence[str] | None) -> tuple[Plan, Path]:
    programs = Programs()
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--preset", choices=PRESETS, default="quick", help="how much is measured (default: %(default)s)"
    )
    parser.add_argument("--scenario", action="append", choices=SCENARIOS, help="these only; may be given again")
    parser.add_argument("--contenders", help="these only, as osc:medium,gh-ost,COPY")
    parser.add_argument("--settings", help="these only: default, log-writers")
    parser.add_argument("--server", choices=server_names(), default="mysql-9.7", help="(default: %(default)s)")
    parser.add_argument("--rows", type=positive, help="of the first table; the others in proportion")
    parser.add_argument("--rounds", type=positive)
    parser.add_argument("--limit", type=positive, metavar="SECONDS", help="the most that a contender may take")
    parser.add_argument("--gh-ost", default=programs.gh_ost, metavar="PATH", help="(default: the one on the PATH)")
    parser.add_argument("--pt-osc", default=programs.pt_osc, metavar="PATH", help="(default: the one on the PATH)")
    parser.add_argument("--sysbench", metavar="PATH", help="(default: the one on the PATH, else it is fetched)")
    parser.add_argument("--output", type=Path, default=REPORT, help="folder of the report (default: bench/report)")
    parser.add_argument("--list", action="store_true", help="list the scenarios and end")
    given = parser.parse_args(arguments)
    if given.list:
        for one in SCENARIOS.values():
            print(f"{one.name:16}{one.table:12}{one.load:14}{', '.join(one.contenders)}")
        parser.exit()
    preset = PRESETS[given.preset]
    timing = replace(preset.timing, limit_s=given.limit or preset.timing.limit_s)
    plan = Plan(
        preset=given.preset,
        server=given.server,
        scenarios=tuple(SCENARIOS[name] for name in given.scenario or preset.scenarios),
        settings=tuple(given.settings.split(",")) if given.settings else preset.settings,
        contenders=tuple(given.contenders.split(",")) if given.contenders else preset.contenders,
        rows=given.rows or preset.rows,
        rounds=given.rounds or preset.rounds,
        timing=timing,
        programs=Programs(given.gh_ost, given.pt_osc),
        tail=preset.tail and not given.scenario,
        sysbench=given.sysbench,
    )
    if problem := plan.problem():
        parser.error(problem)
    return plan, given.output


if __name__ == "__main__":
    main()
