"""Every way in which a row of the ghost can be wrong is found, one at a time, and its key is named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager

import pytest

from osc.mysql.session import Conn, Sessions
from osc.options import MigrationOptions
from osc.plan.alter import parse_alter
from osc.prepare import prepare_tables
from osc.table.facts import read_table
from osc.table.names import names_for
from osc.table.ranges import Range
from osc.verify.compare import Comparison
from tests.servers import ServerUnderTest

ADDED = (
    "add column z int not null default 7, add column w varchar(5) collate utf8mb4_general_ci default 'q',"
    " add column n text, add column r decimal(5,2) not null, add column made datetime default now(),"
    " add column twice int as (i * 2) stored"
)

ALTERS = {"asked directly": ADDED, "by way of a twin": f"{ADDED}, modify column c decimal(24,6)"}

EVERYTHING = Range(0, None)

TABLE = (
    "create table t (id int primary key, i int, u bigint unsigned, s varchar(20), s2 varchar(20), ch char(5), tx text,"
    " f float, d double, c decimal(20,6), j json, ts timestamp null, dt datetime(6), tm time(3), y year, b varbinary(10),"
    " bl blob, e enum('x', 'y'), st set('p', 'q'), bt bit(8), g point) default charset utf8mb4 collate utf8mb4_general_ci"
)

ROW = (
    "insert into t select {id}, {id} * 10, 18446744073709551615 - {id}, concat('row ', {id}), 'ab', 'cd', 'long text', 0.1,"
    " 0.3, 1.000001, '{{\"a\": [1, 2], \"b\": 1}}', from_unixtime(1729989000), '2024-05-06 07:08:09.123456', '-01:02:03.004',"
    " 1999, x'6100', x'00ff', 'x', 'p', b'101', st_geomfromtext('point(1 2)')"
)

FOLD = "Test/Fold"
"""A time zone with an hour that comes twice: 1729989000 and the moment an hour later print the same."""

DAMAGES: Mapping[str, tuple[str, set[int]]] = {
    "a missing row": ("delete from {g} where id = 5", {5}),
    "a missing last row": ("delete from {g} where id = 9", {9}),
    "a row too many": ("update {g} set id = 50 where id = 5", {5, 50}),
    "a row too many at the front": ("update {g} set id = -1 where id = 9", {9, -1}),
    "a stale value": ("update {g} set i = i - 1 where id = 5", {5}),
    "values exchanged between two rows": ("update {g} set i = if(id = 3, 40, 30) where id in (3, 4)", {3, 4}),
    "texts exchanged between two rows": (
        "update {g} set s = if(id = 3, 'row 4', 'row 3') where id in (3, 4)",
        {3, 4},
    ),
    "whole rows exchanged": (
        "update {g} set i = 70 - i, u = if(id = 3, 18446744073709551611, 18446744073709551612),"
        " s = if(id = 3, 'row 4', 'row 3') where id in (3, 4)",
        {3, 4},
    ),
    "NULL for an empty string": ("update {g} set s2 = null where id = 2", {2}),
    "an empty string for NULL": ("update {g} set s2 = '' where id = 1", {1}),
    "NULL moved to the neighbour": ("update {g} set s = null, s2 = 'row 1' where id = 1", {1}),
    "a letter moved to the neighbour": ("update {g} set s = 'row 5a', s2 = 'b' where id = 5", {5}),
    "a trailing space": ("update {g} set s = concat(s, ' ') where id = 5", {5}),
    "a trailing space of a text": ("update {g} set tx = concat(tx, ' ') where id = 5", {5}),
    "another case": ("update {g} set s = upper(s) where id = 5", {5}),
    "an accent": ("update {g} set ch = 'cď' where id = 5", {5}),
    "the last digit of a float": ("update {g} set f = 0.10000001 where id = 5", {5}),
    "the last digit of a double": ("update {g} set d = 0.1e0 + 0.2e0 where id = 5", {5}),
    "the last digit of a decimal": ("update {g} set c = c + 0.000001 where id = 5", {5}),
    "the last digit of a large number": ("update {g} set u = u - 1 where id = 5", {5}),
    "a JSON list in another order": ('update {g} set j = \'{{"a": [2, 1], "b": 1}}\' where id = 5', {5}),
    "a JSON number of another kind": (
        # To MySQL 1 and 1.0 are the same, and it would not write the one over the other.
        'update {g} set j = null where id = 5; update {g} set j = \'{{"a": [1, 2], "b": 1.0}}\' where id = 5',
        {5},
    ),
    "a JSON null for NULL": ("update {g} set j = 'null' where id = 1", {1}),
    "the other hour of a fold": (
        "set time_zone = '+00:00'; update {g} set ts = from_unixtime(1729992600) where id = 5; set time_zone = '{zone}'",
        {5},
    ),
    "a microsecond": ("update {g} set dt = dt + interval 1 microsecond where id = 5", {5}),
    "the sign of a time": ("update {g} set tm = '01:02:03.004' where id = 5", {5}),
    "a year": ("update {g} set y = 2000 where id = 5", {5}),
    "a trailing zero byte": ("update {g} set b = x'61' where id = 5", {5}),
    "a byte of a blob": ("update {g} set bl = x'00fe' where id = 5", {5}),
    "another value of an enum": ("update {g} set e = 'y' where id = 5", {5}),
    "another member of a set": ("update {g} set st = 'p,q' where id = 5", {5}),
    "a bit": ("update {g} set bt = b'111' where id = 5", {5}),
    "a point": ("update {g} set g = st_geomfromtext('point(1 3)') where id = 5", {5}),
    "an added column without its default": ("update {g} set z = 8 where id = 5", {5}),
    "an added column in another case": ("update {g} set w = 'Q' where id = 5", {5}),
    "an added column that is not NULL": ("update {g} set n = '' where id = 5", {5}),
    "an added column without its filler": ("update {g} set r = 0.01 where id = 5", {5}),
}


@pytest.fixture
def fold(server: ServerUnderTest) -> Iterator[str]:
    """A time zone of this test's own."""
    server.execute(
        "replace into time_zone (time_zone_id, use_leap_seconds) values (990, 'N')",
        f"replace into time_zone_name (name, time_zone_id) values ('{FOLD}', 990)",
        "replace into time_zone_transition_type (time_zone_id, transition_type_id, `offset`, is_dst, abbreviation)"
        " values (990, 0, 7200, 1, 'S'), (990, 1, 3600, 0, 'W')",
        "replace into time_zone_transition (time_zone_id, transition_time, transition_type_id)"
        " values (990, 1711846800, 0), (990, 1729990800, 1)",
        database="mysql",
    )
    yield FOLD
    tables = ("time_zone_transition", "time_zone_transition_type", "time_zone_name", "time_zone")
    server.execute(*(f"delete from {table} where time_zone_id = 990" for table in tables), database="mysql")


