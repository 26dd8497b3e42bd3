"""How far the copy has come in the key, by the key's values."""

from __future__ import annotations

from contextlib import closing

import pytest

from osc.control.stop import StopRequest
from osc.copy.position import KeySpan, share_below
from osc.mysql.session import Sessions
from osc.table.key import Key, KeyColumn, Kind
from osc.table.projection import MigrationKey, Projection
from tests.servers import ServerUnderTest


def column(kind: Kind) -> KeyColumn:
    return KeyColumn("k", 0, kind, kind)


@pytest.mark.parametrize(
    ("kind", "first", "last", "key", "share"),
    [
        ("integer", 101, 1101, 351, 0.25),
        ("integer", -500, 500, 0, 0.5),
        ("integer", 0, 10, 12, 1.0),  # appended since the end was looked up
        ("binary", b"\x00\x00", b"\xff\xff", b"\x40\x00", 0.25),
        ("binary", b"ab\x00", b"ab\x80", b"ab\x40", 0.5),
        ("string", b"order-1000", b"order-9000", b"order-5000", 0.5),
        ("decimal", "10.00", "20.00", "12.50", 0.25),
        ("date", "2024-01-01", "2024-01-11", "2024-01-06", 0.5),
        ("datetime", "2024-01-01 00:00:00", "2024-01-01 10:00:00", "2024-01-01 02:30:00", 0.25),
        ("datetime", "0000-00-00 00:00:00", "2024-01-01 10:00:00", "2024-01-01 02:30:00", None),
        ("time", "-10:00:00", "10:00:00", "00:00:00", None),
        ("uuid", b"\x00" * 16, b"\xff" * 16, b"\x80" * 16, None),
        ("integer", 7, 7, 7, None),
    ],
)
def test_the_share_of_the_keys_below_one(
    kind: Kind, first: int | bytes | str, last: int | bytes | str, key: int | bytes | str, share: float | None
) -> None:
    found = share_below((column(kind),), (first,), (last,), (key,))
    assert found == (None if share is None else pytest.approx(share, abs=0.001))


def test_of_several_columns_the_first_one_that_differs_counts() -> None:
    columns = (column("integer"), column("integer"))
    first, last, key = (1, 0), (1, 100), (1, 30)
    assert share_below(columns, first, last, key) == pytest.approx(0.3)
    wide: Key = (11, 5)
    assert share_below(columns, first, wide, (6, 90)) == pytest.approx(0.5)


@pytest.mark.in_turn(reason="a lock on a table and a limit for waiting, which both flavors have")
def test_a_look_that_fails_ends_nothing_and_the_next_one_tells(server: ServerUnderTest, database: str) -> None:
    server.execute("create table t (id int primary key)", "insert into t values (1), (101)", database=database)
    key = MigrationKey((KeyColumn("id", 0, "integer", "int"),), "PRIMARY", "PRIMARY")
    projection = Projection(database, "t", "t", key, ("id",), ("id",))
    with (
        closing(KeySpan(projection, Sessions(server.migrator), StopRequest())) as span,
        closing(server.admin()) as other,
        other.cursor() as cursor,
    ):
        cursor.execute(f"lock tables {database}.t write")
        span.look()
        assert span.share_below((26,)) is None
        cursor.execute("unlock tables")
        span.look()
        assert span.share_below((26,)) == pytest.approx(0.25)
