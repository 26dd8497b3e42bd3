"""The tables that are altered: how each is made and filled, and how an application writes to it.

Rows have numbers, from 1. Every column is an SQL expression of the row's number, so the same expressions fill the table on
the server and make the rows that a load inserts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bench.alters import DEFINITIONS
from osc.mysql.sql import columns_list

DATABASE, TABLE = "sbtest", "sbtest1"
ALTER = "ENGINE=InnoDB"
"""A rebuild that changes nothing, so that a run finds the table as the one before it did."""
_FILL_ROWS = 50_000


@dataclass(frozen=True, slots=True)
class BenchTable:
    """One table. Expressions have `{n}` where the row's number goes."""

    name: str
    title: str
    definitions: tuple[str, ...]
    values: Mapping[str, str]
    """The expression of each column."""
    where: str
    """How a row is found by its number."""
    beyond: str
    """What holds for the rows that a load has appended; `{rows}` is the number of those that were filled."""
    updates: tuple[str, str]
    """Two assignments: of a column with an index, where the table has one, and of one without."""
    rows_share: float = 1.0
    """Rows in proportion to the first table's: wide rows are fewer."""
    is_sysbench: bool = False
    """Whether sysbench's own oltp_write_only can write to it."""

    def rows(self, base: int) -> int:
        """How many rows it has where the first table has `base`."""
        return max(1000, int(base * self.rows_share))

    def create(self) -> str:
        """The `CREATE TABLE`."""
        return f"create table {TABLE} ({', '.join(self.definitions)}) engine=InnoDB"

    def fills(self, rows: int) -> Iterator[str]:
        """The `INSERT`s that fill it; the session must allow `2 * recursion()` rounds of recursion."""
        for first in range(1, rows + 1, _FILL_ROWS):
            last = min(first + _FILL_ROWS - 1, rows)
            yield (
                f"insert into {TABLE} ({columns_list(self.values)}) with recursive n (i) as"
                f" (select {first} union all select i + 1 from n where i < {last}) select {self._values('i')} from n"
            )

    def insert(self, number: str) -> str:
        """The `INSERT` of one row; `number` is its number, or what a load puts there."""
        return f"insert into {TABLE} ({columns_list(self.values)}) select {self._values(number)}"

    def update(self, which: int, number: str) -> str:
        """One of the two `UPDATE`s, of one row."""
        return f"update {TABLE} set {self.updates[which]} where {self.where.replace('{n}', number)}"

    def delete(self, number: str) -> str:
        """The `DELETE` of one row."""
        return f"delete from {TABLE} where {self.where.replace('{n}', number)}"

    def delete_appended(self, rows: int) -> str:
        """The `DELETE` of what a load has appended to the `rows` that were filled."""
        return f"delete from {TABLE} where {self.beyond.replace('{rows}', str(rows))}"

    def _values(self, number: str) -> str:
        return ", ".join(value.replace("{n}", number) for value in self.values.values())


def recursion() -> int:
    """How deep the recursion of a fill goes at most."""
    return 2 * _FILL_ROWS


def _digits(groups: int) -> str:
    return f"concat_ws('-', {', '.join(['lpad(floor(rand() * 1e11), 11, 0)'] * groups)})"


_SCATTERED = "lpad(lower(hex({n} * 2654435761 % 4294967296)), 8, '0')"
"""Eight hexadecimal digits, another for every number, in no order."""
_CUBE = "cast({n} as unsigned) * {n} * {n}"
_CITY = "elt(1 + {n} % 5, 'Lisboa', 'Tallinn', 'Ljubljana', 'Gdansk', 'Valletta')"
_STATUS = "elt(1 + {n} % 4, 'new', 'paid', 'shipped', 'returned')"
_WHEN = "'2024-01-01' + interval ({n} * 61 % 50000000) second"

