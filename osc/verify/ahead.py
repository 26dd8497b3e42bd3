"""Verification of what is copied already, while the rest is being copied.

Below the copy's low watermark every row is in the ghost, and what changes there is reconciled: all that verification asks
for. So one thread compares the ranges there while the copy waits for its commits, and the verification proper goes on where
this one ended. Only at full speed, so where nobody else is active or no pace was asked for: a paced copy leaves no time unused.

A proof ages: a stranger may write the ghost behind its back. So what was compared more than a few minutes before the copy was
complete does not count, and is compared again; a long copy gives up comparing ahead after as long.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from osc.control.stop import StopRequest
from osc.table.key import Key
from osc.threads import OwnedThread
from osc.verify.verifier import Verifier

LOOK_AGAIN_S = 0.02

FRESH_S = 180.0
"""Comparisons older than this when the copy is complete do not count."""


class Ahead:
    """Used by the migration's own thread."""

    def __init__(
        self, verifier: Verifier, copied_below: Callable[[], Key | None], may_work: Callable[[], bool]
    ) -> None:
        """`copied_below`: the copy's low watermark. `may_work` is asked before each range."""
        self._verifier = verifier
        self._copied_below = copied_below
        self._may_work = may_work
        self._halt = StopRequest()
        self._began_at = time.monotonic()
        self.is_at_work = False
        self.thread = OwnedThread("verify-ahead", self._work)

    def _work(self) -> None:
        session = self._verifier.open_session()
        try:
            while self.is_fresh and not self._halt.is_requested:
                below = self._copied_below()
                self.is_at_work = below is not None and self._may_work()
                if below is None or not self.is_at_work or not self._verifier.verify_below(session, below):
                    self.is_at_work = False
                    self._halt.wait(LOOK_AGAIN_S)
        finally:
            self.is_at_work = False
            session.close()

    @property
    def is_fresh(self) -> bool:
        """Whether even the first comparison is not too old to count."""
        return time.monotonic() - self._began_at < FRESH_S

    def start(self) -> None:
        self.thread.start()

    def end(self) -> None:
        """End after the range that is being compared, whatever becomes of it."""
        self._halt.request("the copy has ended")
        self.thread.join()

    def halt(self) -> None:
        """End after the range that is being compared. Raises what was found, or what the thread died of."""
        self.end()
        self.thread.raise_if_dead()
