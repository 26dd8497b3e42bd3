"""The commands of a runbook, as they are to be typed: the server and the options that the plan was made with, no password."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from osc.mysql.sql import qualified
from osc.report.plan import UNKNOWN, Plan
from osc.table.names import decorated

POSTPONE = "--postpone-cut-over-flag-file"
PAUSE = "--throttle-flag-file"
PANIC = "--panic-flag-file"
_FILE_NAMES = {POSTPONE: "postpone", PAUSE: "pause", PANIC: "abort"}


STRATEGY_OPTIONS = {
    "copy": "copy",
    "instant": "instant",
    "inplace-metadata": "inplace",
    "inplace-build": "inplace",
    "inplace-rebuild": "inplace",
    # Nobody has asked the server; the steps of the plan are those of a copy.
    UNKNOWN: "copy",
}
"""What `--strategy` has to be so that a plan is followed."""


def flag_file(plan: Plan, option: str) -> str:
    """The flag file that was asked for with that option, or one that is named for the table."""
    given = plan.options.get(option)
    if isinstance(given, str):
        return given
    # A table's name may hold anything.
    names = (plan.table.database, plan.table.name, _FILE_NAMES[option])
    return "/tmp/osc." + ".".join("".join(c if c.isalnum() or c in "-_" else "_" for c in name) for name in names)


def start_command(plan: Plan) -> str:
    """`osc migrate` for this plan, with flag files to hold the swap back, to pause and to give up."""
    files = [(option, flag_file(plan, option)) for option in _FILE_NAMES if option not in plan.options]
    return command(plan, "migrate", *(word for pair in files for word in pair), "--yes")


def command(plan: Plan, name: str, *more: str) -> str:
    """`osc plan` or `osc migrate` for this table, statement and options, with `more` behind them."""
    what = ["--plan", plan.file] if plan.file and name == "migrate" else [*_target(plan), "--alter", plan.alter]
    options = [word for key, value in plan.options.items() for word in ([key] if value is True else [key, str(value)])]
    # Whatever the server can do by then: the steps of the runbook are those of the strategy that was planned.
    way = ["--strategy", STRATEGY_OPTIONS[plan.how.strategy]] if name == "migrate" and not plan.file else []
    if "--strategy" in plan.options:
        way = []
    return _lines(["osc", name, *plan.server.login, *what, *options, *way, *more])


def cleanup_command(plan: Plan, *more: str) -> str:
    """`osc cleanup` for this table."""
    return _lines(["osc", "cleanup", *plan.server.login, *_target(plan), *more])


def rollback_statement(plan: Plan) -> str:
    """How the old table gets its name back, in one step."""
    database = plan.table.database
    table, old = qualified(database, plan.table.name), qualified(database, plan.names["old"])
    return f"RENAME TABLE {table} TO {qualified(database, aside_name(plan))}, {old} TO {table};"


def aside_name(plan: Plan) -> str:
    """What the new table is called after a rollback."""
    return decorated(plan.table.name, "_new")


def _target(plan: Plan) -> list[str]:
    return ["--database", plan.table.database, "--table", plan.table.name]


def _lines(words: Sequence[str]) -> str:
    """A shell command, with an option a line."""
    lines: list[list[str]] = [[]]
    for word in words:
        if word.startswith("--"):
            lines.append([])
        lines[-1].append(shlex.quote(word))
    return " \\\n    ".join(" ".join(line) for line in lines)
