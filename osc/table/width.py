"""How wide rows are: which columns can make one row as large as thousands of others, and how many fit into a transaction."""

from __future__ import annotations

import re

from osc.table.facts import Column, Table

WIDE_BYTES = 4_000
"""A column that can hold more is looked at row by row; what all others hold is in the table's average."""

_LARGE = re.compile(
    r"(tiny|medium|long)?(blob|text)|json|geometry|point|.*(linestring|polygon|multipoint|collection)|vector"
)
_BYTES_PER_CHARACTER = 4


def wide_columns(table: Table) -> tuple[str, ...]:
    """The stored columns whose values may be larger than `WIDE_BYTES`."""
    return tuple(column.name for column in table.columns if not column.is_generated and _is_wide(column))


def _is_wide(column: Column) -> bool:
    if _LARGE.fullmatch(column.data_type):
        return column.data_type not in ("tinyblob", "tinytext")
    length = re.match(r"(?:var)?(?:char|binary)\((\d+)\)", column.column_type.lower())
    if length is None:
        return False
    return int(length[1]) * (_BYTES_PER_CHARACTER if column.charset else 1) > WIDE_BYTES


def rows_in(table: Table, bytes_: int) -> int | None:
    """How many rows of average length take so many bytes, at least one; None where the server has no idea."""
    if not table.estimated_rows or not table.data_bytes:
        return None
    return max(1, bytes_ * table.estimated_rows // table.data_bytes)
