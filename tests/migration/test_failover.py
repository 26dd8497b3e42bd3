"""Another server takes over: the primary dies, its replica is promoted, and the same command goes on there."""

from __future__ import annotations

import json
from pathlib import Path

from osc.sandbox.replication import wait_for_replica
from tests.conftest import StartReplica, StartServer
from tests.migration.migrating import copying_up_to, migrate, postponed, tables_of
from tests.migration.tables import contents, make_table
from tests.servers import ServerUnderTest

ALTER = "add column z int not null default 7"
ROWS = 5_000
HALF = ROWS // 2


def promote(replica: ServerUnderTest) -> None:
    """Let it apply what it has received, and be its own master."""
    if replica.is_mariadb:
        replica.execute("stop slave", "reset slave all")
    else:
        replica.execute("stop replica", "reset replica all")


def test_the_same_command_goes_on_at_the_promoted_replica(
    start_server: StartServer, start_replica: StartReplica, tmp_path: Path
) -> None:
    primary = start_server({})
    with primary.fresh_database() as database:
        make_table(primary, database, ROWS)
        replica = start_replica(primary)
        with copying_up_to(primary, database, ALTER, HALF, tmp_path) as (running, _):
            primary.execute("update t set s = 'copied, then changed' where id = 1", database=database)
            primary.execute("delete from t where id = 2", database=database)
            wait_for_replica(primary.process, replica.process)
            running.process.kill()
        primary.process.kill()
        promote(replica)
        replica.execute(
            "update t set s = 'changed after the failover' where id = 3",
            f"delete from t where id = {ROWS}",
            "insert into t (k) values (0)",
            database=database,
        )
        before = contents(replica, database)
        resumed = migrate(replica, database, "t", ALTER)
        assert resumed.exit_code == 0, str(resumed)
        assert resumed.of("started")[0]["resumed"] is True
        # What had been verified elsewhere counts for nothing here.
        assert resumed.finished["rows_verified"] == len(before)
        assert contents(replica, database, what="id, k, s") == before
        assert tables_of(replica, database) == {"t", "_t_del"}
        primary.process.start()  # to drop its database


def test_a_checkpoint_by_file_and_position_is_of_no_use_on_another_server(
    server: ServerUnderTest, database: str, tmp_path: Path
) -> None:
    make_table(server, database, 10)
    with postponed(server, database, ALTER, tmp_path) as (running, _):
        running.process.kill()
    [(text,)] = server.query("select value from _t_ghc where id = 3", database=database)
    stored = json.loads(str(text))
    # As a server without GTIDs would have written it.
    stored["coordinate"]["gtid_set"] = None
    stored["fingerprint"]["server"] = "another"
    server.execute(f"update _t_ghc set value = '{json.dumps(stored)}' where id = 3", database=database)
    refused = migrate(server, database, "t", ALTER)
    assert refused.exit_code == 2, str(refused)
    assert "another server" in refused.error
    assert "file and position only" in refused.error
    assert "--resume=never" in refused.error
    stored["coordinate"]["gtid_set"] = (
        "0-1-999999999" if server.is_mariadb else "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa:1-5"
    )
    server.execute(f"update _t_ghc set value = '{json.dumps(stored)}' where id = 3", database=database)
    refused = migrate(server, database, "t", ALTER)
    assert refused.exit_code == 2, str(refused)
    assert "no successor" in refused.error
