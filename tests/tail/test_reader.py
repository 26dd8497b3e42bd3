from __future__ import annotations

import re
from contextlib import closing

import pytest

from osc.errors import MigrationFailed, StatementLogged, TableChanged
from osc.mysql.server import Server, read_server
from osc.mysql.session import connection_id
from osc.tail.coordinate import Coordinate, current_coordinate
from osc.tail.events import IGNORABLE_FLAG, INCIDENT, TABLE_MAP
from osc.tail.progress import Progress
from osc.tail.reader import EventReader
from osc.tail.watch import Watch
from tests.servers import ServerUnderTest
from tests.tail.following import PATIENCE_S, Recorder, following, keys, own_session

FOREIGN_DEFINITIONS = (
    "alter table t add column x int",
    "alter table `t` comment 'x'",
    "/* a comment */ alter /* another */ table {database}.t engine=InnoDB",
    "/*!40000 alter table t disable keys */",
    "ALTER TABLE _t_gho ADD COLUMN x INT",
    "truncate table t",
    "truncate t",
    "truncate _t_gho",
    "drop table t",
    "drop table if exists nothing, t",
    "drop table _t_gho",
    "rename table t to u",
    "rename table other to o2, t to u",
    "rename table _t_gho to u",
    "alter table t rename to u",
    "create index i on t (v)",
    "create trigger x before insert on t for each row set @a = 1",
    "create table child (id int primary key, t int, foreign key (t) references t (id))",
    "alter table other add constraint f foreign key (id) references t (id)",
    "drop database {database}",
    "truncate _t_ghc",
)


@pytest.mark.parametrize("statement", FOREIGN_DEFINITIONS)
def test_a_definition_by_somebody_else_stops_the_tail_and_is_quoted(
    server: ServerUnderTest, table: str, statement: str
) -> None:
    with following(server, table) as follower:
        statement = statement.format(database=table)
        before = current_coordinate(follower.connection, read_server(follower.connection))
        follower.execute(statement)
        death = follower.death()
        assert isinstance(death, TableChanged), death
        assert f"connection {connection_id(follower.connection)} " in str(death)
        assert f"{table}." in str(death)
        assert re.search(r"before [\w.-]+:\d+\.", str(death))
        words = statement.replace("/*!40000 ", "").replace("/* a comment */ ", "").split()
        assert words[0].lower() in str(death).lower()
        coordinate, _ = follower.tail.position
        assert coordinate <= before
        with pytest.raises(TableChanged):
            follower.tail.raise_if_dead()


HARMLESS_DEFINITIONS = (
    "alter table other add column x int",
    "create table if not exists t (id int)",
    "create table tt like t",
    "create view tv as select * from t",
    "create temporary table t (id int)",
    "create table quoted (a int default 3 comment 'alter table t', `drop table t` int)",
    "rename table other to other2",
    "rename table other2 to other",
    "drop table if exists t2, t3",
    "create trigger o before insert on other for each row set @a = 1",
    "create procedure p() begin truncate table t; delete from t; end",
    "analyze table t",
    "create database `{database}_2`",
    "drop database if exists `{database}_2`",
    "create table other_child (id int primary key, foreign key (id) references other (id))",
)


def test_definitions_that_do_not_change_the_table_are_harmless(server: ServerUnderTest, table: str) -> None:
    with following(server, table) as follower:
        server.execute("create table other2_t (id int)", database=table)
        for statement in HARMLESS_DEFINITIONS:
            server.execute(statement.format(database=table), database=table)
            follower.catch_up()
        server.execute("create temporary table t (id int)", "insert into t values (5)", "drop table t", database=table)
        follower.execute("insert into t values (1, 'a')")
        assert follower.take() == [keys(1)]


def test_a_table_of_the_same_name_in_another_database_is_another_table(server: ServerUnderTest, table: str) -> None:
    with server.fresh_database() as elsewhere, following(server, table) as follower:
        server.execute(
            "create table t (id int primary key)",
            "insert into t values (1)",
            "alter table t add column x int",
            "truncate t",
            f"alter table {elsewhere}.t add column y int",
            "drop table t",
            database=elsewhere,
        )
        follower.execute("insert into t values (2, 'b')")
        assert follower.take() == [keys(2)]


def test_the_engines_own_definitions_are_no_surprise_and_its_swap_is_noticed(
    server: ServerUnderTest, table: str
) -> None:
    with own_session(server, table) as (cursor, follower):
        cursor.execute("alter table _t_gho add column x int")
        follower.execute("insert into t values (1, 'a')")
        follower.catch_up()
        assert follower.tail.wait_for_swap(0) is None
        cursor.execute("rename table t to _t_del, _t_gho to t")
        swap = follower.tail.wait_for_swap(PATIENCE_S)
        assert swap is not None
        assert swap.heartbeat == 1
        assert swap.rows_since_heartbeat == 0
        assert swap.coordinate <= current_coordinate(follower.connection, read_server(follower.connection))
        # The table of that name is the new one now: it has other columns, and nobody asks for its keys.
        follower.execute("insert into t values (5, 'new', 1)", "insert into _t_del values (6, 'old')")
        assert follower.take() == [keys(1)]


