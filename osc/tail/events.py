"""The numbers of the binlog protocol that the tail goes by (MySQL Source Code Documentation, "Replication Protocol";
MariaDB documentation, "Replication Protocol")."""

from __future__ import annotations

from typing import Final

# Event types.
QUERY: Final = 2
STOP: Final = 3
ROTATE: Final = 4
FORMAT_DESCRIPTION: Final = 15
XID: Final = 16
TABLE_MAP: Final = 19
INCIDENT: Final = 26
HEARTBEAT: Final = 27
GTID: Final = 33
ANONYMOUS_GTID: Final = 34
XA_PREPARE: Final = 38
PARTIAL_UPDATE_ROWS: Final = 39
TRANSACTION_PAYLOAD: Final = 40
HEARTBEAT_V2: Final = 41
TAGGED_GTID: Final = 42
MARIADB_GTID: Final = 162
MARIADB_QUERY_COMPRESSED: Final = 165

LOAD_EVENTS: Final = frozenset({6, 8, 9, 10, 11, 12, 17, 18})
"""`LOAD DATA` in statement format, of all ages."""

HARMLESS: Final = frozenset({STOP, 5, 13, 14, HEARTBEAT, 28, 29, 35, 36, 37, HEARTBEAT_V2, 160, 161, 163, 164})
"""Events that change no row: a statement's variables (5, 13, 14; the statement is what counts), annotations, lists."""

IGNORABLE_FLAG: Final = 0x80
"""A reader that does not know the type of an event with this flag may skip it."""

WRITE: Final = 0
UPDATE: Final = 1
DELETE: Final = 2

ROW_EVENTS: Final[dict[int, int]] = {
    23: WRITE, 24: UPDATE, 25: DELETE,
    30: WRITE, 31: UPDATE, 32: DELETE, PARTIAL_UPDATE_ROWS: UPDATE,
    166: WRITE, 167: UPDATE, 168: DELETE,
    169: WRITE, 170: UPDATE, 171: DELETE,
}  # fmt: skip
"""What each row event does. 23 on: version 1, which MariaDB writes; 30 on: version 2; 166 on: MariaDB's compressed ones."""

ROWS_WITH_EXTRA_DATA: Final = frozenset({30, 31, 32, PARTIAL_UPDATE_ROWS, 169, 170, 171})
COMPRESSED_ROWS: Final = frozenset(range(166, 172))

# Flags of MariaDB's GTID event.
MARIADB_STANDALONE: Final = 1
MARIADB_PREPARED_XA: Final = 64
MARIADB_COMPLETED_XA: Final = 128
MARIADB_GROUP_COMMIT_ID: Final = 2


def length_encoded(body: bytes, at: int) -> tuple[int, int]:
    """The length-encoded integer at `at`, and where it ends."""
    first = body[at]
    if first < 251:
        return first, at + 1
    width = {252: 2, 253: 3, 254: 8}[first]
    return int.from_bytes(body[at + 1 : at + 1 + width], "little"), at + 1 + width
