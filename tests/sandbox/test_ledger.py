"""Ledgers and the transactions made up for them, without a server."""

from __future__ import annotations

import random

import pytest

from osc.sandbox.ledger import Ledger, Row, View, all_values, written_columns
from osc.sandbox.orders import CORE_COLUMNS, GAP, KeyKind, OrdersTable
from osc.sandbox.transactions import Clerk

WRITERS = 3


def ledgers(table: OrdersTable) -> list[Ledger]:
    columns = written_columns(table, CORE_COLUMNS)
    return [Ledger(table, columns, writer, WRITERS) for writer in range(WRITERS)]


def write(ledger: Ledger, transactions: int, seed: int = 1) -> None:
    """Commit what is not to be rolled back, numbering automatic rows as a server would."""
    clerk = Clerk(ledger, seed)
    automatic = ledger.table.first_automatic + ledger.writer
    for _ in range(transactions):
        transaction = clerk.next()
        for statement in transaction.statements:
            if statement.appends is not None:
                transaction.changes[automatic] = statement.appends
                automatic += WRITERS
        if transaction.commits:
            ledger.commit(transaction.changes)


@pytest.mark.parametrize("key", ["int", "composite", "string"])
def test_no_two_writers_touch_the_same_row(key: KeyKind) -> None:
    table = OrdersTable("d", "t", 50, key, has_slot=True)
    all_ledgers = ledgers(table)
    for ledger in all_ledgers:
        write(ledger, 500)
    touched = [set(ledger.changed) for ledger in all_ledgers]
    assert all(touched)
    assert not touched[0] & touched[1]
    assert not touched[0] & touched[2]
    assert not touched[1] & touched[2]


def test_every_slot_stays_unique_whatever_is_exchanged_handed_over_and_inherited() -> None:
    table = OrdersTable("d", "t", 50, has_slot=True)
    all_ledgers = ledgers(table)
    for ledger in all_ledgers:
        write(ledger, 1000)
    changed = {number: row for ledger in all_ledgers for number, row in ledger.changed.items()}
    slots = [row.written[-1] for row in changed.values() if row is not None and row.written[-1] is not None]
    slots += [number for number in range(GAP, GAP * table.rows + 1, GAP) if number not in changed]
    assert len(slots) == len(set(slots))
    assert len(slots) > table.rows


def test_a_second_run_takes_no_slot_of_the_first() -> None:
    ledger = ledgers(OrdersTable("d", "t", 0, has_slot=True))[0]
    first, second = Clerk(ledger, 1, run=1), Clerk(ledger, 1, run=2)
    slots = [{first._next_slot() for _ in range(1000)}, {second._next_slot() for _ in range(1000)}]
    assert not slots[0] & slots[1]


def test_numbers_have_distinct_keys() -> None:
    for key in ("int", "composite", "string"):
        table = OrdersTable("d", "t", 10_000, key)
        assert len({table.key_of(number) for number in range(50_000)}) == 50_000


def test_a_moved_row_keeps_the_values_that_nobody_wrote() -> None:
    table = OrdersTable("d", "t", 10)
    columns = written_columns(table, ("amount",))
    row = Row(8, ("9.99", "2025-01-01 00:00:00", 1))
    values = dict(zip(table.column_names, all_values(table, columns, 9, row), strict=True))
    first = table.first_values(8)
    assert values == {**first, "id": 9, "amount": "9.99", "updated_at": "2025-01-01 00:00:00", "version": 1}


def test_an_inserted_row_has_the_defaults_where_nobody_wrote() -> None:
    table = OrdersTable("d", "t", 10)
    columns = written_columns(table, ("amount",))
    row = Row(0, ("9.99", "2025-01-01 00:00:00", 0))
    values = dict(zip(table.column_names, all_values(table, columns, 9, row), strict=True))
    assert (values["status"], values["city"], values["customer_id"]) == ("new", None, 0)


def test_a_view_sees_what_its_transaction_changed_and_the_ledger_does_not() -> None:
    ledger = ledgers(OrdersTable("d", "t", 30))[1]
    view = View(ledger, random.Random(1))
    view.changes[GAP] = None
    assert view.row(GAP) is None
    assert ledger.row(GAP) is not None
    assert GAP not in [number for number, _ in view.pick(100)]


def test_a_writer_without_rows_can_only_append() -> None:
    ledger = ledgers(OrdersTable("d", "t", 0))[2]
    view = View(ledger, random.Random(1))
    assert view.pick(3) == []
    assert view.gap() is None
    write(ledger, 200)
    assert any(row is not None for row in ledger.changed.values())


def test_statements_name_core_columns_and_no_others() -> None:
    table = OrdersTable("d", "t", 50)
    ledger = Ledger(table, written_columns(table, ("amount",)), 0, 1)
    clerk = Clerk(ledger, 1)
    others = {column.name for column in table.value_columns} - {"amount", "updated_at", "version"}
    statements = [statement.sql for _ in range(300) for statement in clerk.next().statements]
    assert statements
    assert not [sql for sql in statements for column in others if f"`{column}`" in sql]


def test_an_unknown_core_column_is_refused() -> None:
    with pytest.raises(ValueError, match="no column colour"):
        written_columns(OrdersTable("d", "t", 1), ("amount", "colour"))


def test_all_kinds_of_change_are_made() -> None:
    ledger = ledgers(OrdersTable("d", "t", 300, has_slot=True))[0]
    clerk = Clerk(ledger, 1)
    transactions = [clerk.next() for _ in range(500)]
    sql = [statement.sql for transaction in transactions for statement in transaction.statements]
    for start in ("insert", "delete", "select", "update `d`.`t` set `id` =", "update `d`.`t` set `slot` ="):
        assert [text for text in sql if text.startswith(start)], start
    assert any(statement.appends for transaction in transactions for statement in transaction.statements)
    assert any(not transaction.commits for transaction in transactions)
    assert any(len(transaction.statements) > 3 for transaction in transactions)
