"""What an `ALTER` does to names is read from the statement as the server would read it."""

from __future__ import annotations

import pytest

from osc.errors import AlterSyntaxError
from osc.plan.alter import parse_alter
from osc.plan.clauses import ClauseKind
from osc.plan.refusals import Reason
from osc.plan.tokens import LexicalMode

ANSI = LexicalMode(ansi_quotes=True)


def kinds(text: str) -> list[ClauseKind]:
    return [clause.kind for clause in parse_alter(text).clauses]


# --- the statement as a whole ---------------------------------------------------------------------------------------


def test_bare_clauses_name_no_table() -> None:
    read = parse_alter("add column x int, drop column y")
    assert (read.database, read.table) == (None, None)
    assert read.clauses_sql == "add column x int, drop column y"
    assert [(clause.kind, clause.text, clause.start) for clause in read.clauses] == [
        (ClauseKind.ADD_COLUMN, "add column x int", 0),
        (ClauseKind.DROP_COLUMN, "drop column y", 18),
    ]
    assert read.refusals == ()


@pytest.mark.parametrize(
    ("prefix", "database", "table"),
    [
        ("ALTER TABLE t", None, "t"),
        ("alter table shop.orders", "shop", "orders"),
        ("alter table `a.b` . `c``d`", "a.b", "c`d"),
        ("ALTER /* x */ TABLE -- y\n shop.1st", "shop", "1st"),
        ("alter table shop.1e5", "shop", "1e5"),
        ("alter online table t", None, "t"),
        ("alter table if exists t", None, "t"),
        ("/* first */ alter table `alter`", None, "alter"),
    ],
)
def test_a_whole_statement_names_its_table(prefix: str, database: str | None, table: str) -> None:
    read = parse_alter(f"{prefix} add x int ;\n")
    assert (read.database, read.table) == (database, table)
    assert read.clauses_sql == "add x int"
    assert read.clauses[0].start == 0
    assert read.refusals == ()


def test_names_in_double_quotes_are_names_under_ansi_quotes() -> None:
    read = parse_alter('alter table "s"."t" change "a""b" "c" int', ANSI)
    assert (read.database, read.table, dict(read.renames)) == ("s", "t", {'a"b': "c"})


def test_a_column_called_online_is_not_the_start_of_a_statement() -> None:
    assert kinds("alter online set default 1") == [ClauseKind.ALTER_COLUMN]


@pytest.mark.parametrize(
    "text", ["add x int;", "add x int ; ; ", "add x int;-- done", "add x int -- done\n", " add x int"]
)
def test_what_surrounds_the_clauses_is_dropped(text: str) -> None:
    assert parse_alter(text).clauses_sql == "add x int"


def test_a_second_statement_is_an_error() -> None:
    with pytest.raises(AlterSyntaxError, match=r"second statement.*column 12"):
        parse_alter("add x int; drop table t")


@pytest.mark.parametrize("text", ["", "  ", ";", "-- nothing", "alter table t", "alter table a.t;"])
def test_an_empty_alter_is_refused(text: str) -> None:
    assert [refusal.reason for refusal in parse_alter(text).refusals] == [Reason.EMPTY]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("add (a int, b int", "never closed"),
        ("add x int default (1))", "closes none"),
        ("add x int,, drop y", "beside this comma"),
        ("add x int,", "beside this comma"),
        (", add x int", "beside this comma"),
        ("add (a int,)", "beside this comma"),
        ("change", "the old name of the column is missing"),
        ("change a", "the new name of the column is missing"),
        ("change 'a' b int", "the old name of the column is missing"),
        ("add column", "the name of the column to add is missing"),
        ("rename column a to", "the new name of the column is missing"),
        ("rename column (a) to b", "the old name of the column is missing"),
        ("drop column", "the name of the column to drop is missing"),
        ("modify 'a' int", "the name of the column to modify is missing"),
        ("alter table", "the name of the table is missing"),
        ("alter table t.", "the name of the table is missing"),
        ("create index i on t (a)", "no ALTER TABLE"),
    ],
)
def test_what_cannot_be_read_is_an_error_with_a_place(text: str, reason: str) -> None:
    with pytest.raises(AlterSyntaxError, match=rf"(?s){reason}.*line 1, column \d+.*\^"):
        parse_alter(text)


