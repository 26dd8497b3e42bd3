"""Finding the row that owns a value which a stricter unique index of the ghost lets only one row have."""

from __future__ import annotations

from collections.abc import Sequence

from osc.errors import UniqueConflict
from osc.mysql.session import Conn
from osc.mysql.sql import quote
from osc.table.facts import Index
from osc.table.key import Key
from osc.table.projection import Projection


def owner_of_duplicate(
    connection: Conn, projection: Projection, indexes: Sequence[Index], keys: Sequence[Key], twin: str | None = None
) -> tuple[str, Key] | None:
    """A unique index, and a key not among `keys` whose row in the ghost stands in the way of one of theirs there.

    None when there is none.

    The values compare as the ghost's own columns do, prefix lengths included. `twin`: a table that holds these keys' rows
    as the ghost should; without it, values that a conversion changes are not recognised.
    """
    # No alias for the ghost: under LOCK TABLES an alias would need a lock of its own.
    ghost_name = projection.ghost_table
    values_of = map(quote, projection.ghost_columns) if twin else projection.selected
    carried = dict(zip(projection.ghost_columns, values_of, strict=True))
    key_select = ", ".join(f"{column.select(ghost_name + '.', ghost=True)}" for column in projection.key.columns)
    # Every column by name: `*` leaves invisible ones out.
    own_key = [
        f"{quote(column.in_ghost if twin else column.name)} as k{part}"
        for part, column in enumerate(projection.key.columns)
    ]
    own = " and ".join(f"{ghost_name}.{quote(c.in_ghost)} = t.k{part}" for part, c in enumerate(projection.key.columns))
    for index in indexes:
        values, conditions = [], []
        for number, part in enumerate(index.parts):
            if part.column is None or part.column not in carried:
                break
            ghost_value, source_value = f"{ghost_name}.{quote(part.column)}", f"t.v{number}"
            values.append(f"{carried[part.column]} as v{number}")
            if part.prefix_length is not None:
                ghost_value = f"left({ghost_value}, {part.prefix_length})"
                source_value = f"left({source_value}, {part.prefix_length})"
            conditions.append(f"{ghost_value} = {source_value}")
        else:
            wanted = projection.has_key(keys, ghost=twin is not None)
            rows = f"select {', '.join(own_key + values)} from {twin or projection.source_table} where {wanted}"
            with connection.cursor() as cursor:
                cursor.execute(
                    f"select {key_select} from ({rows}) as t"
                    f" join {ghost_name} on {' and '.join(conditions)} where not ({own}) limit 1"
                )
                row = cursor.fetchone()
            if row is not None:
                return f"{index.name} ({', '.join(index.columns)})", projection.key_from_row(row)
    return None


def unique_conflict(projection: Projection, index: str, one: Key, other: Key) -> UniqueConflict:
    """The error that names the index and both rows; only one where the other was not found (`one` is `other`)."""
    rows = projection.key.row_text(one)
    rows += " and another row" if one == other else f" and {projection.key.row_text(other)}"
    return UniqueConflict(
        f"two rows of {projection.source_table} have the same value under the unique index {index} of the new schema: {rows}. "
        "A direct ALTER would refuse as well. The original is untouched; make the "
        "values distinct, or leave the index out"
    )
