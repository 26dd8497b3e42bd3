"""How far each replica is behind: which heartbeat it has, and how long ago the first that it lacks was committed.

Both moments are read off the engine's own clock, so nobody's clock has to be right, and less than a second is told apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pymysql

from osc.errors import ConnectionRefused
from osc.mysql.server import Server
from osc.mysql.session import Conn, ConnectionSettings, connect, error_code, error_text
from osc.state.table import StateTable
from osc.throttle.watched import Unreadable

LOOK_EVERY_S = 0.2
TIMEOUT_S = 2.0

_ACCESS_DENIED = 1227
_NO_SUCH_DATABASE, _NO_SUCH_TABLE = 1049, 1146
_OTHER_READERS = ("", "osc")
"""What readers of the binlog that are no servers register as."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a replica listens."""

    host: str
    port: int = 3306

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def addresses(text: str) -> tuple[Address, ...]:
    """The addresses of `db2,db3:3307`. Raises ValueError."""
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        host, colon, port = part.rpartition(":")
        if not colon or part.endswith("]"):
            host, port = part, "3306"
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ValueError(f"{part!r} is not of the form host or host:port")
        found.append(Address(host.strip("[]"), int(port)))
    return tuple(found)


def registered_replicas(connection: Conn, server: Server) -> list[Address]:
    """The replicas that say where they are (`report_host`); none where the user may not ask (MariaDB)."""
    new_name = not server.is_mariadb and server.version >= (8, 0, 22)
    with connection.cursor() as cursor:
        try:
            cursor.execute("show replicas" if new_name else "show slave hosts")
        except pymysql.err.OperationalError as error:
            if error_code(error) != _ACCESS_DENIED:
                raise
            return []
        found = [Address(str(row[1]), int(row[2]) or 3306) for row in cursor.fetchall()]
    return [address for address in found if address.host not in _OTHER_READERS]


class ReplicaLag:
    """One replica. Used by one thread."""

    def __init__(
        self,
        settings: ConnectionSettings,
        address: Address,
        state: StateTable,
        behind_s: Callable[[int], float],
        most_lag_s: float,
        minds_delay: bool,
    ) -> None:
        """`settings`: the login. `behind_s`: how long ago the first heartbeat above that number was committed.

        `minds_delay`: whether one that lags on purpose (`SQL_Delay`) is to catch up all the same.
        """
        self._settings = replace(
            settings, host=address.host, port=address.port, socket=None, connect_timeout_s=TIMEOUT_S
        )
        self._address = address
        self._state = state
        self._behind_s = behind_s
        self._most_lag_s = most_lag_s
        self._minds_delay = minds_delay
        self._connection: Conn | None = None
        self._is_delayed = False
        self.lag_s: float | None = None
        """At the latest look."""

    def read(self) -> str | None:
        """Why to hold back, or None. Raises Unreadable."""
        try:
            if self._connection is None:
                self._connection = connect(self._settings, TIMEOUT_S)
                self._is_delayed = not self._minds_delay and delay_s(self._connection) > 0
            beat = self._state.read_beat(self._connection)
        except (pymysql.err.MySQLError, ConnectionRefused, OSError) as error:
            if error_code(error) not in (_NO_SUCH_TABLE, _NO_SUCH_DATABASE):
                self.close()
                raise Unreadable(error_text(error)) from error
            beat = 0
        self.lag_s = self._behind_s(beat)
        if self._is_delayed or self.lag_s <= self._most_lag_s:
            return None
        return f"the replica {self._address} is {self.lag_s:.1f} s behind"

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and connection.open:
            connection.close()


def delay_s(connection: Conn) -> int:
    """By how much the replica lags on purpose; 0 where it does not, or where the user may not ask."""
    with connection.cursor(pymysql.cursors.DictCursor) as cursor:
        for statement in ("show replica status", "show slave status"):
            try:
                cursor.execute(statement)
            except pymysql.err.MySQLError:
                continue
            return max((int(row.get("SQL_Delay") or 0) for row in cursor.fetchall()), default=0)
    return 0