def test_an_error_in_the_clauses_counts_from_the_start_of_the_whole_statement() -> None:
    with pytest.raises(AlterSyntaxError, match=r"line 2, column 8"):
        parse_alter("alter table t add x int,\nchange 'a' b int")


# --- columns --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "renames"),
    [
        ("rename column a to b", {"a": "b"}),
        ("change a b int", {"a": "b"}),
        ("CHANGE COLUMN `a` `b` int not null first", {"a": "b"}),
        ("change column if exists a b int", {"a": "b"}),
        ("rename column if exists a to b", {"a": "b"}),
        ("rename column a to b, rename column b to a", {"a": "b", "b": "a"}),
        ("change a b int, change b a int", {"a": "b", "b": "a"}),
        ("rename column a to b, change b c int, rename column c to d", {"a": "b", "b": "c", "c": "d"}),
        ("rename column a to b, add column a int", {"a": "b"}),
        ("change a a bigint", {}),
        ("change a A bigint", {"a": "A"}),
        ("change column comment remark text", {"comment": "remark"}),
        ("change `column` `to` int", {"column": "to"}),
        ("change 1st 2nd int", {"1st": "2nd"}),
        ("change größe naïve int", {"größe": "naïve"}),
        ("rename column `a``b` to `c, d`", {"a`b": "c, d"}),
        ("rename/**/column/*x*/a/*y*/to-- z\nb", {"a": "b"}),
        ("rename index a to b, rename key c to d", {}),
    ],
)
def test_renames_are_read_from_the_statement(text: str, renames: dict[str, str]) -> None:
    read = parse_alter(text)
    assert dict(read.renames) == renames
    assert read.refusals == ()


@pytest.mark.parametrize(
    ("text", "added"),
    [
        ("add x int", ["x"]),
        ("add column if not exists x int first, add y int after x", ["x", "y"]),
        (
            "add (a int, b enum('x,y', ')'), index (a), key k (b), unique (a), check (a > 1), primary key (a))",
            ["a", "b"],
        ),
        ("add column (a int default (concat('a', ',b')), constraint c check (a in (1, 2)))", ["a"]),
        ("add `index` int, add `check` int, add `partition` int", ["index", "check", "partition"]),
        ("add vector int, add period int, add system int, add comment int", ["vector", "period", "system", "comment"]),
        ("add $x int, add 1e int, add 列 int", ["$x", "1e", "列"]),
        (
            "add fulltext index (x), add spatial key (y), add vector index (z), add unique u (a), add unique (b)",
            [],
        ),
    ],
)
def test_added_columns_are_told_from_added_keys(text: str, added: list[str]) -> None:
    read = parse_alter(text)
    assert list(read.added_columns) == added
    assert read.refusals == ()


def test_dropped_columns_are_told_from_other_drops() -> None:
    read = parse_alter(
        "drop a, drop column b, drop column if exists `c d`, drop index e, drop key f, drop constraint g, drop check h"
    )
    assert read.dropped_columns == ("a", "b", "c d")
    assert read.dropped_indexes == ("e", "f")
    assert [name.text for name in read.dropped_constraints] == ["g", "h"]


def test_modified_columns_go_by_their_old_names() -> None:
    assert parse_alter("modify a int, modify column if exists b int, change c d int").modified_columns == (
        "a",
        "b",
        "c",
    )


