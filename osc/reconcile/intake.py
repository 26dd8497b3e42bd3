"""Taking keys in from the tail, no faster than memory allows: then the reader waits, and the server keeps the binlog.

Never before: a reader that lags makes a resumed run longer and the swap later. What is held back first is the copy.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from osc.control.stop import StopRequest
from osc.reconcile.pending import PendingSet
from osc.table.key import Key

LOOK_AGAIN_S = 0.2


class Intake:
    """Used by the tail's thread."""

    def __init__(self, pending: PendingSet, stop: StopRequest, warn: Callable[[str], None]) -> None:
        """`warn` is told when the reader has to wait for the first time."""
        self._pending = pending
        self._stop = stop
        self._warn = warn
        self._has_warned = False

    def add(self, keys: Collection[Key], transaction: int) -> None:
        """Add the keys of a row event; where memory bounds that, once others have been reconciled."""
        while not self._pending.wait_for_room(0 if not self._has_warned else LOOK_AGAIN_S):
            if self._stop.is_requested:
                # Nobody reconciles any more, and a key that was received but left out would be in no checkpoint.
                break
            if not self._has_warned:
                self._has_warned = True
                self._warn(
                    f"the binlog is read no faster than keys are reconciled: {len(self._pending):,} of them wait, as many as "
                    "--max-memory leaves room for. The copy is held back, too. See that the server keeps its binlogs"
                )
        self._pending.add(keys, transaction)