def test_a_row_between_the_last_heartbeat_and_the_swap_is_counted(server: ServerUnderTest, table: str) -> None:
    with own_session(server, table) as (cursor, follower):
        follower.catch_up()
        follower.execute("insert into t values (1, 'late'), (2, 'late')")
        cursor.execute("rename table t to _t_del, _t_gho to t")
        swap = follower.tail.wait_for_swap(PATIENCE_S)
        assert swap is not None
        assert swap.rows_since_heartbeat == 2


def test_a_key_column_of_another_type_means_another_table(server: ServerUnderTest, table: str) -> None:
    with following(server, table) as follower, closing(server.admin(table)) as unlogged, unlogged.cursor() as cursor:
        # Not in the binlog, as on a server whose changes come by another way.
        cursor.execute("set session sql_log_bin = 0")
        cursor.execute("alter table t modify id bigint not null")
        follower.execute("insert into t values (1, 'a')")
        assert isinstance(follower.death(), TableChanged)


@pytest.mark.parametrize(
    "statement",
    [
        "insert into other values (1, 1)",
        "update other set v = v + 1",
        "delete from other where id > 0",
        "replace into other values (1, 2)",
        "insert into other select id + 10, v from other",
        "update other, t set other.v = 1 where other.id = t.id",
    ],
)
def test_rows_written_in_statement_format_stop_the_tail(server: ServerUnderTest, table: str, statement: str) -> None:
    server.execute("insert into other values (5, 5)", database=table)
    with following(server, table) as follower:
        follower.execute("set session binlog_format = STATEMENT", statement)
        death = follower.death()
        assert isinstance(death, StatementLogged)
        assert statement[:10] in str(death)


def test_load_data_in_statement_format_stops_the_tail(server: ServerUnderTest, table: str) -> None:
    with closing(server.admin()) as admin, admin.cursor() as cursor:
        cursor.execute("select @@datadir, @@secure_file_priv")
        datadir, _ = cursor.fetchone() or ("", "")
    with following(server, table) as follower:
        follower.execute("insert into other values (41, 1)", f"select * from other into outfile '{datadir}{table}.txt'")
        follower.execute("delete from other", "set session binlog_format = STATEMENT")
        follower.execute(f"load data infile '{datadir}{table}.txt' into table other")
        assert isinstance(follower.death(), StatementLogged)


def test_temporary_tables_are_nobody_elses_business_in_statement_format(server: ServerUnderTest, table: str) -> None:
    with following(server, table) as follower:
        follower.execute(
            "set session binlog_format = STATEMENT",
            "create temporary table tmp (id int primary key, v int)",
            "insert into tmp (id, v) values (1, 1), (2, 2)",
            "update tmp set v = 3 where id = 1",
            "delete from tmp where id in (1)",
            "truncate table tmp",
            "drop temporary table tmp",
            "create temporary table t (id int)",
            "alter table t add column x int",
            "insert into t values (1, 1)",
            "drop table t",
        )
        follower.execute("create temporary table tmp (id int)" if server.is_mariadb else "do 0")
        follower.execute("drop temporary table if exists tmp", "set session binlog_format = ROW")
        follower.execute("insert into t values (7, 'g')")
        assert follower.take() == [keys(7)]


def test_names_in_the_clients_character_set_and_sql_mode_are_understood(server: ServerUnderTest, database: str) -> None:
    server.execute("create table t (id int primary key)", "create table `größe` (id int)", database=database)
    with following(server, database) as follower:
        follower.execute("set sql_mode = 'ANSI_QUOTES'")
        follower.connection.set_character_set("latin1")
        follower.execute('alter table "größe" add column "t" int')
        follower.connection.set_character_set("utf8mb4")
        follower.catch_up()
        follower.execute('alter table "t" add column x int')
        assert isinstance(follower.death(), TableChanged)


# --- what no server can be made to write in a test --------------------------------------------------------------------


def read_one(type_: int, body: bytes, flags: int = 0) -> None:
    server = Server("mysql", (9, 7, 0), "9.7.0", {})
    reader = EventReader(server, Watch("d", "t", ()), Recorder(), Progress(Coordinate("b.000001", 4), server), print)
    reader.read(type_, body, 1, flags, "b.000001", 100)


def test_events_that_the_server_lost_end_the_migration() -> None:
    with pytest.raises(MigrationFailed, match="lost events"):
        read_one(INCIDENT, bytes(10))


def test_an_unknown_event_ends_the_migration_unless_it_may_be_ignored() -> None:
    read_one(99, b"", IGNORABLE_FLAG)
    with pytest.raises(MigrationFailed, match=r"type 99 at b\.000001:100"):
        read_one(99, b"")


def test_an_event_that_is_cut_short_ends_the_migration_and_no_traceback_is_seen() -> None:
    with pytest.raises(MigrationFailed, match="cannot be read"):
        read_one(TABLE_MAP, b"\x01\0\0\0\0\0\x01\0\x05da")
