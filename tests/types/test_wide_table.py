"""A table with a column of every type, altered online and directly: the two results are the same to the last bit."""

from __future__ import annotations

from contextlib import closing

import pytest

from tests.migration.migrating import migrate
from tests.servers import ServerUnderTest
from tests.types.catalogue import Kind, kinds
from tests.types.comparing import compare_exactly

LOOSE = "set sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'"
COLUMNS_A_TABLE = 60
"""So that no table comes near the longest row."""


def column_definitions(of: list[Kind]) -> list[str]:
    """A nullable column of each kind: c0, c1 ..."""
    return [f"c{number} {kind.definition} null" for number, kind in enumerate(of)]


def fill(server: ServerUnderTest, database: str, table: str, of: list[Kind]) -> None:
    """A row for each place in the longest list of values, each column going round in its own; and one of NULLs."""
    rows = max(len(kind.values) for kind in of)
    statements = [f"insert into {table} (id) values (0)"]
    for number in range(rows):
        values = ", ".join(kind.values[number % len(kind.values)] for kind in of)
        statements.append(f"insert into {table} values ({number + 1}, {values})")
    server.execute(LOOSE, *statements, database=database)


def parts(server: ServerUnderTest) -> list[list[Kind]]:
    """Every kind, in groups of which each makes a table."""
    every = list(kinds(server))
    return [every[start : start + COLUMNS_A_TABLE] for start in range(0, len(every), COLUMNS_A_TABLE)]


@pytest.mark.parametrize("change", ["with a column more", "with every column changed"])
def test_every_type_comes_through_as_with_a_direct_alter(server: ServerUnderTest, database: str, change: str) -> None:
    for number, part in enumerate(parts(server)):
        alter = {
            "with a column more": "row_format=dynamic, add column more varchar(20) not null default 'ä' first",
            "with every column changed": ", ".join(
                f"modify column c{place} {kind.becomes[0]} null" for place, kind in enumerate(part) if kind.becomes
            ),
        }[change]
        name = f"t{number}"
        server.execute(
            LOOSE, f"create table {name} (id int primary key, {', '.join(column_definitions(part))})", database=database
        )
        fill(server, database, name, part)
        server.execute(
            LOOSE,
            f"create table expected{number} like {name}",
            f"insert into expected{number} select * from {name}",
            f"alter table expected{number} {alter}",
            database=database,
        )
        run = migrate(server, database, name, alter, "--ok-to-drop-table")
        assert run.exit_code == 0, str(run)
        with closing(server.admin(database)) as connection:
            verdict = compare_exactly(connection, database, f"expected{number}", name)
        assert verdict.equal, str(verdict)
