"""Servers that are set up in other ways: a migration under writes, and what it makes is what a direct `ALTER` would.

Settings that have nothing to do with each other share a server, since each start takes seconds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from osc.sandbox.orders import CORE_COLUMNS
from osc.sandbox.workload import Workload
from tests.conftest import StartServer
from tests.migration.encrypting import encrypting_server
from tests.migration.migrating import migrate, migrating, postponed
from tests.migration.tables import contents, make_table
from tests.servers import ServerUnderTest
from tests.types.comparing import compare_exactly

ALTER = "add column z int not null default 7, add index (z)"

COMMON = {
    "a minimal row image, loose, nothing committed by itself, every auto-increment under a lock": {
        "binlog_row_image": "MINIMAL",
        "sql_mode": "NO_ENGINE_SUBSTITUTION",
        "autocommit": "0",
        "innodb_autoinc_lock_mode": "0",
        "binlog_checksum": "NONE",
        "lower_case_table_names": "1",
    },
    "no blobs in the row image, strict, a zone with daylight saving": {
        "binlog_row_image": "NOBLOB",
        "sql_mode": "TRADITIONAL,ANSI_QUOTES,NO_BACKSLASH_ESCAPES",
        "default_time_zone": "SYSTEM",
        "innodb_autoinc_lock_mode": "1",
        "binlog_checksum": "CRC32",
    },
}
MYSQL = {
    "compressed transactions, full metadata, parts of JSON": {
        "binlog_transaction_compression": "ON",
        "binlog_row_metadata": "FULL",
        "binlog_row_value_options": "PARTIAL_JSON",
        "innodb_autoinc_lock_mode": "2",
    },
}
MARIADB = {
    "compressed events, full metadata": {
        "log_bin_compress": "ON",
        "log_bin_compress_min_len": "10",
        "binlog_row_metadata": "FULL",
        "innodb_autoinc_lock_mode": "2",
    },
    "no metadata, a row image without repetitions, reads that fail where a row has changed since": {
        "binlog_row_metadata": "NO_LOG",
        "binlog_row_image": "MINIMAL",
        "innodb_snapshot_isolation": "ON",
    },
}


def migrate_under_writes(server: ServerUnderTest) -> None:
    """The workload's table altered while it is written, and compared with a direct `ALTER`."""
    with (
        server.fresh_database() as database,
        Workload(server.root, database, "orders", writers=2, rate_per_writer=40, seed=3) as workload,
    ):
        workload.create(1_500)
        workload.start()
        workload.wait_for(30)
        run = migrate(server, database, "orders", ALTER, "--chunk-size", "300")
        assert run.exit_code == 0, str(run)
        assert run.finished["keys_reconciled"] != 0
        workload.wait_for(30)
        report = workload.stop()
        assert report.errors == ()
        verdict = workload.verify_against_direct_alter(ALTER)
        assert verdict.equal, str(verdict)


