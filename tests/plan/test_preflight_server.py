"""Preflight's findings about the server: its settings, its binlog, the login, and what goes on there."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest

from osc.errors import PreflightRefused
from osc.mysql.grants import escaped, required_grants
from osc.mysql.server import Server, read_server
from osc.mysql.sql import quote
from osc.plan.checks.activity import check_activity
from osc.plan.checks.server import check_version
from osc.plan.findings import refuse_if_blocking, render_findings
from osc.table.names import names_for
from tests.conftest import StartServer
from tests.plan.looking import TABLE, blocking_codes, global_variable, look, session
from tests.servers import ServerUnderTest


def test_everything_that_is_wrong_is_reported_at_once(start_server: StartServer, server_name: str) -> None:
    mysql = server_name.startswith("mysql")
    server = start_server(
        {
            "binlog_format": "STATEMENT",
            "binlog_ignore_db": "hidden",
            "binlog_expire_logs_seconds": "3600",
            **(
                {
                    "binlog_order_commits": "OFF",
                    "plugin_load_add": "group_replication.so",
                    "group_replication_start_on_boot": "OFF",
                    "group_replication_group_name": "0b6b1f4a-4c8e-11ef-9c1a-0242ac120002",
                    "group_replication_single_primary_mode": "OFF",
                }
                if mysql
                else {"wsrep_on": "ON", "max_write_lock_count": "1000"}
            ),
        }
    )
    server.execute(
        "create database hidden",
        *required_grants(server.flavor, server.version, "hidden", "'osc_migrator'@'%'"),
        "revoke trigger on hidden.* from 'osc_migrator'@'%'",
    )
    server.execute("create table t (id int) engine=MyISAM", "create table _t_del (id int)", database="hidden")
    findings = look(server, "hidden", alter="rename to u")
    assert blocking_codes(findings) == {
        "missing-grants",
        "binlog-format",
        "binlog-filter",
        "engine",
        "no-usable-key",
        "old-name-taken",
        "alter-refused",
        *(("binlog-order-commits", "multi-primary") if mysql else ("galera", "max-write-lock-count")),
    }
    assert "binlog-retention" in findings
    with pytest.raises(PreflightRefused) as refused:
        refuse_if_blocking(findings.values())
    for code in blocking_codes(findings):
        assert f"[{code}]" in refused.value.message
    assert "binlog-retention" not in refused.value.message
    assert "binlog-retention" in render_findings(findings.values())


def test_a_server_without_a_binlog_or_in_rescue_mode_is_refused(start_server: StartServer) -> None:
    server = start_server({"skip_log_bin": ""})
    with server.fresh_database() as database:
        server.execute(TABLE, database=database)
        assert blocking_codes(look(server, database)) == {"binlog-off"}
        server.process.restart({"innodb_force_recovery": "1"})
        assert blocking_codes(look(server, database)) == {"binlog-off", "innodb-force-recovery"}
        server.process.restart({"innodb_force_recovery": "0"})  # so that the database can be dropped


def test_the_fix_for_the_binlog_format_fixes_it(server: ServerUnderTest, database: str) -> None:
    server.execute(TABLE, database=database)
    with global_variable(server, "binlog_format", "'MIXED'"):
        finding = look(server, database)["binlog-format"]
        assert finding.is_blocking
        server.execute(finding.fix.split(";")[0])
        assert "binlog-format" not in look(server, database)


@pytest.mark.parametrize("image", ["MINIMAL", "NOBLOB", "FULL_NODUP"])
def test_a_smaller_row_image_will_do_where_it_has_the_key(server: ServerUnderTest, database: str, image: str) -> None:
    if image == "FULL_NODUP" and not (server.is_mariadb and server.version >= (11, 4, 0)):
        image = "FULL"
    server.execute(
        TABLE,
        "create table no_primary (id int not null, v int, unique key (id))",
        "create table computed (id char(36) charset ascii default (uuid()) primary key, v int)",
        "create table literal (id char(36) charset ascii default 'a(b' primary key, v int)",
        database=database,
    )
    with global_variable(server, "binlog_row_image", f"'{image}'"):
        assert "binlog-row-image" not in look(server, database)
        refused = {
            table: "binlog-row-image" in blocking_codes(look(server, database, table))
            for table in ("no_primary", "computed", "literal")
        }
        assert refused == {"no_primary": image == "MINIMAL", "computed": image == "MINIMAL", "literal": False}
        touched = look(server, database, alter="modify id bigint unsigned not null auto_increment")
        assert ("binlog-row-image" in touched) == (image == "MINIMAL")


@pytest.mark.only("mysql", reason="MariaDB always has GTIDs")
def test_a_gtid_mode_on_its_way_is_noted(server: ServerUnderTest, database: str) -> None:
    server.execute(TABLE, database=database)
    assert "gtid-rollout" not in look(server, database)
    with global_variable(server, "gtid_mode", "'ON_PERMISSIVE'"):
        assert look(server, database)["gtid-rollout"].level == "note"


@pytest.mark.only("mariadb-11.8", reason="neither MySQL nor MariaDB before 11.4 limits the total size")
def test_a_limit_on_the_size_of_all_binlogs_is_noted(server: ServerUnderTest, database: str) -> None:
    server.execute(TABLE, database=database)
    assert "binlog-retention" not in look(server, database)
    with global_variable(server, "max_binlog_total_size", str(2**40)):
        assert "max_binlog_total_size" in look(server, database)["binlog-retention"].title


@pytest.mark.only("mysql", reason="MariaDB always commits in the order of the binlog")
def test_commits_out_of_order_are_refused(server: ServerUnderTest, database: str) -> None:
    server.execute(TABLE, database=database)
    with global_variable(server, "binlog_order_commits", "0"):
        finding = look(server, database)["binlog-order-commits"]
        assert finding.is_blocking
        server.execute(finding.fix)
        assert "binlog-order-commits" not in look(server, database)


def test_a_read_only_server_is_refused(server: ServerUnderTest, database: str) -> None:
    server.execute(TABLE, database=database)
    with global_variable(server, "read_only", "1"):
        assert "read-only" in blocking_codes(look(server, database))


@pytest.mark.only("mysql", reason="MariaDB does not show the variables of other sessions")
def test_sessions_that_log_statements_or_nothing_are_named(server: ServerUnderTest, database: str) -> None:
    server.execute(TABLE, database=database)
    with closing(server.admin()) as other, other.cursor() as cursor:
        cursor.execute("set session binlog_format = 'STATEMENT', session sql_log_bin = 0")
        number = other.thread_id()  # type: ignore[no-untyped-call]
        assert "session-binlog-settings" not in look(server, database)  # the privilege to see it is optional
        finding = look(replace(server, migrator=server.full_migrator), database)["session-binlog-settings"]
        assert f"{number} (root@localhost): binlog_format=STATEMENT" in finding.detail
        assert f"{number} (root@localhost): sql_log_bin=OFF" in finding.detail
        assert finding.fix == f"KILL {number};"


@pytest.mark.only("mysql", reason="MariaDB has no such variable")
def test_the_note_on_the_log_writer_goes_with_its_cause(server: ServerUnderTest, database: str) -> None:
    server.execute(TABLE, database=database)
    with global_variable(server, "innodb_log_writer_threads", "OFF"):
        assert look(server, database)["log-writer-threads"].level == "note"
        with global_variable(server, "innodb_log_writer_threads", "ON"):
            assert "log-writer-threads" not in look(server, database)


@pytest.mark.only("mariadb", reason="only the sentry rename depends on the order of names")
def test_a_name_that_nothing_sorts_after_is_refused(server: ServerUnderTest, database: str) -> None:
    name = "\uffee"
    server.execute(f"create table {quote(name)} (id int primary key)", database=database)
    assert blocking_codes(look(server, database, name)) == {"unsortable-name"}


@pytest.mark.parametrize(
    ("flavor", "version", "is_refused"),
    [
        ("mysql", (5, 7, 44), True),
        ("mysql", (8, 0, 12), True),
        ("mysql", (8, 0, 13), False),
        ("mariadb", (10, 5, 29), True),
        ("mariadb", (10, 6, 1), False),
    ],
)
def test_servers_older_than_the_minimum_are_refused(
    flavor: str, version: tuple[int, int, int], is_refused: bool
) -> None:
    server = Server("mysql" if flavor == "mysql" else "mariadb", version, "", {})
    assert [finding.code for finding in check_version(server)] == (["server-too-old"] if is_refused else [])


def test_a_missing_grant_is_named_and_the_statement_that_is_shown_gives_it(
    server: ServerUnderTest, database: str
) -> None:
    server.execute(TABLE, database=database)
    server.execute(f"revoke trigger, lock tables on {quote(escaped(database))}.* from 'osc_migrator'@'%'")
    finding = look(server, database)["missing-grants"]
    assert finding.is_blocking
    assert "LOCK TABLES" in finding.detail
    assert "TRIGGER" in finding.detail
    assert "'osc_migrator'@'%'" in finding.fix
    server.execute(*(line.rstrip(";") for line in finding.fix.splitlines()))
    assert blocking_codes(look(server, database)) == set()


def test_a_login_that_may_not_read_the_table_is_told_so_with_the_grant(server: ServerUnderTest, database: str) -> None:
    server.execute(TABLE, database=database)
    server.execute(f"revoke select on {quote(escaped(database))}.* from 'osc_migrator'@'%'")
    findings = look(server, database)
    assert blocking_codes(findings) == {"missing-grants", "table-unreadable"}
    server.execute(findings["missing-grants"].fix.rstrip(";"))
    assert blocking_codes(look(server, database)) == set()


def test_prepared_xa_transactions_are_named_as_the_server_takes_them(server: ServerUnderTest, database: str) -> None:
    server.execute(TABLE, database=database)
    for xid in ("'osc', 'b''ranch', 7", "'osc alone'"):
        with closing(server.admin(database)) as other, other.cursor() as cursor:
            for statement in (
                f"xa start {xid}",
                "insert into t (v) values ('x')",
                f"xa end {xid}",
                f"xa prepare {xid}",
            ):
                cursor.execute(statement)
        finding = look(server, database)["prepared-xa"]
        assert finding.level == "warning"
        server.execute(*(line.split("-- or ")[1].rstrip(";") for line in finding.fix.splitlines()))
        assert "prepared-xa" not in look(server, database)


def test_an_old_transaction_is_named_with_its_owner(
    server: ServerUnderTest, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.execute(TABLE, database=database)
    with closing(server.admin(database)) as other, other.cursor() as cursor:
        cursor.execute("start transaction with consistent snapshot")
        cursor.execute("select count(*) from t")
        number = other.thread_id()  # type: ignore[no-untyped-call]
        assert "old-transactions" not in look(server, database)
        monkeypatch.setattr("osc.plan.checks.activity.OLD_TRANSACTION_S", 0)
        finding = look(server, database)["old-transactions"]
        assert finding.level == "warning"
        assert f"connection {number} (root@localhost" in finding.detail
        assert f"KILL {number};" in finding.fix


def test_the_age_of_a_transaction_does_not_depend_on_time_zones(server: ServerUnderTest, database: str) -> None:
    server.execute(TABLE, database=database)
    with closing(server.admin(database)) as other, other.cursor() as cursor, session(server) as connection:
        cursor.execute("start transaction with consistent snapshot")
        for zone in ("-11:00", "+13:00"):
            with connection.cursor() as zoned:
                zoned.execute("set time_zone = %s", (zone,))
            facts = read_server(connection)
            assert not [
                one
                for one in check_activity(connection, facts, names_for(database, "t"))
                if one.code == "old-transactions"
            ]


@pytest.mark.only("mysql", reason="MariaDB records metadata locks only when it was started so; the next test does that")
@pytest.mark.parametrize(
    ("statement", "lock"),
    [
        ("lock instance for backup", "BACKUP LOCK SHARED"),
        ("flush tables with read lock", "GLOBAL SHARED"),
        ("lock tables t read", "TABLE SHARED_READ_ONLY"),
    ],
)
def test_a_lock_that_is_in_the_way_is_named_with_its_holder(
    server: ServerUnderTest, database: str, statement: str, lock: str
) -> None:
    server.execute(TABLE, database=database)
    with closing(server.admin(database)) as other, other.cursor() as cursor:
        cursor.execute(statement)
        number = other.thread_id()  # type: ignore[no-untyped-call]
        finding = look(replace(server, migrator=server.full_migrator), database)["locks-held"]
        assert f"connection {number} (root@localhost) holds {lock}" in finding.detail
        assert "locks-held" not in look(server, database)  # the privilege to see it is optional


@pytest.mark.only("mariadb", reason="on MySQL the shared server shows metadata locks, see the test before")
def test_mariadb_names_backup_locks_where_it_records_them(start_server: StartServer) -> None:
    server = start_server(
        {"performance_schema": "ON", "performance_schema_instrument": "wait/lock/metadata/sql/mdl=ON"}
    )
    with server.fresh_database() as database, closing(server.admin()) as other, other.cursor() as cursor:
        server.execute(TABLE, database=database)
        full = replace(server, migrator=server.full_migrator)
        assert "locks-held" not in look(full, database)
        cursor.execute("backup stage start")
        assert "BACKUP" in look(full, database)["locks-held"].detail
        cursor.execute("backup stage end")
        cursor.execute("flush tables with read lock")
        assert "BACKUP_FTWRL" in look(full, database)["locks-held"].detail
