from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest

from osc.mysql.server import read_server
from osc.mysql.session import SslMode
from osc.tail.coordinate import Coordinate, current_coordinate
from osc.tail.reader import xid_text
from tests.servers import ServerUnderTest
from tests.tail.following import PATIENCE_S, following, keys


@pytest.mark.parametrize("by_gtid", [True, False], ids=["by GTID", "by file and position"])
def test_transactions_are_numbered_as_received_and_each_key_comes_with_its_own(
    server: ServerUnderTest, table: str, by_gtid: bool
) -> None:
    server.execute("insert into t values (99, 'before the start')", database=table)
    with following(server, table, by_gtid=by_gtid) as follower:
        follower.execute("begin", "insert into t values (1, 'a')", "insert into t values (2, 'b')", "commit")
        follower.execute("insert into other values (1, 1)", "update t set id = 3 where id = 1")
        follower.execute("begin", "insert into t values (4, 'c')", "rollback", "delete from t where id = 2")
        follower.catch_up()
        assert follower.told.changes == [(1, keys(1)), (1, keys(2)), (3, keys(1, 3)), (4, keys(2))]
        coordinate, number = follower.tail.position
        assert number in (4, 5)
        assert coordinate > follower.start


@pytest.mark.in_turn(reason="what the reader does between two looks at the socket")
@pytest.mark.parametrize("mode", ["DISABLED", "PREFERRED"])
def test_whoever_waits_for_a_heartbeat_ends_the_nap(
    server: ServerUnderTest, table: str, monkeypatch: pytest.MonkeyPatch, mode: SslMode
) -> None:
    monkeypatch.setattr("osc.tail.tail.NAP_S", 2 * PATIENCE_S)
    with following(replace(server, migrator=replace(server.migrator, ssl_mode=mode)), table) as follower:
        for number in range(3):
            follower.execute(f"insert into t values ({number}, 'x')")
            assert follower.take() == [keys(number)]


def test_a_savepoint_does_not_end_a_transaction(server: ServerUnderTest, table: str) -> None:
    with following(server, table) as follower:
        follower.execute("begin", "insert into t values (1, 'a')", "savepoint s", "insert into t values (2, 'b')")
        follower.execute("rollback to s", "insert into t values (3, 'c')", "release savepoint s", "commit")
        follower.execute("insert into t values (4, 'd')")
        assert follower.take() == [keys(1, 3), keys(4)]


def test_what_others_write_to_other_tables_is_passed_over(server: ServerUnderTest, table: str) -> None:
    with following(server, table) as follower:
        follower.execute("insert into other values (1, 1), (2, 2)", "insert into _t_gho values (1, 'x')")
        follower.execute("create table T2 (id int primary key)", "insert into T2 values (1)")
        assert follower.take() == []
        counters = follower.tail.counters
        assert counters.skipped_row_events == 3
        assert counters.rows == 0
        assert counters.row_events == 4


@pytest.mark.parametrize("by_gtid", [True, False], ids=["by GTID", "by file and position"])
def test_from_every_checkpoint_a_later_tail_hears_of_every_later_transaction(
    server: ServerUnderTest, table: str, by_gtid: bool
) -> None:
    ids: dict[int, int] = {}
    places: dict[str, tuple[int, Coordinate]] = {}
    with following(server, table, by_gtid=by_gtid) as follower:
        number = 0
        while len(places) < 5:  # a tenth of a second apart
            number += 1
            follower.execute(
                "begin", f"insert into t values ({number}, 'x')", f"insert into other values ({number}, 1)"
            )
            follower.execute("commit", "insert into other values (-1, 1)", "delete from other where id = -1")
            if number % 7 == 0:
                follower.execute("flush binary logs")
            follower.catch_up()
            transaction = follower.told.changes[-1][0]
            ids[transaction] = number
            place = follower.tail.checkpoint(transaction)
            places.setdefault(str(place), (transaction, place))
        end = follower.tail.checkpoint(None)
        assert end <= current_coordinate(follower.connection, read_server(follower.connection))
    for oldest_pending, place in places.values():
        assert (place.gtid_set is not None) == by_gtid
        with following(server, table, start=place, by_gtid=by_gtid) as later:
            expected = [keys(number) for transaction, number in sorted(ids.items()) if transaction >= oldest_pending]
            found = later.take()
            assert found[len(found) - len(expected) :] == expected


def test_a_rotation_of_the_binlog_moves_the_end_into_the_new_file(server: ServerUnderTest, table: str) -> None:
    with following(server, table) as follower:
        follower.execute("insert into t values (1, 'a')", "flush binary logs", "flush binary logs")
        follower.execute("insert into t values (2, 'b')")
        assert follower.take() == [keys(1), keys(2)]
        assert follower.tail.checkpoint(None).file > follower.start.file


def test_rows_of_an_xa_transaction_are_told_at_its_prepare_and_its_end_by_the_same_xid(
    server: ServerUnderTest, table: str
) -> None:
    with following(server, table) as follower:
        follower.execute("xa start 'one', 'b', 3", "insert into t values (1, 'a'), (2, 'b')", "xa end 'one', 'b', 3")
        follower.execute("xa prepare 'one', 'b', 3")
        with closing(server.admin(table)) as other, other.cursor() as cursor:
            cursor.execute("insert into t values (10, 'in between')")
        ((format_id, global_length, branch_length, data),) = follower.query("xa recover")
        assert isinstance(data, str | bytes)
        raw = data.encode() if isinstance(data, str) else data
        assert isinstance(format_id, int)
        assert isinstance(global_length, int)
        assert isinstance(branch_length, int)
        xid = xid_text(format_id, raw[:global_length], raw[global_length:])
        follower.execute("xa commit 'one', 'b', 3")
        follower.execute("xa start 'two'", "delete from t where id = 2", "xa end 'two'", "xa prepare 'two'")
        follower.execute("xa rollback 'two'")
        assert follower.take() == [keys(10)]
        two = xid_text(1, b"two", b"")
        assert follower.told.prepares == [(1, xid, keys(1, 2)), (4, two, keys(2))]
        assert follower.told.decisions == [(3, xid, True), (5, two, False)]


def test_an_xa_commit_in_one_phase_tells_its_rows_like_any_commit(server: ServerUnderTest, table: str) -> None:
    with following(server, table) as follower:
        follower.execute("xa start 'one'", "insert into t values (1, 'a')", "xa end 'one'", "xa commit 'one' one phase")
        follower.execute("insert into t values (2, 'b')")
        assert follower.take() == [keys(1), keys(2)]
        assert follower.told.prepares == []
