"""Verifying again while the swap has to wait: slowly, on one thread, and at rest before anybody asks for the lock.

The proof that was given ages while a swap is postponed: the reconciler goes on writing the ghost, and so may a stranger. So
all rows are compared anew from time to time. The thread rests for several times as long as it reads, since nobody waits for
it; what it finds ends the migration as in the first verification.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from osc.control.stop import StopRequest
from osc.errors import Interrupted
from osc.table.key import Key
from osc.verify.verifier import Verifier

AFTER_S = 60.0
"""A pass begins so long after the last complete one has ended."""

REST = 4
"""Rests so many times as long as a range took, but for at most two seconds."""
LONGEST_REST_S = 2.0

LOOK_AGAIN_S = 0.2

MakeVerifier = Callable[[Callable[[], None], StopRequest], Verifier]
"""With the gate that it passes before each range, and what ends it."""


class Reverification:
    """Used by the migration's own thread. Begins where the first verification, `first`, has ended."""

    def __init__(
        self,
        first: Verifier,
        make: MakeVerifier,
        held_back_by: Callable[[], str | None],
        proven: Callable[[Verifier], None],
    ) -> None:
        """`held_back_by` is asked before each range; `proven` is told of each complete pass."""
        self._make = make
        self._held_back_by = held_back_by
        self._proven = proven
        self._proven_at = time.monotonic()
        self._latest = first
        self._running: Verifier | None = None
        self._halt = StopRequest()

    @property
    def restless(self) -> set[Key]:
        """Keys that did not come to rest during the last complete pass; to be compared under the swap's lock."""
        return self._latest.inconclusive

    def go_on(self) -> None:
        """To be called now and then while the swap waits. Raises what a pass has found, or died of."""
        if self._running is None:
            if time.monotonic() - self._proven_at > AFTER_S:
                self._halt = StopRequest()
                self._running = self._make(self._slowly(self._halt), self._halt)
                self._running.start()
            return
        for thread in self._running.threads:
            thread.raise_if_dead()
        if not any(thread.is_alive for thread in self._running.threads):
            self._latest, self._running = self._running, None
            self._proven_at = time.monotonic()
            self._proven(self._latest)

    def halt(self) -> None:
        """End the pass that is under way; it counts for nothing. Raises what it has found, or died of."""
        if self._running is None:
            return
        running, self._running = self._running, None
        self._halt.request("the swap is about to be tried")
        for thread in running.threads:
            thread.join()
        for thread in running.threads:
            if not isinstance(thread.error, Interrupted):
                thread.raise_if_dead()

    def _slowly(self, halt: StopRequest) -> Callable[[], None]:
        began: float | None = None

        def gate() -> None:
            nonlocal began
            if began is not None:
                halt.wait(min(LONGEST_REST_S, REST * (time.monotonic() - began)))
            while not halt.is_requested and self._held_back_by() is not None:
                halt.wait(LOOK_AGAIN_S)
            halt.check()
            began = time.monotonic()

        return gate
