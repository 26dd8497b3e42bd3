"""Making the tables of a migration, or finding those of an earlier run; nothing is copied yet."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace

import pymysql

from osc.copy.indexes import end_builds
from osc.copy.ranges import one_key
from osc.cutover.blockers import DEFINITION_LOCK
from osc.cutover.names import earlier_names, restore_names
from osc.errors import OscError, Refused, ResumeRefused, Stalled
from osc.mysql.readers import binlog_readers
from osc.mysql.server import Server
from osc.mysql.session import COPY_SQL_MODE, LOCK_WAIT_TIMEOUT, Conn, Sessions, error_code, error_text
from osc.mysql.sql import qualified
from osc.options import MigrationOptions
from osc.plan.alter import AlterStatement
from osc.plan.mapping import ColumnMapping, implicit_default, map_columns
from osc.prepared import Beginning, Prepared, TablePair
from osc.state.checkpoint import Checkpoint, Fingerprint
from osc.state.leftovers import resumable_checkpoint
from osc.state.table import StateTable
from osc.table.choose import TEMPORARY_INDEX, choose_key, other_unique_indexes, stricter_indexes
from osc.table.conversion import taken_as
from osc.table.deferred import NO_DEFERRED, DeferredIndexes, deferrable, drop_deferred, wants_deferring
from osc.table.facts import Column, Table, read_table
from osc.table.ghost import alter_ghost, constraint_names, create_like, drop_tables
from osc.table.names import Names, decorated
from osc.table.projection import MigrationKey, Projection
from osc.table.temporary_key import add_temporary_key
from osc.table.width import wide_columns
from osc.tail.coordinate import Coordinate, current_coordinate
from osc.throttle.governor import impact_factor
from osc.throttle.others import others_are_busy
from osc.verify.compare import Comparison

DEFINE_WAIT_S = 15
"""How long to wait for a lock that keeps tables from being made: a backup's may be held for hours."""
_DATES = frozenset({"date", "datetime", "timestamp"})

EPOCH_WAIT_S = 60
"""How long to wait for a transaction of an earlier run that the server has not given up yet."""


def prepare_tables(
    sessions: Sessions,
    binlog: Sessions,
    names: Names,
    source: Table,
    alter: AlterStatement,
    options: MigrationOptions,
    note: Callable[[str], None],
) -> Prepared:
    """Make the state table and the ghost, or take over those of an earlier run. Under the advisory lock only.

    Raises Refused and its kin when the server does not want the ALTER or nothing can be resumed; then nothing is left.
    """
    try:
        with (
            closing(sessions.open("make the ghost table", {"lock_wait_timeout": str(DEFINE_WAIT_S)})) as connection,
            closing(binlog.open("read the binlog's coordinate")) as binlog_connection,
        ):
            return _Preparation(
                sessions, connection, binlog.server, binlog_connection, names, source, alter, options, note
            ).run()
    except pymysql.err.OperationalError as error:
        if error_code(error) != LOCK_WAIT_TIMEOUT:
            raise
        raise Refused(
            f"the tables of the migration of {qualified(names.database, names.table)} cannot be made: for longer than "
            f"{DEFINE_WAIT_S} s somebody has been using one of them, or has held {DEFINITION_LOCK} ({error_text(error)}). "
            "Nothing was copied. Run the command again when that has ended"
        ) from error


