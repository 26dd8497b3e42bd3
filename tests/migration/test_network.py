"""A network that cuts connections, or swallows what is sent, while the tool runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from osc.sandbox.proxy import Proxy
from tests.migration.migrating import copying_up_to, postponed, tables_of
from tests.migration.tables import contents, make_table
from tests.migration.test_failures import wait_until_doing
from tests.servers import ServerUnderTest

WAITS = "it waits through time-outs of the operating system and the servers, up to a minute each"
ALTER = "add column z int not null default 7"
ROWS = 5_000
HALF = ROWS // 2
LOCK_TIMEOUT_S = 3


def purge_all_but_the_last(server: ServerUnderTest) -> None:
    """Purge the binlog's files, and again until it is done: the server keeps one that it is still sending, without an error."""
    pause, deadline = threading.Event(), threading.Timer(60.0, lambda: None)
    deadline.start()
    while len(files := server.query("show binary logs")) > 1:
        assert deadline.is_alive(), f"the server keeps {files}"
        server.execute(f"purge binary logs to '{files[-1][0]}'")
        pause.wait(0.05)
    deadline.cancel()


@pytest.fixture
def proxy(server: ServerUnderTest) -> Iterator[Proxy]:
    with Proxy((server.host, server.port)) as running:
        yield running


@pytest.fixture
def through_proxy(server: ServerUnderTest, proxy: Proxy) -> ServerUnderTest:
    """The server, for a tool that reaches it through the proxy."""
    return replace(server, migrator=replace(server.migrator, host=proxy.host, port=proxy.port))


@pytest.mark.everyday("mariadb-10.11", reason=WAITS)
def test_a_network_that_is_cut_and_one_that_swallows_everything_are_survived(
    server: ServerUnderTest, through_proxy: ServerUnderTest, database: str, proxy: Proxy, tmp_path: Path
) -> None:
    make_table(server, database, ROWS)
    postpone = tmp_path / "postpone"
    postpone.touch()
    options = ("--postpone-cut-over-flag-file", str(postpone))
    with copying_up_to(through_proxy, database, ALTER, HALF, tmp_path, *options) as (running, let_go):
        proxy.cut()
        server.execute("update t set s = 'while it was cut' where id = 1", database=database)
        let_go()
        running.wait_for("phase", phase="ready")
        proxy.hold()
        server.execute("update t set s = 'while it was held' where id = 2", database=database)
        running.wait_for("status")
        proxy.heal()
        postpone.unlink()
        run = running.end()
    assert run.exit_code == 0, str(run)
    assert run.of("started")[0]["resumed"] is False
    assert contents(server, database, what="id, k, s") == contents(server, database, "_t_del")
    assert contents(server, database, what="s")[:2] == (("while it was cut",), ("while it was held",))


@pytest.mark.only(
    "mysql", reason="MariaDB's lock is asked for without waiting, so it is not granted behind the tool's back"
)
def test_a_network_that_is_lost_under_the_lock_of_the_swap_keeps_nobody_waiting_for_long(
    server: ServerUnderTest, through_proxy: ServerUnderTest, database: str, proxy: Proxy, tmp_path: Path
) -> None:
    make_table(server, database, 100)
    options = ("--cut-over-lock-timeout-seconds", str(LOCK_TIMEOUT_S))
    with (
        postponed(through_proxy, database, ALTER, tmp_path, *options) as (running, swap),
        closing(server.admin(database)) as reader,
        closing(server.admin(database)) as writer,
        reader.cursor() as reading,
        writer.cursor() as writing,
    ):
        reading.execute("set session transaction isolation level read committed")
        reading.execute("begin")
        reading.execute("select count(*) from t")
        swap()
        wait_until_doing(server, "Waiting for table metadata lock")
        # The tool's request for the lock waits for the reader. It is granted now, and the tool never hears of it.
        proxy.hold()
        reader.rollback()
        # The lock ends with its session, a second after the time that the swap may take; the rest is for a slow machine.
        writing.execute(f"set session lock_wait_timeout = {LOCK_TIMEOUT_S + 1 + 10}")
        writing.execute("insert into t (k, s) values (1, 'written as soon as the lock was gone')")
        proxy.heal()
        run = running.end()
    assert run.exit_code == 0, str(run)
    assert contents(server, database, what="id, k, s") == contents(server, database, "_t_del")
    assert server.query("select s, z from t order by id desc limit 1", database=database) == (
        ("written as soon as the lock was gone", 7),
    )


@pytest.mark.everyday("mariadb-10.11", reason=WAITS)
def test_a_binlog_that_is_purged_while_the_tool_cannot_read_it_ends_the_run(
    server: ServerUnderTest, through_proxy: ServerUnderTest, database: str, proxy: Proxy, tmp_path: Path
) -> None:
    make_table(server, database, 100)
    with postponed(through_proxy, database, ALTER, tmp_path) as (running, _):
        running.wait_for("status")
        proxy.hold()
        server.execute("update t set s = 'nobody heard of it' where id = 1", "flush binary logs", database=database)
        purge_all_but_the_last(server)
        before = contents(server, database)
        proxy.heal()
        run = running.end()
    assert (run.exit_code, run.outcome) == (1, "failed"), str(run)
    assert "no longer has" in run.error
    assert "The original table is intact" in run.error
    assert contents(server, database) == before
    assert tables_of(server, database) == {"t"}
