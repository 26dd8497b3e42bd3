"""What the server says a table is: columns, indexes, engine, read from the information schema and `SHOW CREATE TABLE`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pymysql.cursors import Cursor

from osc.mysql.names import folded
from osc.mysql.session import Conn
from osc.mysql.sql import qualified


@dataclass(frozen=True, slots=True)
class Column:
    """One column as the information schema describes it."""

    name: str
    position: int
    """1 for the first column."""
    data_type: str
    """The bare type in lower case: `int`, `varchar`, `enum`."""
    column_type: str
    """The full type: `int unsigned`, `varchar(20)`, `enum('a','b')`."""
    is_nullable: bool
    charset: str | None
    collation: str | None
    default: str | None
    """The default as the information schema shows it (MariaDB quotes strings there, MySQL does not)."""
    extra: str
    generation_expression: str

    @property
    def is_generated(self) -> bool:
        """Whether the server computes the column, on reading (virtual) or on writing (stored)."""
        return bool(self.generation_expression) or bool(
            re.search(r"\b(virtual|stored|persistent) generated\b", self.extra, re.IGNORECASE)
        )

    @property
    def is_unsigned(self) -> bool:
        return " unsigned" in self.column_type.lower()

    @property
    def is_auto_increment(self) -> bool:
        return "auto_increment" in self.extra.lower()

    @property
    def has_plain_default(self) -> bool:
        """Whether rows that do not name the column all get one literal value, or NULL."""
        if self.default is None:
            return self.is_nullable
        # MySQL tells in `extra`; MariaDB shows the default as SQL, with strings in quotes and functions with parentheses.
        is_literal = "(" not in self.default or self.default.startswith("'")
        return is_literal and "default_generated" not in self.extra.lower()


@dataclass(frozen=True, slots=True)
class IndexPart:
    """One part of an index: a column, possibly a prefix of it; an expression has no column."""

    column: str | None
    prefix_length: int | None
    collation: str | None = None
    """`A` ascending, `D` descending."""


@dataclass(frozen=True, slots=True)
class Index:
    """An index of a table; the primary key is called `PRIMARY`."""

    name: str
    is_unique: bool
    parts: tuple[IndexPart, ...]
    index_type: str = "BTREE"
    is_visible: bool = True

    @property
    def is_primary(self) -> bool:
        return self.name == "PRIMARY"

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of its columns; expression parts are left out."""
        return tuple(part.column for part in self.parts if part.column is not None)

    @property
    def is_plain(self) -> bool:
        """Whether every part is a whole column: no prefix, no expression."""
        return all(part.column is not None and part.prefix_length is None for part in self.parts)


@dataclass(frozen=True, slots=True)
class Table:
    """A base table: what the engine must know of it to copy it."""

    database: str
    name: str
    engine: str
    create_options: str
    columns: tuple[Column, ...]
    indexes: tuple[Index, ...]
    estimated_rows: int
    data_bytes: int
    index_bytes: int
    auto_increment: int | None
    create_statement: str
    """`SHOW CREATE TABLE`, verbatim."""

    def column(self, name: str) -> Column:
        """The column of that name, case-insensitively as the servers compare them. Raises KeyError."""
        for column in self.columns:
            if folded(column.name) == folded(name):
                return column
        raise KeyError(name)

    @property
    def primary_key(self) -> Index | None:
        return next((index for index in self.indexes if index.is_primary), None)

    @property
    def unique_indexes(self) -> tuple[Index, ...]:
        return tuple(index for index in self.indexes if index.is_unique)

    @property
    def structure(self) -> str:
        """`SHOW CREATE TABLE` less the name and what changes by itself (`AUTO_INCREMENT`): equal means unchanged."""
        return structure_of(self.create_statement)


# MySQL puts a general tablespace between the parenthesis and the engine, in a comment.
_ENGINE = r"(\) (?:/\*!\d+ TABLESPACE [^*]*\*/ )?ENGINE=\w+)"


def structure_of(create_statement: str) -> str:
    """The part of a `SHOW CREATE TABLE` that a change of the table's structure changes, and nothing else does."""
    body = create_statement[create_statement.index("(") :]
    return re.sub(rf"{_ENGINE} AUTO_INCREMENT=\d+", r"\1", body)


