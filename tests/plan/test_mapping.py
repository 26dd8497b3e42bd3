"""Values follow the statement from the original's columns into the ghost's, whatever the names look like."""

from __future__ import annotations

import pytest

from osc.errors import ColumnsUnexplained
from osc.mysql.names import folded
from osc.plan.alter import parse_alter
from osc.plan.mapping import ColumnMapping, implicit_default, map_columns
from osc.table.facts import Column


def column(
    name: str, generated: bool = False, nullable: bool = True, default: str | None = None, extra: str = ""
) -> Column:
    return Column(
        name=name,
        position=1,
        data_type="int",
        column_type="int",
        is_nullable=nullable,
        charset=None,
        collation=None,
        default=default,
        extra="VIRTUAL GENERATED" if generated else extra,
        generation_expression="1" if generated else "",
    )


def columns(names: str) -> list[Column]:
    """Columns by name; one in parentheses is generated."""
    return [column(name.strip("()"), generated=name.startswith("(")) for name in names.split()]


def mapping(source: str, alter: str, ghost: str) -> ColumnMapping:
    read = parse_alter(alter)
    return map_columns(columns(source), columns(ghost), read.renames, read.dropped_columns, read.added_columns)


def pairs(source: str, alter: str, ghost: str) -> str:
    return " ".join(f"{pair.source.name}>{pair.ghost.name}" for pair in mapping(source, alter, ghost).pairs)


@pytest.mark.parametrize(
    ("source", "alter", "ghost", "expected"),
    [
        ("id a b", "force", "id a b", "id>id a>a b>b"),
        ("id a b", "modify b int first", "b id a", "b>b id>id a>a"),
        ("id a b", "add c int after id, drop a", "id c b", "id>id b>b"),
        ("id a b", "rename column a to c", "id c b", "id>id a>c b>b"),
        ("id a b", "rename column a to b, rename column b to a", "id b a", "id>id a>b b>a"),
        ("id a b", "change a b int, change b a int", "id b a", "id>id a>b b>a"),
        (
            "id a b c",
            "rename column a to b, rename column b to c, rename column c to a",
            "id b c a",
            "id>id a>b b>c c>a",
        ),
        ("id a", "rename column a to b, add column a int", "id b a", "id>id a>b"),
        ("id a b", "drop b, rename column a to b", "id b", "id>id a>b"),
        ("id a", "drop a, add a int", "id a", "id>id"),
        ("id a", "drop a, add A int", "id A", "id>id"),
        ("id a", "rename column A to B", "id B", "id>id a>B"),
        ("id Größe", "rename column GRÖßE to é", "id é", "id>id Größe>é"),
        ("id a", "rename column a to A", "id A", "id>id a>A"),
    ],
)
def test_values_follow_the_statement(source: str, alter: str, ghost: str, expected: str) -> None:
    assert pairs(source, alter, ghost) == expected


@pytest.mark.parametrize(
    ("alter", "ghost", "expected"),
    [
        ("add column if not exists a int", "id a", "id>id a>a"),
        ("drop column if exists nope, rename column if exists no to nay", "id a", "id>id a>a"),
        ("change if exists nope a int", "id a", "id>id a>a"),
        ("drop column if exists nope, add column nope int", "id a nope", "id>id a>a"),
        ("rename column a to b, add column if not exists a int", "id b", "id>id a>b"),
    ],
)
def test_conditional_clauses_that_had_nothing_to_do_change_nothing(alter: str, ghost: str, expected: str) -> None:
    assert pairs("id a", alter, ghost) == expected


def test_a_column_added_and_dropped_is_told_as_such() -> None:
    read = mapping("id a b", "drop a, add a int, add c int", "id b a c")
    assert [column.name for column in read.added] == ["a", "c"]
    assert [column.name for column in read.dropped] == ["a"]


def test_generated_columns_of_the_ghost_are_not_inserted() -> None:
    read = mapping("id a (v)", "add w int as (a), modify a int as (1)", "id (a) (v) (w)")
    assert [pair.ghost.name for pair in read.pairs] == ["id"]
    assert [column.name for column in read.generated] == ["a", "v", "w"]
    assert read.added == ()


def test_a_generated_column_may_become_a_base_column_and_keep_its_values() -> None:
    assert pairs("id (v)", "modify v int", "id v") == "id>id v>v"
    assert pairs("id (v)", "change v w int", "id w") == "id>id v>w"


def test_a_generated_column_does_not_feed_one_that_replaces_it() -> None:
    read = mapping("id (v)", "drop v, add v int", "id v")
    assert [pair.ghost.name for pair in read.pairs] == ["id"]
    assert [column.name for column in read.added] == ["v"]


def test_counterparts_are_found_from_either_side() -> None:
    read = mapping("id a b", "rename column a to B, rename column b to c, add a int", "id B c a")
    source, ghost = read.source_of("b"), read.ghost_of("A")
    assert source is not None
    assert ghost is not None
    assert (source.name, ghost.name) == ("a", "B")
    assert read.source_of("a") is None
    assert read.ghost_of("nope") is None


@pytest.mark.parametrize(
    ("source", "alter", "ghost", "named"),
    [
        ("id a", "force", "id a x", "the new table: x:"),
        ("id a", "force", "id", "values of the original: a:"),
        ("id a", "rename column a to b", "id a", "values of the original: a:"),
        ("id a", "drop a", "id a", "the new table: a:"),
        ("id a b", "rename column a to b", "id b", "a, b: get the same name"),
        ("id ı i", "drop ı", "id i", "ı, i: are too much alike"),
        ("id", "add i int, add ı int", "id i ı", "i, ı: are too much alike"),
        ("id a", "rename column a to b, drop column a", "id b", "a: are both renamed and dropped"),
    ],
)
def test_a_ghost_that_does_not_follow_from_the_statement_is_refused(
    source: str, alter: str, ghost: str, named: str
) -> None:
    with pytest.raises(ColumnsUnexplained, match=named):
        mapping(source, alter, ghost)


def test_added_columns_that_an_insert_must_name_are_known() -> None:
    ghost = [
        column("id"),
        column("nullable"),
        column("needs_a_value", nullable=False),
        column("has_a_default", nullable=False, default="0"),
        column("counts_by_itself", nullable=False, extra="auto_increment"),
        column("computed", generated=True, nullable=False),
    ]
    read = map_columns([column("id")], ghost, {}, [], [column.name for column in ghost[1:]])
    assert [column.name for column in read.without_default] == ["needs_a_value"]


def test_a_zero_date_is_an_implicit_default_only_where_the_server_takes_it() -> None:
    date = Column("d", 1, "date", "date", False, None, None, None, "", "")
    assert implicit_default(date, zero_dates=False) is None
    assert implicit_default(date, zero_dates=True) == "'0000-00-00'"


def test_names_are_compared_without_case_but_with_accents() -> None:
    assert folded("GRÖSSE") == folded("grösse")
    assert folded("größe") != folded("grösse")
    assert folded("é") != folded("e")
    assert folded("İ") == folded("i")
