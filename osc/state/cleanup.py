"""Finding and removing the tables that earlier runs left, without ever taking one that may be somebody's data.

A state table carries this engine's mark, and with it the ghost of the same stem is known to be ours. An old table
carries none (it is the original, renamed), so it is listed and only removed when asked for by option.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

import pymysql

from osc.cutover.names import SwapNames, earlier_names, restore_names
from osc.errors import MigrationFailed
from osc.mysql.advisory import AdvisoryLock
from osc.mysql.session import Conn, Sessions, error_text
from osc.mysql.sql import qualified
from osc.native.scratch import alone_with_scratch
from osc.state.table import SCRATCH_COMMENT, SENTRY_COMMENT, STATE_COMMENT
from osc.table.names import Names, decorated, names_for, scratch_name, scratch_names_for

LeftoverKind = Literal["state", "ghost", "sentry", "old", "scratch"]
"""`scratch`: on which the server was asked, or in which a plan tried things."""

SYSTEM_DATABASES = ("mysql", "sys", "information_schema", "performance_schema")


@dataclass(frozen=True, slots=True)
class Leftover:
    """One table beside an original."""

    database: str
    name: str
    kind: LeftoverKind
    original: str
    """The table that was being migrated."""
    is_ours: bool
    """Whether a mark says that this engine made it; no mark can, for an old table."""
    original_exists: bool
    rows: int
    """The server's estimate."""

    @property
    def sql_name(self) -> str:
        return qualified(self.database, self.name)

    def is_removable(self, drops_old: bool) -> bool:
        """Whether it may go: never the only copy of the rows, never what carries no mark, an old table when asked."""
        if not self.original_exists:
            return False
        return drops_old if self.kind == "old" else self.is_ours


@dataclass(frozen=True, slots=True)
class _Entry:
    database: str
    name: str
    comment: str
    rows: int


def find_leftovers(connection: Conn, database: str | None = None, table: str | None = None) -> tuple[Leftover, ...]:
    """What stands beside that table, beside any table of the database, or of any database; by original and name."""
    entries = _entries(connection, database)
    by_database: dict[str, list[_Entry]] = {}
    for entry in entries:
        by_database.setdefault(entry.database, []).append(entry)
    found = [
        leftover
        for listed in by_database.values()
        for original in ([table] if table is not None else _originals(listed))
        for leftover in _beside(original, listed)
    ]
    return tuple(sorted(dict.fromkeys(found), key=lambda item: (item.database, item.original, item.name)))


def remove_leftovers(sessions: Sessions, leftovers: Sequence[Leftover], drops_old: bool = False) -> tuple[str, ...]:
    """Drop those that may go; what was done, for people.

    Raises AlreadyRunning when a migration of one of the originals is under way, and MigrationFailed when the server
    refuses a drop; what was dropped before stays dropped.
    """
    done: list[str] = []
    going = [item for item in leftovers if item.is_removable(drops_old)]
    for database, original in dict.fromkeys((item.database, item.original) for item in going):
        # A migration holds the lock of its table, a plan that of its scratch table.
        with ExitStack() as locks:
            for name in (original, scratch_names_for(database, original).ghost):
                lock = AdvisoryLock(sessions, database, name)
                lock.take()
                locks.callback(lock.release)
            done += _remove(sessions, database, original, drops_old)
    return tuple(done)


def _remove(sessions: Sessions, database: str, original: str, drops_old: bool) -> list[str]:
    connection = sessions.open("remove what an earlier run left")
    try:
        # Under the lock, everything is looked at again: a run may have ended, or swapped, in between.
        done = []
        if any(
            item.is_ours and item.original_exists and item.kind != "scratch"
            for item in find_leftovers(connection, database, original)
        ):
            done += restore_names(connection, earlier_names(connection, names_for(database, original)))
        # State tables go last: they are the mark by which the ghosts are known to be ours.
        marks = (names_for(database, original).state.lower(), scratch_names_for(database, original).state.lower())
        with alone_with_scratch(connection, database, original):
            items = [item for item in find_leftovers(connection, database, original) if item.is_removable(drops_old)]
            for item in sorted(items, key=lambda item: item.name.lower() in marks):
                _drop(connection, item)
                done.append(f"dropped {item.sql_name}")
        return done
    finally:
        connection.close()


