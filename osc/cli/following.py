"""`--plan` and `--dry-run` of `osc migrate`: following a plan that was made before, or making one instead."""

from __future__ import annotations

from pathlib import Path

import click

from osc.cli.help import option
from osc.errors import UsageError
from osc.report.planfile import PlanFile, read_plan_file

_PLANNING = "Planning"


def _read(context: click.Context, _parameter: click.Parameter, value: Path | None) -> PlanFile | None:
    """The plan in the file; what it says becomes the default of the options that are not given."""
    if value is None:
        return None
    try:
        plan = read_plan_file(value)
    except UsageError as error:
        raise click.UsageError(error.message, context) from error
    names = {text: parameter.name for parameter in context.command.params for text in parameter.opts}
    defaults: dict[str, object] = {
        "database": plan.database,
        "table": plan.table,
        "alter": plan.alter,
        "strategy": plan.strategy_option,
    }
    for text, given in plan.options.items():
        name = names.get(text)
        if name is None:
            raise click.UsageError(f"--plan {value} was made with {text}, which osc migrate does not know", context)
        defaults.setdefault(name, given)
    context.default_map = {**(context.default_map or {}), **defaults}
    return plan


FOLLOWING_OPTIONS = (
    option(
        _PLANNING,
        "--plan",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="PATH",
        is_eager=True,
        callback=_read,
        help="Follow a plan that osc plan --out has written: its table, statement and options. Refused when the "
        "table, the server "
        "or the statement is not what was planned.",
    ),
    option(
        _PLANNING,
        "--dry-run",
        is_flag=True,
        help="The same as osc plan: change nothing, and tell what would be done. --output json gives the plan as JSON.",
    ),
)
