"""Rows that change again and again: written now and then while rows are copied, and at once when the copy is complete."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.migration.migrating import copying_up_to
from tests.migration.tables import make_table
from tests.servers import ServerUnderTest

ALTER = "add column z int not null default 7"
PATIENCE_S = 60.0


@pytest.mark.in_turn(
    reason="which keys are taken and when; that every row is right in the end is tested on all servers"
)
def test_a_hot_row_rests_during_the_copy_and_no_longer(server: ServerUnderTest, database: str, tmp_path: Path) -> None:
    def k_in_ghost(row: int) -> object:
        return server.query(f"select k from _t_gho where id = {row}", database=database)[0][0]

    def wait_for(row: int, k: int) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while k_in_ghost(row) != k:
            assert time.monotonic() < deadline, f"row {row} still has {k_in_ghost(row)}, not {k}"
            time.sleep(0.05)

    make_table(server, database, 1_000)
    postpone = tmp_path / "postpone"
    postpone.touch()
    program = ("tests.migration.long_rest",)
    options = ("--postpone-cut-over-flag-file", str(postpone))
    with copying_up_to(server, database, ALTER, 900, tmp_path, *options, program=program) as (running, let_go):
        server.execute("update t set k = -1 where id = 1", database=database)
        wait_for(1, -1)
        server.execute("update t set k = -2 where id = 1", "update t set k = -3 where id = 2", database=database)
        wait_for(2, -3)
        assert k_in_ghost(1) == -1
        let_go()
        wait_for(1, -2)
        postpone.unlink()
        run = running.end()
    assert run.exit_code == 0, str(run)
