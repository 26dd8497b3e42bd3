"""A plan, as facts: what will happen, how, how long, what it costs, what could go wrong. Every renderer is given only this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from osc.estimate.measured import Measured
from osc.estimate.model import Estimate
from osc.plan.findings import Finding

UNKNOWN = "unknown"
"""The strategy of a plan for which the server was not asked."""

SCHEMA_VERSION = 1
"""Of the JSON form. It changes when a field goes or changes its meaning, not when one is added."""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """The server, as far as it matters."""

    title: str
    version: str
    place: str
    login: tuple[str, ...]
    """The words of a command line that lead to it, without a password."""
    identity: str
    settings: Mapping[str, str]
    """The variables on which the migration, or what the values become, depends."""
    replicas: int | None
    """How many sessions read the binlog; None where the server cannot tell."""


@dataclass(frozen=True, slots=True)
class TableFacts:
    """The table as it is."""

    database: str
    name: str
    rows: int
    """The server's estimate."""
    data_bytes: int
    index_bytes: int
    columns: int
    indexes: int
    key: str
    """The migration key, as `PRIMARY (id)`; empty where there is none."""
    key_is_temporary: bool
    """Whether the new table gets an index for it that it loses before the swap."""
    is_partitioned: bool
    is_encrypted: bool
    structure: str
    """What a change of the table's structure changes, of `SHOW CREATE TABLE`."""


@dataclass(frozen=True, slots=True)
class ColumnChange:
    """A column that is not in the new table as it was in the old one."""

    name: str
    """Its old name; of an added column the new one."""
    before: str = ""
    """Its type and what belongs to it; empty where it is added."""
    after: str = ""
    new_name: str = ""
    """Where it is renamed."""
    conversion: str = ""
    """How each old value becomes a new one, for people."""
    may_lose: bool = False
    """Whether there are values of the old type that the new one cannot hold."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What the ALTER makes of the table, as the server has shown on an empty copy, or as the statement reads."""

    added: tuple[ColumnChange, ...] = ()
    dropped: tuple[ColumnChange, ...] = ()
    changed: tuple[ColumnChange, ...] = ()
    indexes_added: tuple[str, ...] = ()
    indexes_dropped: tuple[str, ...] = ()
    indexes_deferred: tuple[str, ...] = ()
    """Those that are built after the copy, in one statement."""
    options: tuple[tuple[str, str], ...] = ()
    """The table's options before and after, where they differ."""
    is_read_from_statement: bool = False
    """Whether no server was asked (`--no-sample`), so that nothing but the statement's own words is known."""


@dataclass(frozen=True, slots=True)
class How:
    """The way it is carried out."""

    strategy: str
    """`copy`, one of the server's own (`instant`, `inplace-metadata`, `inplace-build`, `inplace-rebuild`), or `unknown`."""
    why: str
    statement: str | None = None
    """What is sent to the server; None for the copy."""
    price: str | None = None
    """What an in-place build or rebuild costs, also when it is only possible."""
    possible_inplace: str | None = None
    """For the copy: what `--allow-inplace` would do instead."""
    row_versions: str | None = None
    """How many of the instant changes that the server allows a table are used."""
    refused: tuple[tuple[str, str], ...] = ()
    """The algorithms that the server turned down, each with its reason."""

    @property
    def is_native(self) -> bool:
        """Whether the server does it itself."""
        return self.strategy not in ("copy", UNKNOWN)


@dataclass(frozen=True, slots=True)
class Costs:
    """What it takes besides time; None where it is not known."""

    ghost_data_bytes: int
    ghost_index_bytes: int
    is_measured: bool
    """Whether the sizes come from the sample, or from the original."""
    binlog_bytes: int
    temporary_bytes: int
    """For sorting the deferred indexes, in the server's temporary folder."""
    replica_delay_s: float | None
    """About how far a replica that has been keeping up falls behind."""
    replica_delay_why: str
    binlog_retention_s: float | None
    """For how long the server keeps its binlog; None: until somebody purges it."""

    @property
    def disk_bytes(self) -> int:
        return self.ghost_data_bytes + self.ghost_index_bytes


@dataclass(frozen=True, slots=True)
class Blocker:
    """A session that would keep the swap waiting if it came now."""

    session: int
    who: str
    what: str
    """`transaction` or a lock's name."""
    age_s: int | None
    statement: str
    """What it runs; empty where it is idle."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All of it."""

    made_at: datetime
    """With its time zone."""
    osc_version: str
    alter: str
    """The clauses."""
    options: Mapping[str, str | bool]
    """What was asked for besides, by the command line's names."""
    server: ServerFacts
    table: TableFacts
    changes: Changes
    how: How
    estimate: Estimate | None
    measured: Measured | None
    costs: Costs | None
    blockers: tuple[Blocker, ...]
    findings: tuple[Finding, ...]
    unknown: tuple[str, ...]
    """What this plan cannot know, and why."""
    names: Mapping[str, str]
    """The migration's tables: `ghost`, `state`, `old`."""
    file: str = ""
    """Where it was written to, if it was."""

    @property
    def is_blocked(self) -> bool:
        return any(finding.is_blocking for finding in self.findings)

    @property
    def exit_code(self) -> int:
        return 2 if self.is_blocked else 0
