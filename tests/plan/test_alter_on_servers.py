"""An `ALTER` is read as the servers read it: a ghost filled by the mapping equals a table altered directly."""

from __future__ import annotations

import re
from contextlib import closing
from itertools import combinations

import pymysql
import pytest

from osc.mysql.names import folded
from osc.mysql.server import read_server
from osc.mysql.session import Conn
from osc.mysql.sql import columns_list, quote
from osc.plan.alter import parse_alter
from osc.plan.mapping import implicit_default, map_columns
from osc.plan.tokens import LexicalMode, tokenize
from osc.table.facts import Column, read_table
from tests.servers import ServerUnderTest

ROWS = "(1, 10, '100', 7, 1000), (2, 20, '200', 14, 2000), (3, 30, '300', 21, 3000)"
PLAIN = "create table `{}` (id int primary key, a int, b varchar(20), c int, é int, key ib (b))"
# MySQL renames no column that a generated column or a CHECK constraint uses, so this is a table apart.
RICH = (
    "create table `{}` (id int primary key, a int, b varchar(20), c int, é int,"
    " gv int generated always as (a * 2) virtual, gs int generated always as (a * 3) stored, check (c < 1000))"
)

ALTERS_OF_PLAIN = [
    "rename column a to b, rename column b to a",
    "change a b int, change b a varchar(40)",
    "rename column a to x, rename column b to a, rename column c to b",
    "rename column a to z, add column a int default 7",
    "drop column a, add column A int default 8",
    "change a b int, drop column b",
    "drop column a, change b a varchar(30)",
    "rename column A to aa, drop c, add c varchar(9) default ',drop b'",
    "rename column é to É",
    "rename column é to e, add ü int default 5",
    "change a 0X41 int, change c 1e int",
    "add 1$a int default 1, add 1ea int default 2, add $a int",
    "add `a``b` int default 3 comment 'x\\',y, drop b'",
    "add (p int default 1, q enum('x,y', ')') default 'x,y', key (p)), drop c",
    "modify a bigint first, modify b varchar(40) after a, drop column c",
    "/*!50000 add z int default 1, */ drop c",
    "add z int default 3 /*!50000 , drop c */ /*!99999 , drop b */",
    "add z int default 3 -- , drop a\n, drop c",
    "add z int default 0x41, add y bit(3) default b'101', add x binary(1) default x'41'",
    "add z int default 1 partition by hash(id) partitions 2",
    "engine innodb row_format dynamic comment 'a, drop b', force",
    "convert to character set utf8mb4",
]
ALTERS_OF_RICH = [
    "modify gs int",
    "change gs plain int",
    "modify c int generated always as (a + 1) stored",
    "drop gs, drop gv, change é gs int",
    "add n1 int not null, add n2 varchar(3) not null, add n3 enum('q', 'r') not null, add n4 set('x') not null,"
    " add n5 time not null, add n6 bit(3) not null, add n7 year not null, add n8 decimal(5, 2) not null,"
    " add n9 blob not null, add n10 binary(3) not null, add n11 double not null, add n12 text not null",
]
CONDITIONAL_ALTERS = [
    "add column if not exists a int default 3",
    "drop column a, add column if not exists a int default 3",
    "rename column a to z, add column if not exists a int default 3",
    "change column if exists nope a int",
    "rename column if exists nope to a",
    "drop column if exists nope, add nope int default 3",
]


def assert_the_ghost_equals_a_direct_alter(server: ServerUnderTest, database: str, create: str, alter: str) -> None:
    with closing(server.admin(database)) as admin, admin.cursor() as cursor:
        for table in ("original", "direct", "ghost"):
            cursor.execute(create.format(table))
        for table in ("original", "direct"):
            cursor.execute(f"insert into {table} (id, a, b, c, é) values {ROWS}")
        read = parse_alter(alter, LexicalMode.of(read_server(admin)))
        assert read.refusals == ()
        cursor.execute(f"alter table direct {alter}")
        cursor.execute(f"alter table ghost {read.clauses_sql}")
        ghost = columns_of(admin, database, "ghost")
        mapping = map_columns(
            columns_of(admin, database, "original"), ghost, read.renames, read.dropped_columns, read.added_columns
        )
        inserted = {pair.ghost.name: quote(pair.source.name) for pair in mapping.pairs}
        for column in mapping.without_default:
            value = implicit_default(column, zero_dates=False)
            assert value is not None
            inserted[column.name] = value
        cursor.execute(
            f"insert into ghost ({columns_list(inserted)}) select {', '.join(inserted.values())} from original"
        )
        assert [column.name for column in columns_of(admin, database, "direct")] == [column.name for column in ghost]
        rows = f"select {columns_list(column.name for column in ghost)} from {{}} order by id"
        cursor.execute(rows.format("ghost"))
        filled = cursor.fetchall()
        cursor.execute(rows.format("direct"))
        assert filled == cursor.fetchall()
        assert len(filled) == 3


def columns_of(admin: Conn, database: str, name: str) -> tuple[Column, ...]:
    table = read_table(admin, database, name)
    assert table is not None
    return table.columns


@pytest.mark.parametrize("alter", ALTERS_OF_PLAIN)
def test_a_ghost_filled_by_the_mapping_equals_a_direct_alter(
    server: ServerUnderTest, database: str, alter: str
) -> None:
    assert_the_ghost_equals_a_direct_alter(server, database, PLAIN, alter)


