"""Row events of many packets, and a reader that is made to wait because memory bounds what it may take in."""

from __future__ import annotations

import threading
import tracemalloc

from osc.control.stop import StopRequest
from osc.reconcile.intake import Intake
from osc.reconcile.pending import PendingSet, bytes_of
from osc.table.key import Key
from tests.conftest import StartServer
from tests.servers import ServerUnderTest
from tests.tail.following import following, keys

MIB = 1 << 20


def test_rows_of_many_packets_are_told_and_those_of_other_tables_take_no_memory(start_server: StartServer) -> None:
    server = start_server({"max_allowed_packet": "128M"})
    with server.fresh_database() as database:
        server.execute(
            "create table t (id int not null primary key, v longblob)",
            "create table _t_gho like t",
            database=database,
        )
        with following(server, database) as follower:
            follower.catch_up()
            # A whole packet, 16 MiB less a byte, is followed by another one, which may be empty.
            follower.execute("insert into t values (1, repeat('x', 20 * 1048576)), (2, 'small')")
            follower.execute("insert into t values (3, repeat('y', 40 * 1048576))")
            assert follower.take() == [keys(1, 2), keys(3)]
            tracemalloc.start()
            try:
                follower.execute("insert into _t_gho select * from t", "insert into t values (4, 'z')")
                assert follower.take() == [keys(4)]
                _, most = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert most < 4 * MIB
            assert follower.tail.counters.bytes > 120 * MIB


def test_a_run_that_is_to_stop_leaves_no_key_out() -> None:
    pending, stop = PendingSet(most_bytes=1), StopRequest()
    stop.request("a test")
    intake = Intake(pending, stop, print)
    intake.add([(1,)], 1)
    intake.add([(2,)], 2)
    assert pending.take() == {(1,): 1, (2,): 2}


def test_a_reader_without_room_waits_and_then_tells_all_the_rest(server: ServerUnderTest, table: str) -> None:
    rows, room = 2_000, 100
    pending = PendingSet(most_bytes=bytes_of((1_000,)) * room)
    warnings: list[str] = []
    waits = threading.Event()

    def warn(text: str) -> None:
        warnings.append(text)
        waits.set()

    with following(server, table) as follower:
        follower.told.changed = Intake(pending, StopRequest(), warn).add  # type: ignore[method-assign]
        for first in range(0, rows, 10):
            follower.execute(
                "insert into t values " + ", ".join(f"({number}, 'v')" for number in range(first, first + 10))
            )
        assert waits.wait(60)
        told: set[Key] = set()
        while len(told) < rows:
            assert pending.wait_for_keys(60)
            batch = pending.take()
            # One event may come on top of what there is room for.
            assert len(batch) <= room + 10
            told.update(batch)
            pending.reconciled(batch)
        follower.catch_up()
    assert told == {(number,) for number in range(rows)}
    assert len(warnings) == 1
    assert "--max-memory" in warnings[0]
