"""Random tables, rows, `ALTER`s and changes, as a scenario that can be run, and be printed as a script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from osc.mysql.sql import quote
from tests.types.catalogue import Kind

LOOSE = "set sql_mode = 'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO', time_zone = '+00:00'"
STRICT = "set sql_mode = 'STRICT_ALL_TABLES,ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO', time_zone = '+00:00'"

_NAMES = (
    *(
        "a",
        "B",
        "select",
        "group",
        "key",
        "a`b",
        "dol$lar",
        "$x",
        "ä",
        "名前",
        "with space",
        "per%cent",
        "quo'te",
        'dq"x',
    ),
    *("x" * 64, "1st", "no.dot", "back\\slash", "new", "order", "id_", "%s", "{}", "#hash", "--dash", "é" * 64),
)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A table, its first rows, what becomes of it, and what happens to its rows meanwhile."""

    create: tuple[str, ...]
    rows: tuple[str, ...]
    base_columns: tuple[str, ...]
    """Those that a row is inserted with."""
    alter: str
    changes: tuple[str, ...]
    chunk_rows: int

    @property
    def copied_directly(self) -> tuple[str, ...]:
        """Makes `expected` of the rows that the old table has in the end, and alters it directly."""
        columns = ", ".join(map(quote, self.base_columns))
        return (
            LOOSE,
            "create table expected like _t_del",
            f"insert into expected ({columns}) select {columns} from _t_del",
            STRICT,
            f"alter table expected {self.alter}",
        )

    def script(self) -> str:
        """A shell script that does the same with `osc` and a client, on a server of the reader's own."""
        return "\n".join(
            [
                "#!/bin/bash",
                "# usage: MYSQL_PWD=... reproduce.sh HOST PORT USER    (in a scratch database called osc_repro)",
                "set -eu; export MYSQL_PWD",
                'client() { mysql --force --binary-mode --default-character-set=utf8mb4 -h "$1" -P "$2" -u "$3" "${@:4}"; }',
                'login=("$1" "$2" "$3"); flag=$(mktemp)',
                *_here(["drop database if exists osc_repro", "create database osc_repro character set utf8mb4"]),
                *_here([LOOSE, *self.create, *self.rows], "osc_repro"),
                'osc migrate --host "$1" --port "$2" --user "$3" --database osc_repro --table t --strategy copy --yes \\',
                f'  --chunk-size {max(10, self.chunk_rows)} --postpone-cut-over-flag-file "$flag" --alter "$(cat <<\'ALTER\'',
                self.alter,
                "ALTER",
                ')" &',
                *_here([LOOSE, *self.changes], "osc_repro"),
                'rm "$flag"; wait',
                *_here([*self.copied_directly, "select * from expected", "select * from t"], "osc_repro"),
            ]
        )


def _here(statements: Sequence[str], database: str = "") -> list[str]:
    return [f"""client "${{login[@]}}" {database} <<'SQL'""", *(f"{statement};" for statement in statements), "SQL"]


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    kind: Kind
    suffix: str
    offset: int

    def value(self, row: int) -> str:
        if "not null" not in self.suffix and (row + self.offset) % 7 == 3:
            return "null"
        return self.kind.values[(row + self.offset) % len(self.kind.values)]


@st.composite
def scenarios(draw: st.DrawFn, kinds: Sequence[Kind], is_mariadb: bool) -> Scenario:
    """`kinds`: the types that the server has."""
    names = iter(draw(st.permutations(_NAMES)))
    columns = [_column(draw, next(names), kinds) for _ in range(draw(st.integers(1, 6)))]
    rows = draw(st.integers(0, 40))
    definitions = ["id int not null", *(f"{quote(c.name)} {c.kind.definition} {c.suffix}".strip() for c in columns)]
    definitions.append("u int null")
    key, key_columns = _key(draw, columns, is_mariadb)
    if draw(st.booleans()):
        definitions.append("unique key (u)" if draw(st.booleans()) else "key (u)")
    generated = draw(st.sampled_from(["", "", "virtual", "stored"]))
    if generated:
        definitions.insert(draw(st.integers(0, len(columns))), f"gen int generated always as (id % 100) {generated}")
    options = draw(st.sampled_from(["", "", "row_format=compressed", "row_format=compact", "comment='it''s'"]))
    partitions = ""
    if key == "primary key (id)" and "unique key (u)" not in definitions and draw(st.integers(0, 3)) == 0:
        partitions = "partition by hash (id) partitions 3"
    create = f"create table t ({', '.join([*definitions, *([key] if key else [])])}) {options} {partitions}".strip()
    before = []
    if not key:
        before = ["set sql_generate_invisible_primary_key = 1"]
    base = ("id", *(c.name for c in columns), "u")

    def insert(row: int, unique: int) -> str:
        values = ", ".join([str(row), *(c.value(row) for c in columns), str(unique) if unique % 5 else "null"])
        return f"insert into t ({', '.join(map(quote, base))}) values ({values})"

    def change(number: int) -> str:
        row = draw(st.integers(0, max(rows, 5)))
        match draw(st.integers(0, 6)):
            case 0:
                return insert(100 + number, draw(st.integers(0, 2 * rows + 2)))
            case 1:
                return f"delete from t where id = {row}"
            case 2:
                return f"update t set id = {draw(st.integers(-5, 2 * rows + 200))} where id = {row}"
            case 3:
                return f"update t set u = {draw(st.integers(0, 2 * rows + 2))} where id = {row}"
            case 4:
                return f"update t set u = -u where id between {row} and {row + 3}"
            case _:
                column = draw(st.sampled_from(columns))
                value = column.value(draw(st.integers(0, 20)))
                return f"update t set {quote(column.name)} = {value} where id = {row}"

    return Scenario(
        create=(*before, create),
        rows=tuple(insert(row, 2 * row + 1) for row in range(rows)),
        base_columns=base if key else (*base, "my_row_id"),
        alter=_alter(draw, columns, key_columns, list(names), bool(generated), bool(partitions)),
        changes=tuple(change(number) for number in range(draw(st.integers(0, 25)))),
        chunk_rows=draw(st.sampled_from([3, 10])),
    )


