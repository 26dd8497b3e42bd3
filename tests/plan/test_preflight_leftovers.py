"""Preflight's findings about tables that stand under the names that a migration needs."""

from __future__ import annotations

import pytest

from osc.mysql.sql import quote
from osc.plan.checks.leftovers import RoomMaking
from osc.state.table import SENTRY_COMMENT, STATE_COMMENT
from osc.table.names import sorting_after
from tests.plan.looking import TABLE, blocking_codes, look
from tests.servers import ServerUnderTest

GH_OST_CHANGELOG = (
    "create table _t_ghc (id bigint unsigned auto_increment, last_update timestamp not null default current_timestamp"
    " on update current_timestamp, hint varchar(64) charset ascii not null, value varchar(4096) charset ascii not null,"
    " primary key (id), unique key hint_uidx (hint))"
)
STATE = f"create table _t_ghc (id int primary key) comment '{STATE_COMMENT}'"
GHOST = "create table _t_gho (id int primary key)"


def test_what_an_earlier_run_left_to_go_on_with_does_not_block(server: ServerUnderTest, database: str) -> None:
    server.execute(TABLE, STATE, GHOST, database=database)
    findings = look(server, database)
    assert blocking_codes(findings) == set()
    assert "osc cleanup" in findings["earlier-run"].fix


def test_a_state_table_without_a_ghost_is_dropped_at_the_start(server: ServerUnderTest, database: str) -> None:
    server.execute(TABLE, STATE, database=database)
    findings = look(server, database)
    assert blocking_codes(findings) == set()
    assert "dropped at the start" in findings["left-over-state"].detail


@pytest.mark.parametrize("statement", [GHOST, "create table _t_ghc (id int)", "create view _t_gho as select 1"])
def test_a_table_of_somebody_else_under_our_names_blocks_until_it_may_go(
    server: ServerUnderTest, database: str, statement: str
) -> None:
    server.execute(TABLE, statement, database=database)
    finding = look(server, database)["ghost-name-taken"]
    assert finding.is_blocking
    assert "--initially-drop-ghost-table" in finding.fix
    assert look(server, database, room=RoomMaking(drops_ghost=True))["ghost-name-taken"].level == "note"


def test_a_finished_gh_ost_is_recognised(server: ServerUnderTest, database: str) -> None:
    server.execute(
        TABLE,
        GH_OST_CHANGELOG,
        GHOST,
        "insert into _t_ghc (hint, value, last_update) values ('heartbeat', 'x', now() - interval 1 hour)",
        database=database,
    )
    assert "gh-ost's" in look(server, database)["ghost-name-taken"].detail


def test_a_running_gh_ost_blocks_whatever_may_go(server: ServerUnderTest, database: str) -> None:
    server.execute(
        TABLE, GH_OST_CHANGELOG, GHOST, "insert into _t_ghc (hint, value) values ('heartbeat', 'x')", database=database
    )
    findings = look(server, database, room=RoomMaking(drops_ghost=True, drops_old=True))
    assert blocking_codes(findings) == {"gh-ost-runs"}


def test_an_old_table_blocks_until_it_may_go(server: ServerUnderTest, database: str) -> None:
    server.execute(TABLE, "create table _t_del (id int)", database=database)
    finding = look(server, database)["old-name-taken"]
    assert finding.is_blocking
    for way in ("--initially-drop-old-table", "--timestamp-old-table", f"DROP TABLE `{database}`.`_t_del`;"):
        assert way in finding.fix
    assert look(server, database, room=RoomMaking(drops_old=True))["old-name-taken"].level == "note"


def test_a_swap_that_was_cut_off_is_recognised_by_the_mark_of_its_sentry(
    server: ServerUnderTest, database: str
) -> None:
    server.execute(TABLE, f"create table _t_del (id int) comment '{SENTRY_COMMENT}'", database=database)
    findings = look(server, database)
    assert blocking_codes(findings) == set()
    assert findings["cut-off-swap"].level == "note"


def test_an_original_that_is_away_is_found_under_the_old_name(server: ServerUnderTest, database: str) -> None:
    server.execute(TABLE, "rename table t to _t_del", database=database)
    finding = look(server, database)["table-missing"]
    server.execute(finding.fix.rstrip(";"))
    assert blocking_codes(look(server, database)) == set()


@pytest.mark.only("mariadb", reason="only the sentry rename uses names of its own")
def test_a_name_that_the_swap_needs_for_a_moment_has_to_be_free(server: ServerUnderTest, database: str) -> None:
    ghost = quote(sorting_after("t", "_gho"))
    server.execute(TABLE, f"create table {ghost} (id int)", database=database)
    assert look(server, database)["swap-name-taken"].is_blocking
    server.execute(STATE, database=database)
    findings = look(server, database)
    assert blocking_codes(findings) == set()
    assert {"cut-off-swap", "earlier-run"} <= set(findings)


def test_tables_of_other_names_do_not_matter(server: ServerUnderTest, database: str) -> None:
    server.execute(
        TABLE, "create table xt_gho (id int)", "create table _tt_del (id int)", "create table t_ghc (id int)",
        database=database,
    )  # fmt: skip
    assert {finding.level for finding in look(server, database).values()} <= {"note"}
    assert "earlier-run" not in look(server, database)
