"""A whole run of the benchmark: each scenario on a server of its own, contenders in turn, round by round."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from bench.contenders import Contender, Programs, version_of
from bench.host import OPTIONS, SETTINGS, Host, started
from bench.loads import Load
from bench.measure import Run, Timing, measure
from bench.report import line
from bench.results import Cell, Results
from bench.scenarios import Scenario
from bench.sysbench import ensure_sysbench
from bench.tables import TABLES
from bench.tail import TailRate, measure_tail
from osc.sandbox.distributions import distribution
from osc.sandbox.provision import ensure

Say = Callable[[str], None]
_TAIL = {"updates": 25_000, "ghost_rows": 300_000, "event_bytes": 256, "times": 3}
"""With so few bytes every row has an event of its own."""
_SHOWN_VARIABLES = (*OPTIONS, "innodb_buffer_pool_size", "innodb_log_writer_threads")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be measured."""

    preset: str
    server: str
    scenarios: tuple[Scenario, ...]
    settings: tuple[str, ...]
    """A scenario runs with those of its own that are among them, or with its first."""
    contenders: tuple[str, ...]
    """These only; empty is all of each scenario."""
    rows: int
    rounds: int
    timing: Timing
    programs: Programs
    tail: bool
    """Whether the binlog reader is measured by itself as well."""
    sysbench: str | None
    """Its path; None is the one that is found or can be fetched."""

    def problem(self) -> str | None:
        """Why it cannot be run, for people; None when it can."""
        if unknown := set(self.settings) - set(SETTINGS):
            return f"unknown setting {', '.join(sorted(unknown))}; known are {', '.join(SETTINGS)}"
        for path in (self.programs.gh_ost, self.programs.pt_osc, self.sysbench):
            if path and shutil.which(path) is None:
                return f"{path} is no program"
        try:
            for name in self.contenders:
                self.programs.contender(name)
        except ValueError as error:
            return str(error)
        if not any(self.takes_part(scenario) for scenario in self.scenarios):
            return f"none of {', '.join(self.contenders)} is in the scenarios"
        return None

    def cells(self) -> Iterator[tuple[Scenario, str]]:
        """Each scenario with each setting of the server."""
        is_mysql = distribution(self.server).flavor == "mysql"
        for scenario in self.scenarios:
            # The log writers' setting is MySQL's.
            own = scenario.settings if is_mysql else ("default",)
            for setting in [name for name in own if name in self.settings] or own[:1]:
                yield scenario, setting

    def takes_part(self, scenario: Scenario) -> tuple[str, ...]:
        """The contenders of a scenario: those it has, or those of them that were asked for.

        Variants that a scenario does not have are added when their kind is in it (`osc:high` where there is `osc`).
        """
        if not self.contenders:
            return scenario.contenders
        kinds = {name.partition(":")[0] for name in scenario.contenders}
        return tuple(name for name in self.contenders if name.partition(":")[0] in kinds)


def run(plan: Plan, say: Say) -> Iterator[Results]:
    """Measure everything. Gives what has been found so far after each cell. Raises SandboxError, LoadFailed."""
    ensure(plan.server, say)
    has_load = any(scenario.load != "none" for scenario in plan.scenarios)
    sysbench = (plan.sysbench or ensure_sysbench(say)) if has_load else None
    load_average = os.getloadavg()[0]
    cpus = os.cpu_count() or 1
    if load_average > cpus / 2:
        say(f"the machine is busy (load average {load_average:.1f} on {cpus} CPUs): do not trust these figures")
    versions = plan.programs.versions() | ({"sysbench": version_of([sysbench])} if sysbench else {})
    taken_at = datetime.now(UTC).isoformat(timespec="seconds")
    tail: tuple[TailRate, ...] = ()
    if plan.tail:
        say("the binlog reader by itself")
        tail = tuple(measure_tail(plan.server, **_TAIL))
        say(f"  {tail[-1]}")
    shown: dict[str, dict[str, str]] = {}
    cells: list[Cell] = []
    for scenario, setting in plan.cells():
        table = TABLES[scenario.table]
        rows = table.rows(max(1, int(plan.rows * scenario.rows_factor)))
        say(f"{scenario.name}, {setting}: {rows:,} rows, {table.title}; load: {scenario.load}")
        with started(plan.server, setting, scenario.buffer_pool, table, rows) as host:
            shown[setting] = {name: value for name in _SHOWN_VARIABLES if (value := host.facts.variable(name))}
            cells.append(_measure_cell(plan, scenario, setting, host, sysbench, say))
            title = host.facts.title
        yield Results(
            taken_at=taken_at,
            preset=plan.preset,
            server=title,
            machine=platform.machine(),
            cpus=cpus,
            load_average=load_average,
            versions=versions,
            server_settings=shown,
            cells=tuple(cells),
            tail=tail,
        )


def _measure_cell(plan: Plan, scenario: Scenario, setting: str, host: Host, sysbench: str | None, say: Say) -> Cell:
    found = {name: plan.programs.contender(name) for name in plan.takes_part(scenario)}
    absent = tuple(name for name, contender in found.items() if contender is None)
    if absent:
        say(f"  not on this machine: {', '.join(absent)}")
    contenders = {name: contender for name, contender in found.items() if contender}
    load = Load.parse(scenario.load)
    data_mib = host.data_mib
    runs: list[Run] = []
    for number, name, contender in _turns(contenders, plan.rounds * scenario.rounds_factor):
        if any(one.contender == name and one.ran_out_of_time for one in runs):
            continue  # it would again, and has no median any more
        runs.append(measure(host, load, name, number, contender, plan.timing, sysbench))
        say(f"  round {number}, {name}: {line(runs[-1])}")
    return Cell(scenario.name, setting, scenario.table, host.rows, data_mib, scenario.load, tuple(runs), absent)


def _turns(contenders: dict[str, Contender], rounds: int) -> Iterator[tuple[int, str, Contender]]:
    """All contenders, in turn, round by round; another one begins each round."""
    names = list(contenders)
    for number in range(rounds):
        turn = number % len(names) if names else 0
        for name in names[turn:] + names[:turn]:
            yield number + 1, name, contenders[name]
