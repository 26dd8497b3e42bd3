"""The SQL that moves rows from the original to the ghost: `f`, the migration key and the conditions that select by it.

Every statement of copy, reconcile and verify that names columns or keys is written here, so that all three mean the same
row by the same key, and the same `f` turns it into a row of the ghost.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from osc.mysql.sql import columns_list, qualified, quote
from osc.table.facts import Table
from osc.table.key import BY_TEXT, Key, KeyColumn, KeyValue
from osc.table.ranges import Range


@dataclass(frozen=True, slots=True)
class MigrationKey:
    """The key that names a row in both tables: NOT NULL, and uniquely indexed in each."""

    columns: tuple[KeyColumn, ...]
    source_index: str
    ghost_index: str
    ghost_index_is_temporary: bool = False
    """Whether the ghost's index was added for the migration, and goes before the swap."""

    @property
    def compares(self) -> bool:
        """Whether keys compare in Python exactly as in the server."""
        return all(column.compares for column in self.columns)

    @property
    def text(self) -> str:
        """For people: `PRIMARY (id)`."""
        return f"{self.source_index} ({', '.join(column.name for column in self.columns)})"

    def row_text(self, key: Key) -> str:
        """One row's key for people, and fit for a WHERE: `(id = 5)`."""
        parts = zip(self.columns, key, strict=True)
        return "(" + " and ".join(f"{column.name} = {column.literal(value)}" for column, value in parts) + ")"


