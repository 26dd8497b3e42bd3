"""What an `ALTER` may ask for that is not online's business: each with the reason and what to do instead."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Reason(Enum):
    """Why a part of an `ALTER` is refused, and what the operator does instead."""

    EMPTY = (
        "there is nothing in it to do",
        "name at least one change; to rebuild the table as it is, use `FORCE` or `ENGINE=InnoDB`",
    )
    RENAME_TABLE = (
        "a table is renamed in an instant by the server itself, and the new name would undo the swap",
        "leave it out and run `RENAME TABLE` afterwards",
    )
    FOREIGN_KEY = (
        "foreign keys are not supported: one on the new table would refuse legal writes while both tables exist",
        "leave it out, and add or drop the key with a direct ALTER",
    )
    INLINE_REFERENCES = (
        "MariaDB and MySQL 9 make a foreign key of it (older MySQL ignores it), and foreign keys are not supported",
        "leave `REFERENCES` out, and add the key with a direct ALTER afterwards",
    )
    PARTITION_MAINTENANCE = (
        "the server does this to the partitions of the existing table at once, without rebuilding it",
        "run it directly; `PARTITION BY ...` and `REMOVE PARTITIONING` can be done online",
    )
    TABLESPACE_FILES = (
        "it detaches or attaches the data file of the existing table",
        "run it directly",
    )
    OTHER_ENGINE = (
        "only InnoDB can be written row by row in transactions while it is copied",
        "convert the table with a direct ALTER, or name InnoDB",
    )
    SYSTEM_VERSIONING = (
        "the history of a system-versioned table cannot be carried over by copying rows",
        "run it directly",
    )
    PERIOD = (
        "tables with application-time or system-time periods are not supported",
        "run it directly",
    )
    KEYS_SWITCH = (
        "InnoDB ignores it: it only ever switched the indexes of MyISAM tables",
        "leave it out",
    )
    ORDER_BY = (
        "InnoDB keeps rows in the order of the primary key and ignores it",
        "leave it out, or change the primary key",
    )
    SERVERS_OWN_WAY = (
        "how the table is altered, and how long a lock is waited for, is for the options to say",
        "leave it out; `--strategy` names the way, `--cut-over-lock-timeout-seconds` bounds the wait for the lock",
    )
    IGNORE = (
        "`ALTER IGNORE` throws away rows that the new schema has no room for, in silence",
        "leave IGNORE out, and remove such rows first",
    )
    SECONDARY_ENGINE = (
        "the secondary engine's copy belongs to the existing table and is not carried over",
        "unload and detach it first, and load it again afterwards",
    )
    FILE_PLACE = (
        "the server ignores it in an ALTER, with no more than a warning",
        "leave it out; move the table with `TABLESPACE`, or create it there",
    )
    FOREIGN_STORAGE = (
        "it belongs to tables that other engines than InnoDB keep",
        "leave it out",
    )
    QUALIFIED_COLUMN = (
        "the clause runs on the ghost table first, where the table's name in front of the column does not hold",
        "write the column's name alone",
    )

    @property
    def why(self) -> str:
        return self.value[0]

    @property
    def instead(self) -> str:
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A part of the `ALTER` that is refused."""

    what: str
    """The part, as the user wrote it."""
    reason: Reason

    @property
    def why(self) -> str:
        return self.reason.why

    @property
    def instead(self) -> str:
        """What to do instead."""
        return self.reason.instead

    def __str__(self) -> str:
        return f"{self.what}: {self.why}. Instead: {self.instead}."
