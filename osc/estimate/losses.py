"""Rows that the new schema does not take: values that do not fit, NULLs, duplicates under a new unique index, by example."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing

import pymysql

from osc.control.stop import StopRequest
from osc.copy.ranges import RangeDispatcher, one_key
from osc.copy.sizing import ChunkSizer
from osc.errors import ConversionFailed
from osc.estimate.scratch import Scratch
from osc.mysql.ending import TIMED_OUT, ended_on_request, time_limit
from osc.mysql.session import Conn, Sessions, error_code
from osc.mysql.sql import quote
from osc.plan.findings import Finding, blocking
from osc.reconcile.watermarks import Watermarks
from osc.state.writer import GhostWriter
from osc.table.facts import Column, Index
from osc.table.misfits import MISFIT_ERRORS, raise_misfits
from osc.table.ranges import Range
from osc.verify.digest import holds_every_value

CHECK_TARGET_S = 0.1
EXAMPLES = 3
LONGEST_SEARCH_S = 3_600
"""For duplicates: the snapshot that the search keeps open costs everybody, and its client may be gone."""


def may_refuse(scratch: Scratch) -> bool:
    """Whether there may be rows of the original that the new schema does not take: values, NULLs, checks, partitions."""
    source, ghost, projection = scratch.pair.source, scratch.ghost, scratch.pair.projection
    holds_all = all(
        holds_every_value(source.column(one), ghost.column(other))
        for one, other in zip(projection.source_columns, projection.ghost_columns, strict=True)
    )
    before, after = source.create_statement, ghost.create_statement
    return not holds_all or any(before.count(mark) != after.count(mark) for mark in ("CHECK (", "PARTITION BY"))


def find_misfits(
    scratch: Scratch, writer: GhostWriter, gate: Callable[[], None], stop: StopRequest
) -> ConversionFailed | None:
    """Copy every row into the scratch ghost and take it back, range by range; the first that are refused, if any are.

    What is rolled back is in no binlog. Raises Interrupted when asked to stop.
    """
    projection = scratch.pair.projection
    dispatcher = RangeDispatcher(projection, Watermarks(compares=False, may_drop=False))
    sizer = ChunkSizer(CHECK_TARGET_S)

    def attempt(connection: Conn, span: Range) -> None:
        with connection.cursor() as cursor:
            try:
                cursor.execute(projection.copy_range(span))
            except pymysql.err.MySQLError as error:
                if error_code(error) not in MISFIT_ERRORS:
                    raise
                connection.rollback()
                cursor.execute(projection.keys_in_range(span))
                keys = [projection.key_from_row(row) for row in cursor.fetchall()]
                raise_misfits(
                    connection,
                    projection,
                    keys,
                    lambda some: projection.in_range(Range(0, some[0], last=some[-1])),
                )
            finally:
                connection.rollback()

    try:
        while True:
            stop.check()
            gate()
            rows = sizer.rows
            span = dispatcher.next(lambda statement: writer.run(lambda c: one_key(c, projection, statement)), rows)
            if span is None:
                return None
            began = time.monotonic()
            writer.run(lambda c, span=span: attempt(c, span))  # type: ignore[misc]
            sizer.took(rows, time.monotonic() - began)
    except ConversionFailed as error:
        return error


def look_for_duplicates(
    sessions: Sessions, scratch: Scratch, spans: Sequence[Range] | None, stop: StopRequest
) -> list[Finding] | None:
    """A finding for each new unique index under which rows meet: of these ranges, or of the whole table (None).

    None where the server ended the search because it took too long. When asked to stop, the search is ended on the server, and
    Interrupted raised.
    """
    limit = time_limit(sessions.server, LONGEST_SEARCH_S)
    with (
        closing(sessions.open("look for duplicates", limit)) as connection,
        ended_on_request(stop, sessions, connection, "the search for duplicates"),
    ):
        try:
            return _find_duplicates(connection, scratch, spans)
        except pymysql.err.MySQLError as error:
            if error_code(error) not in TIMED_OUT:
                raise
            return None


def _find_duplicates(connection: Conn, scratch: Scratch, spans: Sequence[Range] | None) -> list[Finding]:
    """Over the whole table the server sorts or hashes all values of the index; it locks nothing."""
    pair = scratch.pair
    found = []
    for index in pair.stricter:
        values = _values(scratch, index)
        if values is None:
            continue  # on an added or computed column: only the new table knows its values
        for condition in ["true"] if spans is None else [pair.projection.in_range(span) for span in spans]:
            examples = _duplicates(connection, scratch, values, condition)
            if examples:
                found.append(_duplicate_finding(scratch, index, examples, spans is None))
                break
    return found


def _values(scratch: Scratch, index: Index) -> list[str] | None:
    """For each part of the index, its value for a row of the original, comparing as the new column does."""
    projection = scratch.pair.projection
    carried = dict(zip(projection.ghost_columns, projection.selected, strict=True))
    values = []
    for part in index.parts:
        if part.column is None or part.column not in carried:
            return None
        value = _as_in(scratch.ghost.column(part.column), carried[part.column])
        values.append(value if part.prefix_length is None else f"left({value}, {part.prefix_length})")
    return values


def _as_in(column: Column, value: str) -> str:
    if column.charset is None or column.collation is None:
        return value
    return f"convert({value} using {column.charset}) collate {column.collation}"


def _duplicates(connection: Conn, scratch: Scratch, values: Sequence[str], condition: str) -> list[str]:
    projection = scratch.pair.projection
    names = [f"v{number}" for number in range(len(values))]
    key = projection.key.columns[0]
    selected = ", ".join(f"{value} as {name}" for value, name in zip(values, names, strict=True))
    present = " and ".join(f"{name} is not null" for name in names)
    with connection.cursor() as cursor:
        cursor.execute(
            f"select {', '.join(names)}, count(*), min(k), max(k) from (select {selected}, {quote(key.name)} as k"
            f" from {projection.source_table} where {condition}) as t where {present} group by {', '.join(names)}"
            f" having count(*) > 1 limit {EXAMPLES}"
        )
        return [
            f"{', '.join(str(value) for value in row[: len(names)])} in {row[-3]} rows ({key.name} {row[-2]} and {row[-1]})"
            for row in cursor.fetchall()
        ]


def _duplicate_finding(scratch: Scratch, index: Index, examples: Sequence[str], is_exact: bool) -> Finding:
    columns = ", ".join(index.columns)
    return blocking(
        "duplicates",
        f"rows have the same values under the unique index {index.name} ({columns}) of the new schema",
        f"{'In the table' if is_exact else 'In the sample'}: {'; '.join(examples)}. A direct ALTER would refuse as well.",
        "make the values distinct, or leave the index out",
    )
