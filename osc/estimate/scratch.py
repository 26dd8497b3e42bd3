"""The scratch tables in which a plan tries things: a ghost as the migration would make it, and a state table beside it.

They have names of their own (`_t_ghp`, `_t_ghq`), so that a migration that was interrupted keeps its tables. The state table
is made first and dropped last. It carries this engine's mark, by which the next plan, and `osc cleanup`, know that both may go.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from osc.control.stop import StopRequest
from osc.errors import AlreadyRunning, OscError, Refused
from osc.mysql.advisory import AdvisoryLock
from osc.mysql.session import Conn, Sessions
from osc.mysql.sql import qualified
from osc.options import MigrationOptions
from osc.plan.alter import AlterStatement
from osc.prepare import defer_indexes, make_ghost
from osc.prepared import TablePair
from osc.state.table import StateTable
from osc.table.deferred import DeferredIndexes
from osc.table.facts import Table, read_table
from osc.table.ghost import drop_tables, existing
from osc.table.names import Names, scratch_names_for

DEFINE_WAIT_S = 2
"""How long the tables may wait for a lock that a backup or an `ALTER` holds."""


@dataclass(frozen=True, slots=True)
class Scratch:
    """The scratch tables, empty, and how rows go into them."""

    names: Names
    pair: TablePair
    ghost: Table
    """With all its indexes, those that are built after the copy included."""
    state: StateTable
    epoch: int
    deferred: DeferredIndexes
    made_s: float
    """How long it took to make them, in seconds."""


@contextmanager
def scratch_tables(
    sessions: Sessions,
    source: Table,
    alter: AlterStatement,
    options: MigrationOptions,
    stop: StopRequest,
    note: Callable[[str], None],
) -> Iterator[Scratch]:
    """The scratch tables, there for as long as the context lasts. What an earlier plan left is dropped first, and `note` told.

    Raises Refused and its kin when the server does not want the ALTER, or another plan of this table is being made. On the
    way out the tables are dropped whatever happened; `note` is told where the server does not let them go.
    """
    names = scratch_names_for(source.database, source.name)
    lock = AdvisoryLock(sessions, names.database, names.ghost, stop)
    try:
        lock.take()
    except AlreadyRunning as error:
        raise Refused(
            f"another plan of {qualified(names.database, names.table)} is being made right now. Wait for it, or plan "
            "with --no-sample"
        ) from error
    try:
        with closing(sessions.open("make the scratch tables", {"lock_wait_timeout": str(DEFINE_WAIT_S)})) as connection:
            for name in remove_scratch(connection, names, note):
                note(f"an earlier plan had left {qualified(names.database, name)}; it is dropped")
        try:
            with lock.kept() as check_lock:
                made = _make(sessions, names, source, alter, options, note)
                check_lock()
                yield made
        finally:
            with closing(sessions.open("drop the scratch tables", {"lock_wait_timeout": "10"})) as connection:
                remove_scratch(connection, names, note)
    finally:
        lock.release()


def remove_scratch(connection: Conn, names: Names, note: Callable[[str], None]) -> list[str]:
    """Drop the scratch tables of those names, if they are ours; which were there."""
    if not StateTable(names.database, names.state).is_ours(connection):
        return []
    found = existing(connection, names.database, [names.ghost, names.state])
    drop_tables(connection, names.database, found, note)
    return found


def _make(
    sessions: Sessions,
    names: Names,
    source: Table,
    alter: AlterStatement,
    options: MigrationOptions,
    note: Callable[[str], None],
) -> Scratch:
    began = time.monotonic()
    state = StateTable(names.database, names.state)
    with closing(sessions.open("make the scratch tables", {"lock_wait_timeout": str(DEFINE_WAIT_S)})) as connection:
        taken = existing(connection, names.database, [names.ghost, names.state])
        if taken:
            raise Refused(
                f"{', '.join(qualified(names.database, name) for name in taken)} exists, without this engine's mark, and a "
                "plan needs the name. Nothing was changed. Rename or drop it, or plan with --no-sample"
            )
        state.create(connection)
        pair = make_ghost(connection, sessions.server, names, source, alter, options.allow_lossy, note)
        ghost = read_table(connection, names.database, names.ghost)
        if ghost is None:
            raise OscError(f"{qualified(names.database, names.ghost)} has vanished: somebody dropped it")
        deferred = defer_indexes(connection, sessions, names, source, ghost, options)
        epoch = state.raise_epoch(connection)
    return Scratch(names, pair, ghost, state, epoch, deferred, time.monotonic() - began)
