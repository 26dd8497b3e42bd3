from __future__ import annotations

import random

import pytest

from osc.errors import MigrationFailed
from osc.table.key import Key
from tests.conftest import StartServer
from tests.servers import ServerUnderTest
from tests.tail.columns import KEY_TYPES, ColumnType, neighbours
from tests.tail.following import Follower, following

IMAGES = ("FULL", "MINIMAL", "NOBLOB")


def make_table(server: ServerUnderTest, database: str, *key: ColumnType) -> list[ColumnType]:
    """The table `t`: every other type around the key columns `k0`, `k1`, ..., and a number `n` to find a row by."""
    around = list(neighbours(server))
    half = len(around) // 2
    columns = [f"c{index} {column.definition}" for index, column in enumerate(around)]
    parts = [f"k{index} {column.definition} not null" for index, column in enumerate(key)]
    columns[half:half] = parts
    names = ", ".join(f"k{index}" for index in range(len(key)))
    server.execute(
        "set sql_mode = ''",
        f"create table t ({', '.join(columns)}, n int not null, primary key ({names})) row_format=dynamic",
        database=database,
    )
    return around


class Writer:
    """Writes random neighbours, and knows which keys each of its transactions changed."""

    def __init__(self, follower: Follower, around: list[ColumnType], seed: int) -> None:
        self.follower = follower
        self.expected: list[frozenset[Key]] = []
        self._around = around
        self._random = random.Random(seed)
        self._rows = 0

    def _neighbours(self) -> dict[str, str]:
        return {f"c{index}": self._random.choice(("null", *column.values)) for index, column in enumerate(self._around)}

    def insert(self, *rows: dict[str, str]) -> list[int]:
        """Insert rows with these key values in one statement; returns their numbers."""
        numbers = list(range(self._rows, self._rows + len(rows)))
        self._rows += len(rows)
        whole = [{**self._neighbours(), **row, "n": str(number)} for number, row in zip(numbers, rows, strict=True)]
        values = ", ".join("(" + ", ".join(row.values()) + ")" for row in whole)
        self.follower.execute(f"insert into t ({', '.join(whole[0])}) values {values}")
        self.expected.append(self.keys(numbers))
        return numbers

    def keys(self, numbers: list[int]) -> frozenset[Key]:
        found = self.follower.keys_in_table(f"n in ({', '.join(map(str, numbers))})")
        assert len(found) == len(numbers)
        return found

    def update(self, numbers: list[int], values: dict[str, str]) -> None:
        before = self.keys(numbers)
        changes = ", ".join(f"{column} = {value}" for column, value in values.items())
        self.follower.execute(f"update t set {changes} where n in ({', '.join(map(str, numbers))})")
        self.expected.append(before | self.keys(numbers))

    def update_a_neighbour(self, numbers: list[int]) -> None:
        column = self._random.randrange(len(self._around))
        self.check()
        self.follower.execute(f"update t set c{column} = null")  # so that the next one changes every row
        self.follower.take()
        self.update(numbers, {f"c{column}": self._around[column].values[-1]})

    def delete(self, numbers: list[int]) -> None:
        self.expected.append(self.keys(numbers))
        self.follower.execute(f"delete from t where n in ({', '.join(map(str, numbers))})")

    def check(self) -> None:
        told, expected = self.follower.take(), self.expected
        self.expected = []
        assert told == expected


@pytest.mark.parametrize(
    ("key_type", "image"),
    [(key_type, IMAGES[index % len(IMAGES)]) for index, key_type in enumerate(KEY_TYPES)],
    ids=lambda value: value.name if isinstance(value, ColumnType) else value,
)
def test_the_keys_of_inserts_updates_and_deletes_are_those_that_a_select_shows(
    server: ServerUnderTest, database: str, key_type: ColumnType, image: str
) -> None:
    around = make_table(server, database, key_type)
    with following(server, database, ["k0"]) as follower:
        writer = Writer(follower, around, seed=7)
        follower.execute(f"set session binlog_row_image = {image}")
        *others, last = key_type.values
        numbers = writer.insert(*({"k0": value} for value in others))
        writer.update_a_neighbour(numbers)
        writer.update(numbers[:1], {"k0": last})
        writer.delete(numbers)
        writer.check()


