"""The swap's lock, and what becomes of it when its holder does not release it."""

from __future__ import annotations

from contextlib import closing

import pymysql
import pytest

from osc.cutover.locked import open_locking_session
from osc.errors import CutOverFailed
from osc.mysql.session import LOCK_WAIT_TIMEOUT, Conn, Sessions
from osc.options import MigrationOptions
from tests.cutover.swapping import swap
from tests.migration.inside import migrating_inside
from tests.migration.migrating import tables_of
from tests.migration.tables import make_table
from tests.servers import ServerUnderTest


def test_a_lock_whose_holder_falls_silent_is_released_by_the_server(server: ServerUnderTest, database: str) -> None:
    make_table(server, database, 10)
    with (
        closing(open_locking_session(Sessions(server.migrator), 1, {})) as silent,
        silent.cursor() as cursor,
        closing(server.admin(database)) as application,
        application.cursor() as writing,
    ):
        cursor.execute(f"lock tables `{database}`.t write")
        writing.execute("set session lock_wait_timeout = 100")
        # Waits for the lock, and not for the 28800 seconds after which a server hangs up by default.
        writing.execute("insert into t (k, s) values (1, 'written')")
    assert server.query("select s from t where k = 1", database=database) == (("written",),)


def test_what_is_found_in_the_way_under_the_lock_gives_the_attempt_up_and_the_next_one_swaps(
    server: ServerUnderTest, database: str
) -> None:
    make_table(server, database, 10)
    answers = iter([["prepared XA transaction 'one'"], []])
    done = swap(Sessions(server.migrator), database, "t", prepared_transactions=lambda _: next(answers))
    assert [attempt.outcome for attempt in done.attempts] == ["failed", "swapped"]
    assert "prepared XA transaction 'one'" in str(done.attempts[0].reason)


def test_a_swap_that_is_given_up_leaves_the_table_to_the_application(server: ServerUnderTest, database: str) -> None:
    make_table(server, database, 10)
    with pytest.raises(CutOverFailed, match="prepared XA transaction 'one'"):
        swap(
            Sessions(server.migrator),
            database,
            "t",
            attempts_allowed=1,
            prepared_transactions=lambda _: ["prepared XA transaction 'one'"],
        )
    server.execute("insert into t (k, s) values (1, 'written')", database=database)
    assert tables_of(server, database) == {"t", "_t_gho", "_t_ghc"}


@pytest.mark.only("mysql", reason="on MariaDB a backup's lock waits for the swap's, so it cannot come in between")
def test_a_backup_lock_that_comes_right_before_the_rename_holds_it_up_no_longer_than_the_lock_may_be_held(
    server: ServerUnderTest, database: str
) -> None:
    make_table(server, database, 10)
    with closing(server.admin(database)) as backup, backup.cursor() as cursor:

        def take_or_release(_: Conn) -> list[str]:
            cursor.execute("unlock instance" if locked else "lock instance for backup")
            locked.append(True)
            return []

        locked: list[bool] = []
        done = swap(Sessions(server.migrator), database, "t", prepared_transactions=take_or_release)
    assert [attempt.outcome for attempt in done.attempts] == ["failed", "swapped"]
    assert "Lock wait timeout" in str(done.attempts[0].reason)


@pytest.mark.only("mysql", reason="on MariaDB the temporary key goes before the rename")
def test_a_temporary_key_that_could_not_be_dropped_under_the_lock_is_dropped_behind_it(
    server: ServerUnderTest, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_table(server, database, 200)

    def too_late(*_: object) -> None:
        raise pymysql.err.OperationalError(LOCK_WAIT_TIMEOUT, "a backup lock came right behind the rename")

    monkeypatch.setattr("osc.cutover.locked.drop_temporary_key", too_late)
    alter = "drop primary key, add primary key (k, id), modify column id int not null"
    with migrating_inside(server, MigrationOptions(database, "t", alter)) as running:
        result = running.end()
    assert (result.exit_code, [attempt.outcome for attempt in result.cut_over_attempts]) == (0, ["swapped"]), result
    assert "osc_migration_key" not in str(server.query("show create table t", database=database))
