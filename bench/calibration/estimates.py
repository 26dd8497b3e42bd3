"""One scenario: the plan, then the migration, under the same load."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.child import run
from bench.contenders import NOT_IN_TIME, Outcome, Programs, osc_command
from bench.host import Host
from bench.loads import Load
from bench.measure import Run, Timing, measure
from bench.tables import ALTER

Range = tuple[float, float, float]
"""p10, p50 and p90, in seconds."""

PAUSE_S = 2.0
"""Between the plan and the migration."""
NEAR = 0.2
"""The share of the p50 by which the actual time may differ."""
PHASES = ("prepare", "copy", "verify", "swap")
"""The build of the indexes is part of `verify`: it goes on beside it."""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What was foretold and what came of it; durations in seconds."""

    server: str
    scenario: str
    load: str
    rows: int
    number: int
    """Of the round, from 1."""
    problem: str | None
    plan_s: float
    level: float | None = None
    """The governor's, as foretold, 0 to 1."""
    pace: float | None = None
    """What it was on average while rows were copied; None where it decided nothing."""
    total: Range | None = None
    phases: Mapping[str, Range] = field(default_factory=dict)
    actual_s: float | None = None
    """From the command to its end."""
    actual_phases: Mapping[str, float] = field(default_factory=dict)
    told: Mapping[str, float] = field(default_factory=dict)
    """What the migration says of itself."""
    sample: Mapping[str, Any] = field(default_factory=dict)
    """What the plan says of its sample."""

    @property
    def is_loaded(self) -> bool:
        return self.load != "none"

    @property
    def ratio(self) -> float | None:
        """The actual time in times of the p50; None where there is none."""
        return None if self.total is None or self.actual_s is None else self.actual_s / self.total[1]

    @property
    def is_near(self) -> bool:
        return self.ratio is not None and abs(self.ratio - 1) <= NEAR

    @property
    def is_inside(self) -> bool:
        """Whether the actual time lies within p10 to p90."""
        return self.total is not None and self.actual_s is not None and self.total[0] <= self.actual_s <= self.total[2]


class PlanContender:
    """`osc plan`, as something that can be measured: what it wrote is in `plan` afterwards."""

    def __init__(self, *options: str) -> None:
        self._options = options
        self.plan: Mapping[str, Any] = {}

    def __call__(self, host: Host, limit_s: float) -> Outcome:
        file = host.server.folder / "plan.json"
        file.unlink(missing_ok=True)
        ran = run(
            osc_command("plan", host, ALTER, "--resume=never", "--strategy=copy", f"--out={file}", *self._options),
            limit_s,
        )
        problem = None
        if ran.timed_out:
            problem = f"{NOT_IN_TIME}: the plan"
        elif ran.exit_code:
            problem = f"osc plan ended with exit code {ran.exit_code}: {ran.last_line}\n{ran.tail()}"
        else:
            self.plan = json.loads(file.read_text(encoding="utf-8"))
            if self.plan["estimate"] is None:
                problem = f"the plan has no estimate: {'; '.join(self.plan['unknown'])}"
        return Outcome(ran.began, ran.ended, problem, cpu_s=ran.cpu_s, peak_mib=ran.peak_mib)


class _PlanAndMigration:
    """The plan, and the migration as the outcome."""

    def __init__(self) -> None:
        self._plan = PlanContender()
        self.planned: Outcome | None = None

    @property
    def plan(self) -> Mapping[str, Any]:
        return self._plan.plan

    def __call__(self, host: Host, limit_s: float) -> Outcome:
        self.planned = self._plan(host, limit_s)
        if self.planned.problem:
            return self.planned
        time.sleep(PAUSE_S)
        migrate = Programs(None, None).contender("osc")
        assert migrate is not None
        return migrate(host, limit_s)


def calibrate(
    host: Host, server: str, scenario: str, load: str, number: int, timing: Timing, sysbench: str | None
) -> Calibrated:
    """Plan and migrate the host's table under the load."""
    contender = _PlanAndMigration()
    ran = measure(host, Load.parse(load), "osc", number, contender, timing, sysbench)
    planned = contender.planned
    assert planned is not None
    plan_s = planned.ended - planned.began
    if ran.problem or planned.problem:
        return Calibrated(server, scenario, load, host.rows, number, ran.problem or planned.problem, plan_s)
    estimate = contender.plan["estimate"]
    phases = {name: _range(spread) for name, spread in estimate["phases"].items()}
    if "indexes" in phases:
        indexes = phases.pop("indexes")
        phases["verify"] = tuple(a + b for a, b in zip(phases["verify"], indexes, strict=True))  # type: ignore[assignment]
    chosen = next(each for each in estimate["impacts"] if each["impact"] == estimate["impact"])
    return Calibrated(
        server=server,
        scenario=scenario,
        load=load,
        rows=host.rows,
        number=number,
        problem=None,
        plan_s=plan_s,
        level=chosen["level"],
        pace=ran.told.get("copy_pace"),
        total=_range(estimate["total"]),
        phases=phases,
        actual_s=ran.wall_s,
        actual_phases=_actual_phases(ran),
        told=ran.told,
        sample=contender.plan["sample"],
    )


def _range(spread: Mapping[str, float]) -> Range:
    return spread["p10_s"], spread["p50_s"], spread["p90_s"]


def _actual_phases(ran: Run) -> dict[str, float]:
    began: dict[str, float] = {}
    for phase, at_s in ran.phases:
        began.setdefault(phase, at_s)
    copy, verify, ready = (began[phase] for phase in ("copy", "verify", "ready"))
    return dict(zip(PHASES, (copy, verify - copy, ready - verify, ran.wall_s - ready), strict=True))
