"""How an `ALTER` is best carried out: by the server itself, instantly or in place, or by the copy.

Never judged from the statement alone: the server is asked to do it to an empty copy of the table (`osc.native.scratch`),
with the algorithm named, so that it refuses what it cannot do that way.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Literal

import humanize
import pymysql

from osc.mysql.server import Server
from osc.mysql.session import Conn, error_code, error_text, is_lost
from osc.mysql.sql import qualified
from osc.native.innodb import InnodbTable, read_innodb, row_version_limit
from osc.native.scratch import Scratch, alter_clauses, scratch_copy
from osc.plan.alter import AlterStatement
from osc.table.facts import Table, read_table
from osc.table.ghost import run_alter

INSTANT = "ALGORITHM=INSTANT"

NOT_THAT_WAY = frozenset({1221, 1845, 1846, 4092, 4157, 4158})
"""Error codes that mean: not by this algorithm, or not with this lock. MySQL has numbers of their own for row versions that
are used up, and for rows or columns that would become too large or too many."""

StrategyKind = Literal["instant", "inplace-metadata", "inplace-build", "inplace-rebuild", "copy"]
"""`instant`: the dictionary alone changes, by `ALGORITHM=INSTANT`. `inplace-metadata`: in place, and no row is read either.
`inplace-build`: secondary indexes are built from all rows. `inplace-rebuild`: the whole table is. `copy`: this engine's."""

WantedStrategy = Literal["auto", "instant", "inplace", "copy"]
"""What the operator asks for. `inplace` is whatever `ALGORITHM=INPLACE` does, a rebuild with its price included."""


@dataclass(frozen=True, slots=True)
class RowVersions:
    """Instant changes after which rows of several shapes lie in a table, as MySQL 8.0.29 and later count them."""

    used: int
    limit: int
    needed: int
    """How many more the change takes: 0 or 1."""


@dataclass(frozen=True, slots=True)
class Strategy:
    """The way to carry an `ALTER` out, and why that one."""

    kind: StrategyKind
    why: str
    """For people, one sentence without a full stop."""
    statement: str | None = None
    """What is sent to the server, algorithm and lock included; None for the copy."""
    algorithm: str | None = None
    """The clauses in it that pin the way, as `ALGORITHM=INPLACE, LOCK=NONE`."""
    row_versions: RowVersions | None = None
    """None where the server does not count them (MariaDB, older MySQL) or does not tell this login."""
    refused: tuple[tuple[str, str], ...] = ()
    """The algorithms that the server turned down, each with its reason, in the order in which they were tried."""
    built_indexes: tuple[str, ...] = ()
    """Secondary indexes that an in-place build reads all rows for."""
    possible_inplace: StrategyKind | None = None
    """For the copy: what `--allow-inplace` would do instead, if anything."""
    price: str | None = None
    """What an in-place build or rebuild costs, for people, also when it is only possible; else None."""
    expected: Table | None = None
    """The empty copy as the change left it; None for the copy."""
    is_visible: bool = True
    """Whether the change shows in `SHOW CREATE TABLE`."""

    @property
    def is_native(self) -> bool:
        """Whether the server does it itself: no ghost, no swap, and no old table afterwards."""
        return self.kind != "copy"


def choose(
    connection: Conn,
    server: Server,
    table: Table,
    alter: AlterStatement,
    allow_inplace: bool = False,
    wanted: WantedStrategy = "auto",
    not_by: Collection[str] = (),
    note: Callable[[str], None] = lambda _: None,
) -> Strategy:
    """The best way for that table as it is now; makes an empty scratch table and drops it.

    `connection` is a session as `Sessions.open` gives it. Where the server cannot be asked (no privilege, a lock on
    definitions) the answer is the copy, and why. A syntax error or a change that the server refuses in any way is left to
    the copy's own preparation to tell. Raises Refused when the scratch table cannot be made at the moment, ServerLost's kin
    for a broken connection. With `wanted`, only that way is asked for; what it does not allow becomes `copy`. `not_by`:
    algorithms (`Strategy.algorithm`) that the real table has turned down. `note` is told what an earlier run had left.
    """
    try:
        with scratch_copy(connection, server, table, note) as scratch:
            return _Question(connection, server, table, alter, scratch).answer(allow_inplace, wanted, not_by)
    except pymysql.err.MySQLError as error:
        if is_lost(error):
            raise
        return Strategy("copy", f"the server could not be asked what it can do itself: {error_text(error)}")


