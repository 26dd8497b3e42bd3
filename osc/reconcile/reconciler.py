"""The thread that runs reconcile cycles, and can be paused between two."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from osc.control.stop import StopRequest
from osc.errors import Stalled
from osc.reconcile.applier import Applier
from osc.reconcile.barrier import Heartbeat
from osc.reconcile.cycle import CycleStep, cycle
from osc.reconcile.pending import PendingSet
from osc.reconcile.watermarks import Watermarks
from osc.steps import Apply, AskPrepared, AwaitRanges, Barrier, carry_out
from osc.threads import OwnedThread

CYCLE_PAUSE_S = 0.05
"""Between two cycles: a row changed again within it is written once."""
PATIENT_PAUSE_S = 0.2
"""The same while nobody waits for the ghost to be up to date, as during the copy: fewer commits, with more keys each."""

IDLE_BEAT_S = 0.5
"""With nothing to reconcile, how often a heartbeat still measures the tail's lag and the commit's cost."""


class Reconciler:
    """Runs cycles on a thread of its own until it is closed; can be paused between two."""

    def __init__(
        self,
        pending: PendingSet,
        watermarks: Watermarks,
        heartbeat: Heartbeat,
        applier: Applier,
        prepared: Callable[[], frozenset[str]],
        stop: StopRequest,
    ) -> None:
        """`prepared`: the xids that the server lists as prepared."""
        self._pending = pending
        self._watermarks = watermarks
        self._heartbeat = heartbeat
        self._prepared = prepared
        self._applier = applier
        self._stop = stop
        self._turn = threading.Lock()
        self._closing = threading.Event()
        self.thread = OwnedThread("reconciler", self._run)

    def start(self) -> None:
        self.thread.start()

    def _run(self) -> None:
        last_beat = 0.0
        while not self._closing.is_set():
            self._pending.wait_for_keys(CYCLE_PAUSE_S)
            with self._turn:
                if self._closing.is_set():
                    return
                if self.cycle() > 0:
                    last_beat = time.monotonic()
                elif time.monotonic() - last_beat > IDLE_BEAT_S:
                    # Within the turn: during a swap no heartbeat but the handover's own may be written.
                    self._heartbeat.barrier()
                    last_beat = time.monotonic()
            self._closing.wait(PATIENT_PAUSE_S if self._pending.lets_rest else CYCLE_PAUSE_S)

    def cycle(self) -> int:
        """One cycle; returns how many keys it took."""
        return carry_out(cycle(self._pending, self._watermarks), self._do)

    def _do(self, step: CycleStep) -> None:
        match step:
            case AskPrepared():
                step.listed = self._prepared()
            case Barrier():
                step.beat = self._heartbeat.barrier()
            case AwaitRanges():
                self._wait_for_ranges(step.numbers)
            case Apply():
                self._applier.apply(step.keys)

    def _wait_for_ranges(self, ranges: frozenset[int]) -> None:
        while not self._watermarks.wait_until_done(ranges, 0.2):
            self._stop.check()
            if self._closing.is_set():
                raise Stalled("the reconciler was ended while it waited for ranges in flight")

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Inside, no cycle runs but the caller's own, and no heartbeat is committed without one."""
        with self._turn, self._heartbeat.silenced():
            yield

    def close(self) -> None:
        """End the thread after the cycle that it is in."""
        self._closing.set()
        self.thread.join()
