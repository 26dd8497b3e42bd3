"""Rows that the new schema cannot hold: told before the swap, by column and key; never changed or left out unasked."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from tests.migration.migrating import migrate, postponed, tables_of
from tests.servers import ServerUnderTest
from tests.types.comparing import compare_exactly

ROWS = 500
# What the rows 77 and 300 hold, the clause that they stand in the way of, and what is said beside the column's name.
MISFITS = {
    "a shortened column": ("v = 'longer'", "modify v varchar(5)", ""),
    "NOT NULL over NULLs": ("v = null", "modify v varchar(20) not null", "null"),
    "a lost enum value": ("e = 'c'", "modify e enum('a', 'b')", "truncated"),
    "a number out of range": ("n = 300", "modify n tinyint", "out of range"),
    "a text that is no date": ("v = '2024-02-30'", "modify v date", "incorrect date"),
    "characters that a character set lacks": ("v = '🍷'", "modify v varchar(20) character set latin1", ""),
    "a check that fails": ("n = 7", "add check (n <> 7)", "constraint"),
}


def make_rows(server: ServerUnderTest, database: str, misfit: str) -> None:
    """Rows that fit anything, and two that are set to the misfit."""
    server.execute(
        "create table t (id int primary key, v varchar(20), n int, e enum('a', 'b', 'c'))",
        "insert into t with recursive i (id) as (select 1 union all select id + 1 from i where id < 500)"
        " select id, '20240101', 5, 'a' from i",
        f"update t set {misfit} where id in (77, 300)",
        database=database,
    )


@pytest.mark.in_turn(reason="tests/types has every conversion on every server")
@pytest.mark.parametrize("kind", MISFITS)
def test_rows_that_the_new_schema_does_not_take_are_named(server: ServerUnderTest, database: str, kind: str) -> None:
    misfit, alter, said = MISFITS[kind]
    fitting = {"modify v varchar(5)": "v = 'a'", "modify v varchar(20) character set latin1": "v = 'a'"}
    make_rows(server, database, misfit)
    server.execute(f"update t set {fitting.get(alter, 'id = id')} where id not in (77, 300)", database=database)
    before = server.query("select * from t order by id", database=database)
    run = migrate(server, database, "t", alter, "--chunk-size", "400", "--workers", "1")
    assert (run.exit_code, run.outcome) == (1, "failed"), str(run)
    assert "(id = 77), (id = 300)." in run.error
    assert said in run.error.lower()
    assert alter.startswith("add") or f"'{alter.split()[1]}'" in run.error or f"`{alter.split()[1]}`" in run.error
    assert "_t_gho" not in run.error
    assert server.query("select * from t order by id", database=database) == before
    assert tables_of(server, database) == {"t"}


def test_losses_that_are_asked_for_are_those_of_a_direct_alter_and_are_counted(
    server: ServerUnderTest, database: str
) -> None:
    make_rows(server, database, "v = 'longer', n = 300, e = 'c'")
    server.execute(
        "update t set v = 'a' where v <> 'longer'", "update t set v = null, n = -1 where id = 5", database=database
    )
    alter = (
        "modify v varchar(5) character set latin1 not null, modify n tinyint unsigned not null, modify e enum('b', 'a')"
    )
    server.execute(
        "create table expected like t",
        "insert into expected select * from t",
        "set sql_mode = ''",
        f"alter table expected {alter}",
        database=database,
    )
    run = migrate(server, database, "t", alter, "--allow-lossy")
    assert run.exit_code == 0, str(run)
    assert run.finished["rows_changed_by_conversion"] == 3
    with closing(server.admin(database)) as connection:
        verdict = compare_exactly(connection, database, "expected", "t")
    assert verdict.equal, str(verdict)


def test_a_conversion_that_loses_nothing_is_counted_as_such(server: ServerUnderTest, database: str) -> None:
    make_rows(server, database, "v = '20240102'")
    run = migrate(server, database, "t", "modify v date, modify n varchar(9), modify e varchar(3)", "--allow-lossy")
    assert run.exit_code == 0, str(run)
    assert run.finished["rows_changed_by_conversion"] == 500  # '20240101' becomes '2024-01-01'
    run = migrate(
        server,
        database,
        "t",
        "modify n int, modify e enum('c', 'b', 'a')",
        "--allow-lossy",
        "--initially-drop-old-table",
    )
    assert run.exit_code == 0, str(run)
    assert run.finished["rows_changed_by_conversion"] == 0


@pytest.mark.parametrize("column", ["n int", "n int invisible"])
def test_duplicates_under_a_new_unique_index_are_named_and_never_lost(
    server: ServerUnderTest, database: str, column: str
) -> None:
    server.execute(f"create table t (id int primary key, {column})", database=database)
    server.execute("insert into t (id, n) values (1, 10), (2, 20), (3, 10)", database=database)
    run = migrate(server, database, "t", "add unique index one (n)", "--allow-lossy")
    assert (run.exit_code, run.outcome) == (1, "failed"), str(run)
    for said in ("one (n)", "(id = 1)", "(id = 3)"):
        assert said in run.error
    assert server.query("select id, n from t order by id", database=database) == ((1, 10), (2, 20), (3, 10))
    assert tables_of(server, database) == {"t"}


def test_values_that_are_equal_only_once_they_are_cut_are_duplicates(server: ServerUnderTest, database: str) -> None:
    server.execute(
        "create table t (id int primary key, v varchar(20), unique key one (v))",
        "insert into t values (1, 'abcdef'), (2, 'x'), (3, 'abcxyz')",
        database=database,
    )
    run = migrate(server, database, "t", "modify v varchar(3)", "--allow-lossy")
    assert (run.exit_code, run.outcome) == (1, "failed"), str(run)
    for said in ("one (v)", "(id = 1)", "(id = 3)"):
        assert said in run.error
    assert server.query("select id, v from t order by id", database=database) == (
        (1, "abcdef"),
        (2, "x"),
        (3, "abcxyz"),
    )


def test_nulls_that_become_one_value_under_a_unique_index_displace_no_row(
    server: ServerUnderTest, database: str, tmp_path: Path
) -> None:
    """Any number of NULLs is unique; as zeros they are duplicates, and no event will bring back what one displaces."""
    server.execute(
        "create table t (id int primary key, v int null, unique key v (v))",
        "insert into t values (1, null), (2, 7)",
        database=database,
    )
    with postponed(server, database, "modify v int not null", tmp_path, "--allow-lossy") as (running, swap):
        server.execute("insert into t values (3, null)", database=database)
        swap()
        run = running.end()
    assert run.exit_code != 0, str(run)
    assert "have the same value under the unique index v" in run.error
    assert "(id = 3) and another row" in run.error
    assert server.query("select id, v from t order by id", database=database) == ((1, None), (2, 7), (3, None))
