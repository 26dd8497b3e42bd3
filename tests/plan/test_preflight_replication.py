"""Preflight's findings about replicas: a migration on one, and reading the binlog of one."""

from __future__ import annotations

import time
from contextlib import closing

from pymysql.cursors import DictCursor

from osc.mysql.grants import required_grants
from osc.plan.checks.replication import hides
from osc.sandbox.replication import wait_for_replica
from tests.conftest import StartReplica, StartServer
from tests.plan.looking import TABLE, blocking_codes, global_variable, look
from tests.servers import ServerUnderTest


def restart_replication(replica: ServerUnderTest, *changes: str) -> None:
    """With those changes made while it is stopped; it runs again in the end."""
    words = "slave" if replica.is_mariadb else "replica"
    replica.execute(f"stop {words}", *changes, f"start {words}")
    deadline = time.monotonic() + 60
    with closing(replica.admin()) as admin, admin.cursor(DictCursor) as cursor:
        while True:
            cursor.execute(f"show {words} status")
            (status,) = cursor.fetchall()
            if {state for name, state in status.items() if name.endswith("_Running")} == {"Yes"}:
                return
            assert time.monotonic() < deadline, str(status)
            time.sleep(0.05)


def test_reading_a_replica_asks_that_it_has_every_change_in_order(
    start_server: StartServer, start_replica: StartReplica
) -> None:
    primary = start_server()
    replica = start_replica(primary)
    with primary.fresh_database() as database:
        primary.execute(TABLE, database=database)
        wait_for_replica(primary.process, replica.process)
        _a_healthy_replica_is_accepted(primary, replica, database)
        _a_replica_that_is_stopped_or_delayed_is_refused(primary, replica, database)
        _filters_that_hide_the_table_are_refused(primary, replica, database)
        _an_order_that_is_not_kept_is_refused(primary, replica, database)
        _a_migration_on_a_replica_is_warned_of(replica, database)
        replica.process.restart({"log_slave_updates": "OFF"})
        assert "binlog-server-logs-nothing" in blocking_codes(look(primary, database, replica=replica))
        assert "updates-not-logged" in blocking_codes(look(replica, database))
        assert "binlog-server-other-source" in blocking_codes(look(replica, database, replica=primary))


def _a_healthy_replica_is_accepted(primary: ServerUnderTest, replica: ServerUnderTest, database: str) -> None:
    taken = int(str(replica.query("select @@global.server_id")[0][0]))
    assert blocking_codes(look(primary, database, replica=replica, reader_id=taken + 1)) == set()
    assert blocking_codes(look(primary, database, replica=replica, reader_id=taken)) == {"server-id-taken"}
    # The primary is its own binlog server where both addresses lead to it.
    assert blocking_codes(look(primary, database, replica=primary)) == set()


def _a_replica_that_is_stopped_or_delayed_is_refused(
    primary: ServerUnderTest, replica: ServerUnderTest, database: str
) -> None:
    words, change = ("slave", "change master to master_delay = {}") if replica.is_mariadb else (
        "replica", "change replication source to source_delay = {}"
    )  # fmt: skip
    replica.execute(f"stop {words}")
    assert blocking_codes(look(primary, database, replica=replica)) == {"binlog-server-stopped"}
    restart_replication(replica, change.format(5))
    assert "binlog-server-delayed" in blocking_codes(look(primary, database, replica=replica))
    restart_replication(replica, change.format(0))


def _filters_that_hide_the_table_are_refused(primary: ServerUnderTest, replica: ServerUnderTest, database: str) -> None:
    if replica.is_mariadb:
        on, off = f"set global replicate_ignore_table = '{database}._t_ghc'", "set global replicate_ignore_table = ''"
    else:
        on = f"change replication filter replicate_ignore_table = ({database}._t_ghc)"
        off = "change replication filter replicate_ignore_table = ()"
    restart_replication(replica, on)
    finding = look(primary, database, replica=replica)["binlog-server-filter"]
    assert finding.is_blocking
    assert "hide _t_ghc" in finding.title
    restart_replication(replica, off)


def _an_order_that_is_not_kept_is_refused(primary: ServerUnderTest, replica: ServerUnderTest, database: str) -> None:
    if replica.is_mariadb:
        restart_replication(replica, "set global slave_parallel_threads = 2")
        assert "binlog-server-order" not in look(primary, database, replica=replica)
        primary.execute("set session gtid_domain_id = 7", f"create table `{database}`.other (id int primary key)")
        primary.execute("set global gtid_domain_id = 7")
        primary.execute(f"create table `{database}`.another (id int primary key)", "set global gtid_domain_id = 0")
    else:
        restart_replication(
            replica, "set global replica_preserve_commit_order = OFF", "set global replica_parallel_workers = 2"
        )
    assert "binlog-server-order" in blocking_codes(look(primary, database, replica=replica))
    if replica.is_mariadb:
        restart_replication(replica, "set global slave_parallel_threads = 0")
    else:
        restart_replication(replica, "set global replica_preserve_commit_order = ON")
    assert blocking_codes(look(primary, database, replica=replica)) == set()


def _a_migration_on_a_replica_is_warned_of(replica: ServerUnderTest, database: str) -> None:
    findings = look(replica, database)
    assert findings["is-a-replica"].level == "warning"
    assert blocking_codes(findings) == set()


def test_a_server_that_never_replicated_from_the_primary_is_refused(
    server: ServerUnderTest, database: str, start_server: StartServer
) -> None:
    server.execute(TABLE, database=database)
    stranger = start_server()
    stranger.execute(*required_grants(stranger.flavor, stranger.version, database, "'osc_migrator'@'%'"))
    with global_variable(stranger, "binlog_format", "'MIXED'"):
        findings = look(server, database, replica=stranger)
    assert blocking_codes(findings) == {"binlog-server-other-source", "binlog-format"}
    assert "on the binlog server" in findings["binlog-format"].title


def test_the_servers_own_id_is_taken(server: ServerUnderTest, database: str) -> None:
    server.execute(TABLE, database=database)
    own = int(str(server.query("select @@global.server_id")[0][0]))
    assert blocking_codes(look(server, database, reader_id=own)) == {"server-id-taken"}
    assert blocking_codes(look(server, database, reader_id=own + 1)) == set()


def test_filters_are_read_as_the_servers_evaluate_them() -> None:
    def hidden(**filters: str) -> bool:
        return hides(filters, "shop", "orders")

    assert not hidden()
    assert not hidden(replicate_do_db="crm,shop")
    assert hidden(replicate_do_db="crm")
    assert hidden(replicate_ignore_db="crm,shop")
    assert hidden(replicate_do_table="shop.items")
    assert not hidden(replicate_do_table="shop.items,shop.orders")
    assert hidden(replicate_ignore_table="shop.orders")
    assert not hidden(replicate_ignore_table="shop.items")
    assert hidden(replicate_wild_do_table="crm.%")
    assert not hidden(replicate_wild_do_table="crm.%,shop.ord%")
    assert hidden(replicate_wild_ignore_table="sh_p.%")
    assert not hidden(replicate_wild_ignore_table="sh\\_p.%")
    assert not hidden(replicate_do_table="shop.orders", replicate_wild_ignore_table="shop.%")
    assert hidden(replicate_rewrite_db="(shop,store)")
    assert hidden(replicate_rewrite_db="shop->store")
    assert not hidden(replicate_rewrite_db="(workshop,store)")
