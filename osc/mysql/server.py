"""What this server is: MySQL or MariaDB, its version and settings, and what follows from them for the engine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from osc.mysql.session import Conn

Flavor = Literal["mysql", "mariadb"]


@dataclass(frozen=True, slots=True)
class Server:
    """A server as it was when the engine looked: flavor, version and global variables."""

    flavor: Flavor
    version: tuple[int, int, int]
    version_text: str
    variables: Mapping[str, str]
    """`SHOW GLOBAL VARIABLES`, names in lower case."""

    @property
    def is_mariadb(self) -> bool:
        return self.flavor == "mariadb"

    @property
    def title(self) -> str:
        """For people: `MySQL 9.7.4`, `MariaDB 10.11.19`."""
        return f"{'MariaDB' if self.is_mariadb else 'MySQL'} {'.'.join(map(str, self.version))}"

    def variable(self, name: str, default: str = "") -> str:
        """The global value of a variable; `default` when this server has no such variable."""
        return self.variables.get(name, default)

    def is_on(self, name: str, default: bool = False) -> bool:
        """Whether a boolean variable is on; `default` when this server has no such variable."""
        value = self.variables.get(name)
        return default if value is None else value.upper() in {"ON", "1", "YES"}

    @property
    def identity(self) -> str:
        """What tells this server from its replicas: MySQL's `server_uuid`, MariaDB's server id, host and port."""
        place = f"{self.variable('server_id')}@{self.variable('hostname')}:{self.variable('port')}"
        return self.variables.get("server_uuid") or place

    @property
    def renames_under_lock(self) -> bool:
        """Whether a session may `RENAME TABLE` what it holds write-locked (MySQL 8.0.13 and later, WL#9826)."""
        return not self.is_mariadb and self.version >= (8, 0, 13)

    @property
    def has_gtids(self) -> bool:
        """Whether transactions carry global ids that a reader can start from."""
        return self.is_mariadb or self.variable("gtid_mode") == "ON"


def read_server(connection: Conn) -> Server:
    """Ask the server what it is. Needs no privilege."""
    with connection.cursor() as cursor:
        cursor.execute("show global variables")
        variables = {str(name).lower(): str(value) for name, value in cursor.fetchall()}
    text = variables["version"]
    numbers = re.match(r"(?:5\.5\.5-)?(\d+)\.(\d+)\.(\d+)", text)
    assert numbers is not None, f"a server version without numbers: {text!r}"
    flavor: Flavor = "mariadb" if "mariadb" in text.lower() else "mysql"
    return Server(flavor, (int(numbers[1]), int(numbers[2]), int(numbers[3])), text, variables)


def ask_identity(connection: Conn, flavor: Flavor) -> str:
    """The `identity` of the server behind a connection."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select concat(@@global.server_id, '@', @@global.hostname, ':', @@global.port)"
            if flavor == "mariadb"
            else "select @@global.server_uuid"
        )
        row = cursor.fetchone()
    return "" if row is None else str(row[0])
