"""Runs that are killed in the middle of a swap: the next one finds what they left, and finishes."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime

import pytest

from osc.cutover.names import SwapNames
from osc.mysql.session import Sessions
from osc.state.cleanup import find_leftovers, remove_leftovers
from osc.state.table import StateTable
from osc.table.names import names_for
from tests.migration.migrating import migrate, migrating, tables_of
from tests.migration.tables import contents, make_table
from tests.servers import ServerUnderTest

ALTER = "add column z int not null default 7"


@pytest.mark.only("mariadb", reason="only the sentry rename has tables of its own")
@pytest.mark.parametrize("table", ["t", "T"])
def test_a_sentry_that_a_killed_run_left_is_removed_though_the_old_tables_name_has_another_time(
    server: ServerUnderTest, database: str, table: str
) -> None:
    make_table(server, database, 100, name=table)
    with closing(server.admin(database)) as application, application.cursor() as cursor:
        cursor.execute("set session transaction isolation level read committed")
        cursor.execute("begin")
        cursor.execute(f"update {table} set k = -1 where id = 1")
        with migrating(server, database, table, ALTER, "--timestamp-old-table") as running:
            while not (sentries := sentries_of(server, database)):
                pass
            running.process.kill()
            running.process.wait()
        application.commit()
    left = tables_of(server, database)
    assert sentries < left
    resumed = migrate(server, database, table, ALTER, "--timestamp-old-table")
    assert resumed.exit_code == 0, str(resumed)
    assert resumed.of("started")[0]["resumed"] is True
    old = str(resumed.finished["old_table"])
    assert old not in left
    assert tables_of(server, database) == {table, old}
    assert contents(server, database, name=table, what="k, z")[0] == (-1, 7)


@pytest.mark.only("mariadb", reason="only the sentry rename has tables of its own")
def test_cleaning_up_behind_a_run_that_was_killed_right_after_the_rename_gives_the_old_table_its_name(
    server: ServerUnderTest, database: str
) -> None:
    began = datetime(2026, 5, 6, 7, 8, 9)
    names = names_for(database, "t", began)
    swap = SwapNames.of(names)
    make_table(server, database, 10)
    make_table(server, database, 10, name=f"`{swap.old}`")
    with closing(server.admin(database)) as admin:
        state = StateTable(database, names.state)
        state.create(admin)
        state.note_old_name(admin, names.old)
    sessions = Sessions(server.migrator)
    with closing(sessions.open("look")) as connection:
        remove_leftovers(sessions, find_leftovers(connection, database, "t"))
    assert tables_of(server, database) == {"t", names.old}


def sentries_of(server: ServerUnderTest, database: str) -> set[str]:
    """The names of the sentry tables that there are."""
    rows = server.query(
        "select table_name from information_schema.tables"
        f" where table_schema = '{database}' and table_comment = 'osc sentry'"
    )
    return {str(row[0]) for row in rows}