@contextmanager
def copied(sessions: Sessions, database: str, alter: str, zone: str) -> Iterator[tuple[Conn, Comparison]]:
    """A session that can compare `t` with its ghost, into which every row was copied."""
    names = names_for(database, "t")
    options = MigrationOptions(database, "t", alter)
    with closing(sessions.open("compare", {"time_zone": f"'{zone}'"})) as connection:
        source = read_table(connection, database, "t")
        assert source is not None
        prepared = prepare_tables(sessions, sessions, names, source, parse_alter(alter), options, pytest.fail)
        with connection.cursor() as cursor:
            cursor.execute(prepared.pair.projection.copy_range(EVERYTHING))
        comparison = prepared.pair.comparison
        comparison.prepare(connection)
        yield connection, comparison


@pytest.mark.parametrize("alter", ALTERS.values(), ids=list(ALTERS))
def test_every_kind_of_damage_is_found_and_its_rows_are_named(
    server: ServerUnderTest, database: str, alter: str, fold: str
) -> None:
    server.execute(TABLE, *(ROW.format(id=number) for number in range(1, 10)), database=database)
    server.execute(
        "update t set s2 = null, j = null where id = 1", "update t set s2 = '' where id = 2", database=database
    )
    found, seen_at_once = {}, {}
    with copied(Sessions(server.migrator), database, alter, fold) as (connection, comparison):
        assert comparison.needs_twin == (alter != ADDED)
        assert comparison.source_sum(connection, EVERYTHING) == comparison.ghost_sum(connection, EVERYTHING)
        assert comparison.differing_in_range(connection, EVERYTHING) == set()
        ghost = comparison.projection.ghost_table
        for name, (damage, _) in DAMAGES.items():
            with connection.cursor() as cursor:
                cursor.execute("set session autocommit = 0")
                for statement in damage.format(g=ghost, zone=fold).split("; "):
                    cursor.execute(statement)
            sums = comparison.source_sum(connection, EVERYTHING), comparison.ghost_sum(connection, EVERYTHING)
            seen_at_once[name] = sums[0] != sums[1]
            in_range = comparison.differing_in_range(connection, EVERYTHING)
            by_key = comparison.differing_keys(connection, [(number,) for number in range(-1, 60)])
            found[name] = {key[0] for key in in_range & by_key}
            connection.rollback()
    assert found == {name: keys for name, (_, keys) in DAMAGES.items()}
    assert all(seen_at_once.values()), seen_at_once
