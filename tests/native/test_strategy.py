"""What the server can do itself is found, and nothing else is taken for it: judged by what the server then really does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager

import pymysql
import pytest

from bench.alters import ALTERS, TABLE
from osc.errors import Refused
from osc.mysql.session import Conn, Sessions
from osc.native.innodb import read_innodb, row_version_limit
from osc.native.scratch import scratch_copy
from osc.native.strategy import RowVersions, Strategy, StrategyKind, WantedStrategy, choose
from osc.plan.alter import parse_alter
from osc.state.table import SCRATCH_COMMENT
from osc.table.facts import Table, read_table
from tests.plan.looking import global_variable
from tests.servers import ServerUnderTest

ROWS = (
    "insert into t (id, a, b, d, e, txt) values"
    " (1, 1, 'one', 1.5, 'a', 'x'), (2, 2, 'two', 2.5, 'b', 'y'), (3, 3, null, null, null, null)"
)


BARE = TABLE.replace(" check (d < 500)", " key id_d (d)")
ODD_TABLES = {
    "partitioned": BARE.replace("unique key uc (id, c),", "") + " partition by hash (id) partitions 3",
    "compressed": BARE + " row_format = compressed",
    "with a fulltext index": BARE[:-1] + ", fulltext key ft (txt))",
    "redundant": BARE + " row_format = redundant",
    "without a primary key": BARE.replace(" auto_increment primary key", ""),
}
FEW_ALTERS = [
    "add column z int",
    "drop column txt",
    "drop column a",
    "add column z int as (a * 2) virtual",
    "rename column d to e2",
    "modify b varchar(40)",
    "modify c varchar(10) null default 'x'",
    "modify e enum('a', 'b', 'c')",
    "drop index ia",
    "add index iz (e)",
    "alter column c set default 'y'",
]


@contextmanager
def asking(server: ServerUnderTest, database: str) -> Iterator[tuple[Conn, Sessions]]:
    sessions = Sessions(server.migrator)
    with closing(sessions.open("ask")) as connection:
        yield connection, sessions


def table_now(connection: Conn, database: str) -> Table:
    found = read_table(connection, database, "t")
    assert found is not None
    return found


def asked(
    server: ServerUnderTest,
    database: str,
    alter: str,
    allow_inplace: bool = True,
    wanted: WantedStrategy = "auto",
    note: Callable[[str], None] = print,
) -> Strategy:
    """What is chosen for table `t`."""
    with asking(server, database) as (connection, sessions):
        table = table_now(connection, database)
        return choose(connection, sessions.server, table, parse_alter(alter), allow_inplace, wanted, note=note)


def ids(admin: Conn, server: ServerUnderTest, database: str) -> tuple[set[object], set[object]]:
    """The ids of `t` and of its indexes in InnoDB's dictionary, which a rebuild, or the build of an index, gives anew."""
    prefix = "innodb_sys_" if server.is_mariadb else "innodb_"
    with admin.cursor() as cursor:
        cursor.execute(f"select table_id from information_schema.{prefix}tables where name like '{database}/t%'")
        tables = {row[0] for row in cursor.fetchall()}
        assert tables
        marks = ", ".join(map(str, tables))
        cursor.execute(f"select index_id from information_schema.{prefix}indexes where table_id in ({marks})")
        return tables, {row[0] for row in cursor.fetchall()}


def really(admin: Conn, server: ServerUnderTest, database: str, alter: str) -> StrategyKind | str:
    """What the server does with the real table and its rows: the best algorithm that it takes, and what that did."""
    before = ids(admin, server, database)
    for algorithm in ("instant", "inplace, lock=none"):
        try:
            with admin.cursor() as cursor:
                cursor.execute(f"alter table t algorithm={algorithm}, {alter}")
        except pymysql.err.MySQLError:
            continue
        tables, indexes = ids(admin, server, database)
        is_rebuilt, is_built = tables != before[0], bool(indexes - before[1])
        if algorithm == "instant":
            return "instant" if not is_rebuilt and not is_built else "instant, but rows were touched"
        return "inplace-rebuild" if is_rebuilt else "inplace-build" if is_built else "inplace-metadata"
    return "copy"


Wrong = dict[str, tuple[str, str, str, tuple[tuple[str, str], ...]]]


def compare(
    server: ServerUnderTest, database: str, table: str, alters: Sequence[str]
) -> tuple[Wrong, set[StrategyKind | str]]:
    """What is chosen otherwise than it should be, and everything that the server did."""
    wrong: Wrong = {}
    found = set()
    with asking(server, database) as (connection, sessions), closing(server.admin(database)) as admin:
        for alter in alters:
            with admin.cursor() as cursor:
                cursor.execute("drop table if exists t")
                cursor.execute(table)
                cursor.execute(ROWS)
            chosen = choose(connection, sessions.server, table_now(connection, database), parse_alter(alter), True)
            truth = really(admin, server, database, alter)
            found.add(truth)
            if chosen.kind != truth:
                wrong[alter] = (chosen.kind, truth, chosen.why, chosen.refused)
    assert server.query("show tables", database) == (("t",),)
    return wrong, found


def test_the_way_that_is_chosen_is_the_best_that_the_server_takes(server: ServerUnderTest, database: str) -> None:
    wrong, found = compare(server, database, TABLE, ALTERS)
    assert wrong == {}
    assert found == {"instant", "inplace-metadata", "inplace-build", "inplace-rebuild", "copy"}


@pytest.mark.parametrize("kind", ODD_TABLES)
def test_so_it_is_for_tables_of_other_kinds(server: ServerUnderTest, database: str, kind: str) -> None:
    wrong, _ = compare(server, database, ODD_TABLES[kind], FEW_ALTERS)
    assert wrong == {}


