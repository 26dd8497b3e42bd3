"""How the tests of preflight look at a table: as the migrator, over a session of its own, as a migration would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

from osc.mysql.server import read_server
from osc.mysql.session import Conn, Sessions
from osc.plan.alter import parse_alter
from osc.plan.checks.leftovers import RoomMaking
from osc.plan.checks.table import read_table_if_allowed
from osc.plan.findings import Finding
from osc.plan.preflight import BinlogServer, preflight
from osc.table.names import names_for
from tests.servers import ServerUnderTest

TABLE = "create table t (id int unsigned not null auto_increment primary key, v varchar(20)) engine=InnoDB"


def look(
    server: ServerUnderTest,
    database: str,
    table: str = "t",
    alter: str | None = "add column x int",
    *,
    replica: ServerUnderTest | None = None,
    reader_id: int | None = None,
    room: RoomMaking | None = None,
) -> dict[str, Finding]:
    """What preflight finds, by code, the last one of a code; as the migrator, with the server as it is now."""
    with session(server) as connection:
        facts = read_server(connection)
        found = read_table_if_allowed(connection, database, table)
        names = names_for(database, found.name if found else table)
        statement = parse_alter(alter) if alter is not None else None
        if replica is None:
            findings = preflight(connection, facts, names, found, statement, reader_id=reader_id, room=room)
        else:
            with session(replica) as on_replica:
                behind = BinlogServer(on_replica, read_server(on_replica))
                findings = preflight(
                    connection, facts, names, found, statement, binlog_server=behind, reader_id=reader_id, room=room
                )
    return {finding.code: finding for finding in findings}


def blocking_codes(findings: dict[str, Finding]) -> set[str]:
    return {code for code, finding in findings.items() if finding.is_blocking}


@contextmanager
def session(server: ServerUnderTest) -> Iterator[Conn]:
    # Without TLS, whose certificates take longer to load than everything else here together.
    with closing(Sessions(replace(server.migrator, ssl_mode="DISABLED")).open("preflight")) as connection:
        yield connection


@contextmanager
def global_variable(server: ServerUnderTest, name: str, value: str) -> Iterator[None]:
    """The variable set to `value` (an SQL expression) for as long as the context lasts."""
    before = str(server.query(f"SELECT @@GLOBAL.{name}")[0][0])
    server.execute(f"SET GLOBAL {name} = {value}")
    try:
        yield
    finally:
        server.execute(f"SET GLOBAL {name} = {before if before.isdigit() else repr(before)}")
