"""Putting names right after a swap that was cut off."""

from __future__ import annotations

import threading
from contextlib import closing

from osc.cutover.names import SwapNames, restore_names
from osc.state.table import SENTRY_COMMENT
from osc.table.names import names_for
from tests.migration.migrating import tables_of
from tests.migration.test_failures import wait_until_doing
from tests.servers import ServerUnderTest

MOMENT_S = 1.0


def test_a_sentry_stays_while_the_rename_of_a_run_that_was_cut_off_still_waits(
    server: ServerUnderTest, database: str
) -> None:
    names = names_for(database, "t")
    sentry = SwapNames.of(names).old
    server.execute(
        "create table t (id int primary key)",
        f"create table `{sentry}` (id int primary key) comment='{SENTRY_COMMENT}'",
        database=database,
    )
    with (
        closing(server.admin(database)) as holder,
        closing(server.connect(database)) as cut_off,
        closing(server.connect(database)) as next_run,
        holder.cursor() as holding,
        cut_off.cursor() as renaming,
    ):
        holding.execute("lock tables t write")
        rename = threading.Thread(target=lambda: renaming.execute("rename table t to elsewhere"))
        rename.start()
        wait_until_doing(server, "rename table t")
        putting_right = threading.Thread(target=lambda: restore_names(next_run, names))
        putting_right.start()
        putting_right.join(MOMENT_S)
        assert sentry in tables_of(server, database)
        holding.execute("unlock tables")
        rename.join()
        putting_right.join()
    assert tables_of(server, database) == {"elsewhere"}
