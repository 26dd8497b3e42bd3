"""The unique index that the ghost has only while it is a ghost, where the `ALTER` takes the migration key's index away."""

from __future__ import annotations

from osc.mysql.session import Conn
from osc.mysql.sql import qualified, quote
from osc.table.facts import read_table
from osc.table.projection import MigrationKey


def add_temporary_key(connection: Conn, database: str, ghost: str, key: MigrationKey) -> None:
    """Give the ghost the unique index that carries the migration."""
    columns = ", ".join(quote(column.in_ghost) for column in key.columns)
    with connection.cursor() as cursor:
        cursor.execute(
            f"alter table {qualified(database, ghost)} add unique index {quote(key.ghost_index)} ({columns})"
        )


def has_temporary_key(connection: Conn, database: str, table: str, key: MigrationKey) -> bool:
    """Whether that table exists and has an index that is there for the migration only."""
    found = read_table(connection, database, table) if key.ghost_index_is_temporary else None
    return found is not None and any(index.name == key.ghost_index for index in found.indexes)


def drop_temporary_key(connection: Conn, database: str, ghost: str, key: MigrationKey) -> None:
    """Take it away again; a change of metadata only."""
    with connection.cursor() as cursor:
        cursor.execute(f"alter table {qualified(database, ghost)} drop index {quote(key.ghost_index)}")
