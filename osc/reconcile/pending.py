"""The pending set: keys that changed in the original and are not yet reconciled in the ghost.

Each key carries the number of the transaction in which it was first seen since it was last reconciled. The smallest of
those numbers is where a resumed run must read the binlog from, so a key stays accounted for, whether it waits, rests, is in
a cycle or belongs to a prepared XA transaction, until it is settled: reconciled, or dropped for good.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice

from osc.reconcile.rest import Rest
from osc.table.key import Key

BOOKKEEPING_BYTES = 150
"""What a key costs beside itself: its places in two dictionaries, and in the lists of a cycle."""

MOST_REMEMBERED = 30_000
"""Keys that were reconciled a moment ago."""
REMEMBERED_SHARE = 1 / 8
"""Of the memory, for them."""


class PendingSet:
    """Thread-safe: the tail adds, the reconciler takes and settles, verification watches."""

    def __init__(self, most_bytes: int | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """`most_bytes`: how much memory it may take before there is no room for more."""
        self._most_bytes = most_bytes
        self._bytes_per_key = 0
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._waiting: dict[Key, int] = {}
        # Keys given back by a cycle. Apart from _waiting, whose insertion order is that of the transactions.
        self._held: dict[Key, int] = {}
        self._in_cycle: dict[Key, int] = {}
        self._rest = Rest(clock)
        self.lets_rest = True
        """Whether a key may rest that was reconciled a moment ago."""
        self._prepared: dict[str, tuple[frozenset[Key], int]] = {}
        # Numbered, for an xid may be used again while its first transaction is still on the server's list.
        self._decided: dict[int, tuple[str, frozenset[Key], int]] = {}
        self._decisions = 0
        self._watches: list[set[Key]] = []

    def add(self, keys: Collection[Key], transaction: int) -> None:
        """Keys of row events, received as part of that transaction."""
        with self._lock:
            waiting = self._waiting
            # Looked at one by one the keys would cost more than all else that is done with them here.
            self._bytes_per_key = max(self._bytes_per_key, *(bytes_of(key) for key in islice(keys, 1)), 0)
            for key in keys:
                waiting.setdefault(key, transaction)
            for watch in self._watches:
                watch.update(keys)
            self._changed.notify_all()

    def prepare(self, xid: str, keys: Collection[Key], transaction: int) -> None:
        """Keys of an XA transaction that is prepared: their rows become visible at its commit, or never."""
        with self._lock:
            known, first = self._prepared.get(xid, (frozenset[Key](), transaction))
            self._prepared[xid] = (known | frozenset(keys), min(first, transaction))
            for watch in self._watches:
                watch.update(keys)

    def decide(self, xid: str) -> None:
        """The binlog has the commit or the rollback of that XA transaction, whose rows may still be invisible."""
        with self._lock:
            if xid in self._prepared:
                self._decisions += 1
                self._decided[self._decisions] = (xid, *self._prepared.pop(xid))

    def decided(self) -> dict[int, str]:
        """The xids of transactions that were decided and are not released, by the number of the decision."""
        with self._lock:
            return {number: xid for number, (xid, _, _) in self._decided.items()}

    def release(self, decisions: Iterable[int]) -> None:
        """These decided transactions have left the server's list: their keys may be read."""
        with self._lock:
            for number in decisions:
                _, keys, first = self._decided.pop(number)
                _merge(self._held, dict.fromkeys(keys, first))
            self._changed.notify_all()

    def take(self) -> dict[Key, int]:
        """All keys that wait, for one cycle; each must be settled or held before the next is taken."""
        with self._lock:
            assert not self._in_cycle, "the cycle before has keys that were neither settled nor held"
            batch = self._waiting
            self._waiting = {}
            risen = self._rest.rested()
            _merge(batch, self._held)
            self._held = {}
            self._rest.lay_down(batch)
            _merge(batch, risen)
            self._in_cycle = dict(batch)
            return batch

    def reconciled(self, keys: Collection[Key]) -> None:
        """These keys of this cycle were reconciled."""
        with self._lock:
            self._settle(keys)
            if self.lets_rest:
                _merge(self._held, self._rest.reconciled(keys, self._most_remembered))

    def dropped(self, keys: Iterable[Key]) -> None:
        """These keys of this cycle need not be reconciled, because the copy will read them."""
        with self._lock:
            self._settle(keys)

    def _settle(self, keys: Iterable[Key]) -> None:
        for key in keys:
            del self._in_cycle[key]
        self._changed.notify_all()

    def hold(self, keys: Iterable[Key] | None = None) -> None:
        """Give keys of this cycle back, with their first transaction; all that are left of it by default."""
        with self._lock:
            given_back = list(self._in_cycle) if keys is None else keys
            _merge(self._held, {key: self._in_cycle.pop(key) for key in given_back})

    def rest_no_more(self) -> None:
        """From now on every key may be taken at once: the backlog has to become small."""
        with self._lock:
            self.lets_rest = False
            self._end_rest()

    def _end_rest(self) -> None:
        _merge(self._held, self._rest.end())
        self._changed.notify_all()

    @property
    def _most_remembered(self) -> int:
        if self._most_bytes is None:
            return MOST_REMEMBERED
        return min(MOST_REMEMBERED, int(self._most_bytes * REMEMBERED_SHARE) // max(1, self._bytes_per_key))

    # --- what there is --------------------------------------------------------------------------------------------

    def oldest(self) -> int | None:
        """The first transaction with a key that is not settled; None when there is none."""
        with self._lock:
            firsts = [first for _, first in self._prepared.values()]
            firsts.extend(first for _, _, first in self._decided.values())
            firsts.extend(min(keys.values()) for keys in (self._held, self._in_cycle, self._rest.resting) if keys)
            if self._waiting:
                firsts.append(next(iter(self._waiting.values())))
            return min(firsts, default=None)

    def _of_xa(self) -> list[frozenset[Key]]:
        return [keys for keys, _ in self._prepared.values()] + [keys for _, keys, _ in self._decided.values()]

    @property
    def due(self) -> int:
        """How many keys are to be reconciled, those that rest left out."""
        with self._lock:
            return self._count() - len(self._rest.resting)

    @property
    def due_bytes(self) -> int:
        """How much memory these take, about: as much each as the largest that was looked at."""
        return self.due * self._bytes_per_key

    def wait_for_room(self, timeout_s: float) -> bool:
        """Wait until there is room for more keys; whether there is.

        Keys of prepared XA transactions do not count: they stay until an event that comes behind them.
        """
        with self._lock:
            if not self._has_room():
                self._end_rest()
            return self._changed.wait_for(self._has_room, timeout_s)

    def _has_room(self) -> bool:
        # Some of those that are remembered, and rest, are counted twice.
        keys = len(self._waiting) + len(self._held) + len(self._in_cycle) + len(self._rest.resting) + len(self._rest)
        return self._most_bytes is None or keys * self._bytes_per_key < self._most_bytes

    def wait_for_keys(self, timeout_s: float) -> bool:
        """Wait until there is a key to take; whether there is one."""
        with self._lock:
            return self._changed.wait_for(lambda: bool(self._waiting or self._held), timeout_s)

    @property
    def undecided(self) -> frozenset[str]:
        """XA transactions that have changed rows and are neither committed nor rolled back."""
        with self._lock:
            return frozenset(self._prepared)

    def __len__(self) -> int:
        with self._lock:
            return self._count()

    def _count(self) -> int:
        return sum(len(place) for place in self._places())

    # --- verification ---------------------------------------------------------------------------------------------

    @contextmanager
    def watching(self) -> Iterator[set[Key]]:
        """Inside, a set of all keys that are, or become, unsettled. Look into it with `touched`."""
        with self._lock:
            watch: set[Key] = set().union(*self._places())
            self._watches.append(watch)
        try:
            yield watch
        finally:
            with self._lock:
                self._watches = [other for other in self._watches if other is not watch]

    def touched(self, watch: set[Key], keys: Collection[Key]) -> set[Key]:
        """Those of the keys that were unsettled at some moment since the watch began."""
        with self._lock:
            return {key for key in keys if key in watch}

    def unsettled(self, keys: Collection[Key]) -> set[Key]:
        """Those of the keys that are not settled now."""
        with self._lock:
            places = self._places()
            return {key for key in keys if any(key in place for place in places)}

    def are_mostly_settled(self, keys: Collection[Key]) -> bool:
        """Whether half of them are settled now.

        Of many rows that change again and again, some always have just changed: to wait for all at once is to wait in vain.
        A table of 20,000 rows at 1,000 transactions a second was verified in 7 to 17 s so, and in 2 to 5 s since half of
        them are enough (MySQL 9.7, three and five runs).
        """
        return len(self.unsettled(keys)) <= len(keys) // 2

    def _places(self) -> list[Collection[Key]]:
        return [self._waiting, self._held, self._in_cycle, self._rest.resting, *self._of_xa()]


def _merge(keys: dict[Key, int], others: dict[Key, int]) -> None:
    """Each with the earlier of its first transactions."""
    for key, first in others.items():
        keys[key] = min(first, keys.get(key, first))


def bytes_of(key: Key) -> int:
    """How much memory a pending key takes, the places that it has in dictionaries and lists included."""
    return BOOKKEEPING_BYTES + sys.getsizeof(key) + sum(sys.getsizeof(part) for part in key)
