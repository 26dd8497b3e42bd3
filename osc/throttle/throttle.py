"""Everything that holds the engine back, put together: the signals, the governor, the gate that both stand behind, and the
threads that feed them."""

from __future__ import annotations

import time
from collections.abc import Callable

from osc.control.stop import StopRequest
from osc.mysql.session import Sessions
from osc.mysql.steady import SteadySession
from osc.options import MigrationOptions
from osc.reconcile.barrier import Heartbeat
from osc.reconcile.pending import PendingSet
from osc.state.table import StateTable
from osc.throttle.gate import Gate
from osc.throttle.governor import BacklogRest, Governor, Pace, impact_factor
from osc.throttle.load import LoadLimits
from osc.throttle.pulse import Pulse
from osc.throttle.signals import backlog, flag_file, tail_lag, watched_signals

MOST_PENDING = 200_000
MOST_LAG_S = 10.0
LONGEST_RECONCILE_REST_S = 0.1


class Throttle:
    """May the engine go on, and how fast. `gate` is passed before each piece of work."""

    def __init__(
        self,
        options: MigrationOptions,
        sessions: Sessions,
        session: SteadySession,
        state: StateTable,
        heartbeat: Heartbeat,
        pending: PendingSet,
        pending_bytes: int,
        stop: StopRequest,
        warn: Callable[[str], None],
        pace_changed: Callable[[Pace], None],
        is_otherwise_at_work: Callable[[], bool],
    ) -> None:
        """`session` reads the server's status. `is_otherwise_at_work`: whether anything works that passes no gate."""
        self._pending = pending
        self._stop = stop
        self._load = LoadLimits(
            options.max_load,
            options.critical_load,
            options.critical_load_interval_s,
            options.critical_load_hibernate_s,
        )
        self._watched = watched_signals(sessions, state, heartbeat, options, warn)
        self._backlog_rest = BacklogRest()
        self.governor = Governor(impact_factor(options.impact), options.workers, options.chunk_target_ms / 1_000)
        self.gate = Gate(
            [
                *(flag_file(path) for path in options.throttle_flag_files),
                backlog(pending, MOST_PENDING, pending_bytes // 2),
                tail_lag(lambda: heartbeat.lag_s, MOST_LAG_S),
                lambda: self._load.signal(time.monotonic()),
                self._held_back_by_watched,
            ],
            stop,
            lambda: self.governor.pace,
            options.nice_ratio,
        )

        def tell(pace: Pace) -> None:
            pace_changed(pace)
            self.gate.pace_changed()

        self._is_nice = options.nice_ratio > 0
        self._pulse = Pulse(
            self.governor,
            heartbeat,
            sessions,
            session,
            lambda: self.gate.is_at_rest and not is_otherwise_at_work(),
            tell,
            self._load,
        )

    def _held_back_by_watched(self) -> str | None:
        return next((reason for watched in self._watched if (reason := watched.signal()) is not None), None)

    def rest_from_reconciling(self, worked_s: float) -> None:
        """Rest after so much reconciling, unless the backlog grows."""
        rest = self._backlog_rest.rest(time.monotonic(), self._pending.due, self.governor.pace)
        if rest:
            self._stop.wait(min(worked_s * rest, LONGEST_RECONCILE_REST_S))

    def watch(self) -> None:
        """Begin to look at what may hold the engine back."""
        for watched in self._watched:
            watched.start()

    def take_the_pulse(self) -> None:
        """Begin to look at what commits cost, and at what others do."""
        self._pulse.start()

    @property
    def has_time_to_spare(self) -> bool:
        """Whether nothing and nobody asks for restraint, so that more may be done than what has a place behind the gate."""
        pace = self.governor.pace
        return pace.level >= 1.0 and pace.workers > 0 and not self._is_nice and self.gate.closed_by() is None

    def raise_if_dead(self) -> None:
        """Raise what a thread has died of."""
        self._pulse.thread.raise_if_dead()
        for watched in self._watched:
            watched.thread.raise_if_dead()

    def close(self) -> None:
        self._pulse.close()
        for watched in self._watched:
            watched.close()
