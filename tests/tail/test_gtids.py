from __future__ import annotations

from contextlib import closing
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osc.mysql.server import read_server
from osc.tail.coordinate import current_coordinate
from osc.tail.gtids import MariadbGtids, MysqlGtids
from tests.servers import ServerUnderTest
from tests.tail.following import following

A, B = "3e11fa47-71ca-11e1-9e33-c80aa9429562", "00000000-0000-0000-0000-00000000000b:tag"


@given(st.lists(st.tuples(st.sampled_from([A, B]), st.integers(1, 30))))
def test_a_set_holds_what_was_added_in_any_order_and_survives_being_written_and_read(
    added: list[tuple[str, int]],
) -> None:
    gtids = MysqlGtids()
    for source, number in added:
        gtids.add(source, number)
    found = set()
    for part in filter(None, gtids.text.split(",")):
        source = next(known for known in (A, B) if part.startswith(known))
        intervals = [interval.split("-") for interval in part[len(source) + 1 :].split(":")]
        bounds = [(int(interval[0]), int(interval[-1])) for interval in intervals]
        # In order, and with a gap between any two.
        assert all(last + 1 < first for (_, last), (first, _) in pairwise(bounds))
        found |= {(source, number) for first, last in bounds for number in range(first, last + 1)}
    assert found == set(added)
    assert MysqlGtids.parse(gtids.text).text == gtids.text


def test_a_set_as_the_server_writes_it_is_read() -> None:
    text = f"{A.upper()}:1-5:9,\n 00000000-0000-0000-0000-00000000000b:7:tag:1-3:5"
    gtids = MysqlGtids.parse(text)
    assert gtids.text == f"00000000-0000-0000-0000-00000000000b:7,{B}:1-3:5,{A}:1-5:9"
    assert gtids.has_tags
    assert not MysqlGtids.parse(A + ":1").has_tags
    assert MysqlGtids.parse("").text == ""
    with pytest.raises(ValueError, match="not a GTID set"):
        MysqlGtids.parse(A)


def test_a_mariadb_position_is_the_last_transaction_of_each_domain() -> None:
    gtids = MariadbGtids.parse("5-2-7,0-1-100")
    gtids.add(0, 3, 101)
    gtids.add(9, 1, 1)
    assert gtids.text == "0-3-101,5-2-7,9-1-1"


def test_the_set_behind_each_transaction_is_what_the_server_says_it_is(server: ServerUnderTest, table: str) -> None:
    with following(server, table) as follower, closing(server.admin(table)) as other, other.cursor() as cursor:
        facts = read_server(other)
        for number in range(3):
            follower.execute(f"insert into t values ({number}, 'x')")
            if server.is_mariadb:
                cursor.execute(f"set session gtid_domain_id = {number}, server_id = 77")
            cursor.execute(f"insert into other values ({number}, 0)")
            follower.execute("flush binary logs")
            follower.catch_up()
        end = current_coordinate(other, facts)
        cursor.execute("insert into other values (100, 0)")
        follower.execute("insert into other values (101, 0)")
        follower.catch_up()
        # The heartbeat's own transaction ends a moment after its row: one more, and the one before is complete.
        reached, _ = follower.tail.position
        assert reached.gtid_set is not None
        assert end.gtid_set is not None
        parse = MariadbGtids.parse if server.is_mariadb else MysqlGtids.parse
        assert reached > end
        assert parse(reached.gtid_set).text == reached.gtid_set
        with following(server, table, start=end) as later:
            later.catch_up()
            later.execute("insert into t values (1000, 'x')")
            later.take()
        assert later.tail.position[0] >= reached
        final = current_coordinate(other, facts)
        assert later.tail.position[0] == final


@pytest.mark.only("mysql", reason="MariaDB's ids have no tags")
def test_tagged_transactions_are_followed_by_file_and_position(server: ServerUnderTest, table: str) -> None:
    with following(server, table) as follower:
        assert follower.start.gtid_set
        follower.execute("set gtid_next = 'AUTOMATIC:osc_test'", "insert into t values (1, 'a')")
        follower.execute("set gtid_next = 'AUTOMATIC'", "insert into t values (2, 'b')")
        assert follower.take() == [frozenset({(1,)}), frozenset({(2,)})]
        place = follower.tail.checkpoint(None)
        assert place.gtid_set is None
    with closing(server.admin(table)) as admin:
        start = current_coordinate(admin, read_server(admin))
    assert start.gtid_set is not None
    assert ":osc_test:" in start.gtid_set
    with following(server, table, start=start) as later:
        later.execute("insert into t values (3, 'c')")
        assert later.take() == [frozenset({(3,)})]
