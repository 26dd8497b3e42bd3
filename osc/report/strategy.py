"""How the ALTER would be carried out, in the words of a plan."""

from __future__ import annotations

from osc.native.strategy import Strategy
from osc.report.plan import How


def how_of(strategy: Strategy) -> How:
    """What a plan tells of a strategy."""
    versions = strategy.row_versions
    return How(
        strategy=strategy.kind,
        why=strategy.why,
        statement=strategy.statement,
        price=strategy.price,
        possible_inplace=strategy.possible_inplace,
        row_versions=None
        if versions is None
        else f"instant changes: {versions.used} of {versions.limit} row versions are used, and this one takes "
        f"{versions.needed}",
        refused=strategy.refused,
    )
