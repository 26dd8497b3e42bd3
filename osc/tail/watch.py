"""What the tail looks for in the binlog, and whom it tells."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from osc.table.facts import Table
from osc.table.key import Key, KeyColumn, KeyValue
from osc.tail.coordinate import Coordinate


def _nobody() -> frozenset[int]:
    return frozenset()


@dataclass(frozen=True, slots=True)
class Watch:
    """The table whose rows are followed, and the migration's own tables beside it."""

    database: str
    table: str
    key: Sequence[KeyColumn]
    ghosts: Sequence[str] = ()
    """Every name that the ghost table has or will have: definitions by others are looked for, rows are passed over."""
    ghosts_made_by: Coordinate | None = None
    """Up to here, definitions of the ghost and of the state table are an earlier run's, whose connections nobody knows any
    more. What became of the two was looked at when the run was resumed."""
    state_table: str = ""
    """Its first column is the row's id, its second the counter; row 1 is the heartbeat."""
    old_names: Sequence[str] = ()
    """Every name that the old table gets: a rename of the table to one of them is the swap, if it is the engine's own."""
    server_id: int | None = None
    """Of the server that the engine writes to; what came from another is not its own, whatever the connection's id."""
    own_connection_ids: Callable[[], frozenset[int]] = _nobody
    """The connection ids of the engine's sessions, whose definitions are no surprise."""
    lower_case_table_names: int = 0
    defaults: Mapping[int, KeyValue] = field(default_factory=dict)
    """By the key's part, 0 for the first: the value that an insert leaves out of a MINIMAL row image."""
    column_count: int | None = None
    """Columns that the table has at least; one with fewer is another table."""
    fraction_digits: Mapping[int, int] = field(default_factory=dict)
    """By the column's index, 0 for the first: the digits of a time. Only old MariaDB formats need them."""


def fraction_digits(table: Table) -> dict[int, int]:
    """The digits behind the point of the table's times, by the column's index."""
    found: dict[int, int] = {}
    for column in table.columns:
        digits = re.fullmatch(r"(?:time|datetime|timestamp)\((\d)\).*", column.column_type.lower())
        if digits:
            found[column.position - 1] = int(digits[1])
    return found


class Sink(Protocol):
    """Hears of keys, on the tail's thread. Transactions are numbered in the order in which they came."""

    def changed(self, keys: Collection[Key], transaction: int) -> None:
        """Rows of these keys were inserted, updated (the key before and after) or deleted."""

    def prepared(self, xid: str, keys: Collection[Key], transaction: int) -> None:
        """An XA transaction was prepared; its rows become visible at its commit, or never. `xid` is as in `XA COMMIT xid`."""

    def decided(self, xid: str, committed: bool, transaction: int) -> None:
        """A prepared XA transaction was committed or rolled back."""

    def heartbeat(self, counter: int) -> None:
        """The heartbeat of that counter has passed: everything before it in the binlog has been told."""


@dataclass(frozen=True, slots=True)
class TailCounters:
    """What the tail has read so far."""

    events: int
    bytes: int
    row_events: int
    rows: int
    """Rows of the watched table."""
    skipped_row_events: int
    """Row events passed over by their header: the engine's own writes, and other tables'."""