def test_commas_inside_expressions_strings_and_comments_split_nothing() -> None:
    read = parse_alter(
        "add a varchar(9) default (concat('a', ',b', (select_(1, 2)))) comment 'x, drop y' /* , drop z */,"
        " add b int generated always as (a + ifnull(c, (1, 2))) stored -- , drop q\n,"
        " modify e enum('a,b','(') character set utf8mb4 default _utf8mb4'x\\',',"
        " add constraint chk check (a > 0 and b in (1, 2))"
    )
    assert [clause.kind for clause in read.clauses] == [
        ClauseKind.ADD_COLUMN, ClauseKind.ADD_COLUMN, ClauseKind.MODIFY_COLUMN, ClauseKind.ADD_CHECK
    ]  # fmt: skip
    assert read.dropped_columns == ()


def test_without_backslash_escapes_a_string_ends_earlier() -> None:
    text = r"add a int comment 'x\', drop b, add c int comment 'y'"
    assert parse_alter(text, LexicalMode(no_backslash_escapes=True)).dropped_columns == ("b",)
    with pytest.raises(AlterSyntaxError):
        parse_alter(text)


# --- keys and constraints -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("add primary key (a)", ("a",)),
        ("add constraint pk primary key using btree (a, `b c`(10) desc)", ("a", "b c")),
        ("add constraint primary key (a)", ("a",)),
        ("add id bigint auto_increment primary key first", ("id",)),
        ("add id int key", ("id",)),
        ("add id int comment 'x' key", ("id",)),
        ("modify id bigint primary key", ("id",)),
        ("change id new_id bigint not null primary key", ("new_id",)),
        ("add (id int, primary key (id))", ("id",)),
        ("add (id int primary key)", ("id",)),
        ("add id int unique key", None),
        ("add id int unique", None),
        ("add `key` int, add `primary` int after `key`", None),
        ("add id int comment 'primary key'", None),
        ("add key (a), add unique key (b)", None),
    ],
)
def test_a_new_primary_key_is_seen_wherever_it_is_declared(text: str, columns: tuple[str, ...] | None) -> None:
    assert parse_alter(text).adds_primary_key == columns


@pytest.mark.parametrize(
    "text", ["drop primary key", "drop index `PRIMARY`", "drop key `primary`", "drop constraint `Primary`"]
)
def test_a_dropped_primary_key_is_seen_whatever_it_is_called(text: str) -> None:
    assert parse_alter(text).drops_primary_key


def test_dropping_an_index_does_not_drop_the_primary_key() -> None:
    assert not parse_alter("drop index primary_contact, drop column `PRIMARY`").drops_primary_key


def test_renamed_indexes_are_known() -> None:
    assert dict(parse_alter("rename index a to b, rename key b to a").renamed_indexes) == {"a": "b", "b": "a"}


def test_constraint_names_are_replaced_where_they_stand() -> None:
    read = parse_alter(
        "alter table t drop constraint `C1`, drop check c2 , alter check c3 not enforced, alter constraint c4 enforced,"
        " drop column c1, add x int comment 'c1' constraint c1 check (x > 1), add constraint c5 check (x < 9);"
    )
    mapping = {"c1": "_t_gho_chk_1", "C2": "a`b", "c3": "x", "unknown": "y"}
    assert read.rewrite_constraint_names(mapping, {"c1": "new", "c5": "newer"}) == (
        "drop constraint `_t_gho_chk_1`, drop check `a``b` , alter check `x` not enforced,"
        " alter constraint c4 enforced, drop column c1, add x int comment 'c1' constraint `new` check (x > 1),"
        " add constraint `newer` check (x < 9)"
    )
    assert read.rewrite_constraint_names({}) == read.clauses_sql


def test_offsets_of_names_point_into_the_clauses() -> None:
    read = parse_alter("alter table `a b`.`c` drop check `d e`, add check (x)")
    (name,) = read.dropped_constraints
    assert read.clauses_sql[name.start : name.end] == "`d e`"


# --- the table as a whole -------------------------------------------------------------------------------------------


