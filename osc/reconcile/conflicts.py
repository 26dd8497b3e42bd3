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
    connection: Conn, projection: Projection, indexes: Sequence[Index], keys: Sequence[Key]
) -> tuple[str, Key] | None:
    """A unique index, and a key not among `keys` whose row in the ghost stands in the way of one of theirs there.

    None when there is none.

    The values compare as the ghost's own columns do, prefix lengths included.
    """
    # No alias for the ghost: under LOCK TABLES an alias would need a lock of its own.
    ghost_name = projection.ghost_table
    carried = dict(zip(projection.ghost_columns, projection.source_columns, strict=True))
    key_select = ", ".join(f"{column.select(ghost_name + '.', ghost=True)}" for column in projection.key.columns)
    own = " and ".join(f"{ghost_name}.{quote(c.in_ghost)} = t.{quote(c.name)}" for c in projection.key.columns)
    wanted = projection.has_key(keys)
    for index in indexes:
        conditions = []
        for part in index.parts:
            source = None if part.column is None else carried.get(part.column)
            if part.column is None or source is None:
                break
            ghost_value, source_value = f"{ghost_name}.{quote(part.column)}", f"t.{quote(source)}"
            if part.prefix_length is not None:
                ghost_value = f"left({ghost_value}, {part.prefix_length})"
                source_value = f"left({source_value}, {part.prefix_length})"
            conditions.append(f"{ghost_value} = {source_value}")
        else:
            with connection.cursor() as cursor:
                cursor.execute(
                    f"select {key_select} from (select * from {projection.source_table} where {wanted}) as t"
                    f" join {ghost_name} on {' and '.join(conditions)} where not ({own}) limit 1"
                )
                row = cursor.fetchone()
            if row is not None:
                return index.name, projection.key_from_row(row)
    return None


def unique_conflict(projection: Projection, index: str, one: Key, other: Key) -> UniqueConflict:
    """The error that names the index and both rows."""
    key = projection.key
    return UniqueConflict(
        f"two rows of {projection.source_table} have the same value under the unique index {index} of the new schema: "
        f"{key.row_text(one)} and {key.row_text(other)}. A direct ALTER would refuse as well. The original is untouched; make "
        "the values distinct, or leave the index out"
    )
