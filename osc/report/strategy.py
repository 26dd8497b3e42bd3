"""How the ALTER would be carried out, in the words of a plan."""

from __future__ import annotations

from osc.mysql.session import Sessions
from osc.plan.alter import AlterStatement
from osc.report.plan import How
from osc.table.facts import Table


def choose_how(sessions: Sessions, source: Table, alter: AlterStatement, allows_inplace: bool, wanted: str) -> How:
    """The way that a migration would take."""
    return How("copy", "the rows are copied into a new table while the application goes on writing")
