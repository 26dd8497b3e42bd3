"""Verification that begins while rows are still being copied."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from osc.options import MigrationOptions
from tests.migration.inside import migrating_inside
from tests.migration.migrating import copying_up_to, migrating
from tests.migration.tables import make_table
from tests.servers import ServerUnderTest

ALTER = "add column z int not null default 7"
AT_ONCE = ("--nice-ratio", "0")


def test_rows_that_are_copied_are_verified_while_others_are_not(
    server: ServerUnderTest, database: str, tmp_path: Path
) -> None:
    make_table(server, database, 3_000)
    with copying_up_to(server, database, ALTER, 2_000, tmp_path, *AT_ONCE) as (running, let_go):
        while not (status := running.wait_for("status"))["rows_verified"]:
            pass
        assert status["phase"] == "copy"
        let_go()
        run = running.end()
    assert run.exit_code == 0, str(run)
    assert run.finished["rows_verified"] == 3_000


def test_a_difference_is_found_before_the_copy_is_complete(
    server: ServerUnderTest, database: str, tmp_path: Path
) -> None:
    make_table(server, database, 3_000)
    flag = tmp_path / "not-yet"
    flag.touch()
    narrow = ("--workers", "1", "--chunk-size", "100", "--throttle-flag-file", str(flag))
    with (
        migrating(server, database, "t", ALTER, *narrow) as running,
        closing(server.admin(database)) as holder,
        holder.cursor() as cursor,
    ):
        running.wait_for("throttled")
        # The copy leaves alone what is there already, and does not get past the row that is locked.
        cursor.execute("insert into _t_gho (id, k, s) values (50, -1, 'wrong')")
        cursor.execute("begin")
        cursor.execute("insert into _t_gho (id, k) values (2000, 0)")
        flag.unlink()
        run = running.end()
    assert (run.exit_code, run.outcome) == (4, "differences"), str(run)
    assert "id = 50" in run.error


def test_what_was_compared_long_before_the_copy_was_complete_is_compared_again(
    server: ServerUnderTest, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("osc.verify.ahead.Ahead.is_fresh", property(lambda ahead: ahead.thread.is_alive))
    make_table(server, database, 3_000)
    with migrating_inside(server, MigrationOptions(database, "t", ALTER, impact="max", workers=1)) as running:
        result = running.end()
    assert (result.exit_code, result.rows_verified) == (0, 3_000), result
