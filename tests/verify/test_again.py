"""While the swap is postponed, the proof is renewed."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest

from osc.options import MigrationOptions
from tests.migration.inside import migrating_inside
from tests.migration.migrating import migrate, tables_of
from tests.migration.tables import contents, make_table
from tests.servers import ServerUnderTest

ALTER = "add column z int not null default 7"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("osc.verify.again.AFTER_S", 0.1)
    monkeypatch.setattr("osc.verify.verifier.SETTLE_TIMEOUT_S", 0.2)


@pytest.fixture
def postponed(database: str, tmp_path: Path) -> MigrationOptions:
    """Postponed for as long as the file exists."""
    flag = tmp_path / "postpone"
    flag.touch()
    return MigrationOptions(database, "t", ALTER, postpone_flag_file=flag)


def test_a_postponed_swap_goes_on_reconciling_saving_checkpoints_and_verifying(
    server: ServerUnderTest, database: str, postponed: MigrationOptions
) -> None:
    make_table(server, database, 3_000)
    saved = "select counter from _t_ghc where name = 'checkpoint'"
    with migrating_inside(server, postponed) as running:
        running.recorder.wait_for("verified_again")
        before = server.query(saved, database=database)
        server.execute("update t set k = -1 where id = 1234", "delete from t where id = 1235", database=database)
        while server.query("select k, z from _t_gho where id in (1234, 1235)", database=database) != ((-1, 7),):
            pass
        while server.query(saved, database=database) == before:
            pass
        again = len(running.recorder.of("verified_again"))
        # The one under way may have begun before the change.
        assert running.recorder.wait_for("verified_again", again + 2)["rows"] == 2_999
        seen = len(running.recorder.of("status"))
        age = cast(float, running.recorder.wait_for("status", seen + 1)["proof_age_s"])
        elapsed = cast(float, running.recorder.of("status")[-1]["elapsed_s"])
        assert age < elapsed
        assert postponed.postpone_flag_file is not None
        postponed.postpone_flag_file.unlink()
        result = running.end()
    assert (result.exit_code, result.outcome) == (0, "swapped"), result
    assert server.query("select k, z from t where id in (1234, 1235)", database=database) == ((-1, 7),)


def test_a_row_that_somebody_changes_in_the_ghost_while_the_swap_is_postponed_is_found(
    server: ServerUnderTest, database: str, postponed: MigrationOptions
) -> None:
    make_table(server, database, 3_000)
    before = contents(server, database)
    with migrating_inside(server, postponed) as running:
        running.recorder.wait_for("verified_again")
        server.execute("update _t_gho set s = upper(s) where id = 2345", database=database)
        result = running.end()
    assert (result.exit_code, result.outcome) == (4, "differences"), result
    assert "id = 2345" in str(result.error)
    assert contents(server, database) == before
    assert tables_of(server, database) == {"t", "_t_gho", "_t_ghc"}
    # What was verified before the damage was seen is not taken for verified by the next run.
    again = migrate(server, database, "t", ALTER)
    assert (again.exit_code, again.outcome) == (4, "differences"), str(again)
    assert "id = 2345" in again.error
    assert contents(server, database) == before


def test_a_row_that_never_rests_keeps_verification_from_nothing(server: ServerUnderTest, database: str) -> None:
    make_table(server, database, 2_000)
    done = threading.Event()
    written = 0

    def hammer() -> None:
        nonlocal written
        with closing(server.admin(database)) as connection, connection.cursor() as cursor:
            while not done.is_set():
                cursor.execute("update t set k = k + 1 where id = 1000")
                written += 1

    writer = threading.Thread(target=hammer)
    writer.start()
    try:
        with migrating_inside(server, MigrationOptions(database, "t", ALTER)) as running:
            result = running.end()
    finally:
        done.set()
        writer.join()
    assert result.exit_code == 0, result
    assert server.query("select k, z from t where id = 1000", database=database) == ((7_000 + written, 7),)
