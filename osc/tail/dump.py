"""The request for a binlog dump, made by mysql-replication: registering, announcing what is understood, and asking.

The dump starts by GTIDs when the coordinate has them, else by file and position.
"""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import pymysql
from pymysqlreplication import BinLogStreamReader

from osc.errors import ConnectionRefused, MigrationFailed, OscError, ServerLost
from osc.mysql.server import Server, ask_identity
from osc.mysql.session import ConnectionSettings, connect, error_code, error_text, is_lost
from osc.tail.coordinate import Coordinate
from osc.tail.gtids import MysqlGtids
from osc.tail.stream import WRAP, Stream, StreamLost

if TYPE_CHECKING:
    from osc.mysql.session import Conn

HEARTBEAT_PERIOD_S: Final = 1
"""An idle server says as often that it is still there."""
READ_TIMEOUT_S: Final = 10.0
"""A server that says nothing for as long is gone, whatever TCP thinks."""

_ACCESS_DENIED: Final = 1227


class _DumpRequest(BinLogStreamReader):  # type: ignore[misc]
    """mysql-replication's reader, used up to and including the request."""

    def send(self) -> None:
        """Register and ask for the dump."""
        self._BinLogStreamReader__connect_to_stream()


class Dump:
    """A dump that a server sends; `stream` has its events."""

    def __init__(
        self,
        settings: ConnectionSettings,
        server: Server,
        start: Coordinate,
        server_id: int,
        reader_uuid: str,
        nap: Callable[[], object],
    ) -> None:
        """Connect and ask. `reader_uuid` tells MySQL that a later dump replaces this one. `nap`: as for the stream.

        Raises StreamLost, and MigrationFailed when the user may not.
        """
        skip_to, position = 0, start.position
        by_id = _can_ask_by_id(server, start)
        if not by_id and position >= WRAP:
            # The request has four bytes for a position: from the file's beginning, then, passing over what was read.
            skip_to, position = position, 4
        try:
            connection = connect(settings, READ_TIMEOUT_S)
        except ConnectionRefused as error:
            raise StreamLost(str(error)) from error
        try:
            _require_same_server(connection, settings, server)
            _ask(connection, server.is_mariadb, start, position, by_id, server_id, reader_uuid)
        except OscError:
            connection.close()
            raise
        except (pymysql.err.MySQLError, OSError) as error:
            with contextlib.suppress(pymysql.err.Error):
                connection.close()
            if is_lost(error):
                raise StreamLost(error_text(error)) from error
            raise MigrationFailed(
                f"{settings.place} does not let {settings.user!r} read its binlog: {error_text(error)}. The original "
                "table is intact. It takes GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.*"
            ) from error
        self._connection = connection
        self._socket: socket.socket = connection._sock  # type: ignore[attr-defined]
        self._socket.settimeout(READ_TIMEOUT_S)
        self.stream = Stream(self._socket, start.file, position, skip_to, nap)

    def interrupt(self) -> None:
        """Make `stream.events_for` in another thread end with StreamLost."""
        with contextlib.suppress(OSError):
            # Not SSLSocket.shutdown: it takes the TLS object away from under the reading thread.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the connection up; the server notices at its next heartbeat."""
        with contextlib.suppress(OSError, pymysql.err.Error):
            self._connection._force_close()  # type: ignore[attr-defined]


def _ask(
    connection: Conn, is_mariadb: bool, start: Coordinate, position: int, by_id: bool, server_id: int, reader_uuid: str
) -> None:
    """Register as a reader and request the dump: by GTIDs, else from `position` of the coordinate's file."""
    with connection.cursor() as cursor:
        # Whatever the server's setting is now: older files may have checksums.
        cursor.execute(
            "set @master_binlog_checksum = 'CRC32', @source_binlog_checksum = 'CRC32',"
            f" @source_heartbeat_period = {HEARTBEAT_PERIOD_S * 10**9}, net_write_timeout = 600"
        )
    _DumpRequest(
        {"read_timeout": READ_TIMEOUT_S},
        server_id,
        blocking=True,
        resume_stream=True,
        log_file=None if by_id else start.file,
        log_pos=None if by_id else position,
        auto_position=start.gtid_set if by_id else None,
        is_mariadb=by_id and is_mariadb,
        report_slave=("osc", "", "", 0),
        slave_uuid=reader_uuid,
        slave_heartbeat=HEARTBEAT_PERIOD_S,
        pymysql_wrapper=lambda **_: connection,
        enable_logging=False,
    ).send()


def _require_same_server(connection: Conn, settings: ConnectionSettings, server: Server) -> None:
    """Raise ServerLost when another server answers than the one that was looked at: its binlog is another one."""
    if ask_identity(connection, server.flavor) != server.identity:
        raise ServerLost(
            f"another server answers at {settings.place} now, after a failover or a change of address, and its binlog is "
            "not the one that was followed. The original table is intact"
        )


def _can_ask_by_id(server: Server, start: Coordinate) -> bool:
    if not start.gtid_set:
        return False
    # Tagged ids are sent in an encoding that mysql-replication does not know; the place in the file is as good.
    return server.is_mariadb or not MysqlGtids.parse(start.gtid_set).has_tags


def reader_ids_in_use(connection: Conn, server: Server) -> frozenset[int]:
    """The `server_id`s of the server itself and, as far as the user may see them, of the readers registered with it.

    MySQL shows them for REPLICATION SLAVE, MariaDB only for REPLICATION MASTER ADMIN, which is an optional grant.
    """
    new_name = not server.is_mariadb and server.version >= (8, 0, 22)
    own = frozenset({int(server.variable("server_id", "0"))})
    try:
        with connection.cursor() as cursor:
            cursor.execute("show replicas" if new_name else "show slave hosts")
            return own | {int(row[0]) for row in cursor.fetchall()}
    except pymysql.err.OperationalError as error:
        if error_code(error) != _ACCESS_DENIED:
            raise
        return own


def choose_reader_id(settings: ConnectionSettings, server: Server, wanted: int | None) -> int:
    """A `server_id` for the tail: `wanted`, else a random one that nobody has. Raises MigrationFailed when it is taken."""
    try:
        connection = connect(settings, READ_TIMEOUT_S)
        try:
            taken = reader_ids_in_use(connection, server)
        finally:
            connection.close()
    except ConnectionRefused as error:
        raise StreamLost(str(error)) from error
    except pymysql.err.MySQLError as error:
        if is_lost(error):
            raise StreamLost(error_text(error)) from error
        raise MigrationFailed(
            f"{settings.user!r} may not ask {settings.place} for its replicas: {error_text(error)} "
            f"(error {error_code(error)}). The original table is intact. It takes GRANT REPLICATION SLAVE ON *.*"
        ) from error
    if wanted is not None:
        if wanted in taken:
            raise same_server_id(wanted)
        return wanted
    while (chosen := random.randint(1 << 30, (1 << 32) - 1)) in taken:
        pass
    return chosen


def same_server_id(server_id: int) -> MigrationFailed:
    """The error for a `server_id` that another reader has."""
    return MigrationFailed(
        f"another reader of the server's binlog has the server id {server_id}, and the server lets only one of them live. "
        "The original table is intact. Give another --replica-server-id, or none for a random one"
    )
