"""Measures the running engine and tells the reporter: phases, status, rates, and the figures of the result."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

from osc.errors import Outcome
from osc.estimate.remaining import Look, Planned, Remaining
from osc.progress.course import Course
from osc.progress.gauges import Gauges
from osc.progress.rate import RateMeter
from osc.progress.report import AlterAttempt, CutOverAttempt, Phase, PlannedTime, Reporter, Result, Status
from osc.table.facts import Table

log = logging.getLogger(__name__)

STATUS_EVERY_S = 0.25


class Measured(Protocol):
    """What the meter measures: the engine."""

    def gauges(self) -> Gauges:
        """Read now."""


class Meter:
    """Used by the migration's own thread."""

    def __init__(self, reporter: Reporter, planned: Planned | None = None) -> None:
        """`planned`: by the plan that is followed."""
        self._reporter = reporter
        self._planned = planned
        self._began = time.monotonic()
        self._phase: Phase | None = None
        self._phase_began = self._began
        self._spent_s: dict[Phase, float] = {}
        self._engine: Measured | None = None
        self._remaining: Remaining | None = None
        self._course = Course()
        self._work_left_s: float | None = None
        """The ETA without the pauses that are to be expected."""
        self._waited_s = 0.0
        self._held_since: float | None = None
        self._rate = RateMeter()
        self._told_at = 0.0
        self._waiting_for: str | None = None
        self._throttled_by: str | None = None
        self._verified_at: float | None = None

    def attach(self, engine: Measured, source: Table, deferred_indexes: int) -> None:
        """From now on there is an engine to measure, of a migration that builds so many indexes after the copy."""
        kept = max(0, len(source.indexes) - 1 - deferred_indexes)
        self._engine = engine
        self._remaining = Remaining(source.estimated_rows, self._planned, deferred_indexes, kept)

    @property
    def planned(self) -> PlannedTime | None:
        """By the plan that is followed; None without one."""
        if self._planned is None:
            return None
        total = self._planned.total
        return PlannedTime(total.p10_s, total.p50_s, total.p90_s)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Inside, nothing is done but to wait for somebody's answer."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._waited_s += time.monotonic() - began

    def phase(self, phase: Phase) -> None:
        """The migration has come to that phase."""
        if phase == self._phase:
            return
        now = time.monotonic()
        if self._phase is not None:
            self._spent_s[self._phase] = self._spent_s.get(self._phase, 0.0) + now - self._phase_began
        self._phase, self._phase_began = phase, now
        self._rate = RateMeter()
        self._reporter.event("phase", phase=phase)
        self.tick(at_once=True)

    def waiting_for(self, what: str | None) -> None:
        """What the phase waits for, if anything."""
        self._waiting_for = what

    def verified(self) -> None:
        """Every row has been compared, as of now."""
        self._verified_at = time.monotonic()

    def cut_over_attempt(self, attempt: CutOverAttempt) -> None:
        """An attempt at the swap has ended."""
        self._reporter.event(
            "cut_over_attempt",
            number=attempt.number,
            stall_ms=round(attempt.stall_ms, 1),
            outcome=attempt.outcome,
            reason=attempt.reason,
        )

    def alter_attempt(self, attempt: AlterAttempt) -> None:
        """A native change has been tried."""
        self._reporter.event(
            "alter_attempt",
            number=attempt.number,
            duration_ms=round(attempt.duration_ms, 1),
            outcome=attempt.outcome,
            reason=attempt.reason,
        )

    def tick(self, at_once: bool = False) -> None:
        """Report the status, a few times a second at the most."""
        now = time.monotonic()
        if self._phase is None or (not at_once and now - self._told_at < STATUS_EVERY_S):
            return
        self._told_at = now
        status = self._status(self._phase, now)
        self._note_waiting(status.is_held, now)
        self._reporter.status(status)
        self._tell_of_throttling(status.throttled_by)
        point = self._course.saw(status.elapsed_s, self._waited_s, self._work_left_s)
        if point is not None and len(self._course.points) == 1:
            self._reporter.event(
                "estimate", done=point.done, elapsed_s=point.elapsed_s, eta_s=point.eta_s, total_s=point.total_s
            )

    def _note_waiting(self, is_held: bool, now: float) -> None:
        if self._held_since is not None:
            self._waited_s += now - self._held_since
        self._held_since = now if is_held else None

    def _status(self, phase: Phase, now: float) -> Status:
        if self._engine is None or self._remaining is None:
            return Status(phase=phase, elapsed_s=now - self._began, waiting_for=self._waiting_for)
        engine = self._engine.gauges()
        self._rate.update(engine.rows_verified if phase == "verify" else engine.rows_copied)
        status = Status(
            phase=phase,
            elapsed_s=now - self._began,
            rows_copied=engine.rows_copied,
            rate_rows_s=self._rate.rate,
            workers=engine.pace.workers,
            chunk_rows=engine.chunk_rows,
            chunk_ms=engine.chunk_s * 1_000,
            pending_keys=engine.pending_keys,
            keys_reconciled=engine.keys_reconciled,
            tail_lag_s=engine.tail_lag_s,
            rows_verified=engine.rows_verified,
            throttled_by=engine.throttled_by,
            pace=engine.pace.level if engine.pace.reason else None,
            pace_reason=engine.pace.reason,
            commit_ms=None if engine.commit_s is None else engine.commit_s * 1_000,
            baseline_ms=None if engine.baseline_s is None or engine.commit_s is None else engine.baseline_s * 1_000,
            waiting_for=self._waiting_for,
            proof_age_s=None if self._verified_at is None else now - self._verified_at,
        )
        try:
            self._remaining.saw(
                Look(
                    at_s=now,
                    phase=phase,
                    rows_copied=engine.rows_copied,
                    rows_verified=engine.rows_verified,
                    key_share=engine.key_share,
                    is_held=status.is_held,
                    is_building=engine.is_building,
                )
            )
            total, eta_s, self._work_left_s = self._remaining.rows_total, self._remaining.eta_s, self._remaining.work_s
        except (ArithmeticError, ValueError):
            # No figure for people is worth a migration.
            log.exception("the time that is left cannot be told")
            total, eta_s, self._work_left_s = engine.rows_copied, None, None
        return replace(status, rows_estimated=total, verify_total=max(total, engine.rows_verified), eta_s=eta_s)

    def _tell_of_throttling(self, reason: str | None) -> None:
        if (reason is None) != (self._throttled_by is None):
            self._reporter.event("unthrottled" if reason is None else "throttled", reason=reason or self._throttled_by)
        self._throttled_by = reason

    def result(
        self,
        *,
        outcome: Outcome,
        exit_code: int,
        strategy: str | None,
        resumable: bool,
        stall_ms: float | None,
        alter_ms: float | None,
        attempts: tuple[CutOverAttempt, ...],
        old_table: str | None,
        error: str | None,
        left_behind: tuple[str, ...],
    ) -> Result:
        """The migration's figures, at its end."""
        now = time.monotonic()
        if self._phase is not None:
            self._spent_s[self._phase] = self._spent_s.get(self._phase, 0.0) + now - self._phase_began
            self._phase_began = now
        self._note_waiting(False, now)
        engine = self._engine.gauges() if self._engine else None
        return Result(
            outcome=outcome,
            exit_code=exit_code,
            strategy=strategy,
            resumable=resumable,
            rows_copied=engine.rows_copied if engine else 0,
            keys_reconciled=engine.keys_reconciled if engine else 0,
            rows_verified=engine.rows_verified if engine else 0,
            rows_changed_by_conversion=engine.rows_changed_by_conversion if engine else None,
            duration_s=round(now - self._began, 3),
            waited_s=round(self._waited_s, 3),
            planned=self.planned,
            eta_course=tuple(self._course.points),
            copy_s=round(self._spent_s.get("copy", 0.0), 3),
            verify_s=round(self._spent_s.get("verify", 0.0), 3),
            cut_over_stall_ms=None if stall_ms is None else round(stall_ms, 1),
            alter_ms=None if alter_ms is None else round(alter_ms, 1),
            cut_over_attempts=attempts,
            old_table=old_table,
            error=error,
            left_behind=left_behind,
        )
