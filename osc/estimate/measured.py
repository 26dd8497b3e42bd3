"""What a plan has measured, as facts: nothing here knows a server or a clock."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Work:
    """Pieces of work of one kind that were done in one region."""

    share: float
    """Of the table's rows that the region stands for, 0 to 1."""
    rows: int
    pieces: int
    busy_s: float
    """Seconds of work, all workers together: from passing the gate to coming back to it."""


@dataclass(frozen=True, slots=True)
class Load:
    """What others do on the server, and what the sample's work made of their commits."""

    is_active: bool
    """Whether others are active, so that a migration is paced."""
    baseline_s: float | None = None
    """What a commit costs without a migration; None where nobody else is active."""
    commits: tuple[tuple[float, float], ...] = ()
    """By step of the governor: its level (0 to 1), and what a commit cost meanwhile, in seconds."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the application writes, as the binlog told within some seconds."""

    watched_s: float
    table_rows_s: float
    """Row changes of the table a second."""
    binlog_bytes_s: float
    """Of the whole server, a second."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of a sample."""

    took_s: float
    made_s: float
    """Making the scratch tables."""
    copied: tuple[Work, ...]
    copy_overhead_s: float
    """What a chunk costs besides its rows: seek, epoch, commit."""
    verified: tuple[Work, ...]
    verify_overhead_s: float
    reconcile_key_s: float | None
    """Reconciling a key, in a batch; None where it was not measured."""
    build_s: float | None
    """Building the deferred indexes over the sampled rows; None where none are deferred."""
    data_bytes_per_row: float | None
    index_bytes_per_row: float | None
    binlog_bytes_per_row: float | None
    load: Load
    traffic: Traffic | None
    held_back_by: str | None = None
    """The signal that kept the sample from going on, if one did."""

    @property
    def rows(self) -> int:
        return sum(work.rows for work in self.copied)

    @property
    def regions(self) -> int:
        return sum(1 for work in self.copied if work.rows)
