"""The unique index that the ghost has only while it is a ghost, where the `ALTER` takes the migration key's index away."""

from __future__ import annotations

from osc.mysql.session import Conn
from osc.mysql.sql import qualified, quote
from osc.table.choose import TEMPORARY_INDEX
from osc.table.facts import read_table
from osc.table.names import Names
from osc.table.projection import MigrationKey


def add_temporary_key(connection: Conn, database: str, ghost: str, key: MigrationKey) -> None:
    """Give the ghost the unique index that carries the migration."""
    columns = ", ".join(quote(column.in_ghost) for column in key.columns)
    with connection.cursor() as cursor:
        cursor.execute(
            f"alter table {qualified(database, ghost)} add unique index {quote(key.ghost_index)} ({columns})"
        )


def has_temporary_key(connection: Conn, database: str, ghost: str, key: MigrationKey) -> bool:
    """Whether the ghost exists and has the unique index that carries the migration."""
    found = read_table(connection, database, ghost)
    return found is not None and any(index.name == key.ghost_index for index in found.indexes)


def drop_left_temporary_key(connection: Conn, names: Names) -> None:
    """Take it from the table itself, where the session that swapped was lost, or kept waiting, right behind the rename.

    An index of that name which the old table has as well is the user's own.
    """
    now, before = (read_table(connection, names.database, name) for name in (names.table, names.old))
    is_left, is_own = (
        table is not None and any(index.name == TEMPORARY_INDEX for index in table.indexes) for table in (now, before)
    )
    if is_left and not is_own:
        with connection.cursor() as cursor:
            cursor.execute(f"alter table {qualified(names.database, names.table)} drop index {quote(TEMPORARY_INDEX)}")


def drop_temporary_key(connection: Conn, database: str, ghost: str, key: MigrationKey) -> None:
    """Take it away again; a change of metadata only."""
    with connection.cursor() as cursor:
        cursor.execute(f"alter table {qualified(database, ghost)} drop index {quote(key.ghost_index)}")
