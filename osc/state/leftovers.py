"""What an earlier run has left, and whether this one can go on with it."""

from __future__ import annotations

from dataclasses import replace

import pymysql

from osc.cutover.names import earlier_names, has_swapped
from osc.errors import BinlogGone, ResumeRefused
from osc.mysql.server import Server
from osc.mysql.session import Conn, error_text
from osc.mysql.sql import qualified
from osc.options import Resume
from osc.plan.alter import AlterStatement
from osc.state.checkpoint import Checkpoint, Fingerprint
from osc.state.table import StateTable
from osc.table.facts import Table, read_table
from osc.table.names import Names
from osc.tail.coordinate import require_available
from osc.tail.lineage import continued


def resumable_checkpoint(
    connection: Conn,
    binlog_connection: Conn,
    binlog_server: Server,
    state: StateTable,
    names: Names,
    wanted: Fingerprint,
    resume: Resume,
    drop_what_cannot_be_resumed: bool,
) -> Checkpoint | None:
    """The checkpoint to go on from; None to start afresh, with whatever is left to be dropped first.

    `wanted.ghost` is not compared; the checkpoint's own is compared with the ghost as it is. Raises ResumeRefused, with the
    choices, when something is left that can neither be resumed nor, without being told, be dropped.
    """
    if resume == "never":
        return None
    why_not = "there is nothing to resume"
    if state.is_ours(connection):
        found = _judge(connection, binlog_connection, binlog_server, state, names, wanted)
        if isinstance(found, Checkpoint):
            return found
        why_not = found
        if why_not and not drop_what_cannot_be_resumed and resume == "auto":
            raise ResumeRefused(
                f"an earlier run left {qualified(names.database, names.ghost)} and {state.sql_name}, and this command cannot "
                f"go on with them: {why_not}. Nothing was changed. Run the earlier command again to go on, or give "
                "--resume=never to drop them and start afresh, or remove them with `osc cleanup`"
            )
    if resume == "require":
        raise ResumeRefused(
            f"--resume=require, but this command cannot go on with an earlier run: {why_not or 'it had not come far'}"
        )
    return None


def swapped_before(connection: Conn, names: Names, source: Table, alter: AlterStatement) -> Names | None:
    """The names that an earlier run of the same command used, if it swapped and was cut off before it could clean up.

    Then the ghost is under none of its names, the old table is where it belongs, and the table has the ghost's structure.
    """
    state = StateTable(names.database, names.state)
    try:
        earlier = earlier_names(connection, names)
        if not state.is_ours(connection) or not has_swapped(connection, earlier):
            return None
        checkpoint = state.load(connection)
    except (ValueError, KeyError, pymysql.err.MySQLError):
        return None  # preflight tells what is wrong with it
    is_the_same = (
        checkpoint is not None
        and checkpoint.fingerprint.alter == Fingerprint.of_alter(alter)
        and checkpoint.fingerprint.ghost == Fingerprint.digest(source.structure)
    )
    return earlier if is_the_same else None


def _judge(
    connection: Conn,
    binlog_connection: Conn,
    binlog_server: Server,
    state: StateTable,
    names: Names,
    wanted: Fingerprint,
) -> Checkpoint | str:
    """The checkpoint, or why it is of no use; an empty reason when the earlier run had not come to its first."""
    try:
        checkpoint = state.load(connection)
    except (ValueError, KeyError, pymysql.err.MySQLError) as error:
        text = error_text(error) if isinstance(error, pymysql.err.MySQLError) else str(error)
        return f"its state cannot be read ({text})"
    ghost = read_table(connection, names.database, names.ghost)
    if checkpoint is None:
        return ""
    if ghost is None:
        raise ResumeRefused(
            f"an earlier run left {state.sql_name} but no ghost table: it may have swapped the tables just before it ended. "
            f"Nothing was changed. Look whether {qualified(names.database, names.table)} has its new schema already and where "
            f"the old table is ({qualified(names.database, names.old)}), then remove the state table with `osc cleanup`"
        )
    stored = checkpoint.fingerprint
    if stored.alter != wanted.alter:
        return "it was started with another ALTER"
    if stored.source != wanted.source:
        return f"{qualified(names.database, names.table)} has been altered since"
    if Fingerprint.digest(ghost.structure) not in (stored.ghost, checkpoint.deferred.bare):
        return "the ghost table has been altered since"
    if stored.server != wanted.server:
        return _taken_over_elsewhere(binlog_connection, binlog_server, checkpoint, wanted)
    try:
        require_available(binlog_connection, checkpoint.coordinate)
    except BinlogGone as error:
        return str(error)
    return checkpoint


def _taken_over_elsewhere(
    connection: Conn, server: Server, checkpoint: Checkpoint, wanted: Fingerprint
) -> Checkpoint | str:
    """The checkpoint for a server to which the ghost and the state table were replicated, or why it is of no use there.

    The checkpoint came after everything that it tells of, so what is below `low` has arrived as well. What was verified was
    verified on the other server.
    """
    coordinate = continued(connection, server, checkpoint.coordinate)
    if isinstance(coordinate, str):
        return f"it ran on another server, and {coordinate}"
    fingerprint = replace(checkpoint.fingerprint, server=wanted.server)
    return replace(checkpoint, fingerprint=fingerprint, coordinate=coordinate, verified=None, rows_verified=0)
