"""The names of the tables that a migration makes beside the original.

They follow gh-ost's (`_t_gho`, `_t_ghc`, `_t_del`) because backup, audit and replication tools know to ignore those. A
name that would pass the server's limit is shortened, with a digest of the full name so that two long names never meet.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

MAX_NAME_LENGTH = 64
"""Characters in an identifier (MySQL Reference Manual, "Identifier Length Limits"; MariaDB has the same)."""


@dataclass(frozen=True, slots=True)
class Names:
    """The tables of one migration, all in one database."""

    database: str
    table: str
    ghost: str
    state: str
    old: str


def names_for(database: str, table: str, old_timestamp: datetime | None = None) -> Names:
    """The names for the migration of `table`; with `old_timestamp` the old table's name carries it."""
    old_suffix = f"_{old_timestamp:%Y%m%d%H%M%S}_del" if old_timestamp else "_del"
    return Names(database, table, decorated(table, "_gho"), decorated(table, "_ghc"), decorated(table, old_suffix))


def scratch_name(table: str) -> str:
    """The empty copy on which the server is asked what it can do itself; there for a moment only."""
    return decorated(table, "_ght")


def scratch_names_for(database: str, table: str) -> Names:
    """The names of the tables in which a plan tries things: never those of a migration, which may be there to be resumed."""
    names = names_for(database, table)
    return Names(database, table, decorated(table, "_ghp"), decorated(table, "_ghq"), names.old)


def decorated(table: str, suffix: str) -> str:
    """`_table_suffix` in at most 64 characters, distinct for distinct tables."""
    name = f"_{table}{suffix}"
    if len(name) <= MAX_NAME_LENGTH:
        return name
    digest = hashlib.sha256(table.encode()).hexdigest()[:8]
    room = MAX_NAME_LENGTH - len(suffix) - len(digest) - 2
    return f"_{table[:room]}_{digest}{suffix}"


def sorting_after(table: str, suffix: str) -> str:
    """A name of at most 64 characters that sorts after `table` in byte order.

    The sentry rename needs such names for a moment, since the server takes the metadata locks of a `RENAME` in byte order
    of the names. Raises ValueError when the table's own first character sorts at the very end.
    """
    prefix = next((mark for mark in ("~", "\uffe6") if mark.encode() > table[0].encode()), None)
    if prefix is None:
        raise ValueError(f"no usable name sorts after {table!r}")
    name = prefix + decorated(table, suffix)[: MAX_NAME_LENGTH - 1]
    if len(decorated(table, suffix)) >= MAX_NAME_LENGTH:
        digest = hashlib.sha256(table.encode()).hexdigest()[:8]
        name = f"{prefix}_{digest}{suffix}"
    assert name.encode() > table.encode()
    assert len(name) <= MAX_NAME_LENGTH
    return name
