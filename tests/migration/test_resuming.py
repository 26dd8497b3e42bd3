"""What a resumed run takes over, what it does again, and when it refuses to go on."""

from __future__ import annotations

import json
from pathlib import Path

from tests.migration.migrating import copying_up_to, migrate, postponed, tables_of
from tests.migration.tables import contents, make_table
from tests.servers import ServerUnderTest

ALTER = "add column z int not null default 7"
ROWS = 5_000
HALF = ROWS // 2


def checkpoint_of(server: ServerUnderTest, database: str) -> dict[str, object]:
    [(text,)] = server.query("select value from _t_ghc where id = 3", database=database)
    stored: dict[str, object] = json.loads(str(text))
    return stored


def copied_below(server: ServerUnderTest, database: str) -> int:
    """The `id` below which every row has been copied, as the checkpoint has it."""
    low = checkpoint_of(server, database)["low"]
    return int(low[0]) if isinstance(low, list) else 0


def test_rows_that_were_copied_are_not_copied_again(server: ServerUnderTest, database: str, tmp_path: Path) -> None:
    make_table(server, database, ROWS)
    with copying_up_to(server, database, ALTER, HALF, tmp_path) as (running, _):
        while copied_below(server, database) <= HALF - 100:
            running.wait_for("status")
        running.process.kill()
    low = copied_below(server, database)
    assert low > HALF - 100
    # Called for each row that a copy tries to insert, also for those that are there already.
    server.execute(
        "create table tries (id int)",
        "create trigger try before insert on _t_gho for each row insert into tries values (new.id)",
        database=database,
    )
    resumed = migrate(server, database, "t", ALTER, "--resume", "require")
    assert resumed.exit_code == 0, str(resumed)
    assert server.query("select min(id), count(*) from tries", database=database) == ((low, ROWS - low + 1),)
    assert resumed.finished["rows_copied"] == ROWS


def test_rows_that_were_verified_are_not_verified_again_and_later_changes_are_brought_over(
    server: ServerUnderTest, database: str, tmp_path: Path
) -> None:
    make_table(server, database, ROWS)
    with postponed(server, database, ALTER, tmp_path) as (running, _):
        while checkpoint_of(server, database)["rows_verified"] != ROWS:
            running.wait_for("status")
        running.process.kill()
    verified = checkpoint_of(server, database)["verified"]
    assert isinstance(verified, list)
    assert verified[0] > ROWS // 10
    server.execute("update t set s = 'changed' where id = 1", "delete from t where id = 2", database=database)
    before = contents(server, database)
    resumed = migrate(server, database, "t", ALTER)
    assert resumed.exit_code == 0, str(resumed)
    # The last range is open-ended, so it is compared once more.
    assert resumed.finished["rows_verified"] == ROWS + (ROWS - int(verified[0]) + 1)
    assert contents(server, database, what="id, k, s") == before


def test_a_table_that_was_altered_and_a_binlog_that_was_purged_in_between_are_not_gone_on_with(
    server: ServerUnderTest, database: str, tmp_path: Path
) -> None:
    make_table(server, database, ROWS)
    with copying_up_to(server, database, ALTER, HALF, tmp_path) as (running, _):
        running.process.kill()

    def refused(why: str) -> None:
        run = migrate(server, database, "t", ALTER)
        assert (run.exit_code, run.outcome) == (2, "refused"), str(run)
        assert why in run.error
        assert "--resume=never" in run.error
        assert "osc cleanup" in run.error
        assert tables_of(server, database) == {"t", "_t_gho", "_t_ghc"}

    server.execute("alter table t add column other int", database=database)
    refused("has been altered since")
    server.execute("alter table t drop column other", "flush binary logs", database=database)
    files = server.query("show binary logs")
    server.execute(f"purge binary logs to '{files[-1][0]}'")
    refused("no longer has its binlog")
    assert migrate(server, database, "t", ALTER, "--resume", "never").exit_code == 0


def test_a_run_that_was_killed_right_behind_the_swap_is_cleaned_up_after(
    server: ServerUnderTest, database: str, tmp_path: Path
) -> None:
    make_table(server, database, 100)
    with postponed(server, database, ALTER, tmp_path) as (running, _):
        running.process.kill()
    # What the swap does, and nothing of what comes after it.
    server.execute("rename table t to _t_del, _t_gho to t", database=database)
    again = migrate(server, database, "t", ALTER)
    assert (again.exit_code, again.outcome) == (0, "swapped"), str(again)
    assert any("swapped the tables" in str(event["text"]) for event in again.of("warning"))
    assert tables_of(server, database) == {"t", "_t_del"}


def test_a_run_with_a_timestamp_that_was_killed_right_behind_the_swap_is_cleaned_up_after(
    server: ServerUnderTest, database: str, tmp_path: Path
) -> None:
    make_table(server, database, 100)
    with postponed(server, database, ALTER, tmp_path, "--timestamp-old-table") as (running, _):
        running.process.kill()
        running.process.wait()
    [(old,)] = server.query("select value from _t_ghc where id = 4", database=database)
    server.execute(f"rename table t to {old}, _t_gho to t", database=database)
    again = migrate(server, database, "t", ALTER, "--timestamp-old-table")
    assert (again.exit_code, again.outcome) == (0, "swapped"), str(again)
    assert again.finished["old_table"] == old
    assert tables_of(server, database) == {"t", old}


def test_rows_that_were_cut_are_not_taken_over_by_a_run_that_must_not_cut(
    server: ServerUnderTest, database: str, tmp_path: Path
) -> None:
    make_table(server, database, 100)
    alter = "modify s varchar(5)"
    with postponed(server, database, alter, tmp_path, "--allow-lossy") as (running, _):
        running.process.kill()
        running.process.wait()
    strictly = migrate(server, database, "t", alter)
    assert (strictly.exit_code, strictly.outcome) == (2, "refused"), str(strictly)
    assert "converted otherwise" in strictly.error
    lossily = migrate(server, database, "t", alter, "--allow-lossy")
    assert lossily.of("started")[0]["resumed"] is True
    assert (lossily.exit_code, lossily.outcome) == (0, "swapped"), str(lossily)
