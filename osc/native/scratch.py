"""The empty copy of a table on which the server is asked what it can do itself.

`CREATE TABLE .. LIKE` gives it the columns, the indexes, the CHECK constraints and the partitions. What only the table's
history has put into it is repeated: the row format of its day, the hidden column that a FULLTEXT index leaves behind, and
the instant changes that MySQL counts. MariaDB shows nobody its instant changes. Foreign keys are not copied, since adding
them would lock the parent tables. Whatever differs, the statement for the real table names its algorithm, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pymysql

from osc.errors import Refused
from osc.mysql.server import Server
from osc.mysql.session import LOCK_WAIT_TIMEOUT, Conn, error_code, error_text
from osc.mysql.sql import qualified, quote
from osc.native.innodb import InnodbTable, read_innodb, row_version_limit
from osc.plan.alter import AlterStatement
from osc.state.table import SCRATCH_COMMENT, table_comment
from osc.table.facts import Table, read_table
from osc.table.ghost import constraint_names, create_like, drop_tables
from osc.table.names import Names, decorated, names_for, scratch_name

WAIT_S = 15
"""For another run that asks about the same table, and for a lock that keeps tables from being made."""


@dataclass(frozen=True, slots=True)
class Scratch:
    """The empty copy, as it is before the server is asked."""

    names: Names
    """With the copy in the ghost's place, so that what is done to ghosts can be done to it."""
    table: Table
    real: InnodbTable | None
    """The real table in InnoDB's dictionary; None when this login may not see it."""

    @property
    def name(self) -> str:
        return self.names.ghost

    @property
    def sql_name(self) -> str:
        return qualified(self.names.database, self.name)


@contextmanager
def scratch_copy(connection: Conn, server: Server, source: Table, note: Callable[[str], None]) -> Iterator[Scratch]:
    """An empty copy of the table, dropped at the end. What a killed run left under its name is dropped first, and `note` told.

    Raises Refused when the name is taken or a lock keeps tables from being made, and pymysql's errors.
    """
    name = scratch_name(source.name)
    names = replace(names_for(source.database, source.name), ghost=name)
    with alone_with_scratch(connection, source.database, source.name), _bounded(connection, source):
        if drop_left_scratch(connection, source):
            note(f"an earlier run had left {qualified(source.database, name)}; it is dropped")
        # Outside of the try: what stands there although it was not made here is not dropped.
        create_like(connection, names)
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"alter table {qualified(source.database, name)} comment = '{SCRATCH_COMMENT}'")
            real = _repeat_history(connection, server, source, name)
            table = read_table(connection, source.database, name)
            if table is None:
                raise Refused(f"{qualified(source.database, name)} was dropped just now. Nothing was changed")
            yield Scratch(names, table, real)
        finally:
            if connection.open:
                drop_tables(connection, source.database, [name], lambda _: None)


def drop_left_scratch(connection: Conn, source: Table) -> bool:
    """Drop the empty copy that a killed run left; whether there was one. Raises Refused when the name is somebody else's."""
    name = scratch_name(source.name)
    left = read_table(connection, source.database, name)
    if left is None:
        return False
    if not is_scratch(connection, left, source):
        taken = qualified(source.database, name)
        raise Refused(
            f"the name {taken} is taken: there an empty copy of the table would stand for a moment, to ask the server what it "
            f"can do itself, and no run of this engine made what is there. Nothing was changed. Drop or rename it, or give "
            "--strategy copy"
        )
    with connection.cursor() as cursor:
        cursor.execute(f"drop table {qualified(source.database, name)}")
    return True


def is_scratch(connection: Conn, left: Table, source: Table) -> bool:
    """Whether that is an empty copy of ours: marked, or made and not marked yet; and never one with rows."""
    is_marked = table_comment(connection, left.database, left.name) == SCRATCH_COMMENT
    is_alike = [column.name for column in left.columns] == [column.name for column in source.columns]
    with connection.cursor() as cursor:
        cursor.execute(f"select 1 from {qualified(left.database, left.name)} limit 1")
        return cursor.fetchone() is None and (is_marked or is_alike)