def _drop(connection: Conn, item: Leftover) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"drop table if exists {item.sql_name}")
    except pymysql.err.MySQLError as error:
        raise MigrationFailed(
            f"{item.sql_name} could not be dropped: {error_text(error)}. It is still there; the original"
            f" {qualified(item.database, item.original)} is untouched. Run this again when the cause is gone"
        ) from error


def _entries(connection: Conn, database: str | None) -> list[_Entry]:
    marks = ", ".join(["%s"] * len(SYSTEM_DATABASES))
    where, values = (
        ("table_schema = %s", [database]) if database else (f"table_schema not in ({marks})", SYSTEM_DATABASES)
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "select table_schema, table_name, table_comment, table_rows from information_schema.tables"
            f" where table_type = 'BASE TABLE' and {where}",
            tuple(values),
        )
        return [_Entry(str(row[0]), str(row[1]), str(row[2]), int(row[3] or 0)) for row in cursor.fetchall()]


def _originals(entries: Iterable[_Entry]) -> list[str]:
    """The tables that a migration may have been about: those that are there, and those that a state table tells of."""
    names = {entry.name for entry in entries}
    gone = set()
    for entry in entries:
        stem = re.fullmatch(r"_(.+)_ghc", entry.name)
        if stem and entry.comment == STATE_COMMENT and not any(decorated(name, "_ghc") == entry.name for name in names):
            gone.add(stem[1])
    return sorted(names | gone)


def _beside(original: str, entries: Sequence[_Entry]) -> list[Leftover]:
    database = entries[0].database
    by_name = {entry.name.lower(): entry for entry in entries}
    names = names_for(database, original)
    state = by_name.get(names.state.lower())
    is_marked = state is not None and state.comment == STATE_COMMENT
    exists = original.lower() in by_name

    def leftover(entry: _Entry, kind: LeftoverKind, is_ours: bool) -> Leftover:
        return Leftover(database, entry.name, kind, original, is_ours, exists, entry.rows)

    found = [leftover(state, "state", True)] if state is not None and is_marked else []
    ghosts = {names.ghost, _swap_names(names).ghost} if is_marked else {names.ghost}
    found += [leftover(by_name[name.lower()], "ghost", is_marked) for name in ghosts if name.lower() in by_name]
    empty = by_name.get(scratch_name(original).lower())
    if empty is not None and empty.comment == SCRATCH_COMMENT:
        found.append(leftover(empty, "scratch", True))
    scratch = scratch_names_for(database, original)
    mark = by_name.get(scratch.state.lower())
    if mark is not None and mark.comment == STATE_COMMENT:
        found += [
            leftover(by_name[name.lower()], "scratch", True)
            for name in (scratch.ghost, scratch.state)
            if name.lower() in by_name
        ]
    for entry in entries:
        is_old = _is_old(original, entry.name)
        if entry.comment == SENTRY_COMMENT and (is_old or entry.name == _swap_names(names).old):
            found.append(leftover(entry, "sentry", True))
        elif is_old:
            found.append(leftover(entry, "old", False))
    return found


def _swap_names(names: Names) -> SwapNames:
    try:
        return SwapNames.of(names)
    except ValueError:
        # A table with such a name cannot be swapped that way, so nothing of a swap can be there.
        return SwapNames(names.ghost, names.old)


def _is_old(original: str, name: str) -> bool:
    suffix = re.search(r"(?:_\d{14})?_del$", name)
    return suffix is not None and name.lower() in {
        decorated(original, ending).lower() for ending in (suffix[0], "_del")
    }
