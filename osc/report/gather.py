"""Gathering the plan: preflight, the ALTER on an empty copy, the sample, and what follows from them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime

import pymysql

import osc
from osc.control.stop import StopRequest
from osc.errors import ConversionFailed, Interrupted, OscError, Refused, ServerLost
from osc.estimate.counting import count_rows
from osc.estimate.losses import LONGEST_SEARCH_S, look_for_duplicates, may_refuse
from osc.estimate.measured import Measured
from osc.estimate.model import Job, estimate
from osc.estimate.sampling import QUIET_S, Sample, Sampler
from osc.estimate.scratch import Scratch, scratch_tables
from osc.estimate.traffic import TrafficMeter, source_key
from osc.mysql.advisory import AdvisoryLock
from osc.mysql.readers import binlog_readers
from osc.mysql.session import Conn, Sessions, error_text, is_lost
from osc.mysql.sql import qualified
from osc.native.preflight import for_native
from osc.options import MigrationOptions
from osc.plan.alter import AlterStatement, parse_alter
from osc.plan.checks.leftovers import RoomMaking
from osc.plan.checks.table import read_table_if_allowed
from osc.plan.findings import Finding, blocking, in_order, note, warning
from osc.plan.look import choose_strategy
from osc.plan.preflight import BinlogServer, preflight
from osc.plan.tokens import LexicalMode
from osc.report.blockers import blockers_now
from osc.report.changes import changes_between, changes_in_words
from osc.report.costs import check_costs, costs_of
from osc.report.plan import UNKNOWN, Changes, How, Plan, ServerFacts, TableFacts
from osc.report.strategy import how_of
from osc.table.deferred import NO_DEFERRED
from osc.table.facts import Table
from osc.table.names import Names, names_for
from osc.table.ranges import Range

SETTINGS = (
    "binlog_format",
    "binlog_row_image",
    "binlog_expire_logs_seconds",
    "sync_binlog",
    "innodb_flush_log_at_trx_commit",
    "innodb_buffer_pool_size",
    "gtid_mode",
    "sql_mode",
    "time_zone",
    "lower_case_table_names",
    "innodb_default_row_format",
)
"""What a plan tells of the server, and a migration compares that follows it."""

HARMLESS = frozenset({"old-name-taken", "ghost-name-taken", "left-over-state", "duplicates"})
"""Blocking findings with which a sample may still be taken: names that a plan does not need."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a plan."""

    migration: MigrationOptions
    given: Mapping[str, str | bool]
    """The options by the command line's names, as far as they are not the defaults."""
    login: tuple[str, ...]
    """The words of a command line that lead to the server, without a password."""
    samples: bool
    sample_s: float
    checks_data: bool


def make_plan(
    sessions: Sessions,
    binlog: Sessions,
    request: Request,
    stop: StopRequest,
    say: Callable[[str], None],
) -> Plan:
    """The plan. `say` is told what was met on the way, as what an earlier plan left.

    Raises AlterSyntaxError, ConnectionRefused, ServerLost, Interrupted. What is wrong with the migration is in the findings.
    """
    return _Gathering(sessions, binlog, request, stop, say).plan()