def _with_zone(options: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """`SYSTEM` is the zone of the server's environment: named zones would have to be loaded first."""
    if options.get("default_time_zone") == "SYSTEM":
        monkeypatch.setenv("TZ", "Europe/Berlin")
    return options


@pytest.mark.in_turn(reason="starts a server for each case")
@pytest.mark.parametrize("settings", COMMON)
def test_a_migration_under_writes_with(
    start_server: StartServer, settings: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate_under_writes(start_server(_with_zone(COMMON[settings], monkeypatch)))


@pytest.mark.only("mysql", reason="settings of MySQL")
@pytest.mark.parametrize("settings", MYSQL)
def test_a_migration_under_writes_on_mysql_with(start_server: StartServer, settings: str) -> None:
    migrate_under_writes(start_server(MYSQL[settings]))


@pytest.mark.only("mariadb", reason="settings of MariaDB")
@pytest.mark.parametrize("settings", MARIADB)
def test_a_migration_under_writes_on_mariadb_with(start_server: StartServer, settings: str) -> None:
    migrate_under_writes(start_server(MARIADB[settings]))


@pytest.mark.only("mysql", reason="MariaDB always has GTIDs")
def test_without_gtids_a_run_goes_on_by_file_and_position(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server({"gtid_mode": "OFF", "enforce_gtid_consistency": "OFF"})
    with (
        server.fresh_database() as database,
        Workload(server.root, database, "orders", writers=2, rate_per_writer=40, core_columns=CORE_COLUMNS) as workload,
    ):
        workload.create(1_500)
        workload.start()
        flag = tmp_path / "postpone"
        flag.touch()
        where = (server, database, "orders", ALTER, "--chunk-size", "20", "--postpone-cut-over-flag-file", str(flag))
        with migrating(*where) as running:
            running.wait_for("phase", phase="copy")
            running.process.kill()
            running.process.wait()
        [(checkpoint,)] = server.query("select value from _orders_ghc where id = 3", database=database)
        assert json.loads(str(checkpoint))["coordinate"]["gtid_set"] is None
        server.execute("flush binary logs")
        workload.wait_for(workload.committed_so_far + 30)
        with migrating(*where) as resuming:
            resuming.wait_for("phase", phase="ready")
            server.process.kill()
            server.process.start()
            workload.wait_for(workload.committed_so_far + 30)
            flag.unlink()
            run = resuming.end()
        assert run.exit_code == 0, str(run)
        assert run.of("started")[0]["resumed"] is True
        assert workload.stop().errors == ()
        verdict = workload.verify_against_direct_alter(ALTER)
        assert verdict.equal, str(verdict)


@pytest.mark.everyday("mysql-9.7", "mariadb-10.11", reason="one of each flavor: both send what they have decrypted")
def test_encrypted_binlogs_are_followed(server_name: str, tmp_path: Path) -> None:
    with encrypting_server(server_name, tmp_path) as server, server.fresh_database() as database:
        make_table(server, database, 100)
        with postponed(server, database, ALTER, tmp_path) as (running, let_go):
            server.execute(
                "update t set s = 'changed' where id = 1",
                "delete from t where id = 2",
                "flush binary logs",
                "insert into t (k, s) values (1, 'written last')",
                database=database,
            )
            let_go()
            run = running.end()
        assert run.exit_code == 0, str(run)
        assert contents(server, database, what="id, k, s") == contents(server, database, "_t_del")
        # What was written is in the binlog, and cannot be read in its files.
        files = list(server.process.data_directory.glob("binlog.0*"))
        assert len(files) == 2
        assert not any(b"written last" in file.read_bytes() for file in files)


@pytest.mark.only("mysql", reason="MariaDB has super_read_only from 12 on only")
def test_super_read_only_is_refused(start_server: StartServer) -> None:
    server = start_server()
    with server.fresh_database() as database:
        make_table(server, database, 10)
        server.execute("set global super_read_only = on")
        run = migrate(server, database, "t", ALTER)
        server.execute("set global super_read_only = off, global read_only = off")
    assert (run.exit_code, run.outcome) == (2, "refused"), str(run)
    assert "super_read_only" in run.error


def test_read_only_is_refused(start_server: StartServer) -> None:
    server = start_server()
    with server.fresh_database() as database:
        make_table(server, database, 10)
        server.execute("set global read_only = 1")
        run = migrate(server, database, "t", ALTER)
        server.execute("set global read_only = 0")
    assert (run.exit_code, run.outcome) == (2, "refused"), str(run)
    assert "read-only" in run.error


@pytest.mark.everyday("mysql-9.7", reason="the mode is left out of every session in the same way")
def test_a_server_that_pads_what_it_reads_has_keys_found_and_values_left_as_they_are(
    start_server: StartServer, tmp_path: Path
) -> None:
    server = start_server({"sql_mode": "PAD_CHAR_TO_FULL_LENGTH"})
    alter = "modify s varchar(30)"
    with server.fresh_database() as database:
        server.execute(
            "create table t (c char(10) primary key, s char(20))",
            "insert into t values ('a', 'copied'), ('b', 'to be changed'), ('c', 'to be deleted')",
            database=database,
        )
        with postponed(server, database, alter, tmp_path) as (running, let_go):
            server.execute(
                "set session sql_mode = ''",  # or nothing is equal to 'b' under a collation without padding
                "update t set s = 'changed' where c = 'b'",
                "delete from t where c = 'c'",
                "insert into t values ('d', 'written last')",
                database=database,
            )
            let_go()
            run = running.end()
        assert run.exit_code == 0, str(run)
        found = server.query("select trim(c), s from t order by c", database=database)
        assert found == (("a", "copied"), ("b", "changed"), ("d", "written last"))


def test_times_across_a_change_of_the_clocks_become_what_a_direct_alter_makes_of_them(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In Berlin 2:30 comes twice on 27 October 2024, and never on 31 March."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    server = start_server({"default_time_zone": "SYSTEM"})
    assert server.query("select unix_timestamp('2024-07-01 12:00:00')") == ((1719828000,),)
    alter = "modify a datetime(3), modify b varchar(40), modify c timestamp null, add column d timestamp default '2024-07-01'"
    with server.fresh_database() as database:
        server.execute(
            "create table t (id int primary key, a timestamp(6) null, b timestamp null, c datetime null, e timestamp null)",
            "set time_zone = '+00:00'",
            "insert into t values (1, '2024-10-27 00:30:00', '2024-10-27 00:30:00', '2024-10-27 02:30:00', '2024-10-27'),"
            " (2, '2024-10-27 01:30:00.5', '2024-10-27 01:30:00', '2024-03-31 03:30:00', '2024-10-27 01:30:00'),"
            " (3, null, '2024-03-31 01:00:00', '2024-07-01', '2024-03-31 00:59:59')",
            "create table expected like t",
            "insert into expected select * from t",
            "set time_zone = @@global.time_zone",
            f"alter table expected {alter}",
            database=database,
        )
        run = migrate(server, database, "t", alter)
        assert run.exit_code == 0, str(run)
        with closing(server.admin(database)) as connection:
            verdict = compare_exactly(connection, database, "expected", "t")
    assert verdict.equal, str(verdict)
