"""Rows per range are bounded by bytes where single rows can be large."""

from __future__ import annotations

from contextlib import closing
from itertools import pairwise

import pytest

from osc.mysql.session import Conn, Sessions
from osc.table.facts import read_table
from osc.table.key import Key, key_column
from osc.table.projection import MigrationKey, Projection
from osc.table.width import rows_in, wide_columns
from tests.servers import ServerUnderTest

BUDGET = 100_000


def projection_of(connection: Conn, database: str, *key_columns: str) -> Projection:
    table = read_table(connection, database, "t")
    assert table is not None
    columns = [key_column(table.column(name)) for name in key_columns]
    key = MigrationKey(tuple(column for column in columns if column is not None), "PRIMARY", "PRIMARY")
    names = tuple(column.name for column in table.columns)
    return Projection(database, "t", "t", key, names, names, wide_columns=wide_columns(table))


def ends(connection: Conn, projection: Projection, rows: int) -> list[Key]:
    """The ends of all ranges."""
    found: list[Key] = []
    with connection.cursor() as cursor:
        while True:
            cursor.execute(projection.range_end(found[-1] if found else None, rows, None, BUDGET))
            row = cursor.fetchone()
            if row is None:
                return found
            found.append(projection.key_from_row(row))


def test_columns_that_can_be_large_are_told_from_those_that_cannot(server: ServerUnderTest, database: str) -> None:
    server.execute(
        "create table t (id int primary key, a varchar(500), b varchar(2000), c text, d tinytext, e varbinary(3000),"
        " f varbinary(5000), g json, h mediumblob, i decimal(60, 2), j text generated always as (concat(a, b)) virtual)",
        database=database,
    )
    with closing(Sessions(server.migrator).open("look")) as connection:
        table = read_table(connection, database, "t")
    assert table is not None
    assert wide_columns(table) == ("b", "c", "f", "g", "h")


@pytest.mark.parametrize("key", [("id",), ("a", "b")])
def test_a_range_ends_at_its_rows_or_at_its_bytes_whichever_comes_first(
    server: ServerUnderTest, database: str, key: tuple[str, ...]
) -> None:
    server.execute(
        "create table t (id int not null, a varchar(10) not null, b int not null, v mediumblob,"
        f" primary key ({', '.join(key)}))",
        "insert into t with recursive n (i) as (select 1 union all select i + 1 from n where i < 100)"
        # Narrow rows, then wide ones, one wider than everything, and narrow ones again.
        " select i, char(65 + i div 50), i, case when i between 41 and 60 then repeat('x', 30000)"
        " when i = 70 then repeat('x', 300000) when i % 2 then null else 'y' end from n",
        database=database,
    )
    with closing(Sessions(server.migrator).open("look")) as connection:
        projection = projection_of(connection, database, *key)
        found = ends(connection, projection, 30)
        bounds = [1, *(int(key[-1]) for key in found), 101]
        for start, end in pairwise(bounds):
            [(total,)] = server.query(
                f"select coalesce(sum(length(v)), 0) from t where id >= {start} and id < {end}", database=database
            )
            assert end - start <= 30
            assert int(str(total)) <= BUDGET or end - start == 1
        assert 71 in bounds
        assert len(bounds) < 16
        with connection.cursor() as cursor:
            cursor.execute(projection.bytes_of([(50,), (70,)] if len(key) == 1 else [(b"B", 50), (b"B", 70)]))
            assert cursor.fetchone() == (330_000,)


def test_how_many_rows_of_average_length_fit_is_asked_of_the_statistics(server: ServerUnderTest, database: str) -> None:
    server.execute(
        "create table t (id int primary key, v varchar(500))",
        "insert into t with recursive n (i) as (select 1 union all select i + 1 from n where i < 900)"
        " select i, repeat('x', 450) from n",
        "analyze table t",
        database=database,
    )
    with closing(Sessions(server.migrator).open("look")) as connection:
        table = read_table(connection, database, "t")
    assert table is not None
    rows = rows_in(table, 100_000)
    assert rows is not None
    assert 80 < rows < 250