_INDEXES = BenchTable(
    name="indexes",
    title="8 columns, five secondary indexes",
    definitions=(
        "id bigint not null auto_increment primary key",
        "customer int not null",
        "status varchar(16) not null",
        "amount decimal(12,2) not null",
        "city varchar(40) not null",
        "note varchar(200) not null",
        "placed datetime(3) not null",
        "changed datetime not null",
        "key by_customer (customer, placed)",
        "key by_status (status, placed)",
        "key by_city (city, customer)",
        "key by_amount (amount)",
        "key by_changed (changed, customer)",
    ),
    values={
        "id": "{n}",
        "customer": "1 + floor(rand() * 50000)",
        "status": _STATUS,
        "amount": "floor(rand() * 1e6) / 100",
        "city": _CITY,
        "note": _digits(9),
        "placed": _WHEN,
        "changed": _WHEN,
    },
    where="id = {n}",
    beyond="id > {rows}",
    updates=("changed = changed + interval 1 second", "note = '{text}'"),
)
_ALL = (
    BenchTable(
        name="sysbench",
        title="sysbench's table, one secondary index",
        definitions=(
            "id int not null auto_increment primary key",
            "k int not null default 0",
            "c char(120) not null default ''",
            "pad char(60) not null default ''",
            "key k_1 (k)",
        ),
        values={"id": "{n}", "k": "1 + floor(rand() * 1e6)", "c": _digits(10), "pad": _digits(5)},
        where="id = {n}",
        beyond="id > {rows}",
        updates=("k = k + 1", "c = '{text}'"),
        is_sysbench=True,
    ),
    _INDEXES,
    BenchTable(
        name="six",
        title="8 columns, six secondary indexes",
        definitions=(*_INDEXES.definitions, "key by_note (note)"),
        values=_INDEXES.values,
        where=_INDEXES.where,
        beyond=_INDEXES.beyond,
        updates=_INDEXES.updates,
    ),
    BenchTable(
        name="bare",
        title="no secondary index",
        definitions=(
            "id int not null auto_increment primary key",
            "amount decimal(12,2) not null",
            "note varchar(160) not null",
        ),
        values={"id": "{n}", "amount": "floor(rand() * 1e6) / 100", "note": _digits(9)},
        where="id = {n}",
        beyond="id > {rows}",
        updates=("amount = amount + 1", "note = '{text}'"),
    ),
    BenchTable(
        name="kinds",
        title="a table for every kind of ALTER",
        definitions=DEFINITIONS,
        values={
            "id": "{n}",
            "a": "{n} % 1000",
            "b": "concat('b', {n})",
            "c": "concat('c', {n} % 100)",
            "d": "{n} % 500",
            "e": "elt(1 + {n} % 2, 'a', 'b')",
            "txt": _digits(2),
        },
        where="id = {n}",
        beyond="id > {rows}",
        updates=("a = a + 1", "txt = '{text}'"),
    ),
    BenchTable(
        name="sparse",
        title="keys that lie ever farther apart",
        definitions=(
            "id bigint unsigned not null primary key",
            "amount decimal(12,2) not null",
            "note varchar(160) not null",
            "key by_amount (amount)",
        ),
        values={"id": _CUBE, "amount": "floor(rand() * 1e6) / 100", "note": _digits(9)},
        where=f"id = {_CUBE}",
        beyond="id > cast({rows} as unsigned) * {rows} * {rows}",
        updates=("amount = amount + 1", "note = '{text}'"),
    ),
    BenchTable(
        name="growing",
        title="rows that grow along the key, from 100 bytes to 6 KB",
        definitions=(
            "id int not null auto_increment primary key",
            "state int not null",
            "note varchar(100) not null",
            "document text not null",
            "key by_state (state)",
        ),
        values={
            "id": "{n}",
            "state": "{n} % 1000",
            "note": _digits(4),
            "document": f"repeat({_digits(1)}, {{n}} div 200)",
        },
        where="id = {n}",
        beyond="id > {rows}",
        updates=("state = (state + 1) % 1000", "note = '{text}'"),
        rows_share=0.1,
    ),
    BenchTable(
        name="wide",
        title="24 columns with a text and a blob, up to 20 KB a row",
        definitions=(
            "id bigint not null auto_increment primary key",
            *(f"number_{place} int not null" for place in range(10)),
            *(f"word_{place} varchar(80) not null" for place in range(10)),
            "state int not null",
            "document text not null",
            "picture blob",
            "key by_state (state)",
        ),
        values={
            "id": "{n}",
            **{f"number_{place}": f"({{n}} * {place + 7}) % 100000" for place in range(10)},
            **{f"word_{place}": _digits(2) for place in range(10)},
            "state": "{n} % 1000",
            "document": f"repeat({_digits(3)}, 30)",
            "picture": "if({n} % 4 = 0, repeat(unhex(lpad(hex(floor(rand() * 1e9)), 8, '0')), 4000), null)",
        },
        where="id = {n}",
        beyond="id > {rows}",
        updates=("state = (state + 1) % 1000", "word_3 = left('{text}', 60)"),
        rows_share=0.05,
    ),
    BenchTable(
        name="composite",
        title="a key of two columns",
        definitions=(
            "tenant int not null",
            "number int not null",
            "amount decimal(12,2) not null",
            "note varchar(160) not null",
            "primary key (tenant, number)",
            "key by_amount (amount)",
        ),
        values={
            "tenant": "{n} % 97",
            "number": "{n} div 97",
            "amount": "floor(rand() * 1e6) / 100",
            "note": _digits(6),
        },
        where="tenant = {n} % 97 and number = {n} div 97",
        beyond="number * 97 + tenant > {rows}",
        updates=("amount = amount + 1", "note = '{text}'"),
    ),
    BenchTable(
        name="string",
        title="a key of 18 characters, in no order",
        definitions=(
            "code varchar(40) not null primary key",
            "n int not null",
            "amount decimal(12,2) not null",
            "note varchar(160) not null",
            "key by_amount (amount)",
        ),
        values={
            "code": f"concat('order-', {_SCATTERED}, '-eur')",
            "n": "{n}",
            "amount": "floor(rand() * 1e6) / 100",
            "note": _digits(6),
        },
        where=f"code = concat('order-', {_SCATTERED}, '-eur')",
        beyond="n > {rows}",
        updates=("amount = amount + 1", "note = '{text}'"),
    ),
)
TABLES: Mapping[str, BenchTable] = {table.name: table for table in _ALL}
