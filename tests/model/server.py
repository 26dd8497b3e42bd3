"""A model of a server: what is in its binlog, what of that is visible, who holds which lock.

Faithful in what loses rows. A transaction is in the binlog, where the tail may read it, before its rows are visible; engines
commit in binlog order. The rows of an XA transaction are logged when it is prepared, and visible after its commit, or
never; on MariaDB the commit becomes visible whenever it likes. A statement reads the original at its start and writes the
ghost later. A row is locked from its change to the engine's commit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from osc.table.key import Key

PLACES = 5
"""Rows that the table may have, numbered in the server's order of their keys."""

UNIQUE_VALUES = (1, 2, 3)

_LETTERS = b"caebd"
"""The order of a collation that is not the order of the bytes, and for which 'a' and 'A' are one key."""

Op: TypeAlias = tuple[Literal["put", "delete"], int, int]
"""What to do at which place; for `put` the value of the other unique column, 0 for NULL."""

Lock: TypeAlias = tuple[str, int]

How: TypeAlias = Literal["skip", "replace", "insert"]
"""What a row in the way of a new one means: the new one is skipped, the other replaced, or nothing is written (1062)."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The kind of server and of table."""

    unique: Literal["none", "same", "stricter"] = "none"
    """The ghost's other unique key: none, the original's, or one that the original does not have."""
    compares: bool = True
    """Whether keys compare in Python as in the server."""
    is_mariadb: bool = False
    """XA commits are not covered by the barrier, and prepared transactions whose client is gone do not hold the table."""
    verifies: bool = True
    """Whether the run compares the tables before the swap; without it, nothing but the rules keeps the rows."""
    rows: tuple[tuple[int, int], ...] = ()
    """The table at the start: places and unique values."""
    range_rows: int = 1
    mark_every: int = 1
    """Of how many transactions the tail remembers one's place."""

    @property
    def keeps_distinct(self) -> bool:
        """Whether no two rows of the original ever have one unique value. If two have, under a stricter key, it takes the
        comparison to find out that one of them was left out."""
        return self.unique == "same" or not self.verifies


@dataclass(frozen=True, slots=True)
class Kind:
    """Settings that are not left to chance."""

    unique: Literal["none", "same", "stricter"] | None = None
    compares: bool | None = None
    is_mariadb: bool | None = None
    verifies: bool | None = None

    def of(self, settings: Settings) -> Settings:
        """Those settings, of this kind."""
        return replace(
            settings,
            unique=settings.unique if self.unique is None else self.unique,
            compares=settings.compares if self.compares is None else self.compares,
            is_mariadb=settings.is_mariadb if self.is_mariadb is None else self.is_mariadb,
            verifies=settings.verifies if self.verifies is None else self.verifies,
        )


@dataclass(frozen=True, slots=True)
class Row:
    """A row, in both tables."""

    key: Key
    version: int
    unique: int


Rows: TypeAlias = Mapping[int, Row]


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the binlog. `other` is a whole transaction that the tail passes over."""

    kind: Literal["begin", "rows", "beat", "end", "prepared", "decided", "other"]
    keys: tuple[Key, ...] = ()
    xid: str = ""
    beat: int = 0


@dataclass(slots=True)
class Commit:
    """A commit that is in the binlog; `is_visible` once the engine has committed too, and the client is answered."""

    apply: Callable[[], None]
    holds_table: bool = False
    is_visible: bool = False


@dataclass(slots=True)
class Change:
    """What an application's transaction does to the original."""

    rows: dict[int, Row | None] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    locks: set[Lock] = field(default_factory=set)


class Duplicate(Exception):
    """Error 1062."""


class TakenOver(Exception):
    """The epoch is a later run's."""


