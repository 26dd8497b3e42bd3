"""Whether the login holds the privileges that a migration needs, and the `GRANT` statements that give what it lacks."""

from __future__ import annotations

from collections.abc import Iterable

from osc.mysql.grants import Grants, Privilege, privileges, read_grants
from osc.mysql.server import Server
from osc.mysql.session import Conn
from osc.plan.findings import Finding, blocking, note
from osc.table.names import Names


def check_grants(connection: Conn, server: Server, names: Names) -> list[Finding]:
    """Findings about the login on the server where the table is."""
    wanted = [
        one
        for one in privileges(server.flavor, server.version)
        # Of no use where the server records nothing there, MariaDB's default.
        if one.scope != "performance_schema" or server.is_on("performance_schema")
    ]
    return _judged(read_grants(connection, server), wanted, names, server.title)


def check_binlog_server_grants(connection: Conn, server: Server, names: Names) -> list[Finding]:
    """Findings about the login on a replica whose binlog is to be read."""
    wanted = [one for one in privileges(server.flavor, server.version) if one.on_binlog_server]
    return _judged(read_grants(connection, server), wanted, names, f"{server.title}, whose binlog is to be read")


def _judged(grants: Grants, wanted: Iterable[Privilege], names: Names, where: str) -> list[Finding]:
    tables = (names.table, names.ghost, names.state, names.old)
    missing = grants.missing(wanted, names.database, tables)
    findings = []
    required = [one for one in missing if one.is_required]
    if required:
        lacking = "; ".join(f"{_described(one, names)} (to {one.purpose})" for one in required)
        findings.append(
            blocking(
                "missing-grants",
                f"{grants.account} lacks {len(required)} of the privileges that a migration needs",
                f"On {where}: {lacking}.{_idle(grants)}",
                "\n".join(f"{statement};" for statement in grants.fix(required, names.database)),
            )
        )
    findings += [
        note(
            "optional-grant",
            f"{grants.account} has no {_described(one, names)}",
            f"On {where}. Without it {one.lost_without}.",
            "\n".join(f"{statement};" for statement in grants.fix([one], names.database)),
        )
        for one in missing
        if not one.is_required
    ]
    return findings


def _described(privilege: Privilege, names: Names) -> str:
    places = {"global": "", "database": f" on {names.database}", "performance_schema": " on performance_schema"}
    return privilege.name + places[privilege.scope]


def _idle(grants: Grants) -> str:
    if not grants.idle_roles:
        return ""
    return (
        f" The roles {', '.join(grants.idle_roles)} are granted, but active only as default roles (SET DEFAULT ROLE)."
    )
