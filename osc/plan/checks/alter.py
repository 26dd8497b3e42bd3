"""Whether the `ALTER` asks for what is online's business, and of the table that was named."""

from __future__ import annotations

from osc.mysql.server import Server
from osc.mysql.sql import qualified
from osc.plan.alter import AlterStatement
from osc.plan.findings import Finding, blocking
from osc.table.names import Names


def check_alter(server: Server, names: Names, alter: AlterStatement) -> list[Finding]:
    """A finding for each part of the statement that is refused, and for a table that it does not mean."""
    findings = [
        blocking(
            "alter-refused",
            f"the ALTER is refused: {refusal.what}",
            f"{refusal.why[:1].upper()}{refusal.why[1:]}.",
            refusal.instead,
        )
        for refusal in alter.refusals
    ]
    named = (alter.database or names.database, alter.table or names.table)
    if _folded(server, named) != _folded(server, (names.database, names.table)):
        findings.append(
            blocking(
                "alter-other-table",
                f"the ALTER is about {qualified(*named)}",
                f"The migration was asked for {qualified(names.database, names.table)}.",
                "give only the clauses, or name the same table in both places",
            )
        )
    return findings


def _folded(server: Server, name: tuple[str, str]) -> tuple[str, str]:
    keeps_case = server.variable("lower_case_table_names", "0") == "0"
    return name if keeps_case else (name[0].lower(), name[1].lower())