@pytest.mark.parametrize("alter", ALTERS_OF_RICH)
def test_generated_columns_and_implicit_defaults_end_up_as_in_a_direct_alter(
    server: ServerUnderTest, database: str, alter: str
) -> None:
    assert_the_ghost_equals_a_direct_alter(server, database, RICH, alter)


@pytest.mark.only("mariadb", reason="MySQL has no IF [NOT] EXISTS in an ALTER TABLE")
@pytest.mark.parametrize("alter", CONDITIONAL_ALTERS)
def test_conditional_clauses_end_up_as_in_a_direct_alter(server: ServerUnderTest, database: str, alter: str) -> None:
    assert_the_ghost_equals_a_direct_alter(server, database, PLAIN, alter)


@pytest.mark.only("mariadb", reason="types that MySQL does not have")
def test_implicit_defaults_of_mariadbs_own_types(server: ServerUnderTest, database: str) -> None:
    alter = "add u uuid not null, add i inet6 not null, add j inet4 not null"
    assert_the_ghost_equals_a_direct_alter(server, database, PLAIN, alter)


@pytest.mark.only(
    "mysql", reason="in MariaDB, JSON is a text with a CHECK constraint that a direct ALTER does not apply"
)
def test_the_implicit_default_of_json(server: ServerUnderTest, database: str) -> None:
    assert_the_ghost_equals_a_direct_alter(server, database, PLAIN, "add j json not null")


@pytest.mark.only("mysql", reason="CREATE TABLE .. LIKE renames CHECK constraints on MySQL only")
def test_dropping_a_check_constraint_works_on_the_ghost_under_its_new_name(
    server: ServerUnderTest, database: str
) -> None:
    with closing(server.admin(database)) as admin, admin.cursor() as cursor:
        cursor.execute("create table t (id int primary key, a int, constraint `low``est` check (a > 0))")
        cursor.execute("create table g like t")
        cursor.execute("show create table g")
        created = cursor.fetchone()
        assert created is not None
        (name_in_ghost,) = re.findall(r"CONSTRAINT `(\w+)` CHECK", str(created[1]))
        read = parse_alter("drop check `LOW``est`, add constraint `low``est` check (a > 1)")
        cursor.execute(
            "alter table g " + read.rewrite_constraint_names({"low`est": name_in_ghost}, {"low`est": "lowest_of_g"})
        )
        cursor.execute("show create table g")
        created = cursor.fetchone()
        assert created is not None
        assert re.findall(r"CONSTRAINT `(\w+)` CHECK", str(created[1])) == ["lowest_of_g"]


@pytest.mark.parametrize("mark", ["", "M"])
@pytest.mark.parametrize(
    "version",
    ["", "40000", "50699", "50700", "80000", "90100", "99999", "080000", "100000", "101100", "110900", "130000"],
)
def test_executable_comments_are_executed_by_the_same_servers(server: ServerUnderTest, mark: str, version: str) -> None:
    select = f"select 1 /*{mark}!{version} + 1 */"
    with closing(server.admin()) as admin:
        mode = LexicalMode.of(read_server(admin))
    executed = len(tokenize(select, mode).tokens) > 2
    assert server.query(select) == ((2 if executed else 1,),)


@pytest.mark.parametrize(
    "text",
    ["5--3", "5 --3\n", "5 -- 3", "5 # 3", "5 /* 3 */", "5 /*! - 3 */", "5-0x3", "5 /*!99999 it's */", "'a''b'",
     r"'a\'b'", r"'a\\'", '"a""b"', "5--\x01 3", "5 /* /* 3 */"],
)  # fmt: skip
def test_expressions_are_taken_apart_as_the_server_does(server: ServerUnderTest, text: str) -> None:
    """The tokens, written anew with blanks between them and without comments, mean the same to the server."""
    with closing(server.admin()) as admin:
        mode = LexicalMode.of(read_server(admin))
    anew = " ".join(text[token.start : token.end] for token in tokenize(text, mode).tokens)
    assert server.query(f"select {anew}") == server.query(f"select {text}")


def test_names_that_are_the_same_to_the_server_are_the_same_to_us(server: ServerUnderTest, database: str) -> None:
    names = tuple("éÉeEßẞİIiıΣςσ\u212aKkǄǆǅⅣⅳÅ\u212båaÿŸµμſsΩωάΆθϑϴΘ")
    with closing(server.admin(database)) as admin:
        theirs = {pair for pair in combinations(names, 2) if not both_fit_in_a_table(admin, *pair)}
    assert ("é", "É") in theirs
    assert ("e", "E") in theirs
    assert ("é", "e") not in theirs
    assert theirs <= {(name, other) for name, other in combinations(names, 2) if folded(name) == folded(other)}


def both_fit_in_a_table(admin: Conn, name: str, other: str) -> bool:
    with admin.cursor() as cursor:
        try:
            cursor.execute(f"create temporary table probe ({quote(name)} int, {quote(other)} int)")
        except pymysql.err.OperationalError as error:
            if error.args[0] != 1060:  # duplicate column name
                raise
            return False
        cursor.execute("drop temporary table probe")
        return True
