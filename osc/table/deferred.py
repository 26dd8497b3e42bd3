"""Secondary indexes that the ghost gets after the copy, all in one statement, rather than row by row.

Rows come in the order of the migration key, which is a random order for any other index: filling a secondary index by the
row costs a good part of the copy. Sorting and loading it afterwards is several times cheaper.

Only the last ones in the server's own order are taken, so that after the build the ghost is the table that the server
itself made of the `ALTER`, to the letter.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from osc.mysql.server import Server
from osc.mysql.session import Conn
from osc.mysql.sql import qualified, quote
from osc.table.facts import Index, Table, structure_of

DeferIndexes = Literal["auto", "always", "never"]
"""`auto`: where no replica follows, which would replay the build as one statement and fall behind for as long; where nobody
else is busy on the server, which builds as fast as it can, whatever that costs others; and where the table is large enough to
gain from it."""

AUTO_FROM_BYTES = 32 << 20
"""A smaller table is copied in a second or so either way."""

DDL_BUFFER_BYTES = 64 << 20
"""For sorting. MySQL's default is 1 MiB, with which five indexes took 4.7 s where they take 3.1 s with this."""

_KEY_LINE = re.compile(r"^  KEY `((?:[^`]|``)*)` .*?,?$")
_OTHER_KEY_LINE = re.compile(r"^  (?!FULLTEXT )\w+ KEY ")


@dataclass(frozen=True, slots=True)
class DeferredIndexes:
    """The indexes that the ghost does not have while rows are copied."""

    definitions: tuple[str, ...] = ()
    """As `SHOW CREATE TABLE` prints them: ``KEY `k_1` (`k`)``."""
    bare: str = ""
    """A digest of the ghost's structure without them. One statement builds all of them, so it has all or none."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(_name_in(f"  {definition}") for definition in self.definitions)

    def missing(self, connection: Conn, database: str, ghost: str) -> tuple[str, ...]:
        """Those of the definitions that the ghost does not have."""
        with connection.cursor() as cursor:
            cursor.execute(f"show create table {qualified(database, ghost)}")
            row = cursor.fetchone()
        lines = {line.strip().rstrip(",") for line in str(row[1]).splitlines()} if row else set()
        return tuple(definition for definition in self.definitions if definition not in lines)


NO_DEFERRED = DeferredIndexes()


def wants_deferring(
    wanted: DeferIndexes, source: Table, readers: int | None, must_spare_others: Callable[[], bool]
) -> bool:
    """Whether the ghost's secondary indexes are to be built after the copy. `readers`: of the binlog; None: not known."""
    if wanted == "auto":
        is_large = source.data_bytes + source.index_bytes >= AUTO_FROM_BYTES
        return readers == 0 and is_large and not must_spare_others()
    return wanted == "always"


def deferrable(ghost: Table) -> DeferredIndexes:
    """The ghost's last non-unique indexes, as far as the server can build them in place beside running statements."""
    by_name = {index.name: index for index in ghost.indexes}
    taken: list[str] = []
    for line in reversed(structure_of(ghost.create_statement).splitlines()):
        name = _name_in(line)
        if not name:
            # Full-text indexes come last whatever is added; behind any other kind, one that is added would come last.
            if taken or _OTHER_KEY_LINE.match(line):
                break
            continue
        if not _can_wait(ghost, by_name[name]):
            break
        taken.append(line.strip().rstrip(","))
    return DeferredIndexes(tuple(reversed(taken)))


def drop_deferred(connection: Conn, database: str, ghost: str, deferred: DeferredIndexes) -> None:
    """Take the indexes from the ghost, while it is still empty."""
    drops = ", ".join(f"drop index {quote(name)}" for name in deferred.names)
    with connection.cursor() as cursor:
        cursor.execute(f"alter table {qualified(database, ghost)} {drops}")


def ddl_variables(server: Server) -> dict[str, str]:
    """The session variables under which indexes are built."""
    return {"innodb_ddl_buffer_size": str(DDL_BUFFER_BYTES)} if "innodb_ddl_buffer_size" in server.variables else {}


def build_statement(database: str, ghost: str, definitions: tuple[str, ...]) -> str:
    """The one statement that builds them, in place and beside reads and writes of the ghost."""
    additions = ", ".join(f"add {definition}" for definition in definitions)
    return f"{build_prefix(database, ghost)}{additions}, algorithm=inplace, lock=none"


def build_prefix(database: str, ghost: str) -> str:
    """What the statement begins with, for finding it in the process list."""
    return f"alter table {qualified(database, ghost)} "


def _can_wait(ghost: Table, index: Index) -> bool:
    """Whole columns or prefixes of real ones, in a B-tree; and not what makes an AUTO_INCREMENT column lawful."""
    columns = [ghost.column(part.column) if part.column else None for part in index.parts]
    return (
        index.index_type == "BTREE"
        and all(column is not None and not column.is_generated for column in columns)
        and not (columns[0] is not None and columns[0].is_auto_increment)
    )


def _name_in(line: str) -> str:
    """The index that this line of a `SHOW CREATE TABLE` defines; empty when it is of another kind, or no index."""
    found = _KEY_LINE.match(line)
    return found[1].replace("``", "`") if found else ""
