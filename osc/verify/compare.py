"""Asking both tables for the digests of a range or of single keys.

Where the ALTER converts a column, what the ghost should hold is what the server's own insert makes: the rows are inserted
into a temporary twin of the ghost, and that is compared. Where losses are allowed, the twin's rows are converted back, and
those that are not what they were are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace

from pymysql.cursors import Cursor

from osc.mysql.session import Conn
from osc.mysql.sql import columns_list, qualified, quote
from osc.table.conversion import taken_back
from osc.table.facts import Column, Table
from osc.table.key import Key
from osc.table.names import decorated
from osc.table.projection import Projection
from osc.table.ranges import Range
from osc.verify.digest import has_its_default, holds_every_value, row_digest, same_form, set_digest

DIGEST = "osc row before conversion"
"""A column of the twins, by a name that no table is likely to have."""


@dataclass(frozen=True, slots=True)
class Sum:
    """What a set of rows comes to."""

    rows: int
    digest: int


class Comparison:
    """Knows how to digest the original's and the ghost's rows so that the two can be compared. Immutable."""

    def __init__(self, projection: Projection, source: Table, ghost: Table, allow_lossy: bool) -> None:
        self.projection = projection
        pairs = [
            (source.column(source_name), ghost.column(ghost_name))
            for source_name, ghost_name in zip(projection.source_columns, projection.ghost_columns, strict=True)
        ]
        self.may_lose = allow_lossy and not all(holds_every_value(*pair) for pair in pairs)
        """Whether rows may be changed by the conversion, and are counted."""
        self.needs_twin = self.may_lose or not all(same_form(*pair) for pair in pairs)
        self._original_digest = row_digest(
            [column for column, _ in pairs], [source.column(c.name) for c in projection.key.columns]
        )
        self._back = qualified(projection.database, decorated(projection.source, "_ghb"))
        self._taken_back = ", ".join(taken_back(one, other) for one, other in pairs)
        self._twin = qualified(projection.database, decorated(projection.source, "_ghv"))
        ghost_key = [ghost.column(column.in_ghost) for column in projection.key.columns]
        source_key = [source.column(column.name) for column in projection.key.columns]
        added = _added(projection, ghost)
        have_defaults, true = ([f"({' and '.join(added)})"], ["1"]) if added else ([], [])
        if self.needs_twin:
            columns = [column for _, column in pairs]
            self._source_digest = row_digest(columns, ghost_key, true)
            self._ghost_digest = row_digest(columns, ghost_key, have_defaults)
        else:
            nullable = [_as_nullable(one, other) for one, other in pairs]
            self._source_digest = row_digest([column for column, _ in nullable], source_key, true)
            self._ghost_digest = row_digest([column for _, column in nullable], ghost_key, have_defaults)

    def with_ghost(self, name: str) -> Comparison:
        """The same comparison with a ghost of another name."""
        other = copy(self)
        other.projection = self.projection.renamed_ghost(name)
        return other

    def prepare(self, connection: Conn) -> None:
        """Make the twin on that session, if one is needed."""
        if self.needs_twin:
            projection = self.projection
            key = columns_list(column.in_ghost for column in projection.key.columns)
            columns = columns_list(projection.ghost_columns)
            own_key = columns_list(column.name for column in projection.key.columns)
            digest = f"{quote(DIGEST)} bigint unsigned not null, " if self.may_lose else ""
            with connection.cursor() as cursor:
                # Not `like`: temporary tables can't be partitioned, compressed or full-text indexed.
                cursor.execute(
                    f"create temporary table {self._twin} ({digest}primary key ({key})) engine=InnoDB"
                    f" select {columns} from {projection.ghost_table} limit 0"
                )
                if self.may_lose:
                    cursor.execute(
                        f"create temporary table {self._back} ({digest}primary key ({own_key})) engine=InnoDB"
                        f" select {columns_list(projection.source_columns)} from {projection.source_table} limit 0"
                    )

    def changed_rows(self, connection: Conn) -> int:
        """How many of the rows that `source_sum` has just read do not survive the conversion: converted back, they differ."""
        if not self.may_lose:
            return 0
        columns = columns_list(self.projection.source_columns)
        with connection.cursor() as cursor:
            cursor.execute(f"delete from {self._back}")
            cursor.execute(
                f"insert into {self._back} ({quote(DIGEST)}, {columns})"
                f" select {quote(DIGEST)}, {self._taken_back} from {self._twin}"
            )
            cursor.execute(f"select count(*) from {self._back} where {quote(DIGEST)} <> {self._original_digest}")
            row = cursor.fetchone()
        assert row is not None
        return int(row[0])

    def source_sum(self, connection: Conn, span: Range) -> Sum:
        """What the original's rows of that range should come to in the ghost."""
        with connection.cursor() as cursor:
            if self.needs_twin:
                self._refill(cursor, self.projection.fill_twin(self._twin, self.projection.in_range(span), self._mark))
                return self._sum(cursor, self._twin, None, "true", self._source_digest)
            condition = self.projection.in_range(span)
            return self._sum(
                cursor, self.projection.source_table, self.projection.key.source_index, condition, self._source_digest
            )

    def ghost_sum(self, connection: Conn, span: Range) -> Sum:
        """What the ghost's rows of that range come to."""
        with connection.cursor() as cursor:
            condition = self.projection.in_range(span, ghost=True)
            index = self.projection.key.ghost_index
            return self._sum(cursor, self.projection.ghost_table, index, condition, self._ghost_digest)

    def differing_in_range(self, connection: Conn, span: Range) -> set[Key]:
        """The keys of that range whose rows differ, or are in one table only."""
        projection = self.projection
        source = self._source_rows(connection, projection.in_range(span), by_index=True)
        return _differing(source, self._ghost_rows(connection, projection.in_range(span, ghost=True), by_index=True))

    def differing_keys(self, connection: Conn, keys: Sequence[Key]) -> set[Key]:
        """Those of the keys whose rows differ, or are in one table only."""
        if not keys:
            return set()
        projection = self.projection
        source = self._source_rows(connection, projection.has_key(keys), by_index=False)
        return _differing(source, self._ghost_rows(connection, projection.has_key(keys, ghost=True), by_index=False))

    def converted(self, connection: Conn, keys: Sequence[Key]) -> str | None:
        """The table that now holds these keys' rows as the ghost should; None where they are as in the original."""
        if not self.needs_twin:
            return None
        with connection.cursor() as cursor:
            self._refill(cursor, self.projection.fill_twin(self._twin, self.projection.has_key(keys), self._mark))
        return self._twin

    @property
    def _mark(self) -> tuple[str, str] | None:
        """The twin's column for the digest of the row before the conversion, if it has one."""
        return (DIGEST, self._original_digest) if self.may_lose else None

    # --- statements -----------------------------------------------------------------------------------------------

    def _refill(self, cursor: Cursor, fill: str) -> None:
        cursor.execute(f"delete from {self._twin}")
        cursor.execute(fill)

    def _sum(self, cursor: Cursor, table: str, index: str | None, condition: str, digest: str) -> Sum:
        hint = f" force index ({quote(index)})" if index else ""
        cursor.execute(f"select count(*), {set_digest(digest)} from {table}{hint} where {condition}")
        row = cursor.fetchone()
        assert row is not None
        return Sum(int(row[0]), int(row[1]))

    def _source_rows(self, connection: Conn, condition: str, by_index: bool) -> dict[Key, int]:
        key = self.projection.key
        with connection.cursor() as cursor:
            if self.needs_twin:
                self._refill(cursor, self.projection.fill_twin(self._twin, condition, self._mark))
                return self._rows(cursor, self._twin, "", "true", self._source_digest, ghost=True)
            hint = f" force index ({quote(key.source_index)})" if by_index else ""
            return self._rows(cursor, self.projection.source_table, hint, condition, self._source_digest, ghost=False)

    def _ghost_rows(self, connection: Conn, condition: str, by_index: bool) -> dict[Key, int]:
        hint = f" force index ({quote(self.projection.key.ghost_index)})" if by_index else ""
        with connection.cursor() as cursor:
            return self._rows(cursor, self.projection.ghost_table, hint, condition, self._ghost_digest, ghost=True)

    def _rows(self, cursor: Cursor, table: str, hint: str, condition: str, digest: str, ghost: bool) -> dict[Key, int]:
        key = ", ".join(column.select(ghost=ghost) for column in self.projection.key.columns)
        cursor.execute(f"select {digest}, {key} from {table}{hint} where {condition}")
        return {self.projection.key_from_row(row[1:]): int(row[0]) for row in cursor.fetchall()}


def _differing(source: dict[Key, int], ghost: dict[Key, int]) -> set[Key]:
    return {key for key in source.keys() | ghost.keys() if source.get(key) != ghost.get(key)}


def _added(projection: Projection, ghost: Table) -> list[str]:
    """The conditions under which the columns that the original does not have hold what every row gets.

    Generated columns are left out: the server computes them from columns that are compared, and lets nobody write them.
    """
    carried, fillers = set(projection.ghost_columns), dict(projection.fillers)
    new = [column for column in ghost.columns if column.name not in carried and not column.is_generated]
    conditions = [has_its_default(column, fillers.get(column.name)) for column in new]
    return [condition for condition in conditions if condition is not None]


def _as_nullable(source: Column, ghost: Column) -> tuple[Column, Column]:
    """Both columns nullable if either is, so that both digests have the NULL flag."""
    nullable = source.is_nullable or ghost.is_nullable
    return replace(source, is_nullable=nullable), replace(ghost, is_nullable=nullable)
