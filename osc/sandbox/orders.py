"""The sandbox's table: orders of a shop, each row's first values a pure function of its number.

The same function is written twice, as SQL (to fill hundreds of thousands of rows in seconds) and as Python (so that the
ledger knows every value without keeping it). A test compares the two on every server.

A row is known by its *number*, from which its key columns follow. Row `i` of the first `rows` has the number `4 * i`,
so that there are gaps to insert into.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from osc.mysql.sql import qualified, quote

Value: TypeAlias = str | int | float | bytes | None
KeyKind = Literal["int", "composite", "string"]

GAP = 4
"""Numbers per block: one for the row that is there from the start, the others to insert into."""

STATUSES = ("new", "paid", "packed", "shipped", "returned")
CITIES = ("Zürich", "Málaga", "Århus", "Besançon", "Lisboa", "Graz", "Tromsø", "O'Hare")
NOTES = (
    "leave at the door",
    "c/o Müller & Söhne",
    "прошу позвонить",
    "ギフト包装",
    "fragile 🍷",
    "100% \\ \"quoted\" 'text'",
    "",
)
CODE_PREFIXES = ("Ord-", "ÄB-", "z-", "O'r-")
CHANNELS = ("web", "app", "shop")
EPOCH = datetime(2024, 1, 1)

KEY_COLUMNS: Mapping[KeyKind, tuple[str, ...]] = {"int": ("id",), "composite": ("region", "item"), "string": ("code",)}

_KEY_DDL: Mapping[KeyKind, str] = {
    "int": "`id` bigint unsigned not null auto_increment",
    "composite": "`region` smallint not null,\n  `item` int unsigned not null",
    "string": "`code` varchar(24) character set utf8mb4 collate utf8mb4_general_ci not null",
}


@dataclass(frozen=True, slots=True)
class OrderColumn:
    """One column beside the key: how it is declared and how row `i` has it filled at first."""

    name: str
    ddl: str
    sql: str
    """Its first value, of the row number `i` in a derived table `n`."""


COLUMNS: tuple[OrderColumn, ...] = (
    OrderColumn("customer_id", "int unsigned not null default 0", "1 + n.i * 7919 % 50000"),
    OrderColumn(
        "status",
        f"enum({', '.join(repr(status) for status in STATUSES)}) not null default 'new'",
        f"elt(1 + n.i % {len(STATUSES)}, {', '.join(repr(status) for status in STATUSES)})",
    ),
    OrderColumn("amount", "decimal(12,2) not null default 0.00", "0.01 * (n.i * 37 % 1000000)"),
    OrderColumn("discount", "decimal(5,3) default null", "if(n.i % 3 = 0, null, 0.001 * (n.i % 1000))"),
    OrderColumn(
        "note",
        "varchar(200) character set utf8mb4 default null",
        f"if(n.i % 11 = 0, null, concat(elt(1 + n.i % {len(NOTES)}, {{notes}}), ' #', n.i))",
    ),
    OrderColumn("city", "varchar(60) character set latin1 default null", f"elt(1 + n.i % {len(CITIES)}, {{cities}})"),
    OrderColumn("weight", "double default null", "if(n.i % 5 = 0, null, 0.015625 * (n.i % 8192))"),
    OrderColumn(
        "attributes",
        "json default null",
        'concat(\'{{"items": \', n.i % 9, \', "channel": "\','
        f" elt(1 + n.i % {len(CHANNELS)}, {{channels}}), '\"}}}}')",
    ),
    OrderColumn("token", "varbinary(8) default null", "unhex(lpad(hex(n.i * 2654435761 % 4294967296), 8, '0'))"),
    OrderColumn(
        "placed_at",
        "datetime(3) not null default '2024-01-01 00:00:00.000'",
        "timestamp'2024-01-01 00:00:00.000000' + interval n.i * 61 second + interval n.i % 1000 * 1000 microsecond",
    ),
    OrderColumn(
        "updated_at",
        "timestamp not null default current_timestamp on update current_timestamp",
        "timestamp'2024-01-01 00:00:00' + interval n.i * 3 second",
    ),
    OrderColumn("version", "int unsigned not null default 0", "0"),
)

SLOT = OrderColumn("slot", "bigint unsigned default null", f"n.i * {GAP}")
"""The column with the secondary unique key, when the workload is asked for one."""

CORE_COLUMNS = ("customer_id", "status", "amount", "note", "placed_at")
"""What writers change unless told otherwise, besides `updated_at` and `version`, which they always do."""

ALWAYS_WRITTEN = ("updated_at", "version")

ALTERS: Mapping[str, str] = {
    "add columns": "add column priority tinyint not null default 3 after status, add column gift_for varchar(80)",
    "drop columns": "drop column discount, drop column attributes",
    "modify a column": "modify column amount decimal(16,4) not null default 0,"
    " modify column customer_id bigint not null default 0",
    "rename and reorder": "change column city town varchar(80) character set latin1 first,"
    " modify column note varchar(250) character set utf8mb4 default null after token",
    "swap two names": "change column discount weight decimal(5,3) default null,"
    " change column weight discount double default null",
    "change the character set": "convert to character set utf8mb4 collate utf8mb4_unicode_ci",
    "add an index": "add index by_city (city, placed_at), drop index by_customer",
    "add a generated column": "add column gross decimal(14,2) generated always as (amount * 1.2) stored,"
    " add column day date generated always as (cast(placed_at as date)) virtual",
    "change the primary key": "drop primary key, add primary key (id, customer_id)",
    "rebuild": "engine=InnoDB",
}
"""Ten kinds of change that keep every column which the writers write (with the key "int")."""


@dataclass(frozen=True, slots=True)
class OrdersTable:
    """One table of that kind: where it is, how it is keyed and how many rows it starts with."""

    database: str
    name: str
    rows: int
    key: KeyKind = "int"
    has_slot: bool = False

    @property
    def key_columns(self) -> tuple[str, ...]:
        return KEY_COLUMNS[self.key]

    @property
    def value_columns(self) -> tuple[OrderColumn, ...]:
        """All columns beside the key, in the table's order."""
        return (*COLUMNS, SLOT) if self.has_slot else COLUMNS

    @property
    def column_names(self) -> tuple[str, ...]:
        return self.key_columns + tuple(column.name for column in self.value_columns)

    @property
    def first_automatic(self) -> int:
        """Where the table's AUTO_INCREMENT starts: far above every number that a writer chooses itself."""
        return GAP * (self.rows + 1) + 1_000_000_000

    def create_statement(self, name: str | None = None) -> str:
        """The `CREATE TABLE`, under another name if one is given."""
        key = ", ".join(quote(column) for column in self.key_columns)
        lines = [
            _KEY_DDL[self.key],
            *(f"{quote(column.name)} {column.ddl}" for column in self.value_columns),
            f"primary key ({key})",
            "key `by_customer` (`customer_id`)",
            "key `by_status` (`status`, `placed_at`)",
        ]
        if self.has_slot:
            lines.append("unique key `by_slot` (`slot`)")
        options = f" auto_increment={self.first_automatic}" if self.key == "int" else ""
        body = ",\n  ".join(lines)
        return (
            f"create table {qualified(self.database, name or self.name)} (\n  {body}\n)"
            f" engine=InnoDB{options} default charset=utf8mb4 collate=utf8mb4_general_ci"
        )

    def fill_statement(self, first: int, last: int, name: str | None = None) -> str:
        """The `INSERT` that makes the rows `first` to `last` on the server.

        The session's limit for recursion must allow `last - first` rounds, and its character set be utf8mb4.
        """
        expressions = {
            "notes": ", ".join(_literal(note) for note in NOTES),
            "cities": ", ".join(_literal(city) for city in CITIES),
            "channels": ", ".join(_literal(channel) for channel in CHANNELS),
        }
        values = [*self._key_sql(), *(column.sql.format_map(expressions) for column in self.value_columns)]
        names = ", ".join(quote(column) for column in self.column_names)
        return (
            f"insert into {qualified(self.database, name or self.name)} ({names})\n"
            f"with recursive n (i) as (select {int(first)} union all select i + 1 from n where i < {int(last)})\n"
            f"select {', '.join(values)} from n"
        )

    def _key_sql(self) -> list[str]:
        number = f"(n.i * {GAP})"
        if self.key == "int":
            return [number]
        if self.key == "composite":
            return [f"{number} div 10000 - 5", f"{number} % 10000"]
        prefixes = ", ".join(_literal(prefix) for prefix in CODE_PREFIXES)
        return [f"concat(elt(1 + {number} div {GAP} % {len(CODE_PREFIXES)}, {prefixes}), lower(hex{number}))"]

    def key_of(self, number: int) -> tuple[Value, ...]:
        """The key columns of the row with that number."""
        if self.key == "int":
            return (number,)
        if self.key == "composite":
            return (number // 10000 - 5, number % 10000)
        return (f"{CODE_PREFIXES[number // GAP % len(CODE_PREFIXES)]}{number:x}",)

    def first_values(self, number: int) -> dict[str, Value]:
        """The values beside the key with which the row of that number, one of the first rows, was filled."""
        i, rest = divmod(number, GAP)
        assert rest == 0, number
        assert 1 <= i <= self.rows, number
        values: dict[str, Value] = {
            "customer_id": 1 + i * 7919 % 50000,
            "status": STATUSES[i % len(STATUSES)],
            "amount": hundredths(i * 37 % 1000000),
            "discount": None if i % 3 == 0 else f"0.{i % 1000:03}",
            "note": None if i % 11 == 0 else f"{NOTES[i % len(NOTES)]} #{i}",
            "city": CITIES[i % len(CITIES)],
            "weight": None if i % 5 == 0 else i % 8192 / 64,
            "attributes": f'{{"items": {i % 9}, "channel": "{CHANNELS[i % len(CHANNELS)]}"}}',
            "token": (i * 2654435761 % 2**32).to_bytes(4, "big"),
            "placed_at": milliseconds(EPOCH + timedelta(seconds=i * 61, milliseconds=i % 1000)),
            "updated_at": f"{EPOCH + timedelta(seconds=i * 3)}",
            "version": 0,
        }
        if self.has_slot:
            values["slot"] = number
        return values

    def default_values(self) -> dict[str, Value]:
        """What a row has in the columns that its `INSERT` leaves out; `updated_at` is never left out."""
        values: dict[str, Value] = dict.fromkeys((column.name for column in self.value_columns), None)
        values |= {"customer_id": 0, "status": "new", "amount": "0.00", "version": 0}
        values["placed_at"] = milliseconds(EPOCH)
        return values


def hundredths(cents: int) -> str:
    """A decimal with two digits behind the point, as the server prints it."""
    return f"{cents // 100}.{cents % 100:02}"


def milliseconds(moment: datetime) -> str:
    """A DATETIME(3) as the server prints it."""
    return moment.isoformat(sep=" ", timespec="milliseconds")


def _literal(text: str) -> str:
    # Hexadecimal, so that neither sql_mode nor the driver's % formatting can touch it.
    return f"_utf8mb4 X'{text.encode().hex()}'"
