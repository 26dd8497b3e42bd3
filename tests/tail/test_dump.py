from __future__ import annotations

import time
from contextlib import closing

import pytest

from osc.errors import BinlogGone, MigrationFailed, ServerLost
from osc.mysql.server import read_server
from osc.sandbox.replication import wait_for_replica
from osc.table.key import Key
from osc.tail.coordinate import Coordinate, binlog_files, current_coordinate
from osc.tail.dump import reader_ids_in_use
from osc.tail.tail import Tail
from tests.conftest import StartReplica, StartServer
from tests.servers import ServerUnderTest
from tests.tail.following import PATIENCE_S, Follower, following, keys


def dump_threads(server: ServerUnderTest) -> list[object]:
    return [
        row[0]
        for row in server.query("select id, command, user from information_schema.processlist")
        if str(row[1]).startswith("Binlog Dump") and row[2] == server.migrator.user
    ]


@pytest.mark.parametrize("by_gtid", [True, False], ids=["by GTID", "by file and position"])
def test_a_killed_dump_is_asked_for_again_and_nothing_is_missed(
    server: ServerUnderTest, table: str, by_gtid: bool
) -> None:
    with following(server, table, by_gtid=by_gtid) as follower:
        expected: set[Key] = set()
        for number in range(1, 6):
            follower.execute(f"insert into t values ({number}, 'x')")
            expected |= keys(number)
            if number > 1:
                for thread in dump_threads(server):
                    server.execute(f"kill {thread}")
            follower.execute(f"update t set v = 'y' where id = {number}")
            follower.catch_up()
        assert {key for _, told in follower.told.changes for key in told} == expected
        assert follower.tail.reconnects >= 4
        transactions = [transaction for transaction, _ in follower.told.changes]
        assert transactions == sorted(transactions)


def test_a_restarted_server_is_followed_on(start_server: StartServer) -> None:
    server = start_server()
    with server.fresh_database() as database:
        server.execute("create table t (id int not null primary key, v int)", database=database)
        with following(server, database) as follower:
            follower.execute("insert into t values (1, 1)")
            assert follower.take() == [keys(1)]
            follower.connection.close()
            server.process.kill()
            server.process.start()
            follower.connection = server.admin(database)
            # The table ids count from the beginning again.
            follower.execute("insert into t values (2, 2)")
            assert follower.take() == [keys(2)]
            assert follower.tail.reconnects >= 1


def test_a_server_that_stays_away_ends_the_tail(start_server: StartServer) -> None:
    server = start_server()
    with server.fresh_database() as database:
        server.execute("create table t (id int not null primary key, v int)", database=database)
        with following(server, database) as follower:
            follower.tail._patience_s = 1.0
            follower.connection.close()
            server.process.stop()
            death = follower.death()
            assert isinstance(death, ServerLost)
            assert death.resumable
            server.process.start()
            follower.connection = server.admin(database)


def test_a_purged_binlog_is_said_to_be_gone(start_server: StartServer) -> None:
    server = start_server()
    with server.fresh_database() as database:
        server.execute("create table t (id int not null primary key, v int)", database=database)
        with closing(server.admin(database)) as admin, admin.cursor() as cursor:
            facts = read_server(admin)
            start = current_coordinate(admin, facts)
            cursor.execute("insert into t values (1, 1)")
            for _ in range(3):
                cursor.execute("flush binary logs")
            while start.file in binlog_files(admin):
                # MariaDB keeps a file until InnoDB has written what is in it.
                cursor.execute(f"purge binary logs to '{current_coordinate(admin, facts).file}'")
        for by_gtid in (True, False):
            with following(server, database, start=start, by_gtid=by_gtid) as follower:
                death = follower.death()
                assert isinstance(death, BinlogGone), death
                assert "intact" in str(death)


def test_a_position_behind_the_end_of_the_binlog_is_said_to_be_gone(server: ServerUnderTest, table: str) -> None:
    with closing(server.admin(table)) as admin:
        end = current_coordinate(admin, read_server(admin))
    with following(server, table, start=Coordinate(end.file, end.position + (1 << 20)), by_gtid=False) as follower:
        assert isinstance(follower.death(), BinlogGone)