@pytest.mark.parametrize("seed", range(6))
def test_composite_keys_are_told_whole_in_every_row_image(server: ServerUnderTest, database: str, seed: int) -> None:
    chance = random.Random(seed)
    key = [
        kind
        for kind in chance.sample([kind for kind in KEY_TYPES if "255" not in kind.definition], 3)
        if len(kind.values) > 2
    ] or [KEY_TYPES[0]]
    around = make_table(server, database, *key)
    with following(server, database, [f"k{index}" for index in range(len(key))]) as follower:
        writer = Writer(follower, around, seed)
        for image in IMAGES:
            follower.execute(f"set session binlog_row_image = {image}")
            tuples = {tuple(chance.choice(kind.values[:-1]) for kind in key) for _ in range(4)}
            numbers = writer.insert(
                *({f"k{index}": value for index, value in enumerate(values)} for values in sorted(tuples))
            )
            # One part of the key only: the other parts are in the image before the update.
            part = chance.randrange(len(key))
            writer.update(numbers[:1], {f"k{part}": key[part].values[-1]})
            writer.update_a_neighbour(numbers)
            writer.delete(numbers)
            writer.check()


@pytest.mark.only("mariadb-11.8", reason="FULL_NODUP came with MariaDB 11.4")
def test_full_nodup_images_are_read(server: ServerUnderTest, database: str) -> None:
    around = make_table(server, database, ColumnType("int", ("1", "2", "3")), ColumnType("char(10)", ("'a'", "'b'")))
    with following(server, database, ["k0", "k1"]) as follower:
        writer = Writer(follower, around, 1)
        follower.execute("set session binlog_row_image = FULL_NODUP")
        numbers = writer.insert({"k0": "1", "k1": "'a'"}, {"k0": "2", "k1": "'b'"})
        writer.update(numbers[:1], {"k0": "3"})
        writer.update_a_neighbour(numbers)
        writer.delete(numbers)
        writer.check()


def test_a_key_column_that_a_minimal_image_leaves_out_of_an_insert_has_its_default(
    server: ServerUnderTest, database: str
) -> None:
    server.execute(
        "create table t (a int not null, b varchar(10) character set latin1 not null default 'x', v int,"
        " primary key (a, b))",
        database=database,
    )
    with following(server, database, ["a", "b"], defaults={1: b"x"}) as follower:
        follower.execute("set session binlog_row_image = MINIMAL", "insert into t (a) values (1)", "delete from t")
        assert follower.take() == [frozenset({(1, b"x")})] * 2


def test_an_insert_without_a_key_column_and_without_a_default_asks_for_full_images(
    server: ServerUnderTest, database: str
) -> None:
    server.execute("create table t (a int not null default 5, v int, primary key (a))", database=database)
    with following(server, database, ["a"]) as follower:
        follower.execute("set session binlog_row_image = MINIMAL", "insert into t (v) values (1)")
        death = follower.death()
        assert isinstance(death, MigrationFailed)
        assert "binlog_row_image=FULL" in str(death)


def test_a_key_that_is_not_the_servers_own_choice_asks_for_full_images(server: ServerUnderTest, database: str) -> None:
    server.execute(
        "create table t (id int not null primary key, u int not null unique, v int)",
        "insert into t values (1, 10, 0)",
        database=database,
    )
    with following(server, database, ["u"]) as follower:
        follower.execute("update t set v = 1")
        assert follower.take() == [frozenset({(10,)})]
        follower.execute("set session binlog_row_image = MINIMAL", "update t set v = 2")
        assert isinstance(follower.death(), MigrationFailed)


