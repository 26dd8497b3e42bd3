"""Opening sessions in which every variable that changes meaning, waits or kills statements has a known value.

A server's defaults are its owner's business: `autocommit=0`, a `max_execution_time`, a loose `sql_mode` or a time zone with
daylight saving must not change what a copied row is. So nothing is inherited: each session sets each of them.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

import pymysql
from pymysql.connections import Connection

from osc.errors import ConnectionRefused, ServerLost
from osc.mysql.server import Server, read_server

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

    Conn: TypeAlias = Connection[Cursor]
else:
    Conn = Connection

SslMode = Literal["DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"]

COPY_SQL_MODE = "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES"
"""Conversion errors stay errors; what was stored under a loose mode is carried: dates that are zero or that no calendar has,
a zero in an auto-increment column."""

PINNED: Mapping[str, str] = {
    "autocommit": "1",
    # With CHAIN, a COMMIT would begin a transaction, and that would release the swap's table locks.
    "completion_type": "'NO_CHAIN'",
    "time_zone": "'+00:00'",
    "sql_mode": f"'{COPY_SQL_MODE}'",
    "transaction_isolation": "'READ-COMMITTED'",
    "tx_isolation": "'READ-COMMITTED'",
    "transaction_read_only": "0",
    "tx_read_only": "0",
    "max_execution_time": "0",
    "max_statement_time": "0",
    "sql_safe_updates": "0",
    "sql_select_limit": "18446744073709551615",
    "sql_big_selects": "1",
    "sql_auto_is_null": "0",
    "sql_quote_show_create": "1",
    "foreign_key_checks": "0",
    "check_constraint_checks": "1",
    "unique_checks": "1",
    "lock_wait_timeout": "5",
    "innodb_lock_wait_timeout": "3",
    "wait_timeout": "3600",
    "idle_transaction_timeout": "0",
    "idle_write_transaction_timeout": "0",
    "net_read_timeout": "120",
    "net_write_timeout": "120",
    "information_schema_stats_expiry": "0",
    # A generated invisible primary key is a column like any other to a copy.
    "show_gipk_in_create_table_and_information_schema": "1",
    # A copy reads while others write: MariaDB 11.8 would fail it with "Record has changed since last read" (1020).
    "innodb_snapshot_isolation": "0",
    # MariaDB turns long IN lists into a join with a temporary table, which no longer seeks in the index.
    "in_predicate_conversion_threshold": "0",
}
"""Session variables set in every session, where the server has them."""

# Names that both servers know under two spellings; the newer is set when it exists.
_SUPERSEDED = {"tx_isolation": "transaction_isolation", "tx_read_only": "transaction_read_only"}

LOST_CONNECTION_CODES = frozenset({0, 1053, 1079, 1080, 1152, 1159, 1161, 1184, 1927, 2003, 2006, 2013, 2055, 4031})
"""Client and server error codes that mean: this connection is gone, another may work."""

CR_SSL_CONNECTION_ERROR = 2026

LOCK_WAIT_TIMEOUT = 1205
"""For a row lock and for a metadata lock alike."""

RETRYABLE_CODES = frozenset({LOCK_WAIT_TIMEOUT, 1213, 1317, 3572, 1020})
"""Lock wait timeout, deadlock, statement killed, lock not available at once, record changed."""


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """How to reach a server and who to be there. The password is kept out of `repr`."""

    host: str = "127.0.0.1"
    port: int = 3306
    socket: str | None = None
    user: str = ""
    password: str = field(default="", repr=False)
    ssl_mode: SslMode = "PREFERRED"
    ssl_ca: str | None = None
    ssl_cert: str | None = None
    ssl_key: str | None = None
    connect_timeout_s: float = 10.0

    @property
    def place(self) -> str:
        """For people: `db1:3306` or the socket's path."""
        return self.socket or f"{self.host}:{self.port}"


class Sessions:
    """Opens the engine's sessions on one server, and remembers their connection ids.

    The ids tell the engine's own DDL in the binlog from somebody else's.
    """

    def __init__(self, settings: ConnectionSettings) -> None:
        """Connect once and ask what the server is. Raises ConnectionRefused."""
        self.settings = settings
        self._lock = threading.Lock()
        self._ids: set[int] = set()
        first = self._connect()
        try:
            self.server: Server = read_server(first)
        finally:
            first.close()

    @property
    def connection_ids(self) -> frozenset[int]:
        """The ids of all sessions opened so far, closed ones included."""
        with self._lock:
            return frozenset(self._ids)

    def open(
        self, purpose: str, variables: Mapping[str, str] | None = None, read_timeout_s: float | None = None
    ) -> Conn:
        """A session with every variable pinned, `variables` (SQL expressions) on top.

        `purpose` completes "cannot …" in errors. Raises ServerLost when the server can't be reached.
        """
        try:
            connection = self._connect(read_timeout_s)
            with connection.cursor() as cursor:
                cursor.execute(pinning_statement(self.server, variables or {}))
        except (pymysql.err.OperationalError, pymysql.err.InterfaceError, ConnectionRefused, OSError) as error:
            raise ServerLost(f"cannot {purpose} on {self.settings.place}: {error_text(error)}") from error
        return connection

    def _connect(self, read_timeout_s: float | None = None) -> Conn:
        connection = connect(self.settings, read_timeout_s)
        with self._lock:
            self._ids.add(connection_id(connection))
        return connection


