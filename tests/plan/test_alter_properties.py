"""Any list of clauses, however it is quoted, spaced and commented, is read as the clauses that it was made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from osc.mysql.sql import quote
from osc.plan.alter import AlterStatement, parse_alter
from osc.plan.clauses import ClauseKind as Kind
from osc.plan.tokens import LexicalMode


@dataclass
class Made:
    """A clause as it was made: its pieces (anything may stand between them) and what it does."""

    kind: Kind
    pieces: list[str]
    renames: dict[str, str] = field(default_factory=dict)
    added: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)


MODES = st.builds(LexicalMode, ansi_quotes=st.booleans(), no_backslash_escapes=st.booleans())
NAMES = st.one_of(
    st.sampled_from(["a", "b", "id", "1st", "1e", "a$b", "comment", "status", "größe", "列", "vector", "to_", "_x"]),
    st.text(alphabet="aZ `\"'(),;-#*/\\éß", min_size=1, max_size=8).filter(lambda name: not name.endswith(" ")),
)
BARE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$ößé列")
FILLERS = st.sampled_from(
    [
        " ",
        " ",
        " ",
        "\n",
        "\t ",
        " /* , drop z */ ",
        "/**/",
        " -- it's, ( `\n",
        ' # "x, y\n',
        " /*+ ) */ ",
        " /*!99999 it's ,( */ ",
    ]
)
STRINGS = st.text(alphabet="ab'\",();-#*/\\` é", max_size=8)


def written_name(name: str, mode: LexicalMode, choice: int) -> str:
    if choice == 0 and set(name) <= BARE and not name.isdigit():
        return name
    if choice == 1 and mode.ansi_quotes:
        return '"' + name.replace('"', '""') + '"'
    return quote(name)


def written_string(value: str, mode: LexicalMode, choice: int) -> str:
    if not mode.no_backslash_escapes:
        value = value.replace("\\", "\\\\")
        if choice == 0:
            return "'" + value.replace("'", "\\'") + "'"
    if choice == 1 and not mode.ansi_quotes:
        return '"' + value.replace('"', '""') + '"'
    return "'" + value.replace("'", "''") + "'"


@st.composite
def definitions(draw: st.DrawFn, mode: LexicalMode) -> list[str]:
    """A type and attributes, in pieces."""
    text = written_string(draw(STRINGS), mode, draw(st.integers(0, 2)))
    types = [
        ["int"],
        ["decimal", "(", "10", ",", "2", ")", "unsigned"],
        ["enum", "(", "'a,b'", ",", text, ")"],
        ["varchar(20)"],
    ]
    attributes = [
        [], ["not", "null"], ["comment", text], ["unique", "key"], ["default", "x'41'"], ["default", "-1.5e3"],
        ["default", "(", "concat", "(", text, ",", "',b'", ")", ")"], ["check", "(", "a", "in", "(", "1", ",2))"],
        ["generated", "always", "as", "(", "a", "+", "(", "b", ",", "1", ")", ")", "stored"],
        ["collate", "utf8mb4_bin", "first"], ["after", "`drop`"],
    ]  # fmt: skip
    return [*draw(st.sampled_from(types)), *draw(st.sampled_from(attributes)), *draw(st.sampled_from(attributes))]


@st.composite
def made_clauses(draw: st.DrawFn, mode: LexicalMode) -> Made:
    old, new = draw(NAMES), draw(NAMES)
    old_written, new_written = (written_name(name, mode, draw(st.integers(0, 2))) for name in (old, new))
    column = draw(st.sampled_from([[], ["column"], ["COLUMN"]]))
    renames = {old: new} if old != new else {}
    definition = draw(definitions(mode))
    constraint = written_name(old, mode, draw(st.integers(1, 2)))
    key = ["key", "(", "a", ",", "b", ")"]
    return draw(
        st.sampled_from(
            [
                Made(Kind.ADD_COLUMN, ["add", *column, new_written, *definition], added=[new]),
                Made(Kind.DROP_COLUMN, ["DROP", *column, old_written], dropped=[old]),
                Made(Kind.CHANGE_COLUMN, ["Change", *column, old_written, new_written, *definition], renames=renames),
                Made(Kind.MODIFY_COLUMN, ["modify", *column, old_written, *definition]),
                Made(Kind.RENAME_COLUMN, ["rename", "column", old_written, "to", new_written], renames=renames),
                Made(Kind.ADD_LIST, ["add", "(", old_written, *definition, ",", *key, ")"], added=[old]),
                Made(Kind.ADD_INDEX, ["add", "unique", *key, "comment", written_string(old, mode, 0)]),
                Made(Kind.DROP_CONSTRAINT, ["drop", "check", constraint], checks=[old]),
                Made(Kind.ADD_CHECK, ["add", "constraint", constraint, "check", "(", "a", ">", "(", "b", ")", ")"]),
                Made(Kind.OPTIONS, ["row_format", "=", "dynamic", "comment", written_string(old, mode, 2)]),
                Made(Kind.FORCE, ["force"]),
            ]
        )
    )


@st.composite
def statements(draw: st.DrawFn) -> tuple[LexicalMode, list[Made], str, list[str]]:
    """A mode, clauses, the text made of them and the text of each clause."""
    mode = draw(MODES)
    made = draw(st.lists(made_clauses(mode), min_size=1, max_size=6))
    texts = ["".join(_spread(clause.pieces, draw)) for clause in made]
    prefix = draw(st.sampled_from(["", "", "alter table t ", "ALTER /* x */ ONLINE TABLE `d b`.`t``u`\n"]))
    ending = draw(st.sampled_from(["", ";", " ; ", "\n-- done"]))
    return mode, made, prefix + (draw(FILLERS) + "," + draw(FILLERS)).join(texts) + ending, texts


def _spread(pieces: Sequence[str], draw: st.DrawFn) -> list[str]:
    return [piece for index, token in enumerate(pieces) for piece in ((draw(FILLERS), token) if index else (token,))]


@given(statements())
def test_any_list_of_clauses_is_read_as_it_was_made(statement: tuple[LexicalMode, list[Made], str, list[str]]) -> None:
    mode, made, text, texts = statement
    read = parse_alter(text, mode)
    assert [clause.kind for clause in read.clauses] == [clause.kind for clause in made]
    assert [clause.text for clause in read.clauses] == texts
    assert [read.clauses_sql[clause.start :][: len(clause.text)] for clause in read.clauses] == texts
    assert list(read.added_columns) == [name for clause in made for name in clause.added]
    assert list(read.dropped_columns) == [name for clause in made for name in clause.dropped]
    renames: dict[str, str] = {}
    for clause in made:
        renames.update(clause.renames)
    assert dict(read.renames) == renames
    assert read.clauses_sql in text
    assert read.refusals == ()


@given(statements())
def test_replaced_constraint_names_change_nothing_else(
    statement: tuple[LexicalMode, list[Made], str, list[str]],
) -> None:
    mode, made, text, _ = statement
    read = parse_alter(text, mode)
    names = {name.text: f"new`{index}" for index, name in enumerate(read.dropped_constraints)}
    again = parse_alter(read.rewrite_constraint_names(names), mode)
    assert [name.text for name in again.dropped_constraints] == [
        _same_folded(names, name) for clause in made for name in clause.checks
    ]
    assert _without_constraints(again) == _without_constraints(read)


def _same_folded(names: dict[str, str], name: str) -> str:
    """The replacement of the last name that is the same but for case, as a later entry of a mapping wins."""
    return [new for old, new in names.items() if old.lower() == name.lower()][-1]


def _without_constraints(read: AlterStatement) -> tuple[object, ...]:
    return [clause.kind for clause in read.clauses], dict(read.renames), read.added_columns, read.dropped_columns