def test_rows_longer_than_a_packet_are_read(server: ServerUnderTest, database: str) -> None:
    server.execute(
        "create table t (id int not null primary key, a longblob, b longblob, c longblob, v int)", database=database
    )
    part = 8_000_000  # by default MariaDB makes no value beyond 16 MiB
    sizes = [*((1 << 24) - offset for offset in (0, 1, 40, 60, 70, 80, 100)), 35 << 20]
    with following(server, database) as follower:
        for number, size in enumerate(sizes):
            follower.execute(
                f"insert into t (id, a, b, c) select {number}, repeat('a', {part}),"
                f" repeat('b', {min(size, 3 * part) - part}), repeat('c', {max(0, size - 3 * part)})",
                f"update t set v = {number} where id = {number}",
            )
            ((length,),) = follower.query(f"select length(a) + length(b) + length(c) from t where id = {number}")
            assert length == size
        assert follower.take() == [frozenset({(number // 2,)}) for number in range(2 * len(sizes))]


@pytest.mark.only("mysql", reason="MySQL's own kind of compression")
def test_transactions_in_a_payload_event_are_read(server: ServerUnderTest, database: str) -> None:
    server.execute("create table t (id int not null primary key, v longtext)", database=database)
    with following(server, database) as follower:
        follower.execute("set session binlog_transaction_compression = ON")
        follower.execute("insert into t values (1, 'a'), (2, repeat('b', 3000000))")
        follower.execute("begin", "update t set id = 3 where id = 1", "delete from t where id = 2", "commit")
        follower.execute("begin", *(f"insert into t values ({number}, 'x')" for number in range(100, 400)), "commit")
        assert follower.take() == [
            frozenset({(1,), (2,)}),
            frozenset({(1,), (3,), (2,)}),
            frozenset({(number,) for number in range(100, 400)}),
        ]
        follower.execute("begin", "update t set v = 'z'", "update _t_ghc set counter = counter + 1", "commit")
        follower.catch_up()
        assert follower.told.beats == [1, 2, 3]


@pytest.mark.only("mariadb", reason="MariaDB's own kind of compression")
def test_compressed_row_and_query_events_are_read(start_server: StartServer) -> None:
    server = start_server({"log_bin_compress": "ON", "log_bin_compress_min_len": "10"})
    with server.fresh_database() as database:
        around = make_table(server, database, ColumnType("int", ("1", "2", "3")))
        with following(server, database, ["k0"]) as follower:
            writer = Writer(follower, around, 3)
            for image in IMAGES:
                follower.execute(f"set session binlog_row_image = {image}")
                numbers = writer.insert({"k0": "1"}, {"k0": "2"})
                writer.update_a_neighbour(numbers)
                writer.update(numbers[:1], {"k0": "3"})
                writer.delete(numbers)
                writer.check()
            follower.execute(f"alter table t comment '{'long ' * 100}'")
            assert "ALTER TABLE" in str(follower.death()).upper()


@pytest.mark.only("mariadb", reason="the format of times is MariaDB's own")
def test_times_in_mariadbs_old_format_are_read_and_passed_over(start_server: StartServer) -> None:
    server = start_server({"mysql56_temporal_format": "OFF"})
    with server.fresh_database() as database:
        for kind in KEY_TYPES:
            if kind.definition.startswith(("time(", "datetime(", "timestamp(")):
                server.execute("drop table if exists t", database=database)
                around = make_table(server, database, kind)
                with following(server, database, ["k0"]) as follower:
                    writer = Writer(follower, around, 5)
                    numbers = writer.insert(*({"k0": value} for value in kind.values[1:]))
                    writer.update(numbers[:1], {"k0": kind.values[0]})
                    writer.delete(numbers)
                    writer.check()


@pytest.mark.only("mysql", reason="partial JSON updates are MySQL's")
def test_partial_json_updates_are_read(server: ServerUnderTest, database: str) -> None:
    server.execute(
        "create table t (j json, id int not null primary key, k json, v int, l json)",
        'insert into t values (\'{"a": 1, "b": [1, 2, 3]}\', 1, \'{"c": "aaaaaaaaaaaaaaaaaaaa"}\', 0, \'[]\'),'
        " ('{\"a\": 1}', 2, null, 0, '{}')",
        database=database,
    )
    with following(server, database) as follower:
        for image in IMAGES:
            follower.execute(f"set session binlog_row_image = {image}, binlog_row_value_options = PARTIAL_JSON")
            follower.execute(
                "update t set j = json_set(j, '$.a', 3), v = v + 1",
                "update t set k = json_set(k, '$.c', 'b'), j = json_remove(j, '$.a') where id = 1",
                "update t set j = json_set(j, '$.a', 1), k = json_set(k, '$.c', 'aaaaaaaaaaaaaaaaaaaa')",
                "update t set id = id + 10, l = json_set(l, '$.a', 1)",
                "update t set id = id - 10, l = '[]'",
            )
            assert follower.take() == [
                frozenset({(1,), (2,)}),
                frozenset({(1,)}),
                frozenset({(1,), (2,)}),
                frozenset({(1,), (2,), (11,), (12,)}),
                frozenset({(1,), (2,), (11,), (12,)}),
            ]
