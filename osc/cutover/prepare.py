"""What is done to the ghost before the swap, so that next to nothing of it is left to do under the lock.

A table that is swapped in with stale statistics can take an application down; one whose `AUTO_INCREMENT` starts too low
gives ids out again that deleted rows had.
"""

from __future__ import annotations

import json
import logging

import pymysql

from osc.mysql.names import folded
from osc.mysql.server import Server
from osc.mysql.session import LOCK_WAIT_TIMEOUT, Conn
from osc.mysql.sql import quote
from osc.table.facts import auto_increment_of, numbers_rows, read_table
from osc.table.projection import Projection

log = logging.getLogger(__name__)


def prepare_ghost(connection: Conn, server: Server, projection: Projection) -> None:
    """Fresh statistics, the histograms and the `AUTO_INCREMENT` of the original. Raises a lock wait timeout."""
    _analyze(connection, f"analyze table {projection.ghost_table}")
    if not server.is_mariadb:
        _carry_histograms(connection, projection)
    carry_auto_increment(connection, projection)


def carry_auto_increment(connection: Conn, projection: Projection) -> None:
    """Let the ghost count on from where the original is now."""
    source = read_table(connection, projection.database, projection.source)
    ghost = read_table(connection, projection.database, projection.ghost)
    if source is not None and ghost is not None:
        count_on(connection, projection.ghost_table, source.create_statement, ghost.create_statement)


def count_on(connection: Conn, ghost_table: str, source_statement: str, ghost_statement: str) -> bool:
    """Let the ghost count on from where the original was by its `SHOW CREATE TABLE`; returns whether that took an `ALTER`.

    The ghost counts past the rows that it gets. It does not know of numbers whose rows are gone again by then. In place, so
    that no server takes it for an occasion to rebuild the table under the swap's lock.
    """
    reached = auto_increment_of(source_statement)
    if reached is None or not numbers_rows(ghost_statement) or (auto_increment_of(ghost_statement) or 1) >= reached:
        return False
    with connection.cursor() as cursor:
        cursor.execute(f"alter table {ghost_table} auto_increment = {reached}, algorithm=inplace")
    return True


def _carry_histograms(connection: Conn, projection: Projection) -> None:
    """Build the histograms that the original has, on the columns that carry their values."""
    carried = {folded(s): g for s, g in zip(projection.source_columns, projection.ghost_columns, strict=True)}
    with connection.cursor() as cursor:
        cursor.execute(
            "select column_name, histogram from information_schema.column_statistics"
            " where schema_name = %s and table_name = %s",
            (projection.database, projection.source),
        )
        histograms = cursor.fetchall()
    for column, histogram in histograms:
        ghost_column = carried.get(folded(str(column)))
        if ghost_column is not None:
            facts = histogram if isinstance(histogram, dict) else json.loads(histogram)
            buckets = int(facts.get("number-of-buckets-specified", 100))
            _analyze(
                connection,
                f"analyze table {projection.ghost_table} update histogram on {quote(ghost_column)} with {buckets} buckets",
            )


def _analyze(connection: Conn, statement: str) -> None:
    """The server tells of a failure in the rows of its answer, and raises nothing (seen, with a backup lock)."""
    with connection.cursor() as cursor:
        cursor.execute(statement)
        answers = [(str(row[2]).lower(), str(row[3])) for row in cursor.fetchall()]
    for kind, text in answers:
        if kind != "error":
            continue
        if text.startswith("Lock wait timeout"):
            raise pymysql.err.OperationalError(LOCK_WAIT_TIMEOUT, text)
        # A column that has become unique has no histogram, for one.
        log.info("%s: %s", statement, text)
