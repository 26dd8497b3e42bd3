"""Swaps under writers that queue for the table: no write is lost, whatever the table's name, and nobody gets an error."""

from __future__ import annotations

import pytest

from osc.cutover.names import SwapNames
from osc.cutover.sentry import SentryRename
from osc.errors import DifferencesFound
from osc.mysql.session import Conn, Sessions
from osc.mysql.sql import qualified
from osc.table.names import names_for
from tests.cutover.binlogs import Place, end_of_binlog, writes_before_rename
from tests.cutover.swapping import hammered, swap
from tests.servers import ServerUnderTest

SWAPS, FULL_SWAPS = 2, 50

NAMES = {
    "a": "behind the ghost's and the old table's name",
    "zz": "at the end of the letters",
    "_x": "between the two names that it gives",
    "Upper": "before both",
    "n" * 64: "as long as can be",
    "~t`$": "behind everything that is usually put in front",
}
"""Names of tables, and where they stand in the byte order in which a `RENAME` takes its locks."""


@pytest.mark.in_turn(reason="the names and the servers have nothing to do with each other")
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("table", NAMES, ids=[name[:8] for name in NAMES])
def test_no_write_is_lost_and_nobody_gets_an_error_however_the_names_sort(
    server: ServerUnderTest, database: str, table: str, is_full_size: bool
) -> None:
    sessions = Sessions(server.migrator)
    with hammered(server, database, table) as written:
        for _ in range(FULL_SWAPS if is_full_size else SWAPS):
            since = end_of_binlog(server)
            swap(sessions, database, table)
            assert writes_before_rename(server, database, table, names_for(database, table).state, since) == []
    quoted = table.replace("`", "``")
    assert written.errors == []
    if server.is_mariadb:
        # MySQL has no way to ask for the lock without waiting.
        assert written.deadlocks == 0
    assert set(server.query(f"select w, n, v from `{quoted}`", database=database)) == written.expected


class CarelessRename(SentryRename):
    """Renames whatever the order of the names."""

    def _rename(self, connection: Conn) -> None:
        names = (self._names.table, self._swap_names.old, self._swap_names.ghost, self._names.table)
        table, old, ghost, again = (qualified(self._names.database, name) for name in names)
        with connection.cursor() as cursor:
            cursor.execute(f"rename table {table} to {old}, {ghost} to {again}")


@pytest.mark.only("mariadb", reason="only the sentry rename depends on the order of the names")
def test_names_that_sort_before_the_tables_would_lose_writes_and_both_looks_into_the_binlog_find_them(
    server: ServerUnderTest, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SwapNames, "of", classmethod(lambda cls, names: cls(names.ghost, names.old)))
    sessions = Sessions(server.migrator)
    began: list[Place] = []

    def swap_carelessly() -> None:
        for _ in range(20):
            began.append(end_of_binlog(server))
            swap(sessions, database, "t", way=CarelessRename)

    with hammered(server, database, "t"), pytest.raises(DifferencesFound, match="the last heartbeat and the rename"):
        swap_carelessly()
    assert writes_before_rename(server, database, "t", "_t_ghc", began[-1]) != []


def test_the_look_into_the_binlog_finds_a_write_that_came_in_between(server: ServerUnderTest, database: str) -> None:
    server.execute(
        "create table t (id int primary key)",
        "create table _t_ghc (id int primary key)",
        "insert into t values (1)",
        database=database,
    )
    since = end_of_binlog(server)
    server.execute(
        "insert into t values (2)",
        "insert into _t_ghc values (1)",
        "insert into t values (3)",
        f"rename table `{database}`.`t` to `{database}`.`_t_del`",
        database=database,
    )
    assert len(writes_before_rename(server, database, "t", "_t_ghc", since)) == 1
