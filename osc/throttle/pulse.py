"""The pulse of the server: what others send, what a commit costs, taken by one thread and told to the governor."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from osc.mysql.session import Sessions
from osc.mysql.steady import SteadySession
from osc.reconcile.barrier import Heartbeat
from osc.threads import OwnedThread
from osc.throttle.governor import Governor, Pace
from osc.throttle.load import LoadLimits
from osc.throttle.others import Others
from osc.throttle.pressure import Pressure, read_status

STATUS_EVERY_S = 0.25
FIRST_STATUS_AFTER_S = 0.1
"""So soon it is known whether anybody else is active: nothing is copied before."""

COMMIT_EVERY_S = {"many": 0.02, "some": 0.05}
COMMIT_EVERY_AT_REST_S = 1.0
LONG_REST_S = 5.0
"""With nothing to pace for so long, as while a swap is postponed, fewer heartbeats will do: each is in the binlog."""


class Pulse:
    """Takes the pulse until it is closed."""

    def __init__(
        self,
        governor: Governor,
        heartbeat: Heartbeat,
        sessions: Sessions,
        session: SteadySession,
        is_at_rest: Callable[[], bool],
        pace_changed: Callable[[Pace], None],
        load: LoadLimits,
    ) -> None:
        self._governor = governor
        self._heartbeat = heartbeat
        self._sessions = sessions
        self._session = session
        self._is_at_rest = is_at_rest
        self._pace_changed = pace_changed
        self._load = load
        self._pressure = Pressure()
        self._variables = (*self._pressure.variables, *load.variables)
        self._others = Others(sessions)
        self._worked_at_s = time.monotonic()
        self._closing = threading.Event()
        self.thread = OwnedThread("pulse", self._run)

    def start(self) -> None:
        self.thread.start()

    def _run(self) -> None:
        next_status_s, next_commit_s, pause_s = 0.0, 0.0, FIRST_STATUS_AFTER_S
        while not self._closing.is_set():
            before = self._governor.pace
            if time.monotonic() >= next_status_s:
                self._read_status()
                self._look_at_others()
                next_status_s = time.monotonic() + pause_s
                pause_s = STATUS_EVERY_S
            wanted = self._governor.wants_commits
            if wanted != "few" and time.monotonic() >= next_commit_s:
                self._look_at_others()
                self._feel_commit()
                next_commit_s = time.monotonic() + self._commit_pause_s()
            if self._governor.pace is not before:
                self._pace_changed(self._governor.pace)
            until_status_s = max(0.0, next_status_s - time.monotonic())
            self._closing.wait(min(until_status_s, COMMIT_EVERY_S.get(wanted, until_status_s)))

    def _read_status(self) -> None:
        server, names = self._sessions.server, self._variables
        status = self._session.run(lambda connection: read_status(connection, server, names))
        self._load.note(time.monotonic(), status)
        self._governor.pressure = self._pressure.judge(status)

    def _look_at_others(self) -> None:
        self._governor.saw_others(self._session.run(self._others.look))

    def _commit_pause_s(self) -> float:
        is_resting = time.monotonic() - self._worked_at_s > LONG_REST_S
        return COMMIT_EVERY_AT_REST_S if is_resting and self._governor.pace.workers else 0.0

    def _feel_commit(self) -> None:
        at_rest = self._is_at_rest()
        if not at_rest:
            self._worked_at_s = time.monotonic()
        took_s = self._heartbeat.pulse()
        if took_s is not None:
            self._governor.saw_commit(time.monotonic(), took_s, at_rest and self._is_at_rest())

    def close(self) -> None:
        self._closing.set()
        if self.thread.is_started:
            self.thread.join()
        self._session.close()