@dataclass
class _Gathering:
    """One plan on its way."""

    sessions: Sessions
    binlog: Sessions
    request: Request
    stop: StopRequest
    say: Callable[[str], None]
    findings: list[Finding] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    measured: Measured | None = None
    changes: Changes = field(default_factory=Changes)
    key: str = ""
    key_is_temporary: bool = False
    deferred: bool = False
    verifies_ahead: bool = False
    counted_rows: int | None = None

    def plan(self) -> Plan:
        options, server = self.request.migration, self.sessions.server
        made_at = datetime.now().astimezone()
        alter = parse_alter(options.alter, LexicalMode.of(server))
        old_timestamp = datetime.now() if options.timestamp_old_table else None
        with closing(self.sessions.open("look at the table")) as connection:
            source = read_table_if_allowed(connection, options.database, options.table)
            names = names_for(options.database, source.name if source else options.table, old_timestamp)
            self.findings += self._preflight(connection, names, source, alter)
            self.findings += self._migration_under_way(connection, names)
            replicas = binlog_readers(connection)
            blockers = blockers_now(connection, names, self.sessions.connection_ids)
        if self._resumes():
            self.unknown.append("an earlier run can be gone on with; what is told here is for a fresh start")
        self.changes = changes_in_words(alter)
        how = How(UNKNOWN, "the server was not asked what it can do itself")
        if source is not None:
            source_columns = source_key(source)
            self.key = source_columns.text if source_columns is not None else ""
            how = self._look_closer(source, names, alter, how)
        found = None
        if self.measured is not None and source is not None:
            found = estimate(self.measured, self._job(source, self.measured))
            if found is None:
                why = f": {self.measured.held_back_by}" if self.measured.held_back_by else ""
                self.unknown.append(f"not a single row could be sampled{why}; so there is no estimate of the time")
        costs = None
        if source is not None and not how.is_native:
            costs = costs_of(source, server, self.measured, found, self.deferred, options.chunk_target_ms / 1_000)
            self.findings += check_costs(costs, found)
        return Plan(
            made_at=made_at,
            osc_version=osc.__version__,
            alter=alter.clauses_sql,
            options=self.request.given,
            server=self._server_facts(replicas),
            table=self._table_facts(names, source),
            changes=self.changes,
            how=how,
            estimate=found,
            measured=self.measured,
            costs=costs,
            blockers=blockers,
            findings=tuple(in_order(self.findings)),
            unknown=tuple(self.unknown),
            names={"ghost": names.ghost, "state": names.state, "old": names.old},
        )

    # --- looking --------------------------------------------------------------------------------------------------

    def _preflight(self, connection: Conn, names: Names, source: Table | None, alter: AlterStatement) -> list[Finding]:
        options = self.request.migration
        on_binlog = None if self.binlog is self.sessions else self.binlog.open("look at the binlog server")
        try:
            return preflight(
                connection,
                self.sessions.server,
                names,
                source,
                alter,
                binlog_server=None if on_binlog is None else BinlogServer(on_binlog, self.binlog.server),
                reader_id=options.replica_server_id,
                room=RoomMaking(options.initially_drop_ghost, options.initially_drop_old),
            )
        finally:
            if on_binlog is not None:
                on_binlog.close()

    def _migration_under_way(self, connection: Conn, names: Names) -> list[Finding]:
        lock = AdvisoryLock(self.sessions, names.database, names.table)
        with connection.cursor() as cursor:
            cursor.execute("select is_used_lock(%s)", (lock.name,))
            row = cursor.fetchone()
        if row is None or row[0] is None:
            return []
        return [
            blocking(
                "migration-under-way",
                f"a migration of {qualified(names.database, names.table)} is under way (connection {row[0]})",
                "Nothing is measured beside it, and a second one is refused.",
                "wait for it, or stop it, and plan again",
            )
        ]

    def _resumes(self) -> bool:
        return self.request.migration.resume != "never" and any(found.code == "earlier-run" for found in self.findings)

    def _choose_how(self, source: Table, alter: AlterStatement) -> How:
        options = self.request.migration
        try:
            with closing(self.sessions.open("ask what the server can do itself")) as connection:
                return how_of(
                    choose_strategy(
                        connection,
                        self.sessions,
                        options,
                        source,
                        alter,
                        self.findings,
                        self._resumes() or options.resume == "require",
                        self.say,
                    )
                )
        except Refused as error:
            self.findings.append(blocking("strategy-impossible", "the strategy is not possible", error.message))
            return How("copy", "what was asked for is not possible")

    def _look_closer(self, source: Table, names: Names, alter: AlterStatement, how: How) -> How:
        if not self.request.samples:
            self.unknown += [
                "--no-sample: nothing was written, so the server was not asked whether it takes the ALTER, what it "
                "makes of the "
                "table, and whether it can do it without a copy",
                "nothing was measured, so there is no estimate of the time, and sizes are those of the original",
            ]
            self._doubt_the_refusal()
            self._watch_traffic(source, names)
            return how
        how = self._choose_how(source, alter)
        if how.is_native:
            counting = for_native(self.findings)
            cannot_copy = any(found.is_blocking for found in self.findings if found not in counting)
            self.findings = counting
            if cannot_copy:
                self.unknown.append(
                    "what becomes of each column was not looked at: that takes a ghost table, which this table cannot have"
                )
                return how
        in_the_way = [f.code for f in self.findings if f.is_blocking and f.code not in HARMLESS]
        if in_the_way:
            self.unknown.append(
                f"nothing was tried or measured because of what blocks the migration ({', '.join(dict.fromkeys(in_the_way))}): "
                "the estimate comes when that is mended"
            )
            return how
        try:
            with scratch_tables(self.sessions, source, alter, self.request.migration, self.stop, self.say) as scratch:
                self._try(scratch, alter, how)
        except pymysql.err.MySQLError as error:
            if is_lost(error):
                raise ServerLost(f"the server is gone: {error_text(error)}. The table is as it was") from error
            self.unknown.append(
                f"the scratch tables could not be made, so nothing was tried or measured: {error_text(error)}"
            )
        except Refused as error:
            self.findings.append(blocking("alter-fails", "the ALTER cannot be carried out", error.message))
        return how

    def _doubt_the_refusal(self) -> None:
        """What blocks a copy need not block the server's own change, and nobody has asked which of them it will be."""
        blocks = [finding.code for finding in self.findings if finding.is_blocking]
        is_left_open = self.request.migration.strategy != "copy"
        if blocks and is_left_open and not any(finding.is_blocking for finding in for_native(self.findings)):
            self.unknown.append(
                f"whether it would be refused at all: what blocks it ({', '.join(dict.fromkeys(blocks))}) is in the way of a "
                "copy alone, and the server was not asked whether it can do without one. Plan without --no-sample to know: "
                "for that an empty table is made and dropped"
            )

    def _try(self, scratch: Scratch, alter: AlterStatement, how: How) -> None:
        source, server = scratch.pair.source, self.sessions.server
        key = scratch.pair.projection.key
        self.key, self.key_is_temporary = key.text, key.ghost_index_is_temporary
        self.deferred = bool(scratch.deferred.definitions)
        self.verifies_ahead = key.compares and not scratch.pair.has_other_unique and not self.deferred
        deferred = NO_DEFERRED if how.is_native else scratch.deferred
        self.changes = changes_between(source, scratch.ghost, alter, deferred, server.is_mariadb)
        if how.is_native:
            if how.price is not None:
                self.unknown.append("how long the server's own statement takes was not measured")
            return
        sampler = Sampler(
            self.sessions,
            self.binlog,
            scratch,
            self.request.migration,
            self.request.sample_s,
            self.stop,
            lambda text: self.findings.append(warning("sample", text)),
        )
        try:
            self.counted_rows = count_rows(self.sessions, source)
            sample = sampler.take(self.request.checks_data)
        except ConversionFailed as error:
            self._add_misfits(error, "in the sample")
            self._look_for_duplicates(scratch, ())
            return
        except Interrupted:
            raise
        except (OscError, pymysql.err.MySQLError, OSError) as error:
            self.unknown.append(f"the sample came to nothing: {error_text(error)}")
            return
        self.measured = sample.measured
        self._judge(sample, scratch)

    def _judge(self, sample: Sample, scratch: Scratch) -> None:
        exact = self.request.checks_data
        if sample.misfits is not None:
            self._add_misfits(sample.misfits, "among all rows")
        if sample.changed_rows:
            self.findings.append(
                warning(
                    "values-change",
                    f"{sample.changed_rows:,} of {sample.measured.rows:,} sampled rows lose something of their values",
                    "As --allow-lossy allows it.",
                )
            )
        self._look_for_duplicates(scratch, sample.spans)
        if not exact and (scratch.pair.stricter or may_refuse(scratch)):
            self.findings.append(
                note(
                    "data-not-checked",
                    "not every row was looked at",
                    f"{sample.measured.rows:,} rows were converted without a complaint, or with those above.",
                    "osc plan --check-data   # reads the whole table, at the governor's pace",
                )
            )

    def _look_for_duplicates(self, scratch: Scratch, spans: Sequence[Range]) -> None:
        found = look_for_duplicates(self.sessions, scratch, None if self.request.checks_data else spans, self.stop)
        if found is None:
            self.unknown.append(
                "whether rows have the same values under a new unique index: the server ended the search after "
                f"{LONGEST_SEARCH_S // 60} minutes"
            )
        self.findings += found or []

    def _add_misfits(self, error: ConversionFailed, where: str) -> None:
        self.findings.append(
            blocking(
                "values-do-not-fit",
                f"values do not fit the new schema, {where}",
                error.message,
                "correct these rows, or the ALTER; or --allow-lossy",
            )
        )

    def _watch_traffic(self, source: Table, names: Names) -> None:
        """The write rate alone, without a sample."""
        key = source_key(source)
        if key is None or any(finding.is_blocking for finding in self.findings):
            return
        meter = TrafficMeter(self.sessions, self.binlog, names, source, key, self.request.migration.replica_server_id)
        try:
            self.stop.wait(QUIET_S)
            self.stop.check()
            traffic = meter.traffic()
        finally:
            meter.close()
        self.findings.append(
            note(
                "write-rate",
                f"about {traffic.table_rows_s:,.0f} row changes of the table a second",
                f"Seen in the binlog over {traffic.watched_s:.1f} s; the server writes "
                f"{traffic.binlog_bytes_s / 1024:,.0f} KiB of it a second.",
            )
        )

    # --- facts ----------------------------------------------------------------------------------------------------

    def _job(self, source: Table, measured: Measured) -> Job:
        options = self.request.migration
        return Job(
            # Of a table that was filled just now the server may not know the size.
            rows=self.counted_rows or max(source.estimated_rows, measured.rows),
            rows_are_counted=bool(self.counted_rows),
            row_bytes=source.data_bytes / source.estimated_rows if source.estimated_rows else 0.0,
            buffer_pool_bytes=int(self.sessions.server.variable("innodb_buffer_pool_size", "0") or 0),
            table_bytes=source.data_bytes + source.index_bytes,
            workers=options.workers,
            chunk_target_s=options.chunk_target_ms / 1_000,
            nice_ratio=options.nice_ratio,
            impact=options.impact,
            verifies_ahead=self.verifies_ahead,
        )

    def _server_facts(self, replicas: int | None) -> ServerFacts:
        server = self.sessions.server
        return ServerFacts(
            title=server.title,
            version=server.version_text,
            place=self.sessions.settings.place,
            login=self.request.login,
            identity=server.identity,
            settings={name: server.variable(name) for name in SETTINGS if name in server.variables},
            replicas=replicas,
        )

    def _table_facts(self, names: Names, source: Table | None) -> TableFacts:
        created = "" if source is None else source.create_statement
        return TableFacts(
            database=names.database,
            name=names.table,
            rows=0 if source is None else source.estimated_rows,
            data_bytes=0 if source is None else source.data_bytes,
            index_bytes=0 if source is None else source.index_bytes,
            columns=0 if source is None else len(source.columns),
            indexes=0 if source is None else len(source.indexes),
            key=self.key,
            key_is_temporary=self.key_is_temporary,
            is_partitioned=source is not None and "partitioned" in source.create_options.lower(),
            is_encrypted=re.search(r"encrypt\w*\W*=\W*'?(y|on)", created, re.IGNORECASE) is not None,
            structure="" if source is None else source.structure,
        )