def test_options_in_a_row_need_no_commas() -> None:
    read = parse_alter(
        "engine=InnoDB row_format dynamic default charset = utf8mb4 collate utf8mb4_bin comment='a, b', checksum 1"
    )
    assert [(option.name, option.value) for option in read.options] == [
        ("ENGINE", "InnoDB"),
        ("ROW_FORMAT", "dynamic"),
        ("CHARACTER SET", "utf8mb4"),
        ("COLLATE", "utf8mb4_bin"),
        ("COMMENT", "a, b"),
        ("CHECKSUM", "1"),
    ]
    assert [clause.kind for clause in read.clauses] == [ClauseKind.OPTIONS] * 2
    assert read.refusals == ()


def test_offsets_of_options_point_into_the_clauses() -> None:
    read = parse_alter("alter table t force, engine = `InnoDB` union=(a, b)")
    assert [read.clauses_sql[option.start : option.end] for option in read.options] == [
        "engine = `InnoDB`",
        "union=(a, b)",
    ]


@pytest.mark.parametrize(
    ("text", "charset"),
    [
        ("convert to character set utf8mb4", "utf8mb4"),
        ("convert to charset 'latin1' collate latin1_bin", "latin1"),
        ("convert to character set default", "default"),
        ("default character set utf8mb4", None),
        ("modify a varchar(9) character set utf8mb4", None),
    ],
)
def test_a_conversion_of_the_character_set_is_told_from_a_new_default(text: str, charset: str | None) -> None:
    read = parse_alter(text)
    assert read.converts_charset == charset
    assert read.changes_charset == (charset is not None)
    assert read.refusals == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("add x int partition by hash(id) partitions 4", [ClauseKind.ADD_COLUMN, ClauseKind.PARTITION_BY]),
        ("partition by range columns(a, b) (partition p0 values less than (1, 2))", [ClauseKind.PARTITION_BY]),
        (
            "drop a, add b int remove partitioning",
            [ClauseKind.DROP_COLUMN, ClauseKind.ADD_COLUMN, ClauseKind.REMOVE_PARTITIONING],
        ),
        ("remove partitioning", [ClauseKind.REMOVE_PARTITIONING]),
    ],
)
def test_partitioning_follows_the_clauses_without_a_comma(text: str, expected: list[ClauseKind]) -> None:
    assert kinds(text) == expected
    assert parse_alter(text).refusals == ()


def test_what_is_not_recognised_is_left_to_the_server() -> None:
    read = parse_alter("frobnicate the table, add x int")
    assert [clause.kind for clause in read.clauses] == [ClauseKind.OTHER, ClauseKind.ADD_COLUMN]
    assert read.refusals == ()


# --- executable comments --------------------------------------------------------------------------------------------


def test_an_executable_comment_is_understood_and_kept() -> None:
    text = "add x int /*!80000 not null */, /*!80000 rename column a to b, */ drop c /*!99999 , drop d */"
    read = parse_alter(text, LexicalMode(version=(8, 4, 0)))
    assert read.clauses_sql == "add x int /*!80000 not null */, /*!80000 rename column a to b, */ drop c"
    assert [clause.text for clause in read.clauses] == [
        "add x int /*!80000 not null */",
        "rename column a to b",
        "drop c",
    ]
    assert dict(read.renames) == {"a": "b"}
    assert read.dropped_columns == ("c",)


def test_clauses_that_stand_in_an_executable_comment_are_run_with_it() -> None:
    read = parse_alter("alter table t /*! add x int */ ;")
    assert (read.clauses_sql, read.added_columns) == ("/*! add x int */", ("x",))


@pytest.mark.parametrize(
    "text", ["/*!40000 ALTER TABLE t force */;", "/*! add x int; */", "alter /*! table t add */ x int"]
)
def test_an_executable_comment_that_holds_more_than_clauses_is_an_error(text: str) -> None:
    with pytest.raises(AlterSyntaxError, match="more than clauses"):
        parse_alter(text)
