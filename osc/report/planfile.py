"""A plan that was written to a file, and whether what it was made for is still so."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from osc.errors import PlanOutdated, UsageError
from osc.estimate.model import Spread
from osc.estimate.remaining import Planned
from osc.mysql.session import Sessions
from osc.mysql.sql import qualified
from osc.options import MigrationOptions
from osc.plan.alter import parse_alter
from osc.plan.checks.table import read_table_if_allowed
from osc.plan.tokens import LexicalMode
from osc.report.command import STRATEGY_OPTIONS
from osc.report.jsonform import KIND
from osc.report.plan import SCHEMA_VERSION, UNKNOWN


@dataclass(frozen=True, slots=True)
class PlanFile:
    """What of a plan a migration follows, and what it compares."""

    path: Path
    made_at: str
    database: str
    table: str
    alter: str
    strategy: str
    options: Mapping[str, str | bool]
    identity: str
    title: str
    version: str
    settings: Mapping[str, str]
    structure: str
    was_blocked: bool
    estimates: Mapping[str, Planned]
    """How long it takes, by impact; empty where nothing was sampled."""

    @property
    def allows_lossy(self) -> bool:
        return bool(self.options.get("--allow-lossy"))

    @property
    def strategy_option(self) -> str:
        """What `--strategy` has to be so that the plan is followed."""
        if self.strategy == UNKNOWN and "--strategy" in self.options:
            return str(self.options["--strategy"])
        return STRATEGY_OPTIONS[self.strategy]


def read_plan_file(path: Path) -> PlanFile:
    """The plan in that file. Raises UsageError when it cannot be read, or is none that this version understands."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--plan {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"--plan {path} is no plan: {error}. Make one with osc plan --out {path}") from error
    if not isinstance(stored, dict) or stored.get("kind") != KIND:
        raise UsageError(f"--plan {path} is no plan. Make one with osc plan --out {path}")
    if stored.get("schema_version") != SCHEMA_VERSION:
        raise UsageError(
            f"--plan {path} is of schema version {stored.get('schema_version')!r}, and this osc reads "
            f"{SCHEMA_VERSION}: make it anew "
            f"with osc plan --out {path}"
        )
    try:
        return _plan_file(path, stored)
    except (KeyError, TypeError, ValueError, AttributeError, AssertionError) as error:
        raise UsageError(
            f"--plan {path} is damaged ({type(error).__name__}: {error}). Make it anew with osc plan --out {path}"
        ) from error


def _plan_file(path: Path, stored: Mapping[str, object]) -> PlanFile:
    server, facts, options = stored["server"], stored["table_facts"], stored["options"]
    assert isinstance(server, dict)
    assert isinstance(facts, dict)
    assert isinstance(options, dict)
    strategy = str(stored["strategy"])
    if strategy not in STRATEGY_OPTIONS:
        raise KeyError(f"strategy {strategy}")
    return PlanFile(
        path=path,
        made_at=str(stored["made_at"]),
        database=str(stored["database"]),
        table=str(stored["table"]),
        alter=str(stored["alter"]),
        strategy=strategy,
        options={str(name): value if isinstance(value, bool) else str(value) for name, value in options.items()},
        identity=str(server["identity"]),
        title=str(server["title"]),
        version=str(server["version"]),
        settings={str(name): str(value) for name, value in server["settings"].items()},
        structure=str(facts["structure"]),
        was_blocked=stored["exit_code"] != 0,
        estimates=_estimates(stored["estimate"], facts),
    )


def _estimates(stored: object, facts: Mapping[str, object]) -> Mapping[str, Planned]:
    if stored is None:
        return {}
    assert isinstance(stored, dict)
    rows = int(str(facts["rows"]))
    return {
        str(one["impact"]): Planned(
            rows, _spread(one["total"]), {name: _spread(spread) for name, spread in one["phases"].items()}
        )
        for one in stored["impacts"]
    }


def _spread(stored: Mapping[str, float]) -> Spread:
    values = [float(stored[name]) for name in ("p10_s", "p50_s", "p90_s")]
    if not all(0.0 <= value < math.inf for value in values):
        raise ValueError(f"{values} are not durations")
    return Spread(*values)


def check_plan(sessions: Sessions, plan: PlanFile, options: MigrationOptions) -> None:
    """Raise PlanOutdated, with everything that differs, when the plan is not for this server, table and "
    "statement as they are."""
    alter = parse_alter(options.alter, LexicalMode.of(sessions.server)).clauses_sql
    differences = [*_of_request(plan, options, alter), *_of_server(sessions, plan)]
    if sessions.server.identity == plan.identity:
        differences += _of_table(sessions, plan, options)
    if plan.was_blocked:
        differences.append("the plan itself says that the migration would be refused")
    if differences:
        listed = "\n".join(f"- {difference}" for difference in differences)
        raise PlanOutdated(
            f"--plan {plan.path}, made at {plan.made_at}, is not followed:\n{listed}\nNothing was touched. Look "
            "at what has changed, "
            "and make a new plan with osc plan"
        )


def _of_request(plan: PlanFile, options: MigrationOptions, alter: str) -> list[str]:
    pairs = (
        ("the database", plan.database, options.database),
        ("the table", plan.table, options.table),
        ("the statement", plan.alter.strip(), alter.strip()),
        ("--allow-lossy", plan.allows_lossy, options.allow_lossy),
        ("--strategy", plan.strategy_option, options.strategy),
        ("--ok-to-drop-table", bool(plan.options.get("--ok-to-drop-table")), options.drop_old_table),
        (
            "--initially-drop-old-table",
            bool(plan.options.get("--initially-drop-old-table")),
            options.initially_drop_old,
        ),
        ("--kill-blockers-after", plan.options.get("--kill-blockers-after"), _text(options.kill_blockers_after_s)),
    )
    return [f"{what} was planned as {planned}, and now is {now}" for what, planned, now in pairs if planned != now]


def _text(value: int | None) -> str | None:
    return None if value is None else str(value)


def _of_server(sessions: Sessions, plan: PlanFile) -> list[str]:
    server = sessions.server
    if server.identity != plan.identity:
        return [f"the server at {sessions.settings.place} is another: {server.title} instead of {plan.title}"]
    found = []
    if server.version_text != plan.version:
        found.append(f"the server was {plan.version}, and now is {server.version_text}")
    found += [
        f"{name} was {value}, and now is {server.variable(name)}"
        for name, value in plan.settings.items()
        if server.variable(name) != value
    ]
    return found


def _of_table(sessions: Sessions, plan: PlanFile, options: MigrationOptions) -> list[str]:
    name = qualified(options.database, options.table)
    with closing(sessions.open("compare the table with the plan")) as connection:
        table = read_table_if_allowed(connection, options.database, options.table)
    if table is None:
        return [f"there is no table {name}, or the login may not see it"]
    if table.structure == plan.structure:
        return []
    return [f"{name} was altered since (- planned, + now):\n{_diff(plan.structure, table.structure)}"]


def _diff(planned: str, now: str) -> str:
    lines = difflib.unified_diff(planned.splitlines(), now.splitlines(), lineterm="", n=0)
    return "\n".join(f"    {line}" for line in lines if not line.startswith(("---", "+++", "@@")))
