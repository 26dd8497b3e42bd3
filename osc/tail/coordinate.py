"""A place in a server's binlog: what the server says of its own end and beginning, and how two places compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from osc.errors import BinlogGone, MigrationFailed
from osc.mysql.server import Server
from osc.mysql.session import Conn


@dataclass(frozen=True, slots=True)
class Coordinate:
    """A place between two events of a binlog. `<` and its kin compare places of one server."""

    file: str
    position: int
    gtid_set: str | None = None
    """The transactions before it, when the server gives them ids; it plays no part in comparisons with `<`."""

    @property
    def _rank(self) -> tuple[int, int]:
        return file_number(self.file), self.position

    def __lt__(self, other: Coordinate) -> bool:
        return self._rank < other._rank

    def __le__(self, other: Coordinate) -> bool:
        return self._rank <= other._rank

    def __gt__(self, other: Coordinate) -> bool:
        return self._rank > other._rank

    def __ge__(self, other: Coordinate) -> bool:
        return self._rank >= other._rank

    def __str__(self) -> str:
        return f"{self.file}:{self.position}"

    def to_json(self) -> dict[str, str | int | None]:
        """A value that `json` can write and `from_json` reads."""
        return {"file": self.file, "position": self.position, "gtid_set": self.gtid_set}

    @classmethod
    def from_json(cls, stored: Mapping[str, object]) -> Coordinate:
        """The coordinate that `to_json` wrote. Raises KeyError and ValueError for anything else."""
        gtid_set = stored.get("gtid_set")
        return cls(str(stored["file"]), int(str(stored["position"])), None if gtid_set is None else str(gtid_set))


def file_number(file: str) -> int:
    """The number behind the last dot of a binlog's name. It grows, past six digits too, so names don't sort by it."""
    return int(file.rpartition(".")[2])


def current_coordinate(connection: Conn, server: Server) -> Coordinate:
    """The end of the server's binlog. Needs REPLICATION CLIENT. Raises MigrationFailed when there is no binlog."""
    # MySQL 8.2 brought the new name, 8.4 took the old one away.
    new_name = not server.is_mariadb and server.version >= (8, 2, 0)
    with connection.cursor() as cursor:
        # The ids first: what commits in between is then delivered again by an id, and never left out.
        gtid_set: str | None = None
        if server.has_gtids:
            cursor.execute("select @@global.gtid_binlog_pos" if server.is_mariadb else "select @@global.gtid_executed")
            row = cursor.fetchone()
            assert row is not None
            gtid_set = "".join(str(row[0] or "").split())
        cursor.execute("show binary log status" if new_name else "show master status")
        status = cursor.fetchone()
    if status is None:
        raise MigrationFailed("the server writes no binlog (log_bin is OFF): changes of the table cannot be followed")
    return Coordinate(str(status[0]), int(status[1]), gtid_set)


def binlog_files(connection: Conn) -> dict[str, int]:
    """The binlog files that the server still has, oldest first, with their sizes in bytes. Needs REPLICATION CLIENT."""
    with connection.cursor() as cursor:
        cursor.execute("show binary logs")
        return {str(row[0]): int(row[1]) for row in cursor.fetchall()}


def is_available(connection: Conn, coordinate: Coordinate) -> bool:
    """Whether the server still has the binlog from `coordinate` on, judged by file and position."""
    return coordinate.position <= binlog_files(connection).get(coordinate.file, -1)


def require_available(connection: Conn, coordinate: Coordinate) -> None:
    """Raise BinlogGone, saying what there is, unless the server still has the binlog from `coordinate` on."""
    files = binlog_files(connection)
    if coordinate.position <= files.get(coordinate.file, -1):
        return
    have = f"it has {next(iter(files))} to {next(reversed(files))}" if files else "it has none"
    raise BinlogGone(
        f"the server no longer has its binlog from {coordinate} on ({have}). The original table is intact; "
        "what was copied cannot be brought up to date any more. Remove it (osc cleanup) and start again"
    )