def auto_increment_of(create_statement: str) -> int | None:
    """The next number that the table gives out, by its `SHOW CREATE TABLE`; None where it has not given out any.

    The information schema's figure is cached on MySQL.
    """
    found = re.search(rf"{_ENGINE} AUTO_INCREMENT=(\d+)", create_statement)
    return int(found[2]) if found else None


def numbers_rows(create_statement: str) -> bool:
    """Whether a column takes its values from `AUTO_INCREMENT`; also true of one that has the word in its comment."""
    return re.search(r"^  `.* AUTO_INCREMENT\b", create_statement, re.MULTILINE) is not None


def read_table(connection: Conn, database: str, name: str) -> Table | None:
    """The table as it is now, or None when there is no base table of that name that the user may see."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select table_name, engine, create_options, table_rows, data_length, index_length"
            " from information_schema.tables"
            " where table_schema = %s and table_name = %s and table_type in ('BASE TABLE', 'SYSTEM VERSIONED')",
            (database, name),
        )
        row = cursor.fetchone()
        if row is None:
            return None
        true_name, engine, create_options, estimated_rows, data_bytes, index_bytes = row
        cursor.execute(f"show create table {qualified(database, true_name)}")
        created = cursor.fetchone()
        assert created is not None
        create_statement = str(created[1])
        return Table(
            database=database,
            name=true_name,
            engine=engine or "",
            create_options=create_options or "",
            columns=_read_columns(cursor, database, true_name),
            indexes=_read_indexes(cursor, database, true_name),
            estimated_rows=int(estimated_rows or 0),
            data_bytes=int(data_bytes or 0),
            index_bytes=int(index_bytes or 0),
            auto_increment=auto_increment_of(create_statement),
            create_statement=create_statement,
        )


def _read_columns(cursor: Cursor, database: str, name: str) -> tuple[Column, ...]:
    cursor.execute(
        "select column_name, ordinal_position, data_type, column_type, is_nullable, character_set_name,"
        " collation_name, column_default, extra, generation_expression from information_schema.columns"
        " where table_schema = %s and table_name = %s order by ordinal_position",
        (database, name),
    )
    return tuple(
        Column(
            name=row[0],
            position=int(row[1]),
            data_type=_text(row[2]).lower(),
            column_type=_text(row[3]),
            is_nullable=row[4] == "YES",
            charset=row[5],
            collation=row[6],
            default=None if row[7] is None else _text(row[7]),
            extra=row[8] or "",
            generation_expression=_text(row[9] or ""),
        )
        for row in cursor.fetchall()
    )


def _read_indexes(cursor: Cursor, database: str, name: str) -> tuple[Index, ...]:
    # Not information_schema.statistics: MySQL caches parts of it. SHOW INDEX has the same columns on both servers, the
    # last ones (Visible, Expression; Ignored) differing.
    cursor.execute(f"show index from {qualified(database, name)}")
    assert cursor.description is not None
    titles = [str(item[0]).lower() for item in cursor.description]
    found: dict[str, list[dict[str, str | int | None]]] = {}
    for row in cursor.fetchall():
        facts = dict(zip(titles, row, strict=True))
        found.setdefault(str(facts["key_name"]), []).append(facts)
    return tuple(_index(index_name, parts) for index_name, parts in found.items())


def _index(name: str, rows: Iterable[dict[str, str | int | None]]) -> Index:
    ordered = sorted(rows, key=lambda row: int(row["seq_in_index"] or 0))
    first = ordered[0]
    return Index(
        name=name,
        is_unique=int(first["non_unique"] or 0) == 0,
        parts=tuple(
            IndexPart(
                None if row["column_name"] is None else str(row["column_name"]),
                None if row["sub_part"] is None else int(row["sub_part"]),
                None if row["collation"] is None else str(row["collation"]),
            )
            for row in ordered
        ),
        index_type=str(first["index_type"]),
        is_visible=first.get("visible", "YES") != "NO" and first.get("ignored", "NO") != "YES",
    )


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