def pinning_statement(server: Server, variables: Mapping[str, str]) -> str:
    """The `SET` that gives every pinned variable, as far as this server has it, its value."""
    values = {
        name: value
        for name, value in {**PINNED, **variables}.items()
        if name in variables or (name in server.variables and _SUPERSEDED.get(name) not in server.variables)
    }
    return "set " + ", ".join(f"session {name} = {value}" for name, value in values.items())


def connect(settings: ConnectionSettings, read_timeout_s: float | None = None, database: str | None = None) -> Conn:
    """A bare connection. Raises ConnectionRefused with what to look at."""
    try:
        connection = pymysql.connect(
            host=settings.host,
            port=settings.port,
            unix_socket=settings.socket,
            user=settings.user,
            # As bytes: a string would be sent as Latin-1, and the servers hash what was typed as UTF-8.
            password=settings.password.encode("utf-8", "surrogateescape"),
            database=database,
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=int(settings.connect_timeout_s) or 1,
            read_timeout=None if read_timeout_s is None else max(1, int(read_timeout_s)),
            ssl=_tls(settings),
            ssl_disabled=settings.ssl_mode == "DISABLED" or settings.socket is not None,
            program_name="osc",
        )
    except (pymysql.err.Error, OSError) as error:
        if settings.ssl_mode == "PREFERRED" and error_code(error) == CR_SSL_CONNECTION_ERROR:
            # A server without TLS: PyMySQL takes any context as a demand for it.
            return connect(replace(settings, ssl_mode="DISABLED"), read_timeout_s, database)
        raise ConnectionRefused(_why_refused(settings, error)) from error
    if settings.ssl_mode not in ("DISABLED", "PREFERRED") and settings.socket is None and not _is_encrypted(connection):
        connection.close()
        raise ConnectionRefused(f"{settings.place} offers no TLS, and --ssl-mode={settings.ssl_mode} asks for it")
    return connection


def _tls(settings: ConnectionSettings) -> ssl.SSLContext | None:
    """The TLS context for MySQL's `--ssl-mode` (MySQL Reference Manual, "Command Options for Encrypted Connections")."""
    if settings.ssl_mode == "DISABLED" or settings.socket is not None:
        return None
    context = ssl.create_default_context(cafile=settings.ssl_ca) if settings.ssl_ca else ssl.create_default_context()
    context.check_hostname = settings.ssl_mode == "VERIFY_IDENTITY"
    verifies = settings.ssl_mode in ("VERIFY_CA", "VERIFY_IDENTITY") or settings.ssl_ca is not None
    context.verify_mode = ssl.CERT_REQUIRED if verifies else ssl.CERT_NONE
    if settings.ssl_cert:
        context.load_cert_chain(settings.ssl_cert, settings.ssl_key)
    return context


def connection_id(connection: Conn) -> int:
    """The server's id of this session, as `SHOW PROCESSLIST` and the binlog's query events have it."""
    return int(connection.thread_id())  # type: ignore[no-untyped-call]


def _is_encrypted(connection: Conn) -> bool:
    return isinstance(getattr(connection, "_sock", None), ssl.SSLSocket)


def _why_refused(settings: ConnectionSettings, error: Exception) -> str:
    code = error_code(error)
    text = error_text(error)
    if code == 1045:
        given = "with a password" if settings.password else "without a password"
        return f"{settings.place} refused the login of {settings.user!r} ({given}): {text}"
    if code in (2003, 2005, 0) or isinstance(error, OSError):
        return f"cannot reach {settings.place}: {text}. Check --host, --port or --socket, and that the server is up"
    return f"{settings.place} refused the connection: {text}"


def error_code(error: BaseException) -> int:
    """The server's or client library's error number; 0 when it carries none."""
    return error.args[0] if error.args and isinstance(error.args[0], int) else 0


def error_text(error: BaseException) -> str:
    """The error as the server's own tools print it: number and message."""
    if isinstance(error, pymysql.err.MySQLError) and len(error.args) >= 2:
        return f"{error.args[1]} (error {error.args[0]})"
    return str(error) or type(error).__name__


def is_lost(error: BaseException) -> bool:
    """Whether the error means that the connection is gone, rather than that the statement was wrong."""
    if isinstance(error, pymysql.err.InterfaceError | ConnectionError | TimeoutError):
        return True
    return isinstance(error, pymysql.err.OperationalError) and error_code(error) in LOST_CONNECTION_CODES


def is_retryable(error: BaseException) -> bool:
    """Whether the same transaction may well succeed when tried again."""
    return isinstance(error, pymysql.err.MySQLError) and error_code(error) in RETRYABLE_CODES
