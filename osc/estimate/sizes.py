"""How much room the sampled rows take in the scratch ghost."""

from __future__ import annotations

from contextlib import closing

from osc.estimate.scratch import Scratch
from osc.mysql.session import Sessions
from osc.mysql.sql import qualified

ENOUGH_ROWS = 1_000
"""Fewer do not fill their pages: what they take says nothing of many."""


def bytes_per_row(sessions: Sessions, scratch: Scratch, rows: int) -> tuple[float | None, float | None]:
    """Of data and of indexes, when the ghost holds so many rows; None where those are too few."""
    if rows < ENOUGH_ROWS:
        return None, None
    names = scratch.names
    with closing(sessions.open("look at the sample's size")) as connection, connection.cursor() as cursor:
        cursor.execute(f"analyze no_write_to_binlog table {qualified(names.database, names.ghost)}")
        cursor.fetchall()
        cursor.execute(
            "select data_length, index_length from information_schema.tables where table_schema = %s and table_name = %s",
            (names.database, names.ghost),
        )
        row = cursor.fetchone()
    return (None, None) if row is None else (int(row[0] or 0) / rows, int(row[1] or 0) / rows)
