from __future__ import annotations

import pytest

from osc.plan.tokens import LexicalMode
from osc.tail.statements import Effect, effect_of

MODE = LexicalMode()
MARIADB = LexicalMode(flavor="mariadb", version=(11, 8, 0))


def changed(*names: str) -> tuple[tuple[str, str], ...]:
    return tuple((name.split(".")[0], name.split(".")[1]) if "." in name else ("db", name) for name in names)


@pytest.mark.parametrize(
    ("statement", "names"),
    [
        ("alter table t add x int", ["t"]),
        ("ALTER ONLINE IGNORE TABLE IF EXISTS `a`.`t` ADD x INT", ["a.t"]),
        ("alter table p exchange partition p0 with table t without validation", ["p", "t"]),
        ("alter table p convert table t to partition p1 values less than (5)", ["p", "t"]),
        ("alter table p convert partition p1 to table t", ["p", "t"]),
        ("alter table a rename as b.c", ["a", "b.c"]),
        ("alter table a rename column x to y, rename index i to j", ["a"]),
        ("alter table a comment 'rename to t, references t'", ["a"]),
        ("rename tables a to b, `c` wait 5 to x.d", ["a", "b", "c", "x.d"]),
        ("drop table if exists /* generated */ a, `b b`.`c` wait 3", ["a", "b b.c"]),
        ("truncate b.t", ["b.t"]),
        ("truncate table `ta``ble`", ["ta`ble"]),
        ("create or replace table if not exists t (a int)", ["t"]),
        ("create table if not exists t (a int)", []),
        ("create table x like t", ["x"]),
        ("create unique index if not exists i using btree on t (a)", ["t"]),
        ("create fulltext index i on b.t (a)", ["b.t"]),
        ("drop index `primary` on t", ["t"]),
        ("create definer = `x`@`%` trigger on_it before insert on b.t for each row set @a = 1", ["b.t"]),
        ("create or replace trigger if not exists x after delete on t for each row delete from u", ["t"]),
        ("set statement max_statement_time = 5 for alter table t force", ["t"]),
        ("# a comment\nalter -- another\n table t force", ["t"]),
        ("/*M! alter table t force */", ["t"]),
    ],
)
def test_the_tables_that_a_definition_changes_are_found(statement: str, names: list[str]) -> None:
    effect = effect_of(statement, "db", MARIADB)
    assert effect.kind == "definition"
    assert effect.changed == changed(*names)


@pytest.mark.parametrize(
    "statement",
    [
        "create view t as select 1",
        "create procedure p() begin alter table t force; update t set a = 1; end",
        "create event e on schedule every 1 day do delete from t",
        "create user 'drop table t'@'%'",
        "grant all on t to u",
        "alter database db character set utf8mb4",
        "alter view t as select 1",
        "drop view t",
        "drop trigger t",
        "analyze table t",
        "optimize local table t",
        "flush tables t",
        "rename user a to b",
        "create database t",
        "set password = 'x'",
        "",
        "# Dummy event replacing event type 160 that slave cannot handle.",
        "/* nothing */",
    ],
)
def test_other_statements_change_no_table(statement: str) -> None:
    assert effect_of(statement, "db", MODE).kind == "nothing"


@pytest.mark.parametrize(
    "statement",
    [
        "insert into t values (1)",
        "  (select f(1))",
        "update low_priority ignore t set a = 1",
        "delete quick from t",
        "replace delayed t values (1)",
        "load data infile 'x' into table t",
        "call p()",
        "do f()",
        "with c as (select 1) update t, c set a = 1",
        "set statement sort_buffer_size = 100000 for insert into t values (1)",
        "create table x select f(1) a",
        "create temporary table x as (select f(1) a)",
        "analyze format=json update t set a = 1",
        "/*!50000 insert */ into t values (1)",
    ],
)
def test_statements_that_write_rows_are_told_from_definitions(statement: str) -> None:
    assert effect_of(statement, "db", MODE).kind == "rows"


@pytest.mark.parametrize(
    ("statement", "may_call"),
    [
        ("insert into t values (1, 'f(2)')", False),
        ("insert into t (a, b) values (1, 2)", False),
        ("insert into t (a) values (f(1))", True),
        ("update t set a = 1 where b in (1)", False),
        ("update t set a = `f`(1)", True),
        ("delete from t where a = db.f()", True),
        ("insert into t select f(1)", True),
        ("update t, u set t.a = 1", True),
    ],
)
def test_a_stored_function_that_may_be_called_is_seen(statement: str, may_call: bool) -> None:
    assert effect_of(statement, "db", MODE).may_call_functions == may_call


def test_references_renames_and_dropped_databases_are_told() -> None:
    effect = effect_of(
        "create table c (a int, foreign key (a) references t (id), b int references x.y (z))", "db", MODE
    )
    assert effect.referenced == changed("t", "x.y")
    assert effect_of("alter table c add foreign key (a) references t (id)", "db", MODE).referenced == changed("t")
    effect = effect_of("rename table t to t_old, g to t", "db", MODE)
    assert effect.renamed == ((("db", "t"), ("db", "t_old")), (("db", "g"), ("db", "t")))
    assert effect_of("drop schema if exists `x y`", "db", MODE) == Effect(
        "drop database", "DROP DATABASE", database="x y"
    )


def test_names_in_double_quotes_depend_on_the_mode() -> None:
    assert effect_of('alter table "t" force', "db", LexicalMode(ansi_quotes=True)).changed == changed("t")
    with pytest.raises(ValueError, match="name"):
        effect_of('alter table "t" force', "db", MODE)


def test_what_cannot_be_read_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="quote"):
        effect_of("alter table t comment 'x", "db", MODE)