@dataclass(frozen=True, slots=True)
class Projection:
    """How a row of the original becomes a row of the ghost, by server-side statements only."""

    database: str
    source: str
    ghost: str
    key: MigrationKey
    source_columns: tuple[str, ...]
    """Columns of the original whose values are carried."""
    ghost_columns: tuple[str, ...]
    """The column of the ghost that each goes to."""
    values: tuple[str, ...] = ()
    """For each of them the SQL to insert, where a plain insert would convert it otherwise than a direct `ALTER`."""
    fillers: tuple[tuple[str, str], ...] = ()
    """Added columns that a strict insert must name, with the literal that a direct `ALTER` fills them with."""

    wide_columns: tuple[str, ...] = ()
    """Columns of the original that can make one row as large as thousands of others."""

    @property
    def source_table(self) -> str:
        return qualified(self.database, self.source)

    @property
    def ghost_table(self) -> str:
        return qualified(self.database, self.ghost)

    @property
    def selected(self) -> tuple[str, ...]:
        """The SQL over the original's row for each column of the ghost that is carried."""
        return self.values or tuple(map(quote, self.source_columns))

    def renamed_ghost(self, name: str) -> Projection:
        """The same projection into a ghost of another name."""
        return replace(self, ghost=name)

    # --- copying a range ------------------------------------------------------------------------------------------

    def copy_range(self, span: Range) -> str:
        """Insert the range's rows, leaving alone the rows that the ghost already has.

        Not `insert ignore`, which turns conversion errors into warnings. The update that changes nothing keeps them errors
        and leaves `ON UPDATE` columns alone.
        """
        return self.copy_where(self.in_range(span))

    def copy_where(self, condition: str) -> str:
        """The same for the rows of a condition over the original."""
        first = quote(self.key.columns[0].in_ghost)
        unchanged = f"{self.ghost_table}.{first}"
        return f"{self._insert_select('insert')} where {condition} on duplicate key update {first} = {unchanged}"

    def keys_in_range(self, span: Range) -> str:
        """The keys of the original in that range, in order."""
        return f"{self._keys_from_source()} where {self.in_range(span)} order by {self._order()}"

    def explain_range(self, span: Range) -> str:
        """Ask the optimizer about the range. Under `force index` MySQL would not look, and say NULL for the rows."""
        return f"explain format=traditional {self._keys_from_source('use')} where {self.in_range(span)}"

    def range_end(self, start: Key | None, rows: int, last: Key | None, most_bytes: int) -> str:
        """The key `rows` rows behind `start`, by a seek in the index and a short walk from there.

        With `last`, only keys up to it count. Where there are wide columns, an earlier key if their values up to there come to
        `most_bytes`; one row is always passed.
        """
        conditions = self._conditions(start, None, last, ghost=False)
        where = f" where {conditions}" if conditions else ""
        if self.wide_columns:
            return self._range_end_by_bytes(where, rows, most_bytes)
        return f"{self._keys_from_source()}{where} order by {self._order()} limit 1 offset {rows}"

    def _range_end_by_bytes(self, where: str, rows: int, most_bytes: int) -> str:
        # The innermost query reads no more rows than asked for; a window over the table itself would read all of it.
        order = ", ".join(f"k{part}" for part in range(len(self.key.columns)))
        shown = ", ".join(f"s{part}" for part in range(len(self.key.columns)))
        keys = ", ".join(
            f"{quote(column.name)} as k{part}, {column.select()} as s{part}"
            for part, column in enumerate(self.key.columns)
        )
        return (
            f"select {shown} from (select {shown}, row_number() over (order by {order}) as n,"
            f" sum(bytes) over (order by {order} rows unbounded preceding) as upto"
            f" from (select {keys}, {self._wide_bytes()} as bytes from {self.source_table}"
            f" force index ({quote(self.key.source_index)}){where} order by {self._order()} limit {rows + 1}) as r) as w"
            f" where n = {rows + 1} or (n > 1 and upto > {most_bytes}) order by n limit 1"
        )

    def bytes_of(self, keys: Sequence[Key]) -> str:
        """How many bytes the wide columns of these rows of the original hold."""
        return f"select coalesce(sum({self._wide_bytes()}), 0) from {self.source_table} where {self.has_key(keys)}"

    def _wide_bytes(self) -> str:
        return " + ".join(f"coalesce(length({quote(name)}), 0)" for name in self.wide_columns) or "0"

    def last_key(self) -> str:
        """The largest key of the original."""
        return f"{self._keys_from_source()} order by {self._order(' desc')} limit 1"

    def last_ghost_key(self) -> str:
        """The largest key of the ghost."""
        names = [column.in_ghost for column in self.key.columns]
        order = ", ".join(f"{quote(name)} desc" for name in names)
        return (
            f"select {self._key_expressions(ghost=True)} from {self.ghost_table}"
            f" force index ({quote(self.key.ghost_index)}) order by {order} limit 1"
        )

    # --- reconciling keys -----------------------------------------------------------------------------------------

    def delete_keys(self, keys: Sequence[Key]) -> str:
        """Remove the keys' rows from the ghost."""
        return f"delete from {self.ghost_table} where {self.has_key(keys, ghost=True)}"

    def insert_keys(self, keys: Sequence[Key], replace: bool) -> str:
        """Put the rows that the original has now for these keys into the ghost."""
        return f"{self._insert_select('replace' if replace else 'insert')} where {self.has_key(keys)}"

    # --- conditions -----------------------------------------------------------------------------------------------

    def has_key(self, keys: Sequence[Key], ghost: bool = False) -> str:
        """The condition that selects exactly these keys, in a form that both servers answer by index seeks."""
        columns = self.key.columns
        names = self._names(ghost)
        if len(columns) == 1:
            return f"{names[0]} in ({', '.join(columns[0].literal(key[0]) for key in keys)})"
        # Not (a, b) in ((1, 2), ...): MariaDB does not seek by a list of rows.
        one = " and ".join(f"{name} = {{}}" for name in names)
        return " or ".join(
            "(" + one.format(*(column.literal(value) for column, value in zip(columns, key, strict=True))) + ")"
            for key in keys
        )

    def in_range(self, span: Range, ghost: bool = False) -> str:
        """The condition that selects a range's rows; `true` for the range of everything."""
        return self._conditions(span.start, span.end, span.last, ghost) or "true"

    def _conditions(self, start: Key | None, end: Key | None, last: Key | None, ghost: bool) -> str:
        bounds = ((start, ">", ">="), (end, "<", "<"), (last, "<", "<="))
        return " and ".join(self._bound(key, strict, final, ghost) for key, strict, final in bounds if key is not None)

    def _bound(self, key: Key, strict: str, final: str, ghost: bool) -> str:
        """Row comparison spelt out column by column, since neither server seeks by `(a, b) > (x, y)`."""
        names = self._names(ghost)
        literals = [column.literal(value) for column, value in zip(self.key.columns, key, strict=True)]
        condition = f"{names[-1]} {final} {literals[-1]}"
        for name, literal in zip(reversed(names[:-1]), reversed(literals[:-1]), strict=True):
            condition = f"({name} {strict} {literal} or ({name} = {literal} and {condition}))"
        return condition

    def _names(self, ghost: bool) -> list[str]:
        return [quote(column.in_ghost if ghost else column.name) for column in self.key.columns]

    def _order(self, direction: str = "") -> str:
        return ", ".join(quote(column.name) + direction for column in self.key.columns)

    def _key_expressions(self, ghost: bool = False) -> str:
        return ", ".join(column.select(ghost=ghost) for column in self.key.columns)

    def _keys_from_source(self, hint: str = "force") -> str:
        return (
            f"select {self._key_expressions()} from {self.source_table} {hint} index ({quote(self.key.source_index)})"
        )

    def _insert_select(self, verb: str, twin: str | None = None, mark: tuple[str, str] | None = None) -> str:
        others = self.fillers if twin is None else () if mark is None else (mark,)
        targets = columns_list((*self.ghost_columns, *(name for name, _ in others)))
        values = ", ".join([*self.selected, *(value for _, value in others)])
        return (
            f"{verb} into {twin or self.ghost_table} ({targets}) select {values} from {self.source_table}"
            f" force index ({quote(self.key.source_index)})"
        )

    def fill_twin(self, twin: str, condition: str, mark: tuple[str, str] | None = None) -> str:
        """Insert what the ghost should hold for these rows into a temporary table like it.

        `mark`: a further column of that table, and an expression over the original's row for it.
        """
        return f"{self._insert_select('insert', twin=twin, mark=mark)} where {condition}"

    def key_from_row(self, row: Sequence[object]) -> Key:
        """The key that one of this projection's key queries answered with."""
        return tuple(column.from_select(value) for column, value in zip(self.key.columns, row, strict=True))


def key_defaults(table: Table, key: MigrationKey) -> dict[int, KeyValue]:
    """The literal defaults of the key's columns, by the key's part: a MINIMAL row image leaves such values out."""
    defaults: dict[int, KeyValue] = {}
    for part, column in enumerate(key.columns):
        text = table.column(column.name).default
        if text is None or text.upper() == "NULL":
            continue
        text = text[1:-1].replace("''", "'") if text[:1] == "'" else text
        if column.kind in ("integer", "year") and re.fullmatch(r"-?\d+", text):
            defaults[part] = int(text)
        elif column.data_type in ("char", "varchar", "binary", "varbinary") and text.isascii():
            defaults[part] = text.encode("ascii").ljust(column.pad_to or 0, b"\0")
        elif column.kind in BY_TEXT and re.fullmatch(r"[-+:. \d]+", text):
            defaults[part] = text
    return defaults