@dataclass(frozen=True, slots=True)
class _Question:
    """What the server says, algorithm by algorithm, of one `ALTER`."""

    connection: Conn
    server: Server
    table: Table
    alter: AlterStatement
    scratch: Scratch

    def answer(self, allow_inplace: bool, wanted: WantedStrategy, not_by: Collection[str]) -> Strategy:
        before = self._innodb()
        clauses = alter_clauses(self.connection, self.server, self.scratch, self.alter)
        refused: list[tuple[str, str]] = []
        why = "the server cannot do it itself while the application goes on writing"
        for algorithm in self._algorithms(wanted):
            if algorithm in not_by:
                continue
            try:
                run_alter(self.connection, f"alter table {self.scratch.sql_name} {algorithm}, {clauses}")
            except pymysql.err.MySQLError as error:
                if is_lost(error):
                    raise
                text = error_text(error).replace(self.scratch.name, self.table.name)
                refused.append((algorithm, text))
                if error_code(error) not in NOT_THAT_WAY:
                    why = f"asked to do it itself, the server says: {text}"
                continue
            return self._judged(algorithm, before, refused, allow_inplace or wanted == "inplace")
        return self._copy(why, before, refused)

    def _algorithms(self, wanted: WantedStrategy) -> tuple[str, ...]:
        in_place = ("ALGORITHM=INPLACE, LOCK=NONE",)
        if wanted == "inplace":
            return in_place
        if wanted == "instant":
            return (INSTANT,)
        # MariaDB's NOCOPY is in place, but never a rebuild.
        return (INSTANT, *(("ALGORITHM=NOCOPY, LOCK=NONE",) if self.server.is_mariadb else ()), *in_place)

    def _judged(
        self, algorithm: str, before: InnodbTable | None, refused: list[tuple[str, str]], allow_inplace: bool
    ) -> Strategy:
        """The strategy for a change that the server has made to the empty copy that way."""
        after = self._innodb()
        expected = read_table(self.connection, self.table.database, self.scratch.name)
        table = qualified(self.table.database, self.table.name)
        built: tuple[str, ...] = ()
        if algorithm == INSTANT:
            kind: StrategyKind = "instant"
            why = "the server changes its dictionary alone, no row is read or written"
        else:
            kind, built, why = _judge_in_place(before, after)
        versions = self._row_versions(before, after)
        why = _with_versions(why, versions)
        found = Strategy(
            kind=kind,
            why=why,
            statement=f"ALTER TABLE {table} {algorithm}, {self.alter.clauses_sql}",
            algorithm=algorithm,
            row_versions=versions,
            refused=tuple(refused),
            built_indexes=built,
            price=_price(self.server, kind),
            expected=expected,
            is_visible=expected is None or expected.structure != self.scratch.table.structure,
        )
        if found.price is None or allow_inplace:
            return found
        return replace(
            found,
            kind="copy",
            why=f"{why}, which --allow-inplace would let it do",
            statement=None,
            algorithm=None,
            possible_inplace=kind,
            expected=None,
        )

    def _copy(self, why: str, before: InnodbTable | None, refused: list[tuple[str, str]]) -> Strategy:
        versions = self._row_versions(before, before)
        return Strategy("copy", _with_versions(why, versions), row_versions=versions, refused=tuple(refused))

    def _innodb(self) -> InnodbTable | None:
        found = read_innodb(self.connection, self.server, self.table.database, [self.scratch.name])
        return None if found is None else found.get(self.scratch.name)

    def _row_versions(self, before: InnodbTable | None, after: InnodbTable | None) -> RowVersions | None:
        real = self.scratch.real
        if real is None or real.row_versions is None or before is None or after is None:
            return None
        taken = max(0, (after.row_versions or 0) - (before.row_versions or 0))
        return RowVersions(real.row_versions, row_version_limit(self.server), taken)


def _judge_in_place(before: InnodbTable | None, after: InnodbTable | None) -> tuple[StrategyKind, tuple[str, ...], str]:
    """What the change in place did to the empty copy, from the ids in InnoDB's dictionary."""
    if before is None or after is None:
        why = "the server does it in place; whether that is a rebuild, this login may not see (PROCESS)"
        return "inplace-rebuild", (), why
    if before.table_ids != after.table_ids:
        return "inplace-rebuild", (), "the server rebuilds the table in place"
    old = {number for number, _ in before.indexes}
    built = tuple(sorted(name for number, name in after.indexes if number not in old))
    if built:
        return "inplace-build", built, f"the server builds {', '.join(built)} in place, from all rows"
    return "inplace-metadata", (), "the server changes its dictionary alone, in place; no row is read or written"


def _with_versions(why: str, versions: RowVersions | None) -> str:
    if versions is None or versions.used < versions.limit:
        return why
    return f"all {versions.limit} row versions are used up until the table is rebuilt; {why}"


def _price(server: Server, kind: StrategyKind) -> str | None:
    if kind not in ("inplace-build", "inplace-rebuild"):
        return None
    room = int(server.variable("innodb_online_alter_log_max_size", "0"))
    log = (
        f" in a log of at most {humanize.naturalsize(room, binary=True)}, and it fails when that is full"
        if room
        else ""
    )
    return (
        f"one statement that cannot be paced or resumed: writes meanwhile are kept{log}; undo grows for as long as it takes; "
        "replicas replay it in one piece, and fall behind for as long"
    )