@dataclass(frozen=True, slots=True)
class _Preparation:
    """The tables of one migration: those that an earlier run has left and that can be gone on with, else new ones."""

    sessions: Sessions
    connection: Conn
    binlog_server: Server
    binlog_connection: Conn
    names: Names
    source: Table
    alter: AlterStatement
    options: MigrationOptions
    note: Callable[[str], None]

    @property
    def state(self) -> StateTable:
        return StateTable(self.names.database, self.names.state)

    @property
    def wanted(self) -> Fingerprint:
        """What a checkpoint must fit, as far as it is known before there is a ghost."""
        return Fingerprint(
            alter=Fingerprint.of_alter(self.alter),
            source=Fingerprint.digest(self.source.structure),
            ghost="",
            server=" ".join(dict.fromkeys((self.sessions.server.identity, self.binlog_server.identity))),
        )

    def run(self) -> Prepared:
        """Raises ResumeRefused, Refused and Stalled; then nothing is left behind that was not there."""
        connection, names = self.connection, self.names
        if self.state.is_ours(connection):
            for done in restore_names(connection, earlier_names(connection, names)):
                self.note(f"an earlier run ended in the middle of a swap: {done}")
        checkpoint = resumable_checkpoint(
            connection,
            self.binlog_connection,
            self.binlog_server,
            self.state,
            names,
            self.wanted,
            self.options.resume,
            self.options.initially_drop_ghost,
        )
        return self._start_afresh() if checkpoint is None else self._resume(checkpoint)

    def _resume(self, checkpoint: Checkpoint) -> Prepared:
        connection, names, options = self.connection, self.names, self.options
        if options.initially_drop_old:
            _drop(connection, names.database, [names.old], self.note)
        if options.initially_drop_ghost:
            self.note(
                "--initially-drop-ghost-table is not followed: the ghost can be resumed (--resume=never drops it)"
            )
        pair = _pair(connection, self.sessions.server, names, self.source, self.alter, options.allow_lossy)
        if checkpoint.fingerprint.conversion != _conversion(connection, pair, options.allow_lossy):
            raise ResumeRefused(
                f"the rows in {qualified(names.database, names.ghost)} were converted otherwise than this command would: "
                "--allow-lossy, or the server's time zone or sql_mode, is not what it was. Nothing was changed. Run the "
                "earlier command again to go on, or give --resume=never to start afresh"
            )
        end_builds(connection, names.database, names.ghost)
        epoch = raise_epoch(self.sessions, self.state)
        self.state.note_old_name(connection, names.old)
        beginning = Beginning(
            epoch=epoch,
            coordinate=checkpoint.coordinate,
            stage=checkpoint.stage,
            low=checkpoint.low,
            guard=one_key(connection, pair.projection, pair.projection.last_ghost_key()),
            rows_copied=checkpoint.rows_copied,
            copy_s=checkpoint.copy_s,
            deferred=checkpoint.deferred,
            verified=checkpoint.verified,
            rows_verified=checkpoint.rows_verified,
            resumed_at=self._coordinate(),
        )
        return Prepared(pair, self.state, beginning, checkpoint.fingerprint)

    def _start_afresh(self) -> Prepared:
        connection, names, options = self.connection, self.names, self.options
        _drop_leftovers(connection, names, self.state, options, self.note)
        try:
            pair = _make(
                connection,
                self.sessions.server,
                names,
                self.source,
                self.alter,
                self.state,
                options.allow_lossy,
                self.note,
            )
            whole = _read(connection, names.database, names.ghost)
            deferred = defer_indexes(connection, self.sessions, names, self.source, whole, options)
        except BaseException:
            self._drop_made()
            raise
        beginning = Beginning(raise_epoch(self.sessions, self.state), self._coordinate(), deferred=deferred)
        # From the coordinate on, the tail would hear of it.
        if _read(connection, names.database, names.table).structure != self.source.structure:
            self._drop_made()
            raise Refused(
                f"{qualified(names.database, names.table)} was altered by somebody else just now. Nothing was copied, nothing "
                "is left behind. Run the command again if the ALTER still makes sense"
            )
        fingerprint = replace(
            self.wanted,
            ghost=Fingerprint.digest(whole.structure),
            conversion=_conversion(connection, pair, options.allow_lossy),
        )
        return Prepared(pair, self.state, beginning, fingerprint)

    def _drop_made(self) -> None:
        drop_tables(self.connection, self.names.database, [self.names.ghost, self.names.state], self.note)

    def _coordinate(self) -> Coordinate:
        return current_coordinate(self.binlog_connection, self.binlog_server)


def raise_epoch(sessions: Sessions, state: StateTable) -> int:
    """Begin the run's epoch, after every transaction of an earlier one has ended on the server. Raises Stalled."""
    connection = sessions.open("begin a new epoch", {"innodb_lock_wait_timeout": str(EPOCH_WAIT_S)})
    try:
        return state.raise_epoch(connection)
    except pymysql.err.OperationalError as error:
        if error_code(error) != LOCK_WAIT_TIMEOUT:
            raise
        raise Stalled(
            f"a transaction still holds its lock on {state.sql_name} after {EPOCH_WAIT_S} s: one of an earlier run, whose "
            "statement the server has not finished yet. Nothing was changed. Look for it in the process list, wait for it or "
            "KILL it, and run the same command again"
        ) from error
    finally:
        connection.close()


def _drop_leftovers(
    connection: Conn, names: Names, state: StateTable, options: MigrationOptions, note: Callable[[str], None]
) -> None:
    """What may go: the tables of an earlier run that is not resumed, and what the operator said may go."""
    if not options.initially_drop_ghost and not state.is_ours(connection):
        stranger = [
            name for name in (names.ghost, names.state) if read_table(connection, names.database, name) is not None
        ]
        if stranger:
            raise Refused(
                f"{', '.join(stranger)} appeared just now, and no run of this engine made it. Nothing was changed"
            )
    tables = [names.ghost, names.state]
    if options.initially_drop_old:
        tables.append(names.old)
    _drop(connection, names.database, tables, note)