def _column(draw: st.DrawFn, name: str, kinds: Sequence[Kind]) -> _Column:
    kind = draw(st.sampled_from(kinds))
    suffix = draw(st.sampled_from(["null", "null", "not null", "null invisible", "null comment 'a''b'"]))
    if "timestamp" in kind.definition and "not null" in suffix:
        suffix = "not null default '2001-01-01'"
    return _Column(name, kind, suffix, draw(st.integers(0, 9)))


def _key(draw: st.DrawFn, columns: Sequence[_Column], is_mariadb: bool) -> tuple[str, set[str]]:
    """The definition of the key (empty: a generated invisible one), and the columns that it has."""
    able = [c for c in columns if c.kind.can_be_key and "not null" in c.suffix and _is_short(c.kind)]
    choices = ["id", "id", *(["none"] if not is_mariadb else []), *(["with", "behind", "unique"] if able else [])]
    match draw(st.sampled_from(choices)):
        case "id":
            return "primary key (id)", {"id"}
        case "none":
            return "", {"id"}
        case "with":
            column = draw(st.sampled_from(able))
            return f"primary key ({quote(column.name)}, id)", {"id", column.name}
        case "behind":
            column = draw(st.sampled_from(able))
            return f"primary key (id, {quote(column.name)})", {"id", column.name}
    column = draw(st.sampled_from(able))
    return f"unique key ({quote(column.name)}, id)", {"id", column.name}


def _is_short(kind: Kind) -> bool:
    """Whether it fits into a key, whatever the row format."""
    return not any(size in kind.definition for size in ("(300)", "(255)", "(200)"))


def _alter(
    draw: st.DrawFn, columns: Sequence[_Column], key: set[str], names: list[str], generated: bool, partitioned: bool
) -> str:
    clauses: list[str] = []
    for column in columns:
        name = quote(column.name)
        choice = draw(st.integers(0, 9))
        if column.name in key:
            if choice == 0:
                clauses.append(f"rename column {name} to {quote(names.pop())}")
        elif choice == 0:
            clauses.append(f"drop column {name}")
        elif choice == 1:
            clauses.append(f"rename column {name} to {quote(names.pop())}")
        elif choice in (2, 3) and column.kind.becomes:
            place = draw(st.sampled_from(["", "", " first", " after id"]))
            clauses.append(f"modify column {name} {draw(st.sampled_from(column.kind.becomes))} null{place}")
        elif choice == 4 and column.kind.becomes:
            new = draw(st.sampled_from(column.kind.becomes))
            clauses.append(f"change column {name} {quote(names.pop())} {new} null")
    extra = draw(st.sets(st.integers(0, 9), max_size=3))
    if 0 in extra:
        default = draw(
            st.sampled_from(["int not null default 7", "varchar(20) default 'ä'", "double not null", "text"])
        )
        clauses.append(f"add column {quote(names.pop())} {default}{draw(st.sampled_from(['', ' first', ' after id']))}")
    if 1 in extra:
        clauses.append("add index more (u, id)")
    if 2 in extra:
        clauses.append("add unique index strict (id, u)")
    if 3 in extra:
        clauses.append(f"row_format={draw(st.sampled_from(['dynamic', 'compact', 'redundant']))}")
    if 4 in extra and not generated:
        clauses.append(
            "add column g2 int generated always as (coalesce(u, 0) * 2) " + draw(st.sampled_from(["virtual", "stored"]))
        )
    if 6 in extra:
        clauses.append("alter column u set default 5")
    if 7 in extra:
        clauses.append("modify column id bigint not null")
    if 8 in extra:
        clauses.append("modify column u varchar(20) character set latin1")
    if 5 in extra and partitioned:
        return f"{', '.join(clauses)} remove partitioning".strip()  # no comma before it
    return ", ".join(clauses) if clauses else "engine=InnoDB"
