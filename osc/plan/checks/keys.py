"""Whether the table has a key that can name its rows in both tables."""

from __future__ import annotations

from osc.mysql.sql import qualified
from osc.plan.findings import Finding, blocking
from osc.table.choose import source_candidates
from osc.table.facts import Table


def check_keys(table: Table) -> list[Finding]:
    """A finding when no unique key can carry a migration, with the reason for each that the table has."""
    usable, unusable = source_candidates(table)
    if usable:
        return []
    reasons = "; ".join(f"{one.index}: {one.reason}" for one in unusable) or "the table has no unique key at all"
    name = qualified(table.database, table.name)
    fix = f"ALTER TABLE {name} ADD COLUMN id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY;   -- locks the table"
    if table.primary_key is not None:
        fix = "add a unique key on whole, NOT NULL columns of other types with a direct ALTER"
    return [
        blocking(
            "no-usable-key",
            f"{name} has no key that can carry a migration",
            f"It takes a primary key, or a unique key on whole, NOT NULL columns. Here: {reasons}.",
            fix,
        )
    ]
