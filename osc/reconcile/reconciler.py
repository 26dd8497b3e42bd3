"""The reconcile cycle, and the thread that runs it.

1. Take the pending keys. 2. The barrier: their changes are visible now. 3. Judge each against the watermarks: drop what
the copy will read, hold what a range in flight may just be reading, reconcile the rest. 4. Reconcile in key order.
Whatever happens, no key of the cycle is forgotten: what was not settled is held.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from osc.control.stop import StopRequest
from osc.errors import Stalled
from osc.reconcile.applier import Applier
from osc.reconcile.barrier import Heartbeat
from osc.reconcile.pending import PendingSet
from osc.reconcile.watermarks import Watermarks
from osc.reconcile.xa import DecidedTransactions
from osc.threads import OwnedThread

CYCLE_PAUSE_S = 0.05
"""Between two cycles: a row changed again within it is written once."""

IDLE_BEAT_S = 0.5
"""With nothing to reconcile, how often a heartbeat still measures the tail's lag and the commit's cost."""


class Reconciler:
    """Runs cycles on a thread of its own until it is closed; can be paused between two."""

    def __init__(
        self,
        pending: PendingSet,
        watermarks: Watermarks,
        heartbeat: Heartbeat,
        decided: DecidedTransactions,
        applier: Applier,
        stop: StopRequest,
    ) -> None:
        self._pending = pending
        self._watermarks = watermarks
        self._heartbeat = heartbeat
        self._decided = decided
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
            self._closing.wait(CYCLE_PAUSE_S)

    def cycle(self) -> int:
        """One cycle; returns how many keys it took."""
        self._decided.release()
        batch = self._pending.take()
        try:
            if batch:
                self._heartbeat.barrier()
                verdict = self._watermarks.sort(batch)
                self._pending.settle(verdict.drop)
                self._pending.hold(verdict.hold)
                self._wait_for_ranges(verdict.after_ranges)
                self._applier.apply(verdict.reconcile)
                self._pending.settle(verdict.reconcile)
        finally:
            self._pending.hold()
        return len(batch)

    def _wait_for_ranges(self, ranges: frozenset[int]) -> None:
        while ranges and not self._watermarks.wait_until_done(ranges, 0.2):
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
