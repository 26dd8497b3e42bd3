"""The names that the sentry rename uses for a moment, and how to put things right when a crash left them in place."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace

from osc.cutover.blockers import is_renaming
from osc.errors import Stalled
from osc.mysql.session import Conn
from osc.mysql.sql import qualified
from osc.state.table import SENTRY_COMMENT, StateTable, table_comment
from osc.table.names import Names, sorting_after

RENAME_WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class SwapNames:
    """Names of the ghost and of the old table that sort behind the original's, as the rename needs them."""

    ghost: str
    old: str

    @classmethod
    def of(cls, names: Names) -> SwapNames:
        """The lasting names where they sort behind the table's, else others. Raises ValueError when none does."""
        return cls(_behind(names.table, names.ghost, "_gho"), _behind(names.table, names.old, "_del"))

    def extra(self, names: Names) -> list[str]:
        """Those that are not the lasting names."""
        return [name for name in (self.ghost, self.old) if name not in (names.ghost, names.old)]


def _behind(table: str, name: str, suffix: str) -> str:
    return name if name.encode() > table.encode() else sorting_after(table, suffix)


def earlier_names(connection: Conn, names: Names) -> Names:
    """The same names as an earlier run had them, if its state table is there: what it called the old table."""
    state = StateTable(names.database, names.state)
    old = state.old_name(connection) if state.is_ours(connection) else None
    return names if old is None else replace(names, old=old)


def restore_names(connection: Conn, names: Names) -> list[str]:
    """Undo what an attempt that did not come to its end has left; returns what was done, for people.

    The ghost gets its own name back, a sentry is dropped, and an old table that was swapped out gets its lasting name.
    Safe to call at any time but during a swap.
    """
    swap = SwapNames.of(names)
    done: list[str] = []

    def comment(name: str) -> str | None:
        return table_comment(connection, names.database, name)

    def sql(name: str) -> str:
        return qualified(names.database, name)

    with connection.cursor() as cursor:
        if comment(swap.old) == SENTRY_COMMENT:
            _wait_for_renames(connection)
            cursor.execute(f"drop table {sql(swap.old)}")
            done.append(f"dropped the sentry table {sql(swap.old)}")
        if swap.ghost != names.ghost and comment(swap.ghost) is not None and comment(names.ghost) is None:
            cursor.execute(f"rename table {sql(swap.ghost)} to {sql(names.ghost)}")
            done.append(f"gave the ghost table its name {sql(names.ghost)} back")
        if swap.old != names.old and comment(swap.old) is not None and comment(names.old) is None:
            cursor.execute(f"rename table {sql(swap.old)} to {sql(names.old)}")
            done.append(f"gave the old table its lasting name {sql(names.old)}")
    return done


def _wait_for_renames(connection: Conn) -> None:
    """Wait until no `RENAME` of a session that was cut off is under way: only the sentry keeps it from going through.

    It waits for the table for a few seconds at most. Were the sentry dropped before, it would swap in a ghost that nobody has
    reconciled.
    """
    deadline = time.monotonic() + RENAME_WAIT_S
    pause = threading.Event()
    while is_renaming(connection):
        if time.monotonic() > deadline:
            raise Stalled(
                f"a RENAME TABLE of this login has been waiting for {RENAME_WAIT_S:.0f} s, perhaps one of a swap that was cut "
                "off. Nothing was changed. Look for it in the process list, KILL it, and run the same command again"
            )
        pause.wait(0.1)


def has_swapped(connection: Conn, names: Names) -> bool:
    """Whether the rename went through: the ghost is under none of its names any more, and the old table is under one."""
    swap = SwapNames.of(names)

    def exists(name: str) -> bool:
        comment = table_comment(connection, names.database, name)
        return comment is not None and comment != SENTRY_COMMENT

    return not (exists(names.ghost) or exists(swap.ghost)) and (exists(names.old) or exists(swap.old))
