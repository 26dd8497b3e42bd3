"""The look before the start: the ALTER read, the table read, preflight asked; and what is about to happen, in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import humanize

from osc.errors import NativeRefused, PlanOutdated
from osc.mysql.session import Conn, Sessions
from osc.mysql.sql import qualified
from osc.native.preflight import for_native
from osc.native.strategy import Strategy, choose
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
    strategy: Strategy
    about_to_do: tuple[str, ...]
    """For the person who is asked whether to go on."""
    about_to_copy: tuple[str, ...] = ()
    """The same for the copy, should the real table not take what its empty copy took."""
    copy_findings: tuple[Finding, ...] = ()
    """What preflight found that only the copy minds."""


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
                done = Strategy("copy", "an earlier run of this command has swapped the tables")
                return Look(earlier, source, alter, False, True, done, ())
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
        resumes = options.resume != "never" and any(finding.code == "earlier-run" for finding in findings)
        goes_on = resumes or options.resume == "require"
        strategy = choose_strategy(connection, sessions, options, source, alter, findings, goes_on, reporter.warning)
    finally:
        connection.close()
        if binlog_connection is not None:
            binlog_connection.close()
    said = for_native(findings) if strategy.is_native else findings
    _report(said, reporter)
    refuse_if_blocking(said)
    assert source is not None, "preflight lets no table through that does not exist"
    by_copy = _about_to_do(sessions, names, source, alter, _copy_lines(options, names, strategy))
    native = _about_to_do(sessions, names, source, alter, _native_lines(strategy))
    return Look(
        names,
        source,
        alter,
        resumes,
        False,
        strategy,
        native if strategy.is_native else by_copy,
        by_copy,
        tuple(finding for finding in findings if finding not in said),
    )


def choose_strategy(
    connection: Conn,
    sessions: Sessions,
    options: MigrationOptions,
    source: Table | None,
    alter: AlterStatement,
    findings: list[Finding],
    goes_on: bool,
    note: Callable[[str], None],
) -> Strategy:
    """How to go about it; a change that nothing can make as things are is left to the copy to refuse.

    `note` is told what an earlier run had left.

    Raises NativeRefused when another way than the copy was asked for and is not possible.
    """
    if options.strategy == "copy":
        return Strategy("copy", "asked for with --strategy copy")
    if options.strategy == "auto" and goes_on:
        return Strategy("copy", "an earlier run's copy is gone on with")
    if source is None or any(finding.is_blocking for finding in for_native(findings)):
        return Strategy("copy", "preflight found a reason not to start")
    strategy = choose(connection, sessions.server, source, alter, options.allow_inplace, options.strategy, note=note)
    if options.strategy != "auto" and not strategy.is_native:
        reasons = "".join(f"\n  {algorithm}: {reason}" for algorithm, reason in strategy.refused) or f" {strategy.why}"
        raise NativeRefused(
            f"--strategy {options.strategy} is not possible for this ALTER of {qualified(source.database, source.name)}:"
            f"{reasons}\nNothing was changed. With --strategy auto, the rows are copied where nothing else is possible"
        )
    if options.planned_strategy not in (None, strategy.kind):
        # A table that was altered instantly since is the same in SHOW CREATE TABLE, and may have to be rebuilt now.
        raise PlanOutdated(
            f"the plan says {options.planned_strategy}, and by now it would be {strategy.kind}: {strategy.why}. Nothing was "
            "changed. Make a new plan with osc plan"
        )
    return strategy


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
    sessions: Sessions,
    names: Names,
    source: Table,
    alter: AlterStatement,
    how: tuple[str, ...],
) -> tuple[str, ...]:
    table = qualified(names.database, names.table)
    size = humanize.naturalsize(source.data_bytes + source.index_bytes, binary=True)
    return (
        f"server   {sessions.server.title} at {sessions.settings.place}",
        f"table    {table}, about {humanize.intcomma(source.estimated_rows)} rows, {size}",
        f"alter    {alter.clauses_sql}",
        *how,
    )


def _copy_lines(options: MigrationOptions, names: Names, strategy: Strategy) -> tuple[str, ...]:
    fate = "dropped after the swap" if options.drop_old_table else f"kept as {names.old}"
    return (
        f"how      copy into {names.ghost} while the application goes on, verify every row, swap under a short lock",
        *([] if strategy.is_native else [f"         since {strategy.why}"]),
        f"after    the old table is {fate}",
    )


def _native_lines(strategy: Strategy) -> tuple[str, ...]:
    lines = [f"how      {strategy.why}", f"sends    {strategy.statement}"]
    if strategy.price:
        lines.append(f"price    {strategy.price}")
    versions = strategy.row_versions
    if versions is not None and versions.needed:
        lines.append(
            f"versions {versions.used + versions.needed} of {versions.limit} row versions are used up afterwards"
        )
    lines.append(
        "after    there will be no old table: the table is altered where it is, and only another ALTER undoes it"
    )
    return tuple(lines)
