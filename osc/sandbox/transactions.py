"""What a shop does to its orders: random transactions, each as statements to send and the rows that it leaves.

Nothing here talks to a server. Every statement names its columns and finds its rows by key, and must change exactly the
rows that the ledger knows: a row that a migration lost shows in the number of affected rows at once.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from osc.mysql.sql import columns_list, qualified, quote
from osc.sandbox.ledger import Ledger, Row, View
from osc.sandbox.orders import CITIES, EPOCH, NOTES, STATUSES, Value, hundredths, milliseconds

ROLLBACK_SHARE = 0.03
MULTI_SHARE = 0.15


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a transaction."""

    sql: str
    parameters: tuple[Value, ...]
    rows: int
    """How many rows it must change, or return."""
    returns: Value = None
    """What a `SELECT` must answer, when it is one."""
    appends: Row | None = None
    """The row that it inserts under a number that the server chooses."""


@dataclass(slots=True)
class Transaction:
    """Statements to send in order, and what they leave if they are committed."""

    statements: list[Statement]
    changes: dict[int, Row | None]
    commits: bool
    rows_changed: int = field(init=False)

    def __post_init__(self) -> None:
        self.rows_changed = sum(statement.rows for statement in self.statements if statement.returns is None)


class Clerk:
    """Makes up transactions on one ledger's rows; the same seed makes the same ones, as long as all commit."""

    def __init__(self, ledger: Ledger, seed: int, run: int = 0) -> None:
        self._ledger = ledger
        self._table = ledger.table
        self._columns = ledger.columns
        self._rng = random.Random(f"{seed} {ledger.writer} {run}")
        self._fresh_slot = ((ledger.writer + 1) << 48) + (run << 40)
        self._name = qualified(self._table.database, self._table.name)
        self._where = " and ".join(f"{quote(column)} = %s" for column in self._table.key_columns)
        self._version = self._columns.index("version")
        self._updated = self._columns.index("updated_at")
        self._free = [column for column in self._columns if column not in ("version", "updated_at", "slot")]
        self._view = View(ledger, self._rng)
        self._statements: list[Statement] = []
        self._kinds: list[tuple[Callable[[], None], int]] = [
            (self._update, 40),
            (self._update_many, 6),
            (self._insert, 14),
            (self._append, 10),
            (self._delete, 18),
            (self._move, 8),
            (self._read, 4),
        ]
        if self._table.has_slot:
            self._kinds += [(self._exchange_slots, 8), (self._hand_slot_over, 5), (self._inherit_slot, 3)]

    def next(self) -> Transaction:
        """The next transaction, on the rows as they are committed now."""
        self._view = View(self._ledger, self._rng)
        self._statements = []
        steps = self._rng.randint(2, 6) if self._rng.random() < MULTI_SHARE else 1
        kinds, weights = zip(*self._kinds, strict=True)
        for step in self._rng.choices(kinds, weights, k=steps):
            step()
        return Transaction(self._statements, self._view.changes, self._rng.random() >= ROLLBACK_SHARE)

    # --- kinds of change ------------------------------------------------------------------------------------------

    def _update(self) -> None:
        for number, row in self._view.pick(1):
            some = self._rng.sample(self._free, min(len(self._free), self._rng.randint(1, 3)))
            self._change(number, row, {column: self._value(column) for column in some})

    def _update_many(self) -> None:
        picked = self._view.pick(self._rng.randint(2, 5))
        if not picked or not self._free:
            return
        column = self._rng.choice(self._free)
        value, moment = self._value(column), self._moment()
        places = " or ".join(f"({self._where})" for _ in picked)
        keys = tuple(part for number, _ in picked for part in self._table.key_of(number))
        sets = f"{quote(column)} = %s, `updated_at` = %s, `version` = `version` + 1"
        self._statements.append(
            Statement(f"update {self._name} set {sets} where {places}", (value, moment, *keys), len(picked))
        )
        for number, row in picked:
            self._view.changes[number] = self._with(row, {column: value, "updated_at": moment})

    def _insert(self) -> None:
        number = self._view.gap()
        if number is not None:
            self._insert_at(number, self._new_row(self._next_slot()))

    def _append(self) -> None:
        row = self._new_row(self._next_slot())
        if self._table.key != "int" or self._rng.random() < 0.3:
            self._insert_at(self._ledger.next_tail(), row)
            return
        places = ", ".join(["%s"] * len(self._columns))
        sql = f"insert into {self._name} ({columns_list(self._columns)}) values ({places})"
        self._statements.append(Statement(sql, row.written, 1, appends=row))

    def _delete(self) -> None:
        for number, _ in self._view.pick(1):
            self._delete_at(number)

    def _move(self) -> None:
        goal = self._view.gap()
        for number, row in self._view.pick(1):
            if goal is None:
                return
            moment = self._moment()
            keys = ", ".join(f"{quote(column)} = %s" for column in self._table.key_columns)
            sql = f"update {self._name} set {keys}, `updated_at` = %s, `version` = `version` + 1 where {self._where}"
            parameters = (*self._table.key_of(goal), moment, *self._table.key_of(number))
            self._statements.append(Statement(sql, parameters, 1))
            self._view.changes[number] = None
            self._view.changes[goal] = self._with(row, {"updated_at": moment})

    def _read(self) -> None:
        for number, row in self._view.pick(1):
            sql = f"select `version` from {self._name} where {self._where}"
            version = row.written[self._version]
            self._statements.append(Statement(sql, self._table.key_of(number), 1, returns=version))

    def _exchange_slots(self) -> None:
        picked = self._view.pick(2)
        if len(picked) < 2:
            return
        (a, row_a), (b, row_b) = picked
        slot_a, slot_b = row_a.written[-1], row_b.written[-1]
        row_a = self._change(a, row_a, {"slot": None})
        self._change(b, row_b, {"slot": slot_a})
        self._change(a, row_a, {"slot": slot_b})

    def _hand_slot_over(self) -> None:
        picked = self._view.pick(2)
        if len(picked) < 2:
            return
        (giver, given), (taker, taken) = picked
        slot = given.written[-1]
        self._change(giver, given, {"slot": self._next_slot()})
        self._change(taker, taken, {"slot": slot})

    def _inherit_slot(self) -> None:
        goal = self._view.gap()
        for number, row in self._view.pick(1):
            if goal is not None:
                self._delete_at(number)
                self._insert_at(goal, self._new_row(row.written[-1]))

    # --- statements -----------------------------------------------------------------------------------------------

    def _change(self, number: int, row: Row, values: dict[str, Value]) -> Row:
        values = {**values, "updated_at": self._moment()}
        sets = ", ".join(f"{quote(column)} = %s" for column in values)
        sql = f"update {self._name} set {sets}, `version` = `version` + 1 where {self._where}"
        self._statements.append(Statement(sql, (*values.values(), *self._table.key_of(number)), 1))
        self._view.changes[number] = changed = self._with(row, values)
        return changed

    def _insert_at(self, number: int, row: Row) -> None:
        columns = (*self._table.key_columns, *self._columns)
        sql = f"insert into {self._name} ({columns_list(columns)}) values ({', '.join(['%s'] * len(columns))})"
        self._statements.append(Statement(sql, (*self._table.key_of(number), *row.written), 1))
        self._view.changes[number] = row

    def _delete_at(self, number: int) -> None:
        self._statements.append(
            Statement(f"delete from {self._name} where {self._where}", self._table.key_of(number), 1)
        )
        self._view.changes[number] = None

    # --- values ---------------------------------------------------------------------------------------------------

    def _with(self, row: Row, values: dict[str, Value]) -> Row:
        """The row after an update that set these values and counted the version up."""
        written = list(row.written)
        for column, value in values.items():
            written[self._columns.index(column)] = value
        version = written[self._version]
        assert isinstance(version, int)
        written[self._version] = version + 1
        return Row(row.origin, tuple(written))

    def _new_row(self, slot: Value) -> Row:
        values: dict[str, Value] = {column: self._value(column) for column in self._free}
        values |= {"updated_at": self._moment(), "version": 0, "slot": slot}
        return Row(0, tuple(values[column] for column in self._columns))

    def _next_slot(self) -> int:
        self._fresh_slot += 1
        return self._fresh_slot

    def _moment(self) -> str:
        return f"{EPOCH + timedelta(seconds=self._rng.randrange(60_000_000))}"

    def _value(self, column: str) -> Value:
        rng = self._rng
        match column:
            case "customer_id":
                return rng.randrange(1, 50001)
            case "status":
                return rng.choice(STATUSES)
            case "amount":
                return hundredths(rng.randrange(100_000_000))
            case "discount":
                return rng.choice((None, f"0.{rng.randrange(1000):03}"))
            case "note":
                return rng.choice((None, f"{rng.choice(NOTES)} {rng.randrange(10**6)}", "x" * rng.randrange(150)))
            case "city":
                return rng.choice((None, *CITIES))
            case "weight":
                return rng.randrange(8192) / 64
            case "attributes":
                return rng.choice((None, f'{{"items": {rng.randrange(9)}, "channel": "phone"}}'))
            case "token":
                return rng.choice((None, rng.randbytes(rng.randrange(9)), rng.randbytes(4) + b"\0\0"))
            case "placed_at":
                return milliseconds(EPOCH + timedelta(milliseconds=rng.randrange(10**10)))
        raise ValueError(f"no values are known for column {column}")
