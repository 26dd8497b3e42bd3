"""What can be read off a running engine."""

from __future__ import annotations

from dataclasses import dataclass

from osc.throttle.governor import Pace


@dataclass(frozen=True, slots=True)
class Gauges:
    """What the engine has done, and how it works right now."""

    rows_copied: int
    key_share: float | None
    """What share of the migration key's values the copy has passed, 0 to 1; None where that cannot be told."""
    keys_reconciled: int
    rows_verified: int
    rows_changed_by_conversion: int | None
    """None where no loss is allowed."""
    is_building: bool
    """Whether deferred indexes are being built."""
    pending_keys: int
    chunk_rows: int
    chunk_s: float
    tail_lag_s: float | None
    throttled_by: str | None
    pace: Pace
    commit_s: float | None
    """What a commit costs; None where nobody else is active."""
    baseline_s: float | None
    """What it cost without the migration."""
