"""Tables that are odd in other ways than their types: names, invisible, generated and computed columns, partitions, formats."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from osc.mysql.sql import quote
from tests.migration.migrating import migrating
from tests.servers import ServerUnderTest
from tests.types.comparing import compare_exactly

TABLE_NAMES = ("select", "a`b$c", "名前 ä%s", "t" * 64, "$1.5e\\")


def migrate_under_changes(
    server: ServerUnderTest, database: str, table: str, alter: str, columns: str, changes: list[str], flag: Path
) -> None:
    """Migrate while the changes are made, and compare with a direct `ALTER` of what the old table has in the end."""
    flag.touch()
    halves = changes[: len(changes) // 2], changes[len(changes) // 2 :]
    with migrating(
        server, database, table, alter, "--chunk-size", "10", "--postpone-cut-over-flag-file", str(flag)
    ) as running:
        running.wait_for("started")
        server.execute(*halves[0], database=database)
        running.wait_for("phase", phase="ready")
        server.execute(*halves[1], database=database)
        flag.unlink()
        run = running.end()
    assert run.exit_code == 0, str(run)
    assert run.finished["keys_reconciled"] != 0
    old = quote(str(run.finished["old_table"]))
    server.execute(
        f"create table expected like {old}",
        f"insert into expected ({columns}) select {columns} from {old}",
        f"alter table expected {alter}",
        database=database,
    )
    with closing(server.admin(database)) as connection:
        verdict = compare_exactly(connection, database, "expected", table)
    assert verdict.equal, str(verdict)


def rows(table: str, columns: str, values: str, count: int = 60) -> str:
    """An insert of that many rows; `i` is a row's number."""
    return (
        f"insert into {table} ({columns}) with recursive n (i) as (select 1 union all select i + 1 from n where i < {count})"
        f" select {values} from n"
    )


@pytest.mark.in_turn(reason="quoting is the same on every server")
@pytest.mark.parametrize("name", TABLE_NAMES)
def test_names_are_names_whatever_is_in_them(server: ServerUnderTest, database: str, tmp_path: Path, name: str) -> None:
    table, column = quote(name), quote(name.replace("t", "c"))
    server.execute(
        f"create table {table} ({column} int, id int primary key, `order` varchar(9), unique key {column} ({column}, id))",
        rows(table, f"{column}, id, `order`", "i, i, i"),
        database=database,
    )
    changes = [
        f"update {table} set {column} = -{column}, id = id + 100 where id < 9",
        f"delete from {table} where {column} = 20",
        f"update {table} set `order` = 'x' where id > 40",
        f"insert into {table} values (7, 7, '7')",
    ]
    added, index = quote(name[:63] + "2"), quote("i" * 64)
    alter = f"rename column {column} to `group`, add column {added} int default 3, add index {index} (`group`)"
    migrate_under_changes(server, database, name, alter, f"{column}, id, `order`", changes, tmp_path / "postpone")


@pytest.mark.parametrize(
    "options",
    [
        "row_format=compressed key_block_size=4",
        "row_format=redundant partition by hash (id) partitions 3",
        "partition by range (id) (partition a values less than (10), partition b values less than maxvalue)",
    ],
)
def test_columns_that_are_computed_or_not_seen(
    server: ServerUnderTest, database: str, tmp_path: Path, options: str
) -> None:
    server.execute(
        "create table t (early int as (id * 2) virtual, id int not null, late int as (n + 1) stored, n int invisible,"
        " e varchar(40) default (concat('d', 1 + 1)), s varchar(20) character set latin1 default 'ä' comment 'it''s',"
        f" key (late), primary key (id)) {options}",
        rows("t", "id, n, s", "i, i * 3, i"),
        database=database,
    )
    changes = [
        "insert into t (id, n) values (100, 1), (101, null)",
        "update t set n = 5, id = id + 200 where id between 8 and 12",
        "delete from t where id in (20, 100)",
        "update t set e = null, s = 'ß' where id = 30",
    ]
    alter = "modify column n bigint, add column more int as (id + 1) stored, modify column s varchar(30) first"
    migrate_under_changes(server, database, "t", alter, "id, n, e, s", changes, tmp_path / "postpone")


@pytest.mark.only("mysql", reason="MariaDB has no generated invisible primary keys")
def test_a_generated_invisible_primary_key_stays_what_it_is(
    server: ServerUnderTest, database: str, tmp_path: Path
) -> None:
    server.execute(
        "set sql_generate_invisible_primary_key = on",
        "create table t (a int, b varchar(10))",
        rows("t", "a, b", "i, i"),
        database=database,
    )
    changes = ["insert into t values (1, 'new')", "update t set b = 'x' where a = 5", "delete from t where a = 6"]
    alter = "add column c int default 4, modify b varchar(20)"
    migrate_under_changes(server, database, "t", alter, "my_row_id, a, b", changes, tmp_path / "postpone")
