"""When to try the swap, how often, and what to say while it has to wait."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import pymysql

from osc.control.stop import StopRequest
from osc.cutover.conditions import AttemptFailed
from osc.cutover.outcome import Swap, Swapped
from osc.errors import CutOverFailed, ServerLost
from osc.mysql.session import error_text, is_lost, is_retryable
from osc.progress.report import CutOverAttempt
from osc.reconcile.reconciler import Reconciler
from osc.table.key import Key

MOST_PENDING = 1_000
MOST_LAG_S = 0.05
LAST_CYCLES = 5
"""Reconcile cycles right before the lock, so that little is left to do under it."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 20.0
HARMLESS_STALL_MS = 50.0
"""An attempt that has made nobody wait for longer leaves nothing to recover from."""
HARMLESS_PAUSE_S = 0.25


@dataclass(frozen=True, slots=True)
class Readiness:
    """What the swap has to wait for, as far as the engine itself knows."""

    pending: int
    undecided: Collection[str]
    """XA transactions that have changed rows of the table: the attempt would fail."""
    lag_s: float | None
    throttled_by: str | None
    postponed_by: str | None

    def why_not(self) -> str | None:
        """The reason not to ask for the lock now; None when there is none."""
        if self.postponed_by is not None:
            return f"postponed while {self.postponed_by} exists"
        if self.throttled_by is not None:
            return f"throttled: {self.throttled_by}"
        if self.undecided:
            return f"the XA transaction {min(self.undecided)}, which has changed rows, to be committed or rolled back"
        if self.pending > MOST_PENDING:
            return f"{self.pending} keys to reconcile first"
        if self.lag_s is None or self.lag_s > MOST_LAG_S:
            return "the binlog reader to catch up"
        return None


@dataclass(slots=True)
class CutOver:
    """Waits for a good moment and swaps; tried again with growing pauses."""

    swap: Swap
    reconciler: Reconciler
    readiness: Callable[[], Readiness]
    blockers: Callable[[], list[str]]
    """Others' transactions that must end first, named."""
    has_swapped: Callable[[], bool]
    """Asked, on a fresh session, when an attempt ended without telling how."""
    check: Callable[[], None]
    """Raises when the run has to stop: a dead thread, a panic file, a signal."""
    stop: StopRequest
    attempts_allowed: int
    announce: Callable[[str | None], None]
    """Told what the swap waits for, and None when it no longer does."""
    report: Callable[[CutOverAttempt], None]
    attempts: list[CutOverAttempt] = field(default_factory=list)

    def run(self, restless: Callable[[], set[Key]]) -> Swapped:
        """Swap; `restless` tells which keys are to be compared under the lock.

        Raises CutOverFailed when no attempt succeeded, and whatever stops the run.
        """
        while True:
            self._wait_for_a_good_moment()
            swapped = self._attempt(restless())
            if swapped is not None:
                return swapped
            if len(self.attempts) >= self.attempts_allowed:
                raise CutOverFailed(
                    f"the swap was tried {len(self.attempts)} times and never went through; the last time: "
                    f"{self.attempts[-1].reason}. The original is in place and writable, the ghost is kept. Run the same "
                    "command again at a quieter time, or with a longer --cut-over-lock-timeout-seconds"
                )
            self._pause()

    def _attempt(self, restless: set[Key]) -> Swapped | None:
        number = len(self.attempts) + 1
        with self.reconciler.paused():
            for _ in range(LAST_CYCLES):
                if self.reconciler.cycle() == 0:
                    break
            self.swap.last_stall_ms = 0.0
            try:
                swapped = self.swap.attempt(restless)
            except (AttemptFailed, ServerLost, pymysql.err.MySQLError, OSError) as error:
                # The answer to a rename can be lost while the rename is not.
                if not isinstance(error, AttemptFailed) and self.has_swapped():
                    swapped = Swapped(self.swap.last_stall_ms, 0)
                elif isinstance(error, AttemptFailed | ServerLost) or is_lost(error) or is_retryable(error):
                    self._note(CutOverAttempt(number, self.swap.last_stall_ms, "failed", error_text(error)))
                    return None
                else:
                    raise
        self._note(CutOverAttempt(number, swapped.stall_ms, "swapped"))
        return swapped

    def _note(self, attempt: CutOverAttempt) -> None:
        self.attempts.append(attempt)
        self.report(attempt)

    def _wait_for_a_good_moment(self) -> None:
        while True:
            self.check()
            # The engine's own state is cheap to ask and the others' transactions are not, so they come second.
            why_not = self.readiness().why_not() or next(iter(self.blockers()), None)
            self.announce(why_not)
            if why_not is None:
                return
            self.stop.wait(0.1)

    def _pause(self) -> None:
        pause_s = pause_after(self.attempts) * random.uniform(0.75, 1.25)  # so as not to be in step with anybody
        self.announce(f"{pause_s:.1f} s after attempt {len(self.attempts)}: {self.attempts[-1].reason}")
        self.stop.wait(pause_s)
        self.check()


def pause_after(attempts: Sequence[CutOverAttempt]) -> float:
    """Seconds until the next attempt, for the application to breathe.

    Half a second after the first one that made it wait, doubled with each further one. After one that made nobody wait, as
    where the lock is only asked for while it is free, a quarter of a second for each attempt so far: with four writers that
    never pause, on MariaDB 10.11 and 11.8, small tables were migrated in 2 to 6 s so, in ten runs. With doubling
    pauses after those too, three of five took 84 to 122 s.
    """
    if attempts[-1].stall_ms <= HARMLESS_STALL_MS:
        return min(LONGEST_PAUSE_S, HARMLESS_PAUSE_S * len(attempts))
    felt = sum(attempt.stall_ms > HARMLESS_STALL_MS for attempt in attempts)
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (felt - 1))
