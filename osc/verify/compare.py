"""Asking both tables for the digests of a range or of single keys.

Where the ALTER converts a column, what the ghost should hold is what the server's own insert makes: the rows are inserted
into a temporary twin of the ghost, and that is compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace

from pymysql.cursors import Cursor

from osc.mysql.session import Conn
from osc.mysql.sql import columns_list, qualified, quote
from osc.table.facts import Column, Table
from osc.table.key import Key
from osc.table.names import decorated
from osc.table.projection import Projection
from osc.table.ranges import Range
from osc.verify.digest import has_its_default, row_digest, same_form, set_digest


@dataclass(frozen=True, slots=True)
class Sum:
    """What a set of rows comes to."""

    rows: int
    digest: int


class Comparison:
    """Knows how to digest the original's and the ghost's rows so that the two can be compared. Immutable."""

    def __init__(self, projection: Projection, source: Table, ghost: Table) -> None:
        self.projection = projection
        pairs = [
            (source.column(source_name), ghost.column(ghost_name))
            for source_name, ghost_name in zip(projection.source_columns, projection.ghost_columns, strict=True)
        ]
        self.needs_twin = not all(same_form(*pair) for pair in pairs)
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
            key = columns_list(column.in_ghost for column in self.projection.key.columns)
            columns = columns_list(self.projection.ghost_columns)
            with connection.cursor() as cursor:
                # Not `like`: temporary tables can't be partitioned, compressed or full-text indexed.
                cursor.execute(
                    f"create temporary table {self._twin} (primary key ({key})) engine=InnoDB"
                    f" select {columns} from {self.projection.ghost_table} limit 0"
                )

    def source_sum(self, connection: Conn, span: Range) -> Sum:
        """What the original's rows of that range should come to in the ghost."""
        with connection.cursor() as cursor:
            if self.needs_twin:
                self._refill(cursor, self.projection.fill_twin(self._twin, span))
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
        source = self._source_rows(
            connection, projection.in_range(span), projection.fill_twin(self._twin, span), by_index=True
        )
        return _differing(source, self._ghost_rows(connection, projection.in_range(span, ghost=True), by_index=True))

    def differing_keys(self, connection: Conn, keys: Sequence[Key]) -> set[Key]:
        """Those of the keys whose rows differ, or are in one table only."""
        if not keys:
            return set()
        projection = self.projection
        source = self._source_rows(
            connection, projection.has_key(keys), projection.fill_twin_with_keys(self._twin, keys), by_index=False
        )
        return _differing(source, self._ghost_rows(connection, projection.has_key(keys, ghost=True), by_index=False))

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

    def _source_rows(self, connection: Conn, condition: str, fill: str, by_index: bool) -> dict[Key, int]:
        key = self.projection.key
        with connection.cursor() as cursor:
            if self.needs_twin:
                self._refill(cursor, fill)
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
