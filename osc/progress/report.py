"""What the engine tells about a migration while it runs and at its end, as facts that any renderer can show.

The engine knows only the `Reporter` protocol, and calls it from several threads. The one that it is given never makes
it wait for a screen and never raises for lost output; the renderers behind that are called from one thread, in order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from osc.errors import Outcome

JsonValue: TypeAlias = str | int | float | bool | Sequence["JsonValue"] | Mapping[str, "JsonValue"] | None

Phase = Literal["preflight", "prepare", "copy", "verify", "ready", "cut-over", "alter", "done"]
"""`ready`: everything is verified and the swap waits, for a flag file or for whatever blocks it. `alter`: the server makes the
change itself, or is about to."""

PHASES: tuple[Phase, ...] = ("preflight", "prepare", "copy", "verify", "ready", "cut-over", "done")
"""In the order in which a copy goes through them."""

NATIVE_PHASES: tuple[Phase, ...] = ("preflight", "alter", "done")
"""The same for a change that the server makes itself."""


@dataclass(frozen=True, slots=True)
class Status:
    """A migration at one moment."""

    phase: Phase
    elapsed_s: float
    rows_copied: int = 0
    rows_estimated: int | None = None
    """Of the whole table: the server's figure, set right by what the copy finds; None before it was asked."""
    rate_rows_s: float = 0.0
    """Of the phase at hand: rows copied a second, or verified."""
    eta_s: float | None = None
    """Seconds until the whole migration is done, the swap included; None while nothing sensible can be said.

    Where something holds it back, from the moment on at which it may go on. Pauses that come back are in it.
    """
    workers: int = 0
    chunk_rows: int = 0
    chunk_ms: float = 0.0
    """How long the latest chunks took."""
    pending_keys: int = 0
    """Keys seen in the binlog that are not reconciled yet."""
    keys_reconciled: int = 0
    tail_lag_s: float | None = None
    """How far the binlog reader is behind; None while it does not run."""
    rows_verified: int = 0
    verify_total: int | None = None
    throttled_by: str | None = None
    """Why the copy is held back, or None when it is not."""
    pace: float | None = None
    """1 at full speed, less where the application is being spared; None before anything was decided."""
    pace_reason: str | None = None
    """Why that pace."""
    commit_ms: float | None = None
    """What a commit on the server cost lately, the engine's own heartbeat being one."""
    baseline_ms: float | None = None
    """What it cost without the migration; None where nobody else was active."""
    waiting_for: str | None = None
    """What the phase waits for: a blocking transaction, the postpone flag file, the build of the indexes."""
    proof_age_s: float | None = None
    """Seconds since the last complete verification; None before the first."""

    @property
    def is_held(self) -> bool:
        """Whether it may not go on: by a signal, by others, by the operator. The build of indexes is work of its own."""
        return self.throttled_by is not None or (self.waiting_for is not None and self.phase != "verify")


AttemptOutcome = Literal["swapped", "failed"]


@dataclass(frozen=True, slots=True)
class CutOverAttempt:
    """One attempt at the swap."""

    number: int
    stall_ms: float
    """From sending the lock request to the release: what a writer may have waited."""
    outcome: AttemptOutcome
    reason: str | None = None
    """Why it failed."""


@dataclass(frozen=True, slots=True)
class AlterAttempt:
    """One time that a native change was sent to the server."""

    number: int
    duration_ms: float
    outcome: Literal["altered", "failed"]
    reason: str | None = None
    """Why it failed."""


@dataclass(frozen=True, slots=True)
class EtaPoint:
    """What the ETA was at one moment."""

    done: float
    """By that ETA: the share of the work that was done, 0 to 1."""
    elapsed_s: float
    eta_s: float
    total_s: float
    """All of the work, the time in which it had to wait left out: what was done by then, and the ETA."""


@dataclass(frozen=True, slots=True)
class PlannedTime:
    """How long a plan says that it takes: in one of ten cases less than the first, in one of ten more than the last."""

    p10_s: float
    p50_s: float
    p90_s: float


@dataclass(frozen=True, slots=True)
class Result:
    """How a migration ended."""

    outcome: Outcome
    exit_code: int
    strategy: str | None = None
    """`copy`, or the kind of the native change (`osc.native.strategy`); None when it had not come to that."""
    resumable: bool = False
    rows_copied: int = 0
    keys_reconciled: int = 0
    rows_verified: int = 0
    rows_changed_by_conversion: int | None = None
    """Rows that could not be converted back to what they were; None where no loss is allowed."""
    duration_s: float = 0.0
    waited_s: float = 0.0
    """How much of it was no work: held back by a signal, waiting for others or for an answer."""
    planned: PlannedTime | None = None
    """By the plan that was followed; None without one."""
    eta_course: tuple[EtaPoint, ...] = ()
    """What the ETA was at each tenth of the way, so that it can be held against the duration less what was waited."""
    copy_s: float = 0.0
    verify_s: float = 0.0
    cut_over_stall_ms: float | None = None
    """Of the attempt that swapped; None when none did."""
    alter_ms: float | None = None
    """How long the server's own change took, from sending it to its end; None for a copy."""
    cut_over_attempts: tuple[CutOverAttempt, ...] = ()
    old_table: str | None = None
    """The name under which the old table was kept; None when it was dropped or nothing was swapped."""
    error: str | None = None
    left_behind: tuple[str, ...] = ()
    """Tables that the run made and that still exist, the old table not among them."""


class Reporter(Protocol):
    """Shows a migration to somebody. Every method may be called from any thread."""

    def event(self, name: str, **fields: JsonValue) -> None:
        """Something happened; the names and their fields are listed in docs/events.md."""

    def status(self, status: Status) -> None:
        """How it stands now; called a few times a second, whether or not anything changed."""

    def warning(self, text: str) -> None:
        """Something that the operator should know and that stops nothing."""

    def finished(self, result: Result) -> None:
        """It is over; called once, as the last report."""

    def close(self) -> None:
        """Give the terminal back. Harmless when called again."""
