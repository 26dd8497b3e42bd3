"""Throwaway servers: what they promise when they start, stop, crash and replicate."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pymysql
import pytest

from osc.sandbox.distributions import SandboxError
from osc.sandbox.replication import wait_for_replica
from osc.sandbox.servers import LocalServer
from tests.servers import ServerUnderTest

StartServer = Callable[..., ServerUnderTest]


def test_a_server_of_the_session_logs_rows_durably(server: ServerUnderTest) -> None:
    settings = "@@log_bin, @@binlog_format, @@binlog_row_image, @@sync_binlog, @@innodb_flush_log_at_trx_commit"
    assert server.query(f"SELECT {settings}") == ((1, "ROW", "FULL", 1, 1),)


def test_a_server_is_of_the_series_in_its_name(server: ServerUnderTest) -> None:
    assert server.name == f"{server.flavor}-{server.version[0]}.{server.version[1]}"


def test_the_migrator_may_migrate_in_its_database_and_is_not_root(server: ServerUnderTest, database: str) -> None:
    server.execute("CREATE TABLE secret (id int PRIMARY KEY)", database="mysql")
    try:
        with closing(server.connect(database)) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE t (id int PRIMARY KEY)")
            cursor.execute("INSERT INTO t VALUES (1)")
            with pytest.raises(pymysql.err.OperationalError, match="denied"):
                cursor.execute("SELECT * FROM mysql.secret")
    finally:
        server.execute("DROP TABLE mysql.secret")


def test_nobody_gets_in_over_the_loopback_port_without_a_password(server: ServerUnderTest) -> None:
    with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
        pymysql.connect(host=server.host, port=server.port, user="root", password="")


def test_a_committed_row_outlives_a_crash(start_server: StartServer) -> None:
    server = start_server()
    server.execute("CREATE DATABASE d", "CREATE TABLE d.t (id int PRIMARY KEY)", "INSERT INTO d.t VALUES (7)")
    server.process.kill()
    assert not server.process.running
    server.process.start()
    assert server.query("SELECT id FROM d.t") == ((7,),)


@pytest.mark.everyday("mariadb-10.11", reason="the same script stands before each server")
def test_a_server_that_crashes_in_its_recovery_is_started_again_on_its_port(server_name: str, tmp_path: Path) -> None:
    with LocalServer(server_name) as server:
        port, real = server.port, server.installed.bin / "mysqld"
        server.kill()
        once = tmp_path / "bin/mysqld"
        once.parent.mkdir()
        crash = f"[ -e {tmp_path}/crashed ] || {{ touch {tmp_path}/crashed; kill -SEGV $$; }}"
        once.write_text(f'#!/bin/sh\n{crash}\nexec {real} "$@"\n')
        once.chmod(0o755)
        server.installed = replace(server.installed, folder=tmp_path)
        server.start()
        assert (tmp_path / "crashed").exists()
        assert (server.running, server.port) == (True, port)


def test_options_override_the_defaults_also_after_a_restart(start_server: StartServer) -> None:
    server = start_server({"binlog_row_image": "MINIMAL"})
    assert server.query("SELECT @@GLOBAL.binlog_row_image") == (("MINIMAL",),)
    port = server.port
    server.process.restart({"binlog-format": "MIXED"})
    assert server.process.port == port
    assert server.query("SELECT @@GLOBAL.binlog_row_image, @@GLOBAL.binlog_format") == (("MINIMAL", "MIXED"),)


def test_an_option_that_a_data_directory_keeps_for_life_is_there_from_its_birth(start_server: StartServer) -> None:
    server = start_server({"innodb_page_size": "8k", "lower_case_table_names": "1"})
    assert server.query("SELECT @@innodb_page_size, @@lower_case_table_names") == ((8192, 1),)


def test_a_server_that_cannot_start_says_why_and_leaves_nothing(server_name: str, tmp_path: Path) -> None:
    with (
        pytest.raises(SandboxError, match="no-such-option"),
        LocalServer(server_name, {"no_such_option": "1"}, directory=tmp_path),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_left_leaves_nothing(server_name: str, tmp_path: Path) -> None:
    with LocalServer(server_name, directory=tmp_path) as server:
        pid = server.pid
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []
    assert not Path(f"/proc/{pid}").exists()


def test_a_replica_follows_its_primary(
    start_server: StartServer, start_replica: Callable[..., ServerUnderTest]
) -> None:
    primary = start_server()
    primary.execute("CREATE DATABASE d", "CREATE TABLE d.t (id int PRIMARY KEY)", "INSERT INTO d.t VALUES (1)")
    replica = start_replica(primary)
    primary.execute("INSERT INTO d.t VALUES (2)")
    wait_for_replica(primary.process, replica.process)
    assert replica.query("SELECT id FROM d.t ORDER BY id") == ((1,), (2,))


def test_a_dropped_database_takes_its_privileges_with_it(server: ServerUnderTest) -> None:
    with server.fresh_database() as name:
        assert server.query(f"SELECT count(*) FROM mysql.db WHERE replace(db, '\\\\', '') = '{name}'") == ((2,),)
    assert server.query(f"SELECT count(*) FROM mysql.db WHERE replace(db, '\\\\', '') = '{name}'") == ((0,),)