def test_the_tail_is_registered_under_its_server_id_and_another_one_may_not_have_it(
    server: ServerUnderTest, table: str
) -> None:
    with following(server, table) as follower:
        follower.catch_up()
        with closing(server.admin()) as admin:
            facts = read_server(admin)
            assert follower.tail.server_id in reader_ids_in_use(admin, facts)
            own = int(facts.variable("server_id"))
        second = Follower(server, table, server_id=own)
        with closing(second.connection), pytest.raises(MigrationFailed, match=str(own)):
            second.tail.start()


@pytest.mark.only("mariadb", reason="MySQL tells readers apart by their uuid")
def test_a_random_server_id_that_another_reader_takes_is_replaced_and_a_given_one_is_an_error(
    server: ServerUnderTest, table: str
) -> None:
    with following(server, table) as first:
        first.catch_up()
        taken = first.tail.server_id
        # The migrator may not see the readers of a MariaDB server, so nothing keeps a second one from the same id.
        with following(server, table, server_id=taken) as second:
            deadline = time.monotonic() + PATIENCE_S
            while first.tail.server_id == taken:
                assert time.monotonic() < deadline
                first.catch_up()
            with following(server, table, server_id=taken):
                death = second.death()
                assert isinstance(death, MigrationFailed)
                assert str(taken) in str(death)
            first.execute("insert into t values (1, 'a')")
            assert first.take()[-1] == keys(1)


def test_a_tail_stops_at_once_while_nothing_happens(server: ServerUnderTest, table: str) -> None:
    with following(server, table) as follower:
        follower.catch_up()
        follower.tail.stop()
        assert follower.tail.error is None
        follower.tail.raise_if_dead()


def test_an_account_without_the_privilege_is_told_which_grant_it_takes(server: ServerUnderTest, table: str) -> None:
    account = "'osc_nobody'@'%'"
    server.execute(f"drop user if exists {account}", f"create user {account} identified by 'x'")
    try:
        with closing(server.admin(table)) as admin:
            follower = Follower(server, table)
            follower.connection.close()
            follower.tail._settings = type(server.root)(
                host=server.host, port=server.port, user="osc_nobody", password="x"
            )
            with pytest.raises(MigrationFailed, match="REPLICATION SLAVE"):
                follower.tail.start()
            assert admin.open
    finally:
        server.execute(f"drop user {account}")


def test_a_server_without_checksums_and_one_that_changes_its_mind_are_read(start_server: StartServer) -> None:
    server = start_server({"binlog_checksum": "NONE"})
    with server.fresh_database() as database:
        server.execute("create table t (id int not null primary key, v int)", database=database)
        with following(server, database) as follower:
            follower.execute("insert into t values (1, 1)", "set global binlog_checksum = CRC32")
            follower.execute("insert into t values (2, 1)", "set global binlog_checksum = NONE")
            follower.execute("insert into t values (3, 1)")
            assert follower.take() == [keys(1), keys(2), keys(3)]
            assert follower.tail.reconnects == 0


def test_a_replica_tells_the_same_keys_as_its_primary(start_server: StartServer, start_replica: StartReplica) -> None:
    primary = start_server()
    replica = start_replica(primary)
    with primary.fresh_database() as database:
        primary.execute("create table t (id int not null primary key, v int)", database=database)
        follower = Follower(primary, database)
        with closing(follower.connection), closing(replica.admin()) as there:
            wait_for_replica(primary.process, replica.process)
            facts = read_server(there)
            start = current_coordinate(there, facts)
            tail = Tail(replica.root, facts, start, follower.tail._reader._watch, follower.told, server_id=None)
            tail.start()
            try:
                follower.tail = tail
                follower.execute("insert into t values (1, 1), (2, 2)", "update t set id = 3 where id = 1")
                assert follower.take() == [keys(1, 2), keys(1, 3)]
            finally:
                tail.stop()


def test_another_server_at_the_same_address_is_not_followed_on(start_server: StartServer) -> None:
    first, second = start_server(), start_server()
    with first.fresh_database() as database:
        first.execute("create table t (id int not null primary key, v int)", database=database)
        with following(first, database) as follower:
            follower.catch_up()
            # As after a failover behind a name or a virtual address.
            follower.tail._settings = second.root
            for thread in dump_threads(first):
                first.execute(f"kill {thread}")
            death = follower.death()
            assert isinstance(death, ServerLost)
            assert "another server" in str(death)
