"""How an `ALTER` is best carried out: by the server itself, instantly or in place, or by the copy.

Never judged from the statement alone: the server is asked to do it to an empty copy of the table (`osc.native.scratch`),
with the algorithm named, so that it refuses what it cannot do that way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from osc.mysql.server import Server
from osc.mysql.session import Conn
from osc.plan.alter import AlterStatement
from osc.table.facts import Table

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
) -> Strategy:
    """The best way for that table as it is now; makes an empty scratch table and drops it.

    `connection` is a session as `Sessions.open` gives it. Where the server cannot be asked (no privilege, a lock on
    definitions) the answer is the copy, and why. A syntax error or a change that the server refuses in any way is left to
    the copy's own preparation to tell. With `wanted`, only that way is asked for; what it does not allow becomes `copy`.
    """
    raise NotImplementedError
