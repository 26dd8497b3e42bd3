"""A replica of a sandbox server: GTID positions, everything from the primary's first binlog on."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager

import pymysql

from osc.mysql.session import Conn
from osc.sandbox.distributions import SandboxError
from osc.sandbox.servers import LocalServer

_ACCOUNT = "'osc_replica'@'127.0.0.1'"


@contextmanager
def start_replica(primary: LocalServer, options: Mapping[str, str] | None = None) -> Iterator[LocalServer]:
    """A running replica of `primary`, of the same distribution, for as long as the context lasts.

    Raises SandboxError when it does not replicate within a minute.
    """
    password = secrets.token_urlsafe(12)
    with closing(primary.admin()) as admin, admin.cursor() as cursor:
        cursor.execute("SET SESSION sql_log_bin = 0")
        cursor.execute(f"DROP USER IF EXISTS {_ACCOUNT}")
        cursor.execute(f"CREATE USER {_ACCOUNT} IDENTIFIED BY %s", (password,))
        cursor.execute(f"GRANT REPLICATION SLAVE ON *.* TO {_ACCOUNT}")
    with LocalServer(primary.name, {"report_host": "127.0.0.1", **(options or {})}) as replica:
        with closing(replica.admin()) as admin:
            _follow(admin, primary, password)
        wait_for_replica(primary, replica)
        yield replica


def wait_for_replica(primary: LocalServer, replica: LocalServer, timeout_s: int = 60) -> None:
    """Return once the replica has applied everything that the primary has committed by now.

    Raises SandboxError, with what the replica says of itself, when that takes longer than `timeout_s`.
    """
    mysql = primary.flavor == "mysql"
    position = "SELECT @@GLOBAL.gtid_executed" if mysql else "SELECT @@GLOBAL.gtid_binlog_pos"
    with closing(primary.admin()) as admin, admin.cursor() as cursor:
        cursor.execute(position)
        gtids = _only(cursor.fetchone())
    wait = "WAIT_FOR_EXECUTED_GTID_SET" if mysql else "MASTER_GTID_WAIT"
    with closing(replica.admin()) as admin, admin.cursor() as cursor:
        cursor.execute(f"SELECT {wait}(%s, %s)", (gtids, timeout_s))
        if str(_only(cursor.fetchone())) != "0":
            raise SandboxError(
                f"The replica of {primary.name} is not at {gtids} after {timeout_s} s:\n{_status(admin)}"
            )


def _follow(admin: Conn, primary: LocalServer, password: str) -> None:
    where = (primary.host, primary.port, "osc_replica", password)
    with admin.cursor() as cursor:
        if primary.flavor == "mysql":
            cursor.execute(
                "CHANGE REPLICATION SOURCE TO SOURCE_HOST = %s, SOURCE_PORT = %s, SOURCE_USER = %s,"
                " SOURCE_PASSWORD = %s, SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1, SOURCE_CONNECT_RETRY = 1",
                where,
            )
            cursor.execute("START REPLICA")
        else:
            cursor.execute(
                "CHANGE MASTER TO MASTER_HOST = %s, MASTER_PORT = %s, MASTER_USER = %s, MASTER_PASSWORD = %s,"
                " MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1",
                where,
            )
            cursor.execute("START SLAVE")


def _status(admin: Conn) -> str:
    """The lines of the replica's status that say how it is and what went wrong."""
    with admin.cursor(pymysql.cursors.DictCursor) as cursor:
        cursor.execute("SHOW REPLICA STATUS")
        row = cursor.fetchone() or {}
    telling = ("Running", "Error", "State", "Gtid", "Seconds")
    return "\n".join(
        f"  {key}: {value}" for key, value in row.items() if value and any(word in key for word in telling)
    )


def _only(row: tuple[object, ...] | None) -> object:
    if row is None:
        raise SandboxError("The server answered a one-row question with no row.")
    return row[0]
