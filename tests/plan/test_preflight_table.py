"""Preflight's findings about the table itself: what it is, its keys, what hangs on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from osc.mysql.sql import quote
from tests.plan.looking import TABLE, blocking_codes, look
from tests.servers import ServerUnderTest


def test_an_ordinary_table_has_no_blocking_finding_and_no_warning(server: ServerUnderTest, database: str) -> None:
    server.execute(TABLE, database=database)
    assert {finding.level for finding in look(server, database).values()} <= {"note"}


def test_a_partitioned_table_with_generated_columns_is_as_good(server: ServerUnderTest, database: str) -> None:
    server.execute(
        "create table t (id int not null, at datetime not null, v int, w int as (v + 1) virtual, x int as (v + 2) stored,"
        " primary key (id, at))"
        " partition by range (year(at)) (partition a values less than (2020), partition b values less than maxvalue)",
        database=database,
    )
    assert blocking_codes(look(server, database)) == set()


def test_what_is_no_innodb_table_is_refused(server: ServerUnderTest, database: str) -> None:
    server.execute(
        "create view a_view as select 1 as id",
        "create table slow (id int primary key) engine=MyISAM",
        "create table fast (id int primary key) engine=MEMORY",
        database=database,
    )
    for name, code, said in (
        ("a_view", "not-a-table", "is a view"),
        ("slow", "engine", "is a MyISAM table"),
        ("fast", "engine", "is a MEMORY table"),
        ("gone", "table-missing", "there is no table"),
    ):
        findings = look(server, database, name)
        assert findings[code].is_blocking
        assert said in findings[code].title


@pytest.mark.only("mariadb", reason="MySQL has neither sequences, system versioning nor periods")
def test_what_only_mariadb_has_is_refused(server: ServerUnderTest, database: str) -> None:
    server.execute(
        "create sequence numbers",
        "create table versioned (id int primary key) with system versioning",
        "create table dated (id int primary key, a date, b date, period for p (a, b))",
        database=database,
    )
    for name, code in (("numbers", "not-a-table"), ("versioned", "system-versioned"), ("dated", "period")):
        assert blocking_codes(look(server, database, name)) == {code}


def test_system_tables_are_refused(server: ServerUnderTest) -> None:
    for schema in ("mysql", "information_schema", "performance_schema", "sys"):
        assert "system-table" in blocking_codes(look(server, schema, "user"))


def test_a_misspelt_name_gets_similar_ones_shown(server: ServerUnderTest, database: str) -> None:
    server.execute("create table customer_orders (id int primary key)", database=database)
    assert "customer_orders" in look(server, database, "customers_orders")["table-missing"].detail


def test_a_missing_database_is_told_from_a_missing_table(server: ServerUnderTest, database: str) -> None:
    assert f"no database `{database}_x`" in look(server, f"{database}_x")["table-missing"].detail


def test_triggers_are_named(server: ServerUnderTest, database: str) -> None:
    server.execute(
        TABLE,
        "create trigger guard before update on t for each row set new.v = upper(new.v)",
        "create trigger audit after delete on t for each row set @gone = old.id",
        database=database,
    )
    finding = look(server, database)["triggers"]
    assert finding.is_blocking
    assert "audit (AFTER DELETE), guard (BEFORE UPDATE)" in finding.detail
    server.execute(*(line.split(";")[0] for line in finding.fix.splitlines()))
    assert "triggers" not in look(server, database)


def test_foreign_keys_of_the_table_are_named(server: ServerUnderTest, database: str) -> None:
    server.execute(
        "create table parent (id int primary key)",
        "create table t (id int primary key, p int, constraint belongs foreign key (p) references parent (id))",
        database=database,
    )
    findings = look(server, database)
    assert f"belongs (to {database}.parent)" in findings["foreign-keys"].detail
    assert "referenced-by-foreign-keys" not in findings
    server.execute(findings["foreign-keys"].fix.split(";")[0])
    assert blocking_codes(look(server, database)) == set()


@pytest.mark.parametrize("name", ["t", "größe -1"])
def test_foreign_keys_that_reference_the_table_are_named_though_the_login_may_not_see_theirs(
    server: ServerUnderTest, database: str, name: str
) -> None:
    elsewhere = f"{database}-änderswo"
    server.execute(f"create table {quote(name)} (id int primary key)", database=database)
    server.execute(f"create database {quote(elsewhere)}")
    try:
        server.execute(
            "create table `ki-nd ü` (id int primary key, p int, constraint hangs foreign key (p)"
            f" references {quote(database)}.{quote(name)} (id) on delete cascade)",
            database=elsewhere,
        )
        findings = look(server, database, name)
        assert findings["referenced-by-foreign-keys"].is_blocking
        assert f"hangs of {elsewhere}.ki-nd ü" in findings["referenced-by-foreign-keys"].detail
        assert "foreign-keys" not in findings
        server.execute(findings["referenced-by-foreign-keys"].fix.split(";")[0])
        assert blocking_codes(look(server, database, name)) == set()
    finally:
        server.execute(f"drop database {quote(elsewhere)}")


def test_a_foreign_key_to_the_table_itself_is_one_finding(server: ServerUnderTest, database: str) -> None:
    server.execute(
        "create table t (id int primary key, p int, foreign key (p) references t (id))",
        database=database,
    )
    assert blocking_codes(look(server, database)) == {"foreign-keys"}


def test_a_table_without_a_usable_key_is_refused_with_the_reasons(server: ServerUnderTest, database: str) -> None:
    stored = "stored" if server.is_mariadb else "stored not null"
    tables = {
        "none": ("id int", "no unique key at all"),
        "nullable": ("id int, unique key k (id)", "k: column id may be NULL"),
        "prefixed": ("id varchar(50) not null, unique key k (id(10))", "k: it indexes only a prefix of a column"),
        "floating": ("id double primary key", "PRIMARY: column id is of type double"),
        "computed": (f"id int, n int as (id) {stored}, unique key k (n)", "k: column n "),
        "two": ("a int, b float not null, unique key k (a), unique key l (b)", "l: column b is of type float"),
    }
    server.execute(*(f"create table {name} ({columns})" for name, (columns, _) in tables.items()), database=database)
    for name, (_, reason) in tables.items():
        findings = look(server, database, name)
        assert blocking_codes(findings) == {"no-usable-key"}
        assert reason.lower() in findings["no-usable-key"].detail.lower()


def test_one_usable_key_among_others_is_enough(server: ServerUnderTest, database: str) -> None:
    server.execute(
        "create table t (a int not null, b int, unique key (b), unique key k (a))",
        "create table u (id varchar(9) primary key)",
        database=database,
    )
    assert blocking_codes(look(server, database)) | blocking_codes(look(server, database, "u")) == set()


@pytest.mark.only("mariadb", reason="MySQL takes only directories that it was started with")
def test_a_table_in_another_directory_is_warned_of(server: ServerUnderTest, database: str, tmp_path: Path) -> None:
    server.execute(f"create table t (id int primary key) data directory='{tmp_path}'", database=database)
    finding = look(server, database)["data-directory"]
    assert finding.level == "warning"
    assert str(tmp_path) in finding.title


def test_each_refused_part_of_the_alter_is_a_finding(server: ServerUnderTest, database: str) -> None:
    server.execute(TABLE, database=database)
    finding = look(server, database, alter="add column x int, rename to u")["alter-refused"]
    assert finding.is_blocking
    assert "rename to u" in finding.title.lower()
    assert finding.fix


def test_an_alter_of_another_table_is_refused(server: ServerUnderTest, database: str) -> None:
    server.execute(TABLE, database=database)
    assert "alter-other-table" in look(server, database, alter="alter table u add column x int")
    assert "alter-other-table" not in look(server, database, alter=f"alter table `{database}`.`t` add column x int")
