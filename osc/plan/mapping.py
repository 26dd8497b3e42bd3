"""Which column of the original fills which column of the ghost.

That follows the statement, never a likeness of names: a column that one statement drops and adds again under its old
name starts afresh, and two columns that swap names swap their values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from osc.errors import ColumnsUnexplained
from osc.mysql.names import folded
from osc.table.facts import Column


@dataclass(frozen=True, slots=True)
class ColumnPair:
    """A column of the ghost and the column of the original that its values come from."""

    source: Column
    ghost: Column


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """Every column of both tables, by what becomes of it. All in the order of the ghost."""

    pairs: tuple[ColumnPair, ...]
    """What the copy inserts. A generated source column is among them where its counterpart is a base column."""
    generated: tuple[Column, ...]
    """Columns of the ghost that the server computes: never inserted."""
    added: tuple[Column, ...]
    """Base columns of the ghost without a source: their default fills them, and the original does not say with what."""
    dropped: tuple[Column, ...]
    """Columns of the original whose values go nowhere, in the order of the original."""

    def ghost_of(self, source_name: str) -> Column | None:
        """The column of the ghost that takes the values of this one; None when none does."""
        return next((pair.ghost for pair in self.pairs if folded(pair.source.name) == folded(source_name)), None)

    def source_of(self, ghost_name: str) -> Column | None:
        """The column of the original that fills this one; None when none does."""
        return next((pair.source for pair in self.pairs if folded(pair.ghost.name) == folded(ghost_name)), None)

    @property
    def without_default(self) -> tuple[Column, ...]:
        """Added columns that an insert must name: NOT NULL and without a default (see `implicit_default`)."""
        return tuple(
            column
            for column in self.added
            if not column.is_nullable and column.default is None and not column.is_auto_increment
        )


def map_columns(
    source: Sequence[Column],
    ghost: Sequence[Column],
    renames: Mapping[str, str],
    dropped: Iterable[str],
    added: Iterable[str],
) -> ColumnMapping:
    """The mapping for an original, the ghost that the server's `ALTER` made of it, and what that statement names.

    The server has accepted the statement. So what it names in vain was conditional: a rename or drop of a column that
    there is none (`IF EXISTS`) did nothing, and neither did the addition of one that was there and stayed
    (`IF NOT EXISTS`). Raises ColumnsUnexplained when the ghost is not what the statement makes of the original.
    """
    _by_name(source)
    ghost_by_name = _by_name(ghost)
    targets = _targets(source, renames, {folded(name) for name in dropped})
    lost = [column for name, column in targets.items() if name not in ghost_by_name]
    if lost:
        raise ColumnsUnexplained(_message("values of the original", lost, "would have no column in the new table"))
    added_names = {folded(name) for name in added}
    unexplained = [column for name, column in ghost_by_name.items() if name not in targets and name not in added_names]
    if unexplained:
        raise ColumnsUnexplained(_message("the new table", unexplained, "come from nowhere in the statement"))
    carried = {folded(column.name) for column in targets.values()}
    return ColumnMapping(
        pairs=tuple(
            ColumnPair(targets[name], column)
            for name, column in ghost_by_name.items()
            if name in targets and not column.is_generated
        ),
        generated=tuple(column for column in ghost if column.is_generated),
        added=tuple(
            column for name, column in ghost_by_name.items() if name not in targets and not column.is_generated
        ),
        dropped=tuple(column for column in source if folded(column.name) not in carried),
    )


def _by_name(columns: Sequence[Column]) -> dict[str, Column]:
    by_name: dict[str, Column] = {}
    for column in columns:
        same = by_name.setdefault(folded(column.name), column)
        if same is not column:
            raise ColumnsUnexplained(
                _message("one table", [same, column], "are too much alike to be told apart safely")
            )
    return by_name


def _targets(source: Sequence[Column], renames: Mapping[str, str], dropped: set[str]) -> dict[str, Column]:
    """The surviving columns of the original by their new names, folded."""
    new_names = {folded(old): folded(new) for old, new in renames.items()}
    targets: dict[str, Column] = {}
    for column in source:
        name = folded(column.name)
        if name in dropped:
            if name in new_names:
                raise ColumnsUnexplained(_message("the statement", [column], "are both renamed and dropped"))
            continue
        target = new_names.get(name, name)
        if target in targets:
            raise ColumnsUnexplained(_message("the statement", [targets[target], column], "get the same name"))
        targets[target] = column
    return targets


def _message(whose: str, columns: Iterable[Column], what: str) -> str:
    names = ", ".join(column.name for column in columns)
    return (
        f"the columns of the new table do not follow from the ALTER as it was read: {whose}: {names}: {what}. "
        "The original table is untouched and no row was copied. Write the ALTER in plainer clauses, one a column."
    )


# --- the default of a column that has none --------------------------------------------------------------------------

_IMPLICIT_DEFAULTS = {
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "int", "bigint", "bit", "year"), "0"),
    **dict.fromkeys(("decimal", "float", "double"), "0"),
    **dict.fromkeys(("char", "varchar", "tinytext", "text", "mediumtext", "longtext", "set"), "''"),
    **dict.fromkeys(("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"), "''"),
    "enum": "1",  # the index of the first value
    "time": "'00:00:00'",
    "json": "'null'",
    "uuid": "'00000000-0000-0000-0000-000000000000'",
    "inet4": "'0.0.0.0'",
    "inet6": "'::'",
}
_ZERO_DATES = {
    "date": "'0000-00-00'",
    "datetime": "'0000-00-00 00:00:00'",
    "timestamp": "'0000-00-00 00:00:00'",
}


def implicit_default(column: Column, zero_dates: bool) -> str | None:
    """The literal that a direct `ALTER` fills a new NOT NULL column without a default with.

    A strict insert that leaves such a column out fails (1364), so the copy names it with this value. `zero_dates` says
    whether the server takes a zero date in an `ALTER`, that is, whether its `sql_mode` is without NO_ZERO_DATE or not
    strict. None where the direct `ALTER` of a table with rows would fail too: refused dates, geometries, vectors.
    """
    value = _IMPLICIT_DEFAULTS.get(column.data_type)
    return _ZERO_DATES.get(column.data_type) if value is None and zero_dates else value