def _drop(connection: Conn, database: str, tables: list[str], note: Callable[[str], None]) -> None:
    for table in tables:
        if read_table(connection, database, table) is not None:
            note(f"dropped {qualified(database, table)}, which an earlier run had left")
    failed: list[str] = []
    drop_tables(connection, database, tables, failed.append)
    if failed:
        raise Refused("cannot start afresh: " + "; ".join(failed))


def _make(
    connection: Conn,
    server: Server,
    names: Names,
    source: Table,
    alter: AlterStatement,
    state: StateTable,
    allow_lossy: bool,
    note: Callable[[str], None],
) -> TablePair:
    state.create(connection)
    state.note_old_name(connection, names.old)
    return make_ghost(connection, server, names, source, alter, allow_lossy, note)


def make_ghost(
    connection: Conn,
    server: Server,
    names: Names,
    source: Table,
    alter: AlterStatement,
    allow_lossy: bool,
    note: Callable[[str], None],
) -> TablePair:
    """Make the empty ghost with its new schema; how rows go into it.

    Raises Refused, AlterSyntaxError or ColumnsUnexplained when the server does not want the ALTER, or no key names the same
    rows in both tables; the ghost may be there then.
    """
    create_like(connection, names)
    copied = constraint_names(connection, server, names)
    added = {name.text: decorated(name.text, "_chk") for name in alter.added_checks if name.text in copied}
    for name, new in added.items():
        note(
            f"the new CHECK constraint {name} is called {new}: such names are unique in a database, and {name} is still taken"
        )
    alter_ghost(connection, names, alter.rewrite_constraint_names(copied, added))
    ghost = _read(connection, names.database, names.ghost)
    key, _ = choose_key(source, ghost, _mapping(source, ghost, alter).ghost_of)
    if key is not None and key.ghost_index_is_temporary:
        add_temporary_key(connection, names.database, names.ghost, key)
    return _pair(connection, server, names, source, alter, allow_lossy)


def defer_indexes(
    connection: Conn, sessions: Sessions, names: Names, source: Table, ghost: Table, options: MigrationOptions
) -> DeferredIndexes:
    """Take from the empty ghost the indexes that are better built after the copy; returns them."""
    found = deferrable(ghost)
    if not found.definitions or not wants_deferring(
        options.defer_indexes,
        source,
        binlog_readers(connection),
        lambda: impact_factor(options.impact) is not None and others_are_busy(sessions, connection),
    ):
        return NO_DEFERRED
    drop_deferred(connection, names.database, names.ghost, found)
    bare = _read(connection, names.database, names.ghost)
    return replace(found, bare=Fingerprint.digest(bare.structure))


def _pair(
    connection: Conn, server: Server, names: Names, source: Table, alter: AlterStatement, allow_lossy: bool
) -> TablePair:
    """How rows go from one table to the other, read back from the ghost that the server made."""
    ghost = _read(connection, names.database, names.ghost)
    mapping = _mapping(source, ghost, alter)
    key, unusable = choose_key(source, ghost, mapping.ghost_of)
    if key is None:
        reasons = "".join(f"\n  {each.index}: {each.reason}" for each in unusable) or "\n  it has no unique key at all"
        raise Refused(
            f"{qualified(names.database, names.table)} has no key that names the same rows before and after this ALTER:"
            f"{reasons}\nThe table is as it was. A migration needs a primary key, or a unique key without NULLs, that the new "
            "table has with the same types and collations"
        )
    key = _as_temporary(key, ghost, source)
    projection = Projection(
        names.database,
        names.table,
        names.ghost,
        key,
        tuple(pair.source.name for pair in mapping.pairs),
        tuple(pair.ghost.name for pair in mapping.pairs),
        tuple(taken_as(pair.source, pair.ghost, server.is_mariadb) for pair in mapping.pairs),
        _fillers(server, mapping),
        wide_columns(source),
    )
    return TablePair(
        source=source,
        projection=projection,
        comparison=Comparison(projection, source, ghost, allow_lossy),
        stricter=tuple(stricter_indexes(source, ghost, key, mapping.source_of)),
        has_other_unique=bool(other_unique_indexes(ghost, key)),
        session_variables=_session_variables(server, names, mapping, key, allow_lossy),
    )


