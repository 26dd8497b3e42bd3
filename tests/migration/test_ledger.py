"""Migrations of a table that others write, through the swap: what is there afterwards is what they committed."""

from __future__ import annotations

import pytest

from osc.sandbox.orders import ALTERS, CORE_COLUMNS
from osc.sandbox.workload import Workload
from tests.migration.migrating import Run, migrate
from tests.servers import ServerUnderTest

ROWS, FULL_ROWS = 6_000, 300_000
IN_A_ROW, FULL_IN_A_ROW = 2, 20


@pytest.fixture
def rows(is_full_size: bool) -> int:
    return FULL_ROWS if is_full_size else ROWS


@pytest.fixture
def in_a_row(is_full_size: bool) -> int:
    return FULL_IN_A_ROW if is_full_size else IN_A_ROW


def workload_on(server: ServerUnderTest, database: str, seed: int = 1) -> Workload:
    return Workload(server.root, database, "orders", writers=4, seed=seed, core_columns=CORE_COLUMNS)


def migrated_under_load(server: ServerUnderTest, database: str, workload: Workload, alter: str, *options: str) -> Run:
    """Migrate while the writers are at it; assert that neither they nor the ledger have anything to complain of."""
    workload.start()
    workload.wait_for(200)
    run = migrate(server, database, "orders", alter, *options)
    assert run.exit_code == 0, str(run)
    workload.wait_for(200)
    report = workload.stop()
    assert report.errors == ()
    verdict = workload.verify_against_direct_alter(alter)
    assert verdict.equal, str(verdict)
    return run


@pytest.mark.parametrize("alter", ALTERS.values(), ids=list(ALTERS))
def test_the_new_table_is_what_a_direct_alter_makes_of_the_ledger(
    server: ServerUnderTest, database: str, alter: str, rows: int
) -> None:
    with workload_on(server, database) as workload:
        workload.create(rows)
        run = migrated_under_load(server, database, workload, alter)
    assert run.outcome == "swapped"
    assert run.finished["keys_reconciled"] != 0


@pytest.mark.everywhere
@pytest.mark.parametrize("key", ["composite", "string"])
def test_tables_with_other_keys_keep_every_row(server: ServerUnderTest, database: str, key: str, rows: int) -> None:
    with workload_on(server, database) as workload:
        workload.create(rows, key=key)  # type: ignore[arg-type]
        migrated_under_load(server, database, workload, "add column z int not null default 5")


@pytest.mark.everywhere
@pytest.mark.parametrize("key", ["int", "string"])
def test_unique_values_that_move_between_rows_displace_none(
    server: ServerUnderTest, database: str, key: str, rows: int
) -> None:
    with workload_on(server, database) as workload:
        workload.create(rows, key=key, secondary_unique=True)  # type: ignore[arg-type]
        migrated_under_load(server, database, workload, "engine=InnoDB")


@pytest.mark.everywhere
def test_migrations_follow_one_another_under_the_same_writers(
    server: ServerUnderTest, database: str, rows: int, in_a_row: int
) -> None:
    with workload_on(server, database) as workload:
        workload.create(rows)
        workload.start()
        for number in range(in_a_row):
            run = migrate(
                server, database, "orders", f"add column extra_{number} int default {number}", "--ok-to-drop-table"
            )
            assert run.exit_code == 0, str(run)
        report = workload.stop()
        assert report.errors == ()
        verdict = workload.verify_against_direct_alter(
            ", ".join(f"add column extra_{number} int default {number}" for number in range(in_a_row))
        )
        assert verdict.equal, str(verdict)
