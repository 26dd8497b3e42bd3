"""`osc plan` on real servers: what it tells, and that it changes nothing that lasts."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest

from osc.table.names import scratch_names_for
from tests.cli.running import osc
from tests.migration.tables import make_table
from tests.report.planning import arguments, plan, start_plan, tables
from tests.servers import ServerUnderTest

ALTER = "add column note varchar(20), modify k bigint, drop column s, add index (k)"
COPY = ("--strategy", "copy")
SCHEMA = Path(__file__).parents[2] / "docs" / "plan-schema.md"

ONE = pytest.mark.everyday("mysql-9.7", reason="nothing in it differs by server but what other tests show")

_CHANGING = {"gtid_executed", "gtid_binlog_pos", "gtid_binlog_state", "gtid_current_pos", "gtid_slave_pos", "timestamp"}
"""Variables that tell of what the server does, not of how it is set."""


def settings(server: ServerUnderTest) -> Mapping[object, object]:
    rows = server.query("show global variables")
    return {name: value for name, value in rows if str(name).lower() not in _CHANGING}


def test_a_plan_tells_all_of_it_and_leaves_nothing(server: ServerUnderTest, database: str) -> None:
    make_table(server, database, 3_000)
    before = tables(server, database), settings(server), server.query("checksum table t", database=database)
    found = plan(server, database, ALTER, *COPY)
    assert (tables(server, database), settings(server), server.query("checksum table t", database=database)) == before
    assert found.exit_code == 0, found
    assert found.plan["strategy"] == "copy"
    assert found.part("table_facts")["key"] == "PRIMARY (id)"
    total = cast("Mapping[str, float]", found.part("estimate")["total"])
    assert 0 < total["p10_s"] <= total["p50_s"] <= total["p90_s"]
    phases = cast("Mapping[str, Mapping[str, float]]", found.part("estimate")["phases"])
    assert {"prepare", "copy", "verify", "swap"} <= set(phases)
    assert int(str(found.part("sample")["rows"])) >= 2_000
    changes = cast("Mapping[str, list[Mapping[str, object]]]", found.part("changes"))
    assert [one["name"] for one in changes["columns_added"]] == ["note"]
    assert [one["name"] for one in changes["columns_dropped"]] == ["s"]
    assert [one["name"] for one in changes["columns_changed"]] == ["k"]
    assert len(changes["indexes_added"]) == 1
    assert int(str(found.part("costs")["disk_bytes"])) > 0
    documented = set(re.findall(r"^\| `(\w+)` \|", SCHEMA.read_text(), re.MULTILINE))
    assert set(found.plan) <= documented


def test_what_the_server_can_do_itself_is_not_estimated(server: ServerUnderTest, database: str) -> None:
    make_table(server, database, 100)
    found = plan(server, database, "add column note varchar(20)")
    assert found.exit_code == 0, found
    assert found.plan["strategy"] == "instant"
    assert "ALGORITHM=INSTANT" in str(found.part("how")["statement"])
    assert found.plan["estimate"] is None
    assert tables(server, database) == {"t"}


@ONE
def test_without_a_sample_nothing_is_written(server: ServerUnderTest, database: str) -> None:
    make_table(server, database, 100)
    written = server.query("show binary logs")
    found = plan(server, database, ALTER, "--no-sample")
    assert server.query("show binary logs") == written
    assert found.exit_code == 0, found
    assert (found.plan["strategy"], found.plan["estimate"], found.plan["sample"]) == ("unknown", None, None)
    assert any("--no-sample" in str(one) for one in cast("list[str]", found.plan["unknown"]))
    assert "write-rate" in found.codes


def test_rows_that_do_not_fit_are_named_all_at_once(server: ServerUnderTest, database: str) -> None:
    make_table(server, database, 400)
    # Far behind the part of each region that is sampled, so that only an exact look is sure to find it.
    server.execute("update t set k = 100000 where id = 399", "update t set s = 'row 7' where id = 8", database=database)
    alter = "modify k smallint not null, add unique index u (s)"
    found = plan(server, database, alter, "--check-data", "--table", "t")
    assert found.exit_code == 2, found
    assert "(id = 399)" in found.finding("values-do-not-fit")["detail"]
    assert "row 7 in 2 rows (id 7 and 8)" in found.finding("duplicates")["detail"]
    assert tables(server, database) == {"t"}


@ONE
def test_every_reason_not_to_start_is_told(server: ServerUnderTest, database: str) -> None:
    server.execute(
        "create table t (id int not null primary key, k int)",
        "create table _t_del (id int)",
        "create trigger tr before insert on t for each row set new.k = 1",
        database=database,
    )
    found = plan(server, database, ALTER.replace("drop column s, ", ""), *COPY)
    assert found.exit_code == 2
    assert {"triggers", "old-name-taken"} <= found.codes
    assert found.plan["estimate"] is None
    assert any("triggers" in str(one) for one in cast("list[str]", found.plan["unknown"]))


@ONE
def test_without_a_sample_a_plan_says_that_what_blocks_the_copy_may_not_matter(
    server: ServerUnderTest, database: str
) -> None:
    server.execute(
        "create table t (id int not null primary key, k int)",
        "create trigger tr before insert on t for each row set new.k = 1",
        database=database,
    )
    doubt = "whether it would be refused at all: what blocks it (triggers) is in the way of a copy alone"
    found = plan(server, database, "add column z int", "--no-sample")
    assert (found.exit_code, found.plan["strategy"]) == (2, "unknown")
    assert any(one.startswith(doubt) for one in cast("list[str]", found.plan["unknown"]))
    found = plan(server, database, "add column z int", "--no-sample", *COPY)
    assert found.exit_code == 2
    assert not any(one.startswith(doubt) for one in cast("list[str]", found.plan["unknown"])), "a copy was asked for"
    assert plan(server, database, "add column z int").exit_code == 0, "the server does it itself"


@ONE
def test_an_alter_that_the_server_refuses_is_a_finding(server: ServerUnderTest, database: str) -> None:
    make_table(server, database, 10)
    found = plan(server, database, "modify nothing_of_that_name bigint", *COPY)
    assert found.exit_code == 2
    assert "nothing_of_that_name" in found.finding("alter-fails")["detail"]
    assert tables(server, database) == {"t"}


@ONE
def test_what_a_killed_plan_leaves_is_removed_and_named_by_the_next(
    server: ServerUnderTest, database: str, tmp_path: Path
) -> None:
    make_table(server, database, 100)
    names = scratch_names_for(database, "t")
    held = tmp_path / "held"
    held.touch()
    process = start_plan(server, database, ALTER, *COPY, "--sample-seconds", "600", "--throttle-flag-file", str(held))
    try:
        while names.ghost not in tables(server, database):
            assert process.poll() is None, "the plan ended by itself"
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    assert names.state in tables(server, database)
    login = server.migrator
    listed = osc(
        "cleanup",
        *("--host", login.host, "--port", str(login.port), "--user", login.user, "--database", database),
        MYSQL_PWD=login.password,
    )
    for name in (names.ghost, names.state):
        assert f"`{name}`: scratch table of {database}.t" in listed.stdout
    found = plan(server, database, ALTER, *COPY)
    assert found.exit_code == 0, found
    for name in (names.ghost, names.state):
        assert f"an earlier plan had left `{database}`.`{name}`" in found.stderr
    assert tables(server, database) == {"t"}


@ONE
def test_who_is_in_the_way_right_now_is_named(server: ServerUnderTest, database: str) -> None:
    make_table(server, database, 10)
    with closing(server.admin(database)) as other, other.cursor() as cursor:
        cursor.execute("begin")
        cursor.execute("select count(*) from t")
        while server.query(
            "select 1 from information_schema.innodb_trx where trx_mysql_thread_id ="
            f" {other.thread_id()} and timestampdiff(second, trx_started, now()) >= 6"  # type: ignore[no-untyped-call]
        ) != ((1,),):
            time.sleep(0.2)
        found = plan(server, database, ALTER, "--no-sample")
    blockers = cast("list[Mapping[str, object]]", found.plan["blockers"])
    assert [one["connection"] for one in blockers] == [other.thread_id()]  # type: ignore[no-untyped-call]
    assert "root@" in str(blockers[0]["who"])


@ONE
@pytest.mark.parametrize("form", ["text", "markdown"])
def test_people_read_the_same(server: ServerUnderTest, database: str, form: str) -> None:
    make_table(server, database, 100)
    done = osc(
        "plan",
        *arguments(server, database, ALTER, *COPY, "--sample-seconds", "0.5", "--format", form),
        MYSQL_PWD=server.migrator.password,
    )
    assert done.returncode == 0, done.stderr
    for words in (f"{database}.t", "note", "PRIMARY (id)" if form == "text" else "RENAME TABLE", "--impact"):
        assert words in done.stdout