def alter_clauses(connection: Conn, server: Server, scratch: Scratch, alter: AlterStatement) -> str:
    """The clauses as they are to be run on the copy, whose CHECK constraints have other names on MySQL."""
    copied = constraint_names(connection, server, scratch.names)
    added = {name.text: decorated(name.text, "_cht") for name in alter.added_checks if name.text in copied}
    return alter.rewrite_constraint_names(copied, added)


@contextmanager
def alone_with_scratch(connection: Conn, database: str, table: str) -> Iterator[None]:
    """One run at a time asks about a table: the empty copy has but one name. Raises Refused when another does."""
    lock = "osc:" + hashlib.sha256(f"scratch of {database}.{table}".encode()).hexdigest()[:40]
    with connection.cursor() as cursor:
        cursor.execute("select get_lock(%s, %s)", (lock, WAIT_S))
        row = cursor.fetchone()
        if row is None or row[0] != 1:
            raise Refused(
                f"another run has been asking about {qualified(database, table)} for more than {WAIT_S} s. "
                "Nothing was changed. Run the command again"
            )
    try:
        yield
    finally:
        if connection.open:
            with connection.cursor() as cursor:
                cursor.execute("do release_lock(%s)", (lock,))


@contextmanager
def _bounded(connection: Conn, source: Table) -> Iterator[None]:
    """Wait for no definition lock longer than a few seconds. Raises Refused then."""
    with connection.cursor() as cursor:
        cursor.execute("select @@session.lock_wait_timeout")
        row = cursor.fetchone()
        assert row is not None
        cursor.execute(f"set session lock_wait_timeout = {WAIT_S}")
    try:
        yield
    except pymysql.err.OperationalError as error:
        if error_code(error) != LOCK_WAIT_TIMEOUT:
            raise
        raise Refused(
            f"the server could not be asked how it can alter {qualified(source.database, source.name)}: for {WAIT_S} s "
            f"somebody has held a lock that lets nobody make tables, a backup's for one ({error_text(error)}). Nothing was "
            "changed. Run the command again when that has ended"
        ) from error
    finally:
        if connection.open:
            with connection.cursor() as cursor:
                cursor.execute(f"set session lock_wait_timeout = {int(row[0])}")


# --- the table's history ------------------------------------------------------------------------------------------


def _repeat_history(connection: Conn, server: Server, source: Table, name: str) -> InnodbTable | None:
    """Do to the copy what was done to the real table, as far as InnoDB tells; returns the real table's entry."""
    found = read_innodb(connection, server, source.database, [source.name, name])
    if found is None or source.name not in found or name not in found:
        return None
    real, copy = found[source.name], found[name]
    changes: list[str] = []
    if real.row_format != copy.row_format:
        changes.append(f"row_format = {real.row_format}")
    words = next((c.name for c in source.columns if c.charset is not None and c.data_type in _WORDS), None)
    if real.columns > copy.columns and words is not None:
        # A FULLTEXT index that is gone has left its hidden column. (A column made for it would take that along.)
        changes += [f"add fulltext index {_FILLER} ({quote(words)})", f"drop index {_FILLER}"]
    versions = min(real.row_versions or 0, row_version_limit(server))
    if versions:
        # In place, since an instant change would count already.
        changes.append(f"add column {_FILLER}0 tinyint, algorithm = inplace")
        for number in range(versions):
            add = f", add column {_FILLER}{number + 1} tinyint" if number + 1 < versions else ""
            changes.append(f"drop column {_FILLER}{number}{add}, algorithm = instant")
    sql_name = qualified(source.database, name)
    with connection.cursor() as cursor:
        for change in changes:
            cursor.execute(f"alter table {sql_name} {change}")
    return real


_FILLER = "osc_filler"
_WORDS = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})
