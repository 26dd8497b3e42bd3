"""The servers that tests run against: pytest-mysql's processes, throwaway ones for one test, or one named by DSN.

No test migrates as root: `ServerUnderTest.migrator` has exactly the privileges that the documentation requires.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from urllib.parse import unquote, urlsplit

import pymysql
from pytest_mysql.executor import MySQLExecutor

from osc.mysql.grants import escaped, optional_grants, required_grants
from osc.mysql.server import Flavor, read_server
from osc.mysql.session import Conn, ConnectionSettings
from osc.mysql.sql import quote
from osc.sandbox.servers import LocalServer, open_root_over_tcp

MIGRATOR = "osc_migrator"
FULL_MIGRATOR = "osc_migrator_full"


@dataclass(frozen=True, slots=True)
class ServerUnderTest:
    """A running server: how root reaches it, and how a migration does."""

    name: str
    flavor: Flavor
    version: tuple[int, int, int]
    root: ConnectionSettings
    migrator: ConnectionSettings
    """The account that migrations in the tests run as, over TCP: it has the required privileges and no others."""
    full_migrator: ConnectionSettings
    """An account that has the optional privileges as well."""
    local: LocalServer | None = None
    """The process behind it, to stop, kill or restart, when it was started for this test alone."""

    @property
    def is_mariadb(self) -> bool:
        return self.flavor == "mariadb"

    @property
    def host(self) -> str:
        return self.root.host

    @property
    def port(self) -> int:
        return self.root.port

    @property
    def socket(self) -> str | None:
        return self.root.socket

    @property
    def process(self) -> LocalServer:
        """The process behind a server that `start_server` made."""
        assert self.local is not None, "only a server made by start_server may be stopped"
        return self.local

    def admin(self, database: str | None = None) -> Conn:
        """A new connection as root: autocommit, rows as tuples. The caller closes it."""
        return _connect(self.root, database)

    def connect(self, database: str | None = None) -> Conn:
        """A new connection as the migrator: autocommit, rows as tuples. The caller closes it."""
        return _connect(self.migrator, database)

    def execute(self, *statements: str, database: str | None = None) -> None:
        """Run statements as root, each on its own, on one connection."""
        with closing(self.admin(database)) as admin, admin.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def query(self, statement: str, database: str | None = None) -> tuple[tuple[object, ...], ...]:
        """The rows of a query, asked as root."""
        with closing(self.admin(database)) as admin, admin.cursor() as cursor:
            cursor.execute(statement)
            return tuple(cursor.fetchall())

    @contextmanager
    def fresh_database(self) -> Iterator[str]:
        """A new, empty database in which the migrator may migrate, dropped at the end."""
        name = f"osc_test_{secrets.token_hex(5)}"
        self.execute(f"CREATE DATABASE {quote(name)} CHARACTER SET utf8mb4")
        try:
            for user in (MIGRATOR, FULL_MIGRATOR):
                self.execute(*required_grants(self.flavor, self.version, name, account=_account(user)))
            self.execute(*optional_grants(self.flavor, self.version, name, account=_account(FULL_MIGRATOR)))
            yield name
        finally:
            # Privileges outlive their database, and thousands of them would slow every connect down.
            self.execute(f"DROP DATABASE IF EXISTS {quote(name)}", *self._revokes(name))

    def _revokes(self, database: str) -> list[str]:
        with closing(self.admin("mysql")) as admin, admin.cursor() as cursor:
            cursor.execute("SELECT user FROM db WHERE db = %s AND host = %s", (escaped(database), "%"))
            users = [str(row[0]) for row in cursor.fetchall()]
        return [f"REVOKE ALL PRIVILEGES ON {quote(escaped(database))}.* FROM {_account(user)}" for user in users]


def _account(user: str) -> str:
    return f"'{user}'@'%'"


def of_process(name: str, process: MySQLExecutor) -> ServerUnderTest:
    """The server that a process of pytest-mysql serves, with its accounts made."""
    root = ConnectionSettings(port=process.port, socket=process.unixsocket, user="root")
    with closing(_connect(root)) as admin:
        open_root_over_tcp(admin, secrets.token_urlsafe(12))
    return _prepared(name, root)


def of_local(local: LocalServer) -> ServerUnderTest:
    """The server that a sandbox process serves, with its accounts made."""
    root = ConnectionSettings(port=local.port, socket=local.socket, user=local.user)  # the socket asks for no password
    return replace(_prepared(local.name, root), local=local)


def of_replica(local: LocalServer, primary: ServerUnderTest) -> ServerUnderTest:
    """The server that a replica's process serves; its accounts are those of the primary, which it replicated."""
    root = ConnectionSettings(port=local.port, socket=local.socket, user=local.user)
    migrator = replace(primary.migrator, port=local.port)
    full_migrator = replace(primary.full_migrator, port=local.port)
    return replace(primary, root=root, local=local, migrator=migrator, full_migrator=full_migrator)


def of_dsn(dsn: str) -> ServerUnderTest:
    """The server at `mysql://user:password@host:port/`, whose user may create accounts and databases."""
    parts = urlsplit(dsn)
    root = ConnectionSettings(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or 3306,
        user=unquote(parts.username or "root"),
        password=unquote(parts.password or ""),
    )
    return _prepared("", root)


def _prepared(name: str, root: ConnectionSettings) -> ServerUnderTest:
    """Look at the server and make the accounts anew."""
    with closing(_connect(root)) as admin:
        facts = read_server(admin)
        migrator, full_migrator = (_new_account(admin, root, user) for user in (MIGRATOR, FULL_MIGRATOR))
    name = name or f"{facts.flavor}-{facts.version[0]}.{facts.version[1]}"
    return ServerUnderTest(name, facts.flavor, facts.version, root, migrator, full_migrator)


def _new_account(admin: Conn, root: ConnectionSettings, user: str) -> ConnectionSettings:
    password = secrets.token_urlsafe(12)
    with admin.cursor() as cursor:
        cursor.execute(f"DROP USER IF EXISTS {_account(user)}")
        cursor.execute("CREATE USER %s@%s IDENTIFIED BY %s", (user, "%", password))
    return replace(root, socket=None, user=user, password=password)


def _connect(settings: ConnectionSettings, database: str | None = None) -> Conn:
    return pymysql.connect(
        host=settings.host,
        port=settings.port,
        unix_socket=settings.socket,
        user=settings.user,
        password=settings.password,
        database=database,
        charset="utf8mb4",
        autocommit=True,
        connect_timeout=10,
    )
