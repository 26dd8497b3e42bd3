"""What becomes of a contender that loses rows, or breaks the application."""

from __future__ import annotations

import time

import pytest

from bench.contenders import Outcome
from bench.host import Host, started
from bench.loads import Load
from bench.measure import Timing, measure
from bench.sysbench import ensure_sysbench
from bench.tables import TABLE, TABLES

_INSERTS = "show global status like 'Com_insert_select'"
TIMING = Timing(before_s=0.3, after_s=0.3, limit_s=60)


def loses_a_row(host: Host, _: float) -> Outcome:
    began = time.monotonic()
    host.execute(f"delete from {TABLE} where id = 7")
    return Outcome(began, time.monotonic())


def drops_the_table(host: Host, _: float) -> Outcome:
    began = time.monotonic()
    host.execute(f"drop table {TABLE}", "create table left_behind (id int)")
    inserts = host.ask(_INSERTS)
    while host.ask(_INSERTS) < inserts + 50:  # the load notices
        time.sleep(0.05)
    return Outcome(began, time.monotonic())


@pytest.mark.everyday("mysql-9.7", reason="the benchmark's own doing is the same on all")
def test_who_loses_rows_or_breaks_the_load_has_failed_and_the_next_one_finds_the_table_whole(server_name: str) -> None:
    table = TABLES["sysbench"]
    with started(server_name, "default", "128M", table, 1000) as host:
        lost = measure(host, None, "loser", 1, loses_a_row, TIMING, None)
        assert (lost.problem, lost.finished, lost.felt) == ("999 of 1,000 rows are left", False, None)

        load = Load("append", None)
        broken = measure(host, load, "breaker", 1, drops_the_table, TIMING, ensure_sysbench(print))
        assert broken.problem is not None
        assert broken.problem.startswith("the table cannot be read")
        assert broken.felt is not None
        assert broken.felt.failed_during == len(broken.felt.errors) > 10
        assert broken.felt.errors[0] == "1146: Table 'sbtest.sbtest1' doesn't exist"

        host.settle()
        assert host.count_filled() == host.ask(f"select count(*) from {TABLE}") == 1000
        assert host.ask("select count(*) from information_schema.tables where table_name = 'left_behind'") == 0