class Server:
    """One server with the original, the ghost and the state table."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.source: dict[int, Row] = {}
        self.ghost: dict[int, Row] = {}
        self.binlog: list[Event] = []
        self.pipeline: deque[Commit] = deque()
        self.xids: set[str] = set()
        """Of transactions that have not ended."""
        self.prepared: dict[str, Change] = {}
        """What `XA RECOVER` lists."""
        self.deciding: dict[str, bool] = {}
        """Decisions that are in the binlog and not visible (MariaDB)."""
        self.epoch = 0
        self.epoch_holders: list[object] = []
        """Transactions that hold a share lock on the epoch's row."""
        self.beats = 0
        self.checkpoint: object = None
        self.had_duplicates = False
        self.is_locked = False
        self.open: list[GhostTransaction] = []
        self._locks: set[Lock] = set()
        self._versions = 0
        for place, unique in settings.rows:
            self.source[place] = self._new_row(place, unique)

    # --- keys -----------------------------------------------------------------------------------------------------

    def key(self, place: int, spelling: int = 0) -> Key:
        """A key of that place; keys that do not compare have two spellings."""
        if self.settings.compares:
            return (place,)
        letter = _LETTERS[place : place + 1]
        return (letter.upper() if spelling % 2 else letter,)

    def place(self, key: Key) -> int:
        """Where the key is in the server's order."""
        value = key[0]
        return _LETTERS.index(value.lower()) if isinstance(value, bytes) else int(value)

    # --- the application ------------------------------------------------------------------------------------------

    def change(self, ops: Sequence[Op]) -> Change | None:
        """What these operations come to, locked; None when one would have to wait or is refused."""
        if self.is_locked:
            return None
        change = Change()
        for op, place, unique in ops:
            before = change.rows[place] if place in change.rows else self.source.get(place)
            after = self._new_row(place, unique) if op == "put" else None
            if before is None and after is None:
                continue
            locks = {("key", place)} | {("unique", row.unique) for row in (before, after) if row and row.unique}
            if locks & self._locks:
                return None
            if self.settings.keeps_distinct and after is not None and self._is_taken(change, place, unique):
                return None
            change.rows[place] = after
            change.locks |= locks
            keys = dict.fromkeys(row.key for row in (before, after) if row)
            change.events.append(Event("rows", tuple(keys)))
        if not change.rows:
            return None
        self._locks |= change.locks
        return change

    def _new_row(self, place: int, unique: int) -> Row:
        self._versions += 1
        return Row(self.key(place, self._versions), self._versions, unique)

    def _is_taken(self, change: Change, place: int, unique: int) -> bool:
        rows = {**self.source, **change.rows}
        return unique != 0 and any(row and row.unique == unique for at, row in rows.items() if at != place)

    def commit(self, change: Change) -> None:
        """Write the transaction to the binlog; its rows become visible when its turn comes."""
        self._log([Event("begin"), *change.events, Event("end")], lambda: self._apply(change), holds_table=True)

    def prepare_xa(self, xid: str, change: Change) -> None:
        """`XA PREPARE`: the rows are logged; the server lists the transaction a moment later."""

        self.xids.add(xid)

        def list_it() -> None:
            self.prepared[xid] = change

        events = [Event("begin"), *change.events, Event("prepared", xid=xid)]
        self._log(events, list_it, holds_table=True)

    def decide_xa(self, xid: str, commits: bool) -> None:
        """`XA COMMIT` or `XA ROLLBACK` of a listed transaction."""
        events = [Event("begin"), Event("decided", xid=xid)]
        if self.settings.is_mariadb:
            self.deciding[xid] = commits
            self._log(events, lambda: None)
        else:
            self.deciding[xid] = commits
            self._log(events, lambda: self.finish_xa(xid))

    def finish_xa(self, xid: str) -> None:
        """The decision becomes visible, and the transaction leaves the list."""
        change = self.prepared.pop(xid)
        self.xids.remove(xid)
        if self.deciding.pop(xid):
            self._apply(change)
        else:
            self._locks -= change.locks

    def _apply(self, change: Change) -> None:
        for place, row in change.rows.items():
            if row is None:
                self.source.pop(place, None)
            else:
                self.source[place] = row
        self._locks -= change.locks
        uniques = [row.unique for row in self.source.values() if row.unique]
        self.had_duplicates |= len(uniques) != len(set(uniques))

    # --- group commit ---------------------------------------------------------------------------------------------

    def _log(self, events: Iterable[Event], apply: Callable[[], None], holds_table: bool = False) -> Commit:
        commit = Commit(apply, holds_table)
        self.binlog.extend(events)
        self.pipeline.append(commit)
        return commit

    def make_visible(self) -> None:
        """The engine commits the transaction whose turn it is."""
        commit = self.pipeline.popleft()
        commit.apply()
        commit.is_visible = True

    # --- the engine's small transactions --------------------------------------------------------------------------

    def beat(self) -> tuple[int, Commit]:
        """Commit a heartbeat; its counter, and the commit to wait for."""
        self.beats += 1
        return self.beats, self._log([Event("begin"), Event("beat", beat=self.beats), Event("end")], lambda: None)

    def raise_epoch(self) -> Commit:
        """Begin an epoch: only when nobody holds the row."""
        self.epoch += 1
        return self._log([Event("other")], lambda: None)

    def save(self, checkpoint: object, holder: object) -> Commit:
        """Commit a checkpoint, in a transaction that holds the epoch's row."""

        def apply() -> None:
            self.checkpoint = checkpoint
            self.epoch_holders.remove(holder)

        return self._log([Event("other")], apply)

    def commit_ghost(self, transaction: GhostTransaction) -> Commit:
        """Commit a transaction on the ghost."""
        return self._log([Event("other")], transaction.end)

    # --- the swap -------------------------------------------------------------------------------------------------

    @property
    def can_lock_tables(self) -> bool:
        """Whether nobody uses the original, the ghost or the state table."""
        detached = self.settings.is_mariadb or not self.prepared
        return not any(c.holds_table for c in self.pipeline) and not self.open and not self.epoch_holders and detached


