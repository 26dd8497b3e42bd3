"""Choosing the migration key: the columns that name the same row in the original and in the ghost.

It has to be NOT NULL, made of whole columns, uniquely indexed in both tables, and compare alike in both. Otherwise one key
names different rows: with a binary collation in one and a case-insensitive in the other, deleting 'A' would remove 'a';
with `DATETIME(3)` against `DATETIME`, a delete never matches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from osc.mysql.names import folded
from osc.table.facts import Column, Index, Table
from osc.table.key import KeyColumn, key_column
from osc.table.projection import MigrationKey

TEMPORARY_INDEX = "osc_migration_key"

_WIDTHS = {"tinyint": 1, "smallint": 2, "mediumint": 3, "int": 4, "bigint": 8}


@dataclass(frozen=True, slots=True)
class Unusable:
    """An index that can't be the migration key, and why."""

    index: str
    reason: str


def source_candidates(source: Table) -> tuple[list[Index], list[Unusable]]:
    """The unique indexes of the original that could carry a migration, best first, and those that could not."""
    usable, unusable = [], []
    for index in sorted(source.unique_indexes, key=_preference(source)):
        reason = why_unusable(source, index)
        if reason is None:
            usable.append(index)
        else:
            unusable.append(Unusable(index.name, reason))
    return usable, unusable


def why_unusable(table: Table, index: Index) -> str | None:
    """Why this unique index cannot name rows; None when it can."""
    if any(part.column is None for part in index.parts):
        return "it has an expression as a part"
    if any(part.prefix_length is not None for part in index.parts):
        return "it indexes only a prefix of a column"
    if index.index_type not in ("BTREE", "RTREE"):
        return f"it is a {index.index_type} index"
    if not index.is_visible:
        return "it is invisible, so that no statement can be made to use it"
    for name in index.columns:
        column = table.column(name)
        if column.is_nullable:
            return f"column {name} may be NULL"
        if column.is_generated:
            return f"column {name} is generated"
        if key_column(column) is None:
            return f"column {name} is of type {column.column_type}, which cannot be a migration key"
    return None


def choose_key(
    source: Table, ghost: Table, ghost_of: Callable[[str], Column | None]
) -> tuple[MigrationKey | None, list[Unusable]]:
    """The best key that both tables share, and why each of the others is not it; None when there is none.

    A key that only the original has as a key, while the ghost keeps its columns, is chosen last and marked temporary.
    """
    usable, rejected = source_candidates(source)
    temporary: MigrationKey | None = None
    for index in usable:
        columns = _shared_columns(source, index, ghost_of)
        if isinstance(columns, str):
            rejected.append(Unusable(index.name, columns))
            continue
        twin = _unique_index_on(ghost, tuple(column.in_ghost for column in columns))
        if twin is not None:
            return MigrationKey(columns, index.name, twin.name), rejected
        temporary = temporary or MigrationKey(columns, index.name, TEMPORARY_INDEX, ghost_index_is_temporary=True)
    return temporary, rejected


def stricter_indexes(
    source: Table, ghost: Table, key: MigrationKey, source_of: Callable[[str], Column | None]
) -> list[Index]:
    """Unique indexes of the ghost, other than the key, that the original does not enforce in the same form."""
    return [
        index
        for index in other_unique_indexes(ghost, key)
        if not any(_same_index(source, other, ghost, index, source_of) for other in source.unique_indexes)
    ]


def other_unique_indexes(ghost: Table, key: MigrationKey) -> list[Index]:
    """Unique indexes of the ghost under which two rows of different keys could meet.

    One that has all columns of the migration key among its own is none of those.
    """
    names = {folded(column.in_ghost) for column in key.columns}
    return [
        index
        for index in ghost.unique_indexes
        if not names <= {folded(part.column) for part in index.parts if part.column and part.prefix_length is None}
    ]


def _preference(table: Table) -> Callable[[Index], tuple[bool, bool, int]]:
    """The primary key, then those whose keys compare in Python, then the shortest."""

    def rank(index: Index) -> tuple[bool, bool, int]:
        columns = [key_column(table.column(name)) for name in index.columns]
        return not index.is_primary, not all(column is not None and column.compares for column in columns), len(columns)

    return rank


def _shared_columns(
    source: Table, index: Index, ghost_of: Callable[[str], Column | None]
) -> tuple[KeyColumn, ...] | str:
    """The key's columns with their names in the ghost, or why they can't serve."""
    columns: list[KeyColumn] = []
    for name in index.columns:
        old = source.column(name)
        new = ghost_of(name)
        key = key_column(old)
        assert key is not None
        if new is None:
            return f"the new table has no column for {name}"
        if new.is_nullable:
            return f"column {name} may be NULL in the new table"
        if not compares_alike(old, new):
            return f"column {name} changes from {_described(old)} to {_described(new)}, and would compare differently"
        columns.append(replace(key, ghost_name=new.name if new.name != name else None))
    return tuple(columns)


def compares_alike(old: Column, new: Column) -> bool:
    """Whether equal keys of one are equal keys of the other: the same type and collation, or a widened one."""
    if (old.charset, old.collation) != (new.charset, new.collation):
        return False
    if old.data_type in _WIDTHS and new.data_type in _WIDTHS:
        wider = _WIDTHS[new.data_type] - _WIDTHS[old.data_type]
        return wider >= 0 if old.is_unsigned == new.is_unsigned else old.is_unsigned and wider > 0
    if old.data_type == new.data_type and old.data_type in ("varchar", "varbinary"):
        return _length(new) >= _length(old)
    return old.column_type == new.column_type


def _unique_index_on(table: Table, columns: tuple[str, ...]) -> Index | None:
    wanted = [folded(name) for name in columns]
    matches = [
        index
        for index in table.unique_indexes
        if index.is_plain and index.is_visible and [folded(name) for name in index.columns] == wanted
    ]
    return next(iter(sorted(matches, key=lambda index: not index.is_primary)), None)


def _same_index(source: Table, old: Index, ghost: Table, new: Index, source_of: Callable[[str], Column | None]) -> bool:
    """Whether the original enforces the very same uniqueness: columns, types, collations, prefixes, and NULLs.

    A unique index lets any number of NULLs in; in a column that takes none they become one value, and clash.
    """
    if len(old.parts) != len(new.parts):
        return False
    old_parts = {folded(part.column or ""): part.prefix_length for part in old.parts}
    for part in new.parts:
        origin = source_of(part.column) if part.column is not None else None
        if part.column is None or origin is None or folded(origin.name) not in old_parts:
            return False
        if old_parts[folded(origin.name)] != part.prefix_length:
            return False
        column = ghost.column(part.column)
        if not compares_alike(origin, column) or (origin.is_nullable and not column.is_nullable):
            return False
    return True


def _length(column: Column) -> int:
    return int(column.column_type.split("(")[1].split(")")[0])


def _described(column: Column) -> str:
    return f"{column.column_type} {column.collation}" if column.collation else column.column_type
