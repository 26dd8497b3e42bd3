"""What one writer knows that it committed: the truth about the rows with its numbers.

Writers share a table and no number, so the final table is the union of their ledgers over the rows of the start. A
ledger keeps only rows that were touched; what the others hold follows from their number.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from osc.sandbox.orders import ALWAYS_WRITTEN, GAP, OrdersTable, Value

_TRIES = 1000


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it was committed: the written columns' values, the others as its origin has them."""

    origin: int
    """The number of the first row whose other columns it carries; 0 for a row that a writer inserted."""
    written: tuple[Value, ...]
    """In the order of `written_columns`."""


def written_columns(table: OrdersTable, core_columns: Sequence[str]) -> tuple[str, ...]:
    """The columns that writers name in their statements. Raises ValueError for one that the table has not."""
    known = {column.name for column in table.value_columns}
    if unknown := set(core_columns) - known:
        raise ValueError(f"the sandbox's table has no column {', '.join(sorted(unknown))}")
    extra = (*ALWAYS_WRITTEN, "slot") if table.has_slot else ALWAYS_WRITTEN
    return (*(column for column in core_columns if column not in extra), *extra)


def all_values(table: OrdersTable, columns: Sequence[str], number: int, row: Row) -> tuple[Value, ...]:
    """The whole row, key first, in the order of `table.column_names`."""
    values = table.first_values(row.origin) if row.origin else table.default_values()
    values |= dict(zip(columns, row.written, strict=True))
    return table.key_of(number) + tuple(values[column.name] for column in table.value_columns)


class Ledger:
    """The rows of one writer. Block `i` (the numbers from `4 * i` on) belongs to writer `i % writers`."""

    def __init__(self, table: OrdersTable, columns: Sequence[str], writer: int, writers: int) -> None:
        self.table = table
        self.columns = tuple(columns)
        self.writer = writer
        self.changed: dict[int, Row | None] = {}
        """Rows that were touched, by number; None is a row that is no more."""
        self._appended: list[int] = []
        self._blocks = range(writer or writers, table.rows + 1, writers)
        self._tails: Iterator[int] = iter(range(self._blocks.start + len(self._blocks) * writers, 2**40, writers))

    def row(self, number: int) -> Row | None:
        """The row as last committed, or None when there is none of that number."""
        if number in self.changed:
            return self.changed[number]
        block, rest = divmod(number, GAP)
        if rest or not 1 <= block <= self.table.rows:
            return None
        values = self.table.first_values(number)
        return Row(number, tuple(values[column] for column in self.columns))

    def commit(self, changes: Mapping[int, Row | None]) -> None:
        """Remember what a transaction did, now that its commit is certain."""
        last = self.table.rows * GAP + GAP
        self._appended += [number for number in changes if number >= last and number not in self.changed]
        self.changed.update(changes)

    def next_tail(self) -> int:
        """A number beyond all that were used; never the same twice."""
        return next(self._tails) * GAP


class View:
    """The ledger as a transaction sees it that has changed rows and not committed yet."""

    def __init__(self, ledger: Ledger, rng: random.Random) -> None:
        self.ledger = ledger
        self.changes: dict[int, Row | None] = {}
        self._rng = rng

    def row(self, number: int) -> Row | None:
        return self.changes[number] if number in self.changes else self.ledger.row(number)

    def pick(self, count: int) -> list[tuple[int, Row]]:
        """Up to `count` different rows that exist, one in five of them appended lately."""
        found: dict[int, Row] = {}
        for number in self._candidates():
            if number not in found and (row := self.row(number)) is not None:
                found[number] = row
                if len(found) == count:
                    break
        return list(found.items())

    def gap(self) -> int | None:
        """A number of this writer's among the first rows' that is free; None when none was found."""
        return next((number for number in self._candidates(appended=0.0) if self.row(number) is None), None)

    def _candidates(self, appended: float = 0.2) -> Iterable[int]:
        rng, blocks, tail = self._rng, self.ledger._blocks, self.ledger._appended
        for _ in range(_TRIES):
            if tail and (not blocks or rng.random() < appended):
                yield tail[-1 - min(int(rng.expovariate(1 / 200)), len(tail) - 1)]
            elif blocks:
                yield rng.choice(blocks) * GAP + (0 if rng.random() < 0.6 else rng.randrange(GAP))
