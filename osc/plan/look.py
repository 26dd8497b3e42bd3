"""The look before the start: the ALTER read, the table read, preflight asked; and what is about to happen, in words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import humanize

from osc.mysql.session import Sessions
from osc.mysql.sql import qualified
from osc.options import MigrationOptions
from osc.plan.alter import AlterStatement, parse_alter
from osc.plan.checks.leftovers import RoomMaking
from osc.plan.checks.table import read_table_if_allowed
from osc.plan.findings import Finding, refuse_if_blocking
from osc.plan.preflight import BinlogServer, preflight
from osc.plan.tokens import LexicalMode
from osc.progress.report import Reporter
from osc.state.leftovers import swapped_before
from osc.table.facts import Table
from osc.table.names import Names, names_for


@dataclass(frozen=True, slots=True)
class Look:
    """What was found, and nothing of it blocks the start."""

    names: Names
    source: Table
    alter: AlterStatement
    resumes: bool
    """Whether an earlier run left tables that this one may go on with."""
    was_swapped: bool
    """Whether an earlier run of the same command has swapped the tables already."""
    about_to_do: tuple[str, ...]
    """For the person who is asked whether to go on."""


def look(
    sessions: Sessions,
    binlog: Sessions,
    options: MigrationOptions,
    old_timestamp: datetime | None,
    reporter: Reporter,
) -> Look:
    """Look at everything. Raises PreflightRefused with all blocking findings, AlterSyntaxError, ConnectionRefused."""
    alter = parse_alter(options.alter, LexicalMode.of(sessions.server))
    connection = sessions.open("look at the table")
    binlog_connection = None if binlog is sessions else binlog.open("look at the binlog server")
    try:
        source = read_table_if_allowed(connection, options.database, options.table)
        # The server's own spelling of the name, where it folds case.
        names = names_for(options.database, source.name if source else options.table, old_timestamp)
        if source is not None and options.resume != "never":
            earlier = swapped_before(connection, names, source, alter)
            if earlier is not None:
                return Look(earlier, source, alter, False, True, ())
        findings = preflight(
            connection,
            sessions.server,
            names,
            source,
            alter,
            binlog_server=None if binlog_connection is None else BinlogServer(binlog_connection, binlog.server),
            reader_id=options.replica_server_id,
            room=RoomMaking(options.initially_drop_ghost, options.initially_drop_old),
        )
    finally:
        connection.close()
        if binlog_connection is not None:
            binlog_connection.close()
    _report(findings, reporter)
    refuse_if_blocking(findings)
    assert source is not None, "preflight lets no table through that does not exist"
    resumes = options.resume != "never" and any(finding.code == "earlier-run" for finding in findings)
    return Look(names, source, alter, resumes, False, _about_to_do(sessions, options, names, source, alter))


def _report(findings: list[Finding], reporter: Reporter) -> None:
    reporter.event(
        "preflight",
        findings=[
            {"level": f.level, "code": f.code, "title": f.title, "detail": f.detail, "fix": f.fix} for f in findings
        ],
    )
    for finding in findings:
        if finding.level == "warning":
            reporter.warning(f"{finding.title}. {finding.detail}".strip())


def _about_to_do(
    sessions: Sessions, options: MigrationOptions, names: Names, source: Table, alter: AlterStatement
) -> tuple[str, ...]:
    table = qualified(names.database, names.table)
    size = humanize.naturalsize(source.data_bytes + source.index_bytes, binary=True)
    fate = "dropped after the swap" if options.drop_old_table else f"kept as {names.old}"
    return (
        f"server   {sessions.server.title} at {sessions.settings.place}",
        f"table    {table}, about {humanize.intcomma(source.estimated_rows)} rows, {size}",
        f"alter    {alter.clauses_sql}",
        f"how      copy into {names.ghost} while the application goes on, verify every row, swap under a short lock",
        f"after    the old table is {fate}",
    )