class GhostTransaction:
    """A transaction that writes the ghost: begun, a statement's snapshot taken, written, committed."""

    def __init__(self, server: Server, epoch: int, holds_epoch: bool) -> None:
        """Raises TakenOver."""
        if holds_epoch and server.epoch != epoch:
            raise TakenOver
        self._server = server
        self._holds_epoch = holds_epoch
        self.changes: dict[int, Row | None] = {}
        self.locks: set[Lock] = set()
        self.statement: tuple[Mapping[int, Row], How] | None = None
        """The statement under way: what it has read, and how it writes that. It goes on without its client."""
        self.commit_sent: Commit | None = None
        server.open.append(self)
        if holds_epoch:
            server.epoch_holders.append(self)

    def rows(self) -> dict[int, Row]:
        """The ghost as this transaction sees it."""
        seen: dict[int, Row | None] = {**self._server.ghost, **self.changes}
        return {place: row for place, row in seen.items() if row is not None}

    def is_free(self, places: Iterable[int], rows: Iterable[Row] = ()) -> bool:
        """Whether none of the places and unique values is locked by another transaction."""
        wanted: set[Lock] = {("key", place) for place in places}
        wanted |= {("unique", row.unique) for row in rows if row.unique and self._server.settings.unique != "none"}
        return not any(wanted & other.locks for other in self._server.open if other is not self)

    @property
    def can_go_on(self) -> bool:
        """Whether the statement under way has to wait for nobody."""
        return self.statement is None or self.is_free(self.statement[0], self.statement[0].values())

    def go_on(self) -> None:
        """Let the statement under way write what it has read."""
        if self.statement is not None:
            self.write(*self.statement)
            self.statement = None

    def delete(self, places: Iterable[int]) -> None:
        """Delete the rows there; only rows that are there are locked."""
        seen = self.rows()
        for place in places:
            if place in seen:
                self._lock(place, seen[place])
                self.changes[place] = None

    def write(self, rows: Mapping[int, Row], how: How) -> None:
        """Insert rows. Raises Duplicate, with nothing written."""
        seen = self.rows()
        changes: dict[int, Row | None] = {}
        for place, row in rows.items():
            in_the_way = [at for at, other in seen.items() if at == place or self._collides(row, other)]
            if in_the_way and how == "insert":
                raise Duplicate
            if in_the_way and how == "skip":
                continue
            for at in in_the_way:
                self._lock(at, seen.pop(at))
                changes[at] = None
            changes[place] = seen[place] = row
            self._lock(place, row)
        self.changes.update(changes)

    def _collides(self, row: Row, other: Row) -> bool:
        return self._server.settings.unique != "none" and row.unique != 0 and row.unique == other.unique

    def _lock(self, place: int, row: Row) -> None:
        self.locks.add(("key", place))
        if row.unique and self._server.settings.unique != "none":
            self.locks.add(("unique", row.unique))

    def commit(self) -> Commit:
        """Send the commit; the client waits for it to become visible."""
        self.commit_sent = self._server.commit_ghost(self)
        return self.commit_sent

    def rollback(self) -> None:
        """Undo everything. A commit that was sent goes its way."""
        if self.commit_sent is None:
            self.changes.clear()
            self.end()

    def end(self) -> None:
        """Let the changes be seen and release the locks."""
        for place, row in self.changes.items():
            if row is None:
                self._server.ghost.pop(place, None)
            else:
                self._server.ghost[place] = row
        self._server.open.remove(self)
        if self._holds_epoch:
            self._server.epoch_holders.remove(self)
