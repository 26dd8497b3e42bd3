"""What is settled before the first row is copied, as facts that the engine begins with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from osc.state.checkpoint import Fingerprint, Stage
from osc.state.table import StateTable
from osc.table.deferred import NO_DEFERRED, DeferredIndexes
from osc.table.facts import Index, Table
from osc.table.key import Key
from osc.table.projection import Projection
from osc.tail.coordinate import Coordinate
from osc.verify.compare import Comparison


@dataclass(frozen=True, slots=True)
class TablePair:
    """The original and the ghost, and how rows go from one to the other: settled before the first row is copied."""

    source: Table
    projection: Projection
    comparison: Comparison
    stricter: tuple[Index, ...]
    """Unique indexes of the ghost that the original does not enforce in the same form."""
    has_other_unique: bool
    """Whether the ghost has any unique index but the migration key."""
    session_variables: Mapping[str, str]
    """On top of the pinned ones, in every session that copies, reconciles or compares."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where the engine begins: at the start, or at an earlier run's checkpoint."""

    epoch: int
    coordinate: Coordinate
    stage: Stage = "copy"
    low: Key | None = None
    guard: Key | None = None
    """The largest key in the ghost when a resumed run began."""
    rows_copied: int = 0
    copy_s: float = 0.0
    deferred: DeferredIndexes = NO_DEFERRED
    verified: Key | None = None
    """An earlier run has compared every row below it."""
    rows_verified: int = 0
    resumed_at: Coordinate | None = None
    """The end of the binlog when an earlier run was resumed."""

    @property
    def is_resumed(self) -> bool:
        return self.resumed_at is not None


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that the engine needs to begin."""

    pair: TablePair
    state: StateTable
    beginning: Beginning
    fingerprint: Fingerprint
