"""Where plans are judged: tables of several shapes and sizes, idle and under loads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scenario:
    """One plan and the migration that follows it."""

    name: str
    table: str
    load: str
    rows_factor: float
    """The size of the table in proportion to what is asked for; a migration takes some seconds, so that it tells something."""


_ALL = (
    Scenario("sysbench-idle", "sysbench", "none", 1.0),
    Scenario("sysbench-200", "sysbench", "write@200", 1.0),
    Scenario("sysbench-1000", "sysbench", "write@1000", 0.4),
    Scenario("large-idle", "sysbench", "none", 2.0),
    Scenario("bare-idle", "bare", "none", 1.0),
    Scenario("six-idle", "six", "none", 0.6),
    Scenario("six-200", "six", "write@200", 0.6),
    Scenario("wide-idle", "wide", "none", 0.8),
    Scenario("composite-idle", "composite", "none", 1.0),
    Scenario("composite-500", "composite", "write@500", 0.6),
    Scenario("string-idle", "string", "none", 1.0),
    Scenario("string-500", "string", "write@500", 0.6),
    Scenario("sparse-idle", "sparse", "none", 1.0),
    Scenario("growing-idle", "growing", "none", 1.0),
    Scenario("growing-200", "growing", "write@200", 1.0),
)
SCENARIOS: Mapping[str, Scenario] = {scenario.name: scenario for scenario in _ALL}

SPARING = "plan-1000"
"""What a plan does to a load."""
INSTANT, INSTANT_TABLE = "instant", "kinds"
"""What the server can do instantly, and to which table."""
