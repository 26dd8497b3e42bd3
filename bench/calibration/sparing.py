"""What a plan does to the server: the load's latency while it runs, and what it leaves."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass

from bench.calibration.estimates import PlanContender
from bench.contenders import osc_command
from bench.host import Host
from bench.loads import Load
from bench.measure import Timing, measure
from bench.tables import ALTER, DATABASE

LOAD = "write@1000"
_SCRATCH_DEADLINE_S = 60.0
_SAMPLES_FOR_S = 2.0


@dataclass(frozen=True, slots=True)
class Spared:
    """A plan under a load."""

    server: str
    rows: int
    load: str
    number: int
    """Of the round, from 1."""
    problem: str | None
    plan_s: float
    before: Mapping[str, float]
    """Of the load alone: `p50_ms`, `p95_ms`, `p99_ms`, `worst_ms`."""
    during: Mapping[str, float]
    """The same while the plan ran."""
    left: tuple[str, ...]
    """Tables and settings of the server that are not as they were."""
    left_after_kill: tuple[str, ...]
    """The same after a plan that was killed with SIGKILL, and another one."""

    @property
    def ratio(self) -> float | None:
        """The load's p99 in times of what it was; None where there is none."""
        return self.during["p99_ms"] / self.before["p99_ms"] if self.before.get("p99_ms") and self.during else None


def spare(host: Host, server: str, number: int, timing: Timing, sysbench: str | None) -> Spared:
    """Plan the host's table under the load, then kill a plan and make another one."""
    contender = PlanContender()
    host.settle()
    state = _state(host)
    ran = measure(host, Load.parse(LOAD), "osc plan", number, contender, timing, sysbench)
    left = _differences(state, _state(host))
    problem = ran.problem or _killed(host)
    again = PlanContender()(host, timing.limit_s)
    spans = {} if ran.felt is None else ran.felt.spans
    figures = ("p50_ms", "p95_ms", "p99_ms", "worst_ms")
    before, during = (
        {figure: getattr(spans[span], figure) for figure in figures} if span in spans else {}
        for span in ("before", "whole")
    )
    return Spared(
        server=server,
        rows=host.rows,
        load=LOAD,
        number=number,
        problem=problem or again.problem,
        plan_s=ran.wall_s,
        before=before,
        during=during,
        left=left,
        left_after_kill=_differences(state, _state(host)),
    )


_COUNTS = ("gtid", "timestamp", "pseudo_thread_id", "rand_seed", "server_uuid")
"""Variables that change by themselves: what was executed, the time."""


def _state(host: Host) -> dict[str, str]:
    """Every table of the database and every setting of the server."""
    state = {f"table {row[0]}": "is there" for row in host.rows_of(f"show tables from {DATABASE}")}
    for row in host.rows_of("show global variables"):
        if not any(part in str(row[0]) for part in _COUNTS):
            state[f"setting {row[0]}"] = str(row[1])
    return state


def _differences(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    names = sorted({*before, *after})
    return tuple(
        f"{name}: {before.get(name, 'not there')}, then {after.get(name, 'not there')}"
        for name in names
        if before.get(name) != after.get(name)
    )


def _killed(host: Host) -> str | None:
    """Kill a plan while it samples; why that could not be done, if so."""
    command = osc_command("plan", host, ALTER, "--resume=never", "--strategy=copy")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + _SCRATCH_DEADLINE_S
        while len(host.rows_of("show tables")) < 3 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(_SAMPLES_FOR_S)
        if process.poll() is not None:
            return "the plan that was to be killed had ended before"
        process.send_signal(signal.SIGKILL)
    return None
