"""The ledger workload: what its writers say is what the server holds, and what is wrong in a table is found."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

import pytest

from osc.mysql.session import Sessions
from osc.sandbox.orders import ALTERS, KeyKind
from osc.sandbox.workload import Workload
from osc.sandbox.writer import WriterFailed
from tests.servers import ServerUnderTest

ROWS = 2_000
StartServer = Callable[..., ServerUnderTest]


def stored_rows(server: ServerUnderTest, database: str) -> set[tuple[object, ...]]:
    """The table as the server prints it."""
    with closing(Sessions(server.root).open("look")) as connection, connection.cursor() as cursor:
        cursor.execute(f"select * from {database}.orders")
        assert cursor.description is not None
        names = [item[0] for item in cursor.description]
        texts = [
            f"cast({name} as char)" if name in ("amount", "discount", "placed_at", "updated_at") else name
            for name in names
        ]
        cursor.execute(f"select {', '.join(texts)} from {database}.orders")
        return set(cursor.fetchall())


def rollbacks(server: ServerUnderTest) -> int:
    """How many ROLLBACK statements the server has executed."""
    ((_, count),) = server.query("show global status like 'Com_rollback'")
    return int(str(count))


@pytest.mark.parametrize("key", ["int", "composite", "string"])
def test_the_server_fills_the_table_with_the_values_that_the_ledger_expects(
    server: ServerUnderTest, database: str, key: KeyKind
) -> None:
    workload = Workload(server.root, database)
    workload.create(ROWS, key=key, secondary_unique=True)
    assert stored_rows(server, database) == set(workload.expected_rows())


@pytest.mark.in_turn(reason="the workload sends the same statements to every server")
@pytest.mark.parametrize("key", ["int", "composite", "string"])
@pytest.mark.parametrize("secondary_unique", [False, True])
def test_after_the_writers_the_table_is_what_they_say_they_committed(
    server: ServerUnderTest, database: str, key: KeyKind, secondary_unique: bool
) -> None:
    with Workload(server.root, database, writers=3) as workload:
        workload.create(ROWS, key=key, secondary_unique=secondary_unique)
        workload.start()
        workload.wait_for(300)
        report = workload.stop()
        assert report.errors == ()
        assert report.transactions >= 300
        assert report.rolled_back > 0
        assert stored_rows(server, database) == set(workload.expected_rows())
        comparison = workload.verify_against_direct_alter()
    assert comparison.equal, str(comparison)


@pytest.mark.in_turn(reason="tests/migration/test_ledger.py has every ALTER on every server")
@pytest.mark.parametrize("kind", ALTERS)
def test_the_writers_live_through_every_example_of_an_alter(server: ServerUnderTest, database: str, kind: str) -> None:
    with Workload(server.root, database, writers=2) as workload:
        workload.create(ROWS)
        workload.start()
        workload.wait_for(50)
        # The server's own ALTER, while they write: they wait, and go on with the new table.
        server.execute(f"alter table orders {ALTERS[kind]}", database=database)
        workload.wait_for(workload.committed_so_far + 100)
        report = workload.stop()
        assert report.errors == ()
        comparison = workload.verify_against_direct_alter(ALTERS[kind])
    assert comparison.equal, str(comparison)


def test_writers_go_on_after_a_stop(server: ServerUnderTest, database: str) -> None:
    with Workload(server.root, database, writers=2) as workload:
        workload.create(ROWS, secondary_unique=True)
        for _ in range(2):
            workload.start()
            workload.wait_for(100)
            assert workload.stop().errors == ()
        assert workload.verify_against_direct_alter().equal


@pytest.mark.parametrize(
    ("damage", "counts"),
    [
        ("delete from orders where id = 4", (1, 0, 0)),
        ("insert into orders (id, updated_at) values (3, '2024-01-01')", (0, 1, 0)),
        ("update orders set note = concat(note, ' '), updated_at = updated_at where id = 8", (0, 0, 1)),
        (
            "update orders a join orders b on (a.id, b.id) in ((20, 36), (36, 20))"
            " set a.city = b.city, a.updated_at = a.updated_at",
            (0, 0, 2),
        ),
    ],
)
def test_damage_in_the_table_is_found(
    server: ServerUnderTest, database: str, damage: str, counts: tuple[int, int, int]
) -> None:
    workload = Workload(server.root, database)
    workload.create(100)
    server.execute(damage, database=database)
    comparison = workload.verify_against_direct_alter()
    assert (comparison.missing, comparison.unexpected, comparison.different) == counts
    assert not comparison.equal


def test_a_row_that_vanishes_under_the_writers_is_an_error_of_theirs(server: ServerUnderTest, database: str) -> None:
    with Workload(server.root, database, writers=2) as workload:
        workload.create(50)
        server.execute("delete from orders", database=database)
        workload.start()
        workload.wait_for(20)
        report = workload.stop()
    assert report.errors_by_code[0] > 0
    assert "rows instead of" in str(report.errors[0]) or "found None" in str(report.errors[0])


def test_a_table_that_is_missing_for_a_moment_is_reported_verbatim(server: ServerUnderTest, database: str) -> None:
    with Workload(server.root, database, writers=2) as workload:
        workload.create(ROWS)
        workload.start()
        workload.wait_for(50)
        server.execute("rename table orders to elsewhere", database=database)
        # The rename waited for every transaction on the table, so whoever rolls back from now on has met the gap.
        before = rollbacks(server)
        while rollbacks(server) == before:
            assert workload.is_running
        server.execute("rename table elsewhere to orders", database=database)
        workload.wait_for(workload.committed_so_far + 50)
        report = workload.stop()
        assert workload.verify_against_direct_alter().equal
    assert set(report.errors_by_code) == {1146}
    assert "doesn't exist" in report.errors[0].message


def test_a_column_that_is_missing_is_reported(server: ServerUnderTest, database: str) -> None:
    with Workload(server.root, database, writers=1) as workload:
        workload.create(ROWS)
        server.execute("alter table orders rename column note to remark", database=database)
        workload.start()
        workload.wait_for(5)
        report = workload.stop()
    assert report.errors_by_code[1054] > 0


def test_a_commit_whose_answer_was_lost_is_looked_up(start_server: StartServer) -> None:
    server = start_server()
    server.execute("create database app")
    with Workload(server.root, "app") as workload:
        workload.create(ROWS, secondary_unique=True)
        workload.start()
        for round_number in range(1, 4):
            workload.wait_for(100 * round_number)
            server.process.kill()
            server.process.start()
        workload.wait_for(workload.committed_so_far + 100)
        report = workload.stop()
        assert report.reconnects >= 4 * 3
        assert report.errors == ()
        comparison = workload.verify_against_direct_alter()
    assert comparison.equal, str(comparison)


def test_connections_that_are_killed_lose_nothing(server: ServerUnderTest, database: str) -> None:
    with Workload(server.root, database, writers=3) as workload:
        workload.create(ROWS)
        workload.start()
        for round_number in range(1, 11):
            workload.wait_for(30 * round_number)
            writers = "select id from information_schema.processlist where db = %s and id <> connection_id()"
            with closing(server.admin()) as admin, admin.cursor() as cursor:
                cursor.execute(writers, (database,))
                for (number,) in cursor.fetchall():
                    # It may have gone since: nothing else ends it, so that is an earlier round's.
                    cursor.execute(f"kill {number}")
        report = workload.stop()
        comparison = workload.verify_against_direct_alter()
    assert report.errors == ()
    assert comparison.equal, str(comparison)


def test_with_a_fixed_rate_a_stall_shows_in_all_that_queued_behind_it(server: ServerUnderTest, database: str) -> None:
    with Workload(server.root, database, writers=2, rate_per_writer=50) as workload:
        workload.create(ROWS)
        workload.start()
        workload.wait_for(20)
        server.execute("lock tables orders write", "do sleep(1)", "unlock tables", database=database)
        workload.wait_for(workload.committed_so_far + 50)
        report = workload.stop()
    # Without the schedule only one transaction of each writer would have waited.
    late = [took for took in report.latencies.durations_s if took > 0.1]
    assert len(late) > 20
    assert report.longest_stall_ms > 900


def test_the_report_has_a_latency_for_every_attempt(server: ServerUnderTest, database: str) -> None:
    with Workload(server.root, database, writers=2) as workload:
        workload.create(100)
        workload.start()
        workload.wait_for(50)
        report = workload.stop()
    attempts = report.transactions + report.rolled_back + sum(report.retryable.values())
    summary = report.latencies.summary()
    assert summary.transactions == len(report.latencies) == attempts
    assert 0 < summary.p50_ms <= summary.p99_ms <= summary.worst_ms == report.longest_stall_ms


def test_writers_that_cannot_connect_say_so(server: ServerUnderTest, database: str) -> None:
    with Workload(server.root, database, writers=1) as workload:
        workload.create(10)
        workload._settings = replace(server.root, socket=None, user="nobody")
        with pytest.raises(WriterFailed, match="nobody"):
            workload.start()
