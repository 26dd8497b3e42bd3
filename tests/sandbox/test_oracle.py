"""The comparison of two tables sees every difference, and none where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from osc.mysql.session import Conn
from osc.sandbox.oracle import compare_tables
from tests.servers import ServerUnderTest

COLUMNS = (
    "id int not null primary key, name varchar(20) character set utf8mb4 collate utf8mb4_general_ci, b varbinary(9),"
    " d double, j json, e enum('a','b'), t timestamp(3) null, v int as (id * 2) virtual"
)
ROWS = (
    """(1, 'Ä', 0x00ff00, 0.1, '{"a": 1}', 'a', '2024-01-01 00:00:00.123'), (2, null, null, null, null, null, null),"""
    """ (3, '', '', 0, '[]', 'b', '2024-01-01 00:00:00')"""
)


@pytest.fixture
def tables(server: ServerUnderTest, database: str) -> Iterator[Conn]:
    """A connection to a database with the equal tables `expected` and `found`."""
    with closing(server.admin(database)) as connection, connection.cursor() as cursor:
        for name in ("expected", "found"):
            cursor.execute(f"create table {name} ({COLUMNS})")
            cursor.execute(f"insert into {name} (id, name, b, d, j, e, t) values {ROWS}")
        yield connection


def test_equal_tables_are_equal(tables: Conn, database: str) -> None:
    comparison = compare_tables(tables, database, "expected", "found")
    assert comparison.equal
    assert (comparison.rows_expected, comparison.rows_found) == (3, 3)


@pytest.mark.parametrize(
    "change",
    [
        "name = 'ä'",
        "name = 'A'",
        "name = 'Ä '",
        "name = null",
        "b = 0x00ff",
        "d = 0.10000000000000002",
        'j = \'{"a": "1"}\'',
        "e = 'b'",
        "t = '2024-01-01 00:00:00.124'",
    ],
)
def test_a_value_that_differs_is_seen_even_where_the_collation_calls_it_equal(
    tables: Conn, database: str, change: str
) -> None:
    with tables.cursor() as cursor:
        cursor.execute(f"update found set {change} where id = 1")
    comparison = compare_tables(tables, database, "expected", "found")
    assert not comparison.equal
    assert (comparison.missing, comparison.unexpected, comparison.different) == (0, 0, 1)
    (sample,) = comparison.samples
    assert sample.expected is not None
    assert sample.found is not None
    assert sample.expected != sample.found


def test_null_is_not_empty(tables: Conn, database: str) -> None:
    with tables.cursor() as cursor:
        cursor.execute("update found set name = '' where id = 2")
    assert compare_tables(tables, database, "expected", "found").different == 1


def test_exchanged_values_are_two_differences(tables: Conn, database: str) -> None:
    with tables.cursor() as cursor:
        cursor.execute("update found set name = if(id = 1, '', 'Ä') where id in (1, 3)")
    assert compare_tables(tables, database, "expected", "found").different == 2


def test_missing_and_unexpected_rows_are_told_apart(tables: Conn, database: str) -> None:
    with tables.cursor() as cursor:
        cursor.execute("update found set id = 9 where id = 3")
        cursor.execute("delete from found where id = 1")
    comparison = compare_tables(tables, database, "expected", "found")
    assert (comparison.missing, comparison.unexpected, comparison.different) == (2, 1, 0)
    assert {sample.expected[0] for sample in comparison.samples if sample.expected} == {1, 3}
    assert [sample.found[0] for sample in comparison.samples if sample.found] == [9]


@pytest.mark.parametrize(
    "alter",
    [
        "modify e enum('a','b','c')",
        "add index by_name (name)",
        "modify name varchar(20) character set utf8mb4 collate utf8mb4_general_ci after b",
        "drop column d",
        "alter d set default 1",
    ],
)
def test_a_structure_that_differs_is_told(tables: Conn, database: str, alter: str) -> None:
    with tables.cursor() as cursor:
        cursor.execute(f"alter table found {alter}")
    comparison = compare_tables(tables, database, "expected", "found")
    assert comparison.structure
    assert not comparison.equal


def test_a_table_that_is_not_there_is_an_error(tables: Conn, database: str) -> None:
    with pytest.raises(LookupError, match="nowhere"):
        compare_tables(tables, database, "expected", "nowhere")
