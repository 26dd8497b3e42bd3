"""Hot keys: a row that changes all the time need not be written all the time.

A key that was reconciled a moment ago and changes again rests until `REST_S` seconds after it was reconciled, so its row is
written once in that time however often it changes. It stays unsettled meanwhile. Nothing that keeps a row right depends on
how long a key rests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from osc.table.key import Key

REST_S = 20.0
"""With more, a resumed run would have more of the binlog to read again."""


class Rest:
    """Not thread-safe: the pending set calls it under its own lock."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._reconciled: dict[Key, float] = {}
        """When, in that order."""
        self.resting: dict[Key, int] = {}
        """Each with the transaction in which it was first seen since it was reconciled."""

    def reconciled(self, keys: Iterable[Key], most: int) -> dict[Key, int]:
        """They are written now; at most `most` are remembered. Returns those that rest no more because others came later."""
        now = self._clock()
        for key in keys:
            # Again at the end, so that the first is always the one reconciled longest ago.
            self._reconciled.pop(key, None)
            self._reconciled[key] = now
        return self._forget(len(self._reconciled) - most)

    def lay_down(self, changed: dict[Key, int]) -> None:
        """Take out of `changed` the keys that were reconciled a moment ago."""
        for key in [key for key in changed if key in self._reconciled]:
            first = changed.pop(key)
            self.resting[key] = min(first, self.resting.get(key, first))

    def rested(self) -> dict[Key, int]:
        """Those that have rested for long enough; they rest no more."""
        until = self._clock() - REST_S
        count = 0
        for reconciled_at in self._reconciled.values():
            if reconciled_at > until:
                break
            count += 1
        return self._forget(count)

    def end(self) -> dict[Key, int]:
        """All that rest; they rest no more."""
        return self._forget(len(self._reconciled))

    def __len__(self) -> int:
        """How many keys are remembered. Each one that rests is among them."""
        return len(self._reconciled)

    def _forget(self, count: int) -> dict[Key, int]:
        risen: dict[Key, int] = {}
        for _ in range(count):
            key = next(iter(self._reconciled))
            del self._reconciled[key]
            if key in self.resting:
                risen[key] = self.resting.pop(key)
        return risen
