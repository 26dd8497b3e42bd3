"""The binlog read from a replica, while the primary is written."""

from __future__ import annotations

from osc.sandbox.workload import Workload
from tests.conftest import StartReplica, StartServer
from tests.migration.migrating import migrate
from tests.migration.tables import make_table

ALTER = "add column z int not null default 7"


def test_the_binlog_of_a_replica_serves_as_well(start_server: StartServer, start_replica: StartReplica) -> None:
    primary = start_server({})
    with primary.fresh_database() as database:
        replica = start_replica(primary)
        with Workload(primary.root, database, "orders", writers=2, rate_per_writer=50, seed=5) as workload:
            workload.create(5_000)
            workload.start()
            workload.wait_for(50)
            address = ("--binlog-host", replica.host, "--binlog-port", str(replica.port))
            run = migrate(primary, database, "orders", ALTER, *address)
            assert run.exit_code == 0, str(run)
            workload.wait_for(50)
            report = workload.stop()
            assert report.errors == ()
            verdict = workload.verify_against_direct_alter(ALTER)
            assert verdict.equal, str(verdict)


def test_a_binlog_server_that_does_not_follow_the_primary_is_refused(start_server: StartServer) -> None:
    primary, stranger = start_server({}), start_server({})
    with primary.fresh_database() as database:
        make_table(primary, database, 10)
        password = primary.migrator.password
        stranger.execute(
            f"set password for '{stranger.migrator.user}'@'%' = "
            + (f"password('{password}')" if stranger.is_mariadb else f"'{password}'")
        )
        address = ("--binlog-host", stranger.host, "--binlog-port", str(stranger.port))
        run = migrate(primary, database, "t", ALTER, *address)
    assert (run.exit_code, run.outcome) == (2, "refused"), str(run)
    assert "replica" in run.error
