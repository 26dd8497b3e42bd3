"""What is measured: a table, a load, who alters it. The presets say at which size, how often, and which of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.measure import Timing

_PEERS = ("gh-ost", "gh-ost:10000", "pt-osc")
_SERVER = ("COPY", "INPLACE")


@dataclass(frozen=True, slots=True)
class Scenario:
    """One comparison."""

    name: str
    table: str
    load: str
    contenders: tuple[str, ...]
    """The first is what the others are compared with."""
    settings: tuple[str, ...] = ("default",)
    """The server is started with each in turn (see bench/host.py)."""
    rows_factor: float = 1.0
    """The size of the table in proportion to the preset's."""
    rounds_factor: int = 1
    """Rounds in proportion to the preset's; for one contender alone."""
    buffer_pool: str = "2G"


_BOTH = ("log-writers", "default")
_ALL = (
    Scenario("idle", "sysbench", "none", ("osc", *_PEERS, *_SERVER), _BOTH),
    Scenario("idle-indexes", "indexes", "none", ("osc", *_PEERS, *_SERVER)),
    Scenario("write-50", "sysbench", "write@50", ("osc", "gh-ost", "pt-osc", "INPLACE")),
    Scenario("write-500", "sysbench", "write@500", ("osc", "gh-ost", "pt-osc"), _BOTH),
    Scenario("write-1000", "sysbench", "write@1000", ("osc", "osc:medium", "osc:max", "gh-ost", "pt-osc"), _BOTH),
    Scenario("write-full", "sysbench", "write@full", ("osc", "gh-ost", "pt-osc"), _BOTH),
    Scenario("hot-full", "sysbench", "hot@full", ("osc", "gh-ost")),
    Scenario("append-full", "sysbench", "append@full", ("osc", "gh-ost")),
    Scenario("blocking-500", "sysbench", "write@500", ("osc", *_SERVER)),
    Scenario("indexes-500", "indexes", "write@500", ("osc", "gh-ost", "pt-osc")),
    Scenario("wide-200", "wide", "write@200", ("osc", "gh-ost", "pt-osc", "INPLACE")),
    Scenario("composite-500", "composite", "write@500", ("osc", "gh-ost", "pt-osc", "INPLACE")),
    Scenario("string-500", "string", "write@500", ("osc", "gh-ost", "pt-osc", "INPLACE")),
    Scenario("swaps", "sysbench", "write@1000", ("osc",), rows_factor=0.02, rounds_factor=7),
    # Both tables in memory at both sizes: it is the engine's cost that is looked at.
    Scenario("growth-1", "sysbench", "none", ("osc",), buffer_pool="12G"),
    Scenario("growth-20", "sysbench", "none", ("osc",), rows_factor=20, buffer_pool="12G"),
)
SCENARIOS: Mapping[str, Scenario] = {scenario.name: scenario for scenario in _ALL}


@dataclass(frozen=True, slots=True)
class Preset:
    """How much is measured."""

    rows: int
    """Of the first table."""
    rounds: int
    timing: Timing
    scenarios: tuple[str, ...]
    settings: tuple[str, ...] = _BOTH
    tail: bool = True
    """Whether the binlog reader is measured by itself as well."""
    contenders: tuple[str, ...] = ()
    """These only; empty is all of each scenario."""


PRESETS: Mapping[str, Preset] = {
    "smoke": Preset(
        rows=5_000,
        rounds=1,
        timing=Timing(before_s=1.5, after_s=0.5, limit_s=10),
        scenarios=("idle", "write-50"),
        settings=("default",),
        tail=False,
        contenders=("osc", "gh-ost", "pt-osc", "INPLACE"),
    ),
    "quick": Preset(
        rows=200_000,
        rounds=1,
        timing=Timing(before_s=5, after_s=2, limit_s=60),
        scenarios=tuple(name for name in SCENARIOS if name != "write-50" and "growth" not in name),
    ),
    "full": Preset(
        rows=1_000_000,
        rounds=3,
        timing=Timing(before_s=15, after_s=5, limit_s=300),
        scenarios=tuple(name for name in SCENARIOS if name != "write-50"),
    ),
}
