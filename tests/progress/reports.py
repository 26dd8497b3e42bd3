"""Statuses, results and streams that the renderers' tests share."""

from __future__ import annotations

import io
from dataclasses import replace

from osc.progress.output import Output
from osc.progress.report import CutOverAttempt, EtaPoint, PlannedTime, Result, Status

COPYING = Status(
    phase="copy",
    elapsed_s=83.4,
    rows_copied=186_000,
    rows_estimated=300_000,
    rate_rows_s=24_310.2,
    eta_s=4.7,
    workers=4,
    chunk_rows=2400,
    chunk_ms=71.3,
    pending_keys=128,
    keys_reconciled=9201,
    tail_lag_s=0.012,
)
VERIFYING = replace(COPYING, phase="verify", rows_copied=310_000, rows_verified=155_000, verify_total=310_000)
READY = replace(
    VERIFYING,
    phase="ready",
    rows_verified=310_000,
    waiting_for="/tmp/postpone to be removed",
    proof_age_s=12.0,
)

SWAPPED = Result(
    outcome="swapped",
    exit_code=0,
    rows_copied=310_000,
    keys_reconciled=93_211,
    rows_verified=310_000,
    duration_s=88.2,
    waited_s=2.1,
    planned=PlannedTime(61.0, 80.0, 110.0),
    eta_course=(
        EtaPoint(0.1, 9.1, 78.2, 87.3),
        EtaPoint(0.2, 17.9, 70.3, 86.1),
        EtaPoint(0.5, 45.2, 43.0, 86.1),
    ),
    copy_s=70.1,
    verify_s=9.3,
    cut_over_stall_ms=8.1,
    cut_over_attempts=(CutOverAttempt(1, 3003.2, "failed", "lock wait timeout"), CutOverAttempt(2, 8.1, "swapped")),
    old_table="_orders_del",
)
INTERRUPTED = Result(
    outcome="interrupted",
    exit_code=5,
    resumable=True,
    rows_copied=1000,
    duration_s=12.0,
    error="stopped by SIGTERM",
    left_behind=("_orders_gho", "_orders_ghc"),
)


class Stream(io.StringIO):
    """A text stream that can be a terminal, and that can be lost."""

    def __init__(self, is_terminal: bool = False, encoding: str = "utf-8") -> None:
        super().__init__()
        self._is_terminal = is_terminal
        self._encoding = encoding
        self.is_broken = False

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def isatty(self) -> bool:
        return self._is_terminal

    def write(self, text: str) -> int:
        if self.is_broken:
            raise BrokenPipeError(32, "Broken pipe")
        return super().write(text)

    @property
    def output(self) -> Output:
        return Output(self)

    @property
    def lines(self) -> list[str]:
        return self.getvalue().splitlines()
