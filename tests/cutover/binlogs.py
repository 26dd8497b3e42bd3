"""What the binlog tells of a swap, asked of the server itself: an oracle that shares nothing with the engine's own reader."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

from osc.mysql.sql import qualified
from tests.servers import ServerUnderTest


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the binlog."""

    file: str
    position: int


def end_of_binlog(server: ServerUnderTest) -> Place:
    """Where the next event will be."""
    row = server.query("show master status" if server.is_mariadb else "show binary log status")[0]
    return Place(str(row[0]), int(str(row[1])))


def writes_before_rename(
    server: ServerUnderTest, database: str, table: str, state: str, since: Place
) -> list[tuple[str, str]]:
    """Row events of the table between the last write of the state table and the first rename of the table behind that place.

    Fails when there is no such rename.
    """
    rename = f"rename table {qualified(database, table)} to "
    found: list[tuple[str, str]] = []
    for kind, info in _events(server, since):
        if kind == "Query" and rename in info:
            return found
        if kind == "Table_map" and info.endswith(f"({database}.{state})"):
            found.clear()
        elif kind == "Table_map" and info.endswith(f"({database}.{table})"):
            found.append((kind, info))
    raise AssertionError(f"no rename of {table} in the binlog behind {since}")


def _events(server: ServerUnderTest, since: Place) -> list[tuple[str, str]]:
    """Type and text of all events from there on, in order."""
    files = [str(row[0]) for row in server.query("show binary logs")]
    found: list[tuple[str, str]] = []
    with closing(server.admin()) as connection, connection.cursor() as cursor:
        for file in files[files.index(since.file) :]:
            start = since.position if file == since.file else 4
            cursor.execute(f"show binlog events in '{file}' from {start}")
            found += [(str(row[2]), str(row[5])) for row in cursor.fetchall()]
    return found
