"""What the ALTER changes, column by column and index by index."""

from __future__ import annotations

import re

from osc.mysql.names import folded
from osc.mysql.sql import quote
from osc.plan.alter import AlterStatement
from osc.plan.mapping import ColumnPair, map_columns
from osc.report.plan import Changes, ColumnChange
from osc.table.conversion import taken_as
from osc.table.deferred import DeferredIndexes
from osc.table.facts import Column, Table
from osc.verify.digest import holds_every_value

_INDEX_LINE = re.compile(r"^  (?:PRIMARY |UNIQUE |FULLTEXT |SPATIAL )?KEY\b.*?,?$")
_COLUMN_LINE = re.compile(r"^  `((?:[^`]|``)+)` (.*?),?$")


def changes_between(
    source: Table, ghost: Table, alter: AlterStatement, deferred: DeferredIndexes, is_mariadb: bool
) -> Changes:
    """What becomes of the original in the ghost that the server made. Raises ColumnsUnexplained."""
    mapping = map_columns(source.columns, ghost.columns, alter.renames, alter.dropped_columns, alter.added_columns)
    old, new = _definitions(source), _definitions(ghost)
    known = {folded(column.name) for column in source.columns}
    added = [
        ColumnChange(column.name, after=new.get(column.name, column.column_type), conversion=_filled(column))
        for column in ghost.columns
        if column in mapping.added or (column.is_generated and folded(column.name) not in known)
    ]
    dropped = [
        ColumnChange(column.name, before=old.get(column.name, column.column_type))
        for column in mapping.dropped
        if not column.is_generated or not any(folded(one.name) == folded(column.name) for one in mapping.generated)
    ]
    before, after = _index_lines(source), _index_lines(ghost)
    # Renamed columns are renamed in their indexes, too; so the lines are told as the server prints them.
    return Changes(
        added=tuple(added),
        dropped=tuple(dropped),
        changed=tuple(change for pair in mapping.pairs if (change := _changed(pair, old, new, is_mariadb)) is not None),
        indexes_added=tuple(line for line in after if line not in before),
        indexes_dropped=tuple(line for line in before if line not in after),
        indexes_deferred=deferred.names,
        options=_options(source, ghost),
    )


def changes_in_words(alter: AlterStatement) -> Changes:
    """What the statement says, without asking a server."""
    renames = {folded(old): new for old, new in alter.renames.items()}
    modified = {folded(name) for name in alter.modified_columns}
    changed = [
        ColumnChange(name, new_name=renames.get(folded(name), ""), may_lose=True) for name in alter.modified_columns
    ]
    changed += [ColumnChange(old, new_name=new) for old, new in alter.renames.items() if folded(old) not in modified]
    return Changes(
        added=tuple(ColumnChange(name) for name in alter.added_columns),
        dropped=tuple(ColumnChange(name) for name in alter.dropped_columns),
        changed=tuple(changed),
        indexes_dropped=alter.dropped_indexes,
        is_read_from_statement=True,
    )


def _changed(pair: ColumnPair, old: dict[str, str], new: dict[str, str], is_mariadb: bool) -> ColumnChange | None:
    source, ghost = pair.source, pair.ghost
    before, after = old.get(source.name, source.column_type), new.get(ghost.name, ghost.column_type)
    is_renamed = folded(source.name) != folded(ghost.name)
    if before == after and not is_renamed:
        return None
    return ColumnChange(
        name=source.name,
        before=before,
        after=after,
        new_name=ghost.name if is_renamed else "",
        conversion=_conversion(source, ghost, is_mariadb),
        may_lose=not holds_every_value(source, ghost),
    )


def _conversion(source: Column, ghost: Column, is_mariadb: bool) -> str:
    if holds_every_value(source, ghost):
        return "every value as it is"
    taken = taken_as(source, ghost, is_mariadb)
    way = "" if taken == quote(source.name) else f", by way of {taken}"
    nulls = "; NULL is refused" if source.is_nullable and not ghost.is_nullable else ""
    if source.column_type == ghost.column_type and source.charset == ghost.charset:
        return f"every value as it is{nulls}"
    return f"as the server converts it in strict mode{way}; what does not fit is refused{nulls}"


def _filled(column: Column) -> str:
    if column.is_generated:
        return "computed by the server"
    if column.is_auto_increment:
        return "numbered by the server"
    if column.default is not None:
        return f"every row gets {column.default}"
    return "every row gets NULL" if column.is_nullable else "every row gets the type's own empty value"


def _definitions(table: Table) -> dict[str, str]:
    """What stands behind each column's name in `SHOW CREATE TABLE`."""
    found = {}
    for line in table.create_statement.splitlines():
        match = _COLUMN_LINE.match(line)
        if match:
            found[match[1].replace("``", "`")] = match[2]
    return found


def _index_lines(table: Table) -> tuple[str, ...]:
    return tuple(line.strip().rstrip(",") for line in table.create_statement.splitlines() if _INDEX_LINE.match(line))


def _options(source: Table, ghost: Table) -> tuple[tuple[str, str], ...]:
    before, after = (table.structure.rsplit("\n) ", 1)[-1] for table in (source, ghost))
    return () if before == after else ((before, after),)
