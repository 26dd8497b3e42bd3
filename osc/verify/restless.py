"""Keys that differed and were changed: compared again later, many at a time, until they rest or are left to the swap.

Waiting for each where it is met would cost a verification of a busy table most of its time. A range is verified when none of
its keys is left here.
"""

from __future__ import annotations

import threading
from collections.abc import Collection

from osc.table.key import Key

ROUNDS = 20
"""How often a key is compared before it is left to be compared under the swap's lock, where each costs the application time."""


class Restless:
    """The keys, each with its range. Thread-safe."""

    def __init__(self, most_rounds: int = ROUNDS) -> None:
        self._most_rounds = most_rounds
        self._lock = threading.Lock()
        self._rounds: dict[Key, int] = {}
        self._range_of: dict[Key, int] = {}
        self._left_in: dict[int, int] = {}
        self._looked_at: set[Key] = set()
        self.given_up: set[Key] = set()
        """Keys that never came to rest."""

    def add(self, keys: Collection[Key], number: int) -> None:
        """Keys of that range that are to be compared again."""
        with self._lock:
            for key in keys:
                if key not in self._rounds:
                    self._rounds[key] = 0
                    self._range_of[key] = number
                    self._left_in[number] = self._left_in.get(number, 0) + 1

    def take(self, most: int) -> list[Key]:
        """Some to look at, which nobody else looks at until they are put back."""
        with self._lock:
            taken = [key for key in self._rounds if key not in self._looked_at][:most]
            self._looked_at.update(taken)
            return sorted(taken)

    def put_back(self, taken: Collection[Key], restless: Collection[Key]) -> list[int]:
        """What came of them; returns the ranges of which none is left. A range with a key that is given up never is."""
        done: list[int] = []
        with self._lock:
            self._looked_at.difference_update(taken)
            for key in taken:
                self._rounds[key] += 1
                if key not in restless:
                    number = self._forget(key)
                    self._left_in[number] -= 1
                    if not self._left_in[number]:
                        done.append(number)
                elif self._rounds[key] >= self._most_rounds:
                    self._forget(key)
                    self.given_up.add(key)
        return done

    def _forget(self, key: Key) -> int:
        del self._rounds[key]
        return self._range_of.pop(key)

    def __len__(self) -> int:
        with self._lock:
            return len(self._rounds)
