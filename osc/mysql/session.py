"""Opening sessions in which every variable that changes meaning, waits or kills statements has a known value.

A server's defaults are its owner's business: `autocommit=0`, a `max_execution_time`, a loose `sql_mode` or a time zone with
daylight saving must not change what a copied row is. So nothing is inherited: each session sets each of them.
"""

from __future__ import annotations

import contextlib
import io
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import pymysql
from pymysql.connections import Connection

from osc.errors import ConnectionRefused, ServerLost
from osc.mysql.server import Server, ask_identity, read_server
from osc.mysql.silence import LOOK_AFTER_S, PatientReader

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
    # ANALYZE TABLE tells of errors in words only.
    "lc_messages": "'en_US'",
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

NO_SUCH_THREAD = 1094

_IDLE = frozenset({"Sleep", "Killed"})
"""What the process list says of a session that will not answer. MariaDB may list one that was killed while it was idle until
its client sends something, or until `wait_timeout` (seen for minutes)."""

KEEPALIVE_S = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""An idle session says so often that it is there that no firewall forgets it, and hears when its server's host is gone."""

WRITE_TIMEOUT_S = 60.0
"""For sending one statement, of a few MiB at most."""

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


class StatementCount:
    """How many statements have been sent, and how many of them are under way. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.sent = 0
        self.under_way = 0

    def one_is_sent(self) -> None:
        """Another one."""
        with self._lock:
            self.sent += 1

    @contextlib.contextmanager
    def one_under_way(self) -> Iterator[None]:
        """Until its answer is read."""
        with self._lock:
            self.under_way += 1
        try:
            yield
        finally:
            with self._lock:
                self.under_way -= 1


class CountedConnection(Conn):
    """A connection that counts the statements that it sends."""

    def __init__(self, count: StatementCount, **arguments: Any) -> None:  # pymysql's own
        self._count = count
        super().__init__(**arguments)

    def query(self, sql: str | bytes, unbuffered: bool = False) -> int:
        with self._count.one_under_way():
            return int(super().query(sql, unbuffered))

    def begin(self) -> None:
        with self._count.one_under_way():
            super().begin()

    def commit(self) -> None:
        with self._count.one_under_way():
            super().commit()

    def rollback(self) -> None:
        with self._count.one_under_way():
            super().rollback()

    def _execute_command(self, command: int, sql: str | bytes) -> None:
        self._count.one_is_sent()
        super()._execute_command(command, sql)  # type: ignore[misc]

    def close(self) -> None:
        """Say goodbye, which both servers count like a statement (`Queries`)."""
        if self.open:
            self._count.one_is_sent()
        super().close()


class Sessions:
    """Opens the engine's sessions on one server, remembers their connection ids and counts their statements.

    The ids tell the engine's own DDL in the binlog from somebody else's; the count does so for the server's load.
    """

    def __init__(self, settings: ConnectionSettings) -> None:
        """Connect once and ask what the server is. Raises ConnectionRefused."""
        self.settings = settings
        self._lock = threading.Lock()
        self._ids: set[int] = set()
        self._count = StatementCount()
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

    @property
    def statements(self) -> int:
        """How many statements all sessions together have sent so far."""
        return self._count.sent

    @property
    def statements_under_way(self) -> int:
        """How many of them wait for their answer right now."""
        return self._count.under_way

    def open(
        self, purpose: str, variables: Mapping[str, str] | None = None, read_timeout_s: float | None = None
    ) -> Conn:
        """A session with every variable pinned, `variables` (SQL expressions) on top.

        `purpose` completes "cannot …" in errors. An answer may take `read_timeout_s`; by default as long as the server is at
        work on it. Raises ServerLost when the server can't be reached, or when it is another than at the start.
        """
        try:
            connection = self._connect(read_timeout_s)
            with connection.cursor() as cursor:
                cursor.execute(pinning_statement(self.server, variables or {}))
            self._require_same_server(connection, purpose)
        except (pymysql.err.OperationalError, pymysql.err.InterfaceError, ConnectionRefused, OSError) as error:
            raise ServerLost(f"cannot {purpose} on {self.settings.place}: {error_text(error)}") from error
        return connection

    def _require_same_server(self, connection: Conn, purpose: str) -> None:
        """What this run remembers of the ghost, it knows of one server; a promoted replica may lack the last of it."""
        if ask_identity(connection, self.server.flavor) == self.server.identity:
            return
        connection.close()
        raise ServerLost(
            f"cannot {purpose}: another server answers at {self.settings.place} now, after a failover or a change of "
            "address. The original table is intact. Run the same command again: it goes on from the last checkpoint"
        )

    def _connect(self, read_timeout_s: float | None = None) -> Conn:
        timeout_s = read_timeout_s or self.settings.connect_timeout_s
        connection = connect(self.settings, timeout_s, count=self._count)
        if read_timeout_s is None:
            _wait_patiently(connection, self.settings)
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


def connect(
    settings: ConnectionSettings,
    read_timeout_s: float | None = None,
    database: str | None = None,
    count: StatementCount | None = None,
) -> Conn:
    """A bare connection, whose statements are counted in `count`. Raises ConnectionRefused with what to look at."""
    try:
        connection = CountedConnection(
            count or StatementCount(),
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
            write_timeout=int(WRITE_TIMEOUT_S),
            ssl=_tls(settings),
            ssl_disabled=settings.ssl_mode == "DISABLED" or settings.socket is not None,
            program_name="osc",
        )
    except (pymysql.err.Error, OSError) as error:
        if settings.ssl_mode == "PREFERRED" and error_code(error) == CR_SSL_CONNECTION_ERROR:
            # A server without TLS: PyMySQL takes any context as a demand for it.
            return connect(replace(settings, ssl_mode="DISABLED"), read_timeout_s, database, count)
        raise ConnectionRefused(_why_refused(settings, error)) from error
    if settings.ssl_mode not in ("DISABLED", "PREFERRED") and settings.socket is None and not _is_encrypted(connection):
        connection.close()
        raise ConnectionRefused(f"{settings.place} offers no TLS, and --ssl-mode={settings.ssl_mode} asks for it")
    if settings.socket is None:
        _keep_alive(_socket_of(connection))
    return connection


def _keep_alive(source: socket.socket) -> None:
    for name, value in KEEPALIVE_S.items():
        if hasattr(socket, name):  # Linux has them all, other systems some
            source.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _wait_patiently(connection: Conn, settings: ConnectionSettings) -> None:
    """From now on, an answer may take as long as the server is at work on it."""
    own_id = connection_id(connection)
    connection._rfile.close()  # type: ignore[attr-defined]
    connection._rfile = io.BufferedReader(  # type: ignore[attr-defined]
        PatientReader(_socket_of(connection), lambda: _is_at_work(settings, own_id))
    )
    connection._read_timeout = LOOK_AFTER_S  # type: ignore[attr-defined]


def _is_at_work(settings: ConnectionSettings, session_id: int) -> bool:
    """Whether the server has a statement of that session under way, or cannot say. Raises OSError when out of reach."""
    try:
        connection = connect(settings, settings.connect_timeout_s)
        try:
            with connection.cursor() as cursor:
                cursor.execute("select command from information_schema.processlist where id = %s", (session_id,))
                row = cursor.fetchone()
        finally:
            connection.close()
    except (ConnectionRefused, pymysql.err.MySQLError, OSError) as error:
        cause = error.__cause__ if isinstance(error, ConnectionRefused) else error
        if cause is not None and (is_lost(cause) or isinstance(cause, OSError)):
            raise ConnectionResetError(f"no answer comes, and another connection fails: {error_text(cause)}") from error
        # Too many connections, a statement that hides the list (error 3854): a server that answers so is there.
        return True
    return row is not None and row[0] not in _IDLE


def end_session(connection: Conn, session_id: int, opened_at: float) -> None:
    """End, from another session, what a lost one has left on the server: it may hold row locks until it times out.

    Everybody may kill sessions of the own login. `opened_at` is on the monotonic clock: a server that has started since
    gives the ids out again, so then nothing is done.
    """
    with connection.cursor() as cursor:
        cursor.execute("show global status like 'Uptime'")
        row = cursor.fetchone()
        if row is None or int(row[1]) <= time.monotonic() - opened_at + 1:
            return
        try:
            cursor.execute(f"kill {int(session_id)}")
        except pymysql.err.MySQLError as error:
            if error_code(error) != NO_SUCH_THREAD:
                raise


def _tls(settings: ConnectionSettings) -> ssl.SSLContext | None:
    """The TLS context for MySQL's `--ssl-mode` (MySQL Reference Manual, "Command Options for Encrypted Connections")."""
    if settings.ssl_mode == "DISABLED" or settings.socket is not None:
        return None
    return _tls_context(settings.ssl_mode, settings.ssl_ca, settings.ssl_cert, settings.ssl_key)


@cache
def _tls_context(mode: SslMode, ca: str | None, cert: str | None, key: str | None) -> ssl.SSLContext:
    """One for all sessions: reading the system's certificates takes 20 ms, longer than all the rest of a connect."""
    context = ssl.create_default_context(cafile=ca) if ca else ssl.create_default_context()
    context.check_hostname = mode == "VERIFY_IDENTITY"
    verifies = mode in ("VERIFY_CA", "VERIFY_IDENTITY") or ca is not None
    context.verify_mode = ssl.CERT_REQUIRED if verifies else ssl.CERT_NONE
    if cert:
        context.load_cert_chain(cert, key)
    return context


def connection_id(connection: Conn) -> int:
    """The server's id of this session, as `SHOW PROCESSLIST` and the binlog's query events have it."""
    return int(connection.thread_id())  # type: ignore[no-untyped-call]


def _socket_of(connection: Conn) -> socket.socket:
    source: socket.socket = connection._sock  # type: ignore[attr-defined]
    return source


def _is_encrypted(connection: Conn) -> bool:
    return isinstance(_socket_of(connection), ssl.SSLSocket)


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
        if not error.args[0] and not error.args[1]:
            # What the driver says of a session that it has closed itself.
            return "the connection is closed"
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