def test_without_leave_an_in_place_build_is_a_copy_and_its_price_is_told(
    server: ServerUnderTest, database: str
) -> None:
    server.execute(TABLE, database=database)
    chosen = asked(server, database, "add index iz (d)", allow_inplace=False)
    assert (chosen.kind, chosen.statement, chosen.possible_inplace) == ("copy", None, "inplace-build")
    assert "replicas" in str(chosen.price)
    assert chosen.built_indexes == ("iz",)
    at_once = asked(server, database, "drop index ia", allow_inplace=False)
    assert (at_once.kind, at_once.price) == ("inplace-metadata", None)
    assert asked(server, database, "drop index ia", wanted="instant").kind == "copy"


# --- what only the table's history tells --------------------------------------------------------------------------


def test_a_fulltext_index_that_is_gone_still_counts(server: ServerUnderTest, database: str) -> None:
    server.execute(
        TABLE, ROWS, "alter table t add fulltext index f (txt)", "alter table t drop index f", database=database
    )
    with closing(server.admin(database)) as admin:
        chosen = asked(server, database, "add column z int")
        assert chosen.kind == really(admin, server, database, "add column z int") == "inplace-rebuild"


def test_the_row_format_of_its_day_still_counts(server: ServerUnderTest, database: str) -> None:
    alter = "modify c varchar(10) null default 'x'"
    with global_variable(server, "innodb_default_row_format", "redundant"):
        server.execute(TABLE, ROWS, database=database)
    with closing(server.admin(database)) as admin:
        chosen = asked(server, database, alter)
        assert chosen.kind == really(admin, server, database, alter)
        assert (chosen.kind == "instant") == server.is_mariadb


@pytest.mark.only("mysql", reason="MariaDB counts no row versions")
def test_earlier_instant_changes_are_repeated_on_the_empty_copy(server: ServerUnderTest, database: str) -> None:
    server.execute(
        TABLE,
        *(f"alter table t add column z{number} int, algorithm=instant" for number in range(3)),
        database=database,
    )
    assert asked(server, database, "drop column z1").row_versions == RowVersions(used=3, limit=255, needed=1)
    assert asked(server, database, "alter c set default 'z'").row_versions == RowVersions(used=3, limit=255, needed=0)
    with asking(server, database) as (connection, sessions):
        table = table_now(connection, database)
        with scratch_copy(connection, sessions.server, table, print) as scratch:
            found = read_innodb(connection, sessions.server, database, [scratch.name])
            assert found is not None
            assert found[scratch.name].row_versions == 3
            assert [column.name for column in scratch.table.columns] == [column.name for column in table.columns]


@pytest.mark.only("mysql", reason="MariaDB counts no row versions")
def test_a_table_with_no_row_version_left_is_not_altered_instantly(server: ServerUnderTest, database: str) -> None:
    with asking(server, database) as (_, sessions):
        limit = row_version_limit(sessions.server)
    # Each takes one, and the columns stay few.
    pairs = [("z", "y"), ("y", "z")] * limit
    changes = [
        f"alter table t drop column {old}, add column {new} int, algorithm=instant" for old, new in pairs[:limit]
    ]
    server.execute("create table t (id int primary key, z int)", *changes, database=database)
    chosen = asked(server, database, "add column w int")
    assert chosen.row_versions == RowVersions(used=limit, limit=limit, needed=0)
    assert chosen.kind == "inplace-rebuild"
    assert f"all {limit} row versions are used up" in chosen.why
    assert "Maximum row versions" in chosen.refused[0][1]
    with closing(server.admin(database)) as admin:
        assert really(admin, server, database, "add column w int") == "inplace-rebuild"


# --- the empty copy itself ----------------------------------------------------------------------------------------


def test_an_empty_copy_that_a_killed_run_left_is_named_and_gone_with_the_next(
    server: ServerUnderTest, database: str
) -> None:
    notes: list[str] = []
    server.execute(
        "create table t (id int primary key)",
        f"create table _t_ght (id int primary key, z int) comment = '{SCRATCH_COMMENT}'",
        database=database,
    )
    assert asked(server, database, "add column z int", note=notes.append).kind == "instant"
    # Killed right after it was made, before it was marked.
    server.execute("create table _t_ght like t", database=database)
    assert asked(server, database, "add column z int", note=notes.append).kind == "instant"
    assert notes == [f"an earlier run had left `{database}`.`_t_ght`; it is dropped"] * 2
    assert asked(server, database, "add column z int", note=notes.append).kind == "instant"
    assert len(notes) == 2
    assert server.query("show tables", database) == (("t",),)


@pytest.mark.parametrize("its", ["(id int primary key, other int)", "(id int primary key) as select 1 as id"])
@pytest.mark.everyday("mariadb-10.11", reason="nothing here differs by server")
def test_a_table_of_somebody_else_under_its_name_is_left_alone(
    server: ServerUnderTest, database: str, its: str
) -> None:
    server.execute("create table t (id int primary key)", f"create table _t_ght {its}", database=database)
    with pytest.raises(Refused, match="_t_ght` is taken"):
        asked(server, database, "add column z int")
    assert len(server.query("show tables", database)) == 2


def test_names_beyond_ascii_are_found_in_the_dictionary(server: ServerUnderTest, database: str) -> None:
    names = ["my-täble $", "plain", "plain2"]
    server.execute(
        f"create table `{names[0]}` (id int primary key) partition by hash (id) partitions 2",
        *(f"create table `{name}` (id int primary key)" for name in names[1:]),
        database=database,
    )
    with asking(server, database) as (connection, sessions):
        found = read_innodb(connection, sessions.server, database, names)
    assert found is not None
    assert [len(found[name].table_ids) for name in names] == [2, 1, 1]
    assert len({number for table in found.values() for number in table.table_ids}) == 4