def _as_temporary(key: MigrationKey, ghost: Table, source: Table) -> MigrationKey:
    """The key, marked as temporary when its index on the ghost is the one that was added for the migration."""
    own = {index.name for index in source.indexes}
    return replace(key, ghost_index_is_temporary=key.ghost_index == TEMPORARY_INDEX and TEMPORARY_INDEX not in own)


def _mapping(source: Table, ghost: Table, alter: AlterStatement) -> ColumnMapping:
    return map_columns(source.columns, ghost.columns, alter.renames, alter.dropped_columns, alter.added_columns)


def _fillers(server: Server, mapping: ColumnMapping) -> tuple[tuple[str, str], ...]:
    """Added columns without a default, and what a direct `ALTER` fills them with."""
    mode = server.variable("sql_mode").upper()
    zero_dates = "NO_ZERO_DATE" not in mode or "STRICT" not in mode
    fillers = []
    for column in mapping.without_default:
        literal = implicit_default(column, zero_dates)
        if literal is None:
            raise Refused(
                f"column {column.name} is added as {column.column_type} NOT NULL without a default, and there is no value that "
                "the rows could get; a direct ALTER fails as well. The table is as it was. Give the column a DEFAULT"
            )
        fillers.append((column.name, literal))
    return tuple(fillers)


def _session_variables(
    server: Server, names: Names, mapping: ColumnMapping, key: MigrationKey, allow_lossy: bool
) -> dict[str, str]:
    """What the conversions of this `ALTER` depend on: the server's own, as in a direct `ALTER`, else as pinned."""
    variables = {"sql_mode": f"'{_sql_mode(server, mapping, allow_lossy)}'"}
    if not _depends_on_the_zone(mapping):
        return variables
    if any(column.kind == "timestamp" for column in key.columns):
        raise Refused(
            f"the migration key of {qualified(names.database, names.table)}, {key.text}, has a TIMESTAMP, and what the "
            "ALTER does to other columns depends on the time zone (a conversion, a default of now, a generated column). Do "
            "that in a migration with another key. The table is as it was"
        )
    return {**variables, "time_zone": "@@global.time_zone"}


def _conversion(connection: Conn, pair: TablePair, allow_lossy: bool) -> str:
    """A digest of what the values depend on besides the `ALTER`, with the time zones as the server has them now."""
    with connection.cursor() as cursor:
        cursor.execute("select @@global.time_zone, @@system_time_zone")
        zones = cursor.fetchone()
    variables = sorted(pair.session_variables.items())
    return Fingerprint.digest(repr((allow_lossy, variables, zones if "time_zone" in pair.session_variables else None)))


def _sql_mode(server: Server, mapping: ColumnMapping, allow_lossy: bool) -> str:
    """Strict, unless losses are allowed.

    How fractions of a second are cut off, and which dates are taken where none were stored, is as the server has it.
    """
    modes = COPY_SQL_MODE.split(",")
    if allow_lossy:
        modes.remove("STRICT_ALL_TABLES")
    taken_over = ["TIME_TRUNCATE_FRACTIONAL", "TIME_ROUND_FRACTIONAL"]
    if any(p.ghost.data_type in _DATES and p.source.data_type not in _DATES for p in mapping.pairs):
        modes.remove("ALLOW_INVALID_DATES")
        taken_over += ["NO_ZERO_DATE", "NO_ZERO_IN_DATE", "ALLOW_INVALID_DATES"]
    own = server.variable("sql_mode").upper().split(",")
    return ",".join([*modes, *(mode for mode in taken_over if mode in own)])


def _depends_on_the_zone(mapping: ColumnMapping) -> bool:
    """A TIMESTAMP that becomes something else or the reverse, an added time with a default of now, a generated column."""
    converted = any((p.source.data_type == "timestamp") != (p.ghost.data_type == "timestamp") for p in mapping.pairs)
    now = any(_defaults_to_now(column) for column in mapping.added)
    has_timestamp = any(pair.ghost.data_type == "timestamp" for pair in mapping.pairs)
    return converted or now or (has_timestamp and bool(mapping.generated))


def _defaults_to_now(column: Column) -> bool:
    return (
        column.data_type in ("date", "datetime", "timestamp", "time")
        and re.search(r"current|now|local", column.default or "", re.IGNORECASE) is not None
    )


def _read(connection: Conn, database: str, name: str) -> Table:
    table = read_table(connection, database, name)
    if table is None:
        raise OscError(f"{qualified(database, name)} has vanished: somebody dropped it. Nothing was swapped")
    return table
