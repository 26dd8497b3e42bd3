"""The benchmark's tables, and what loads do to them."""

from __future__ import annotations

from contextlib import closing

import pytest

from bench.tables import TABLE, TABLES
from tests.servers import ServerUnderTest

ROWS = 300


@pytest.mark.in_turn(reason="the statements are plain SQL")
@pytest.mark.parametrize("name", TABLES)
def test_every_statement_of_a_load_meets_the_row_of_its_number(
    name: str, server: ServerUnderTest, database: str
) -> None:
    table = TABLES[name]
    with closing(server.admin(database)) as admin, admin.cursor() as cursor:

        def changes(statement: str) -> int:
            return cursor.execute(statement.replace("{text}", "x" * 40))

        cursor.execute(table.create())
        assert sum(cursor.execute(fill) for fill in table.fills(ROWS)) == ROWS
        for number in (1, 98, ROWS):
            assert changes(table.update(0, str(number))) == 1
            assert changes(table.update(1, str(number))) == 1
            assert changes(table.delete(str(number))) == 1
            assert changes(table.insert(str(number))) == 1
        # The numbers that sysbench's threads give to appended rows.
        assert sum(changes(table.insert(str(ROWS + place))) for place in (1, 2, 3, 40)) == 4
        assert changes(table.delete_appended(ROWS)) == 4
        assert cursor.execute(f"select 1 from {TABLE}") == ROWS
