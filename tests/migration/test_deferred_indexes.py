"""Secondary indexes built after the copy: the table is the one that a direct ALTER makes, whatever comes in between."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from osc.mysql.session import Sessions
from osc.sandbox.orders import ALTERS
from osc.table.deferred import deferrable
from osc.table.facts import read_table, structure_of
from tests.migration.migrating import copying_up_to, migrate, migrating, postponed
from tests.migration.tables import make_table
from tests.migration.test_ledger import migrated_under_load, workload_on
from tests.servers import ServerUnderTest

COLUMNS = (
    "id int not null auto_increment primary key, k int not null, s varchar(100), d int as (k + 1) virtual, p point,"
    " unique key u (k, s), key plain (k), key prefixed (s(10), k) comment 'two, parts', key `odd``name, (k` (s desc),"
    " fulltext key words (s)"
)


def definition(server: ServerUnderTest, database: str, table: str) -> str:
    return structure_of(str(server.query(f"show create table {table}", database=database)[0][1]))


def deferred_of(server: ServerUnderTest, database: str, columns: str) -> tuple[str, ...]:
    server.execute("drop table if exists x", f"create table x ({columns})", database=database)
    with closing(Sessions(server.migrator).open("look at the table")) as connection:
        table = read_table(connection, database, "x")
    assert table is not None
    return deferrable(table).names


def test_the_indexes_that_can_wait_are_the_last_plain_ones(server: ServerUnderTest, database: str) -> None:
    def deferred(columns: str) -> tuple[str, ...]:
        return deferred_of(server, database, columns)

    assert deferred(COLUMNS) == ("plain", "prefixed", "odd`name, (k")
    assert deferred("id int primary key, k int, unique key u (k)") == ()
    assert deferred("id int auto_increment, k int primary key, key a (id), key b (k)") == ("b",)
    assert deferred("id int auto_increment, k int primary key, key b (k), key a (id)") == ()
    assert deferred("id int primary key, k int, p point not null, key a (k), spatial key b (p)") == ()
    # MySQL sorts what is on virtual columns behind the rest.
    virtual = "id int primary key, k int, d int as (k + 1) virtual, key a (k), key b (d), key c (k, id)"
    assert deferred(virtual) == (("c",) if server.is_mariadb else ())


def test_the_definition_is_that_of_a_direct_alter(server: ServerUnderTest, database: str) -> None:
    make_table(server, database, 500, columns=COLUMNS)
    alter = "add column z int not null default 5, add key z (z, k), drop key plain"
    server.execute("create table direct like t", f"alter table direct {alter}", database=database)
    run = migrate(server, database, "t", alter, "--defer-indexes=always")
    assert run.outcome == "swapped", str(run)
    assert run.of("started")[0]["deferred_indexes"] == ["prefixed", "odd`name, (k", "z"]
    assert definition(server, database, "t") == definition(server, database, "direct")


@pytest.mark.in_turn(reason="takes its time; either ALTER shows it on any server")
@pytest.mark.parametrize("alter", ["add an index", "change the character set"])
def test_writers_go_on_while_the_indexes_are_built(server: ServerUnderTest, database: str, alter: str) -> None:
    with workload_on(server, database) as workload:
        workload.create(6_000)
        migrated_under_load(server, database, workload, ALTERS[alter], "--defer-indexes=always")


def test_a_small_table_and_one_that_a_replica_follows_get_their_indexes_at_once(
    server: ServerUnderTest, database: str
) -> None:
    make_table(server, database, 500, columns=COLUMNS)
    run = migrate(server, database, "t", "engine=InnoDB")
    assert run.of("started")[0]["deferred_indexes"] == []


def test_a_run_that_was_killed_before_the_build_builds_when_it_is_resumed(
    server: ServerUnderTest, database: str, tmp_path: Path
) -> None:
    make_table(server, database, 2_000, columns=COLUMNS)
    alter = "add column z int not null default 5"
    server.execute("create table direct like t", f"alter table direct {alter}", database=database)
    with copying_up_to(server, database, alter, 1_500, tmp_path, "--defer-indexes=always") as (running, _):
        running.wait_for("status")
        running.process.kill()
        running.process.wait()
    run = migrate(server, database, "t", alter, "--defer-indexes=always")
    assert run.outcome == "swapped", str(run)
    assert run.of("started")[0]["resumed"] is True
    assert definition(server, database, "t") == definition(server, database, "direct")


def test_a_run_that_is_killed_while_the_server_builds_is_resumed(
    server: ServerUnderTest, database: str, tmp_path: Path
) -> None:
    """The server goes on with a dead client's statement: the resumed run ends it, and nobody takes it for a stranger's."""
    make_table(server, database, 2_000, columns=COLUMNS)
    alter = "add column z int not null default 5"
    flag = tmp_path / "postpone"
    flag.touch()
    with (
        migrating(
            server, database, "t", alter, "--defer-indexes=always", "--postpone-cut-over-flag-file", str(flag)
        ) as running,
        closing(server.admin(database)) as holder,
        holder.cursor() as cursor,
    ):
        running.wait_for("phase", phase="copy")
        # Whoever reads the ghost in a transaction keeps the build from its last step.
        cursor.execute("begin")
        cursor.execute("select count(*) from _t_gho")
        while not server.query(
            "select 1 from information_schema.processlist where info like 'alter table%add KEY%' and state like '%metadata%'"
        ):
            running.wait_for("status")
        running.process.kill()
        running.process.wait()
        holder.rollback()
    run = migrate(server, database, "t", alter, "--defer-indexes=always")
    assert run.outcome == "swapped", str(run)
    assert run.of("started")[0]["resumed"] is True
    names = {str(row[2]) for row in server.query("show index from t", database=database)}
    assert names == {"PRIMARY", "u", "plain", "prefixed", "odd`name, (k", "words"}


def test_the_swap_waits_for_snapshots_that_are_older_than_the_indexes(
    server: ServerUnderTest, database: str, tmp_path: Path
) -> None:
    """They could not read the new table: "Table definition has changed, please retry transaction" (1412)."""
    make_table(server, database, 2_000, columns=COLUMNS)
    with (
        postponed(server, database, "engine=InnoDB", tmp_path, "--defer-indexes=always", ready=False) as (
            running,
            swap,
        ),
        closing(server.admin(database)) as holder,
        closing(server.admin(database)) as reader,
        holder.cursor() as holding,
        reader.cursor() as reading,
    ):
        running.wait_for("phase", phase="copy")
        holding.execute("begin")
        holding.execute("select count(*) from _t_gho")
        while not server.query(
            "select 1 from information_schema.processlist where info like 'alter table%add KEY%' and state like '%metadata%'"
        ):
            running.wait_for("status")
        reading.execute("set session transaction isolation level repeatable read")
        reading.execute("start transaction with consistent snapshot")
        holder.rollback()
        running.wait_for("phase", phase="ready")
        swap()
        while "transaction of connection" not in str(running.wait_for("status")["waiting_for"]):
            pass
        reading.execute("select count(*) from t")
        assert reading.fetchone() == (2_000,)
        reader.rollback()
        run = running.end()
    assert run.outcome == "swapped", str(run)
