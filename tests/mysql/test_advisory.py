"""The lock that lets only one engine work on a table."""

from __future__ import annotations

from contextlib import closing

import pytest

from osc.errors import AlreadyRunning
from osc.mysql.advisory import AdvisoryLock
from osc.mysql.session import Sessions
from tests.servers import ServerUnderTest


def test_it_is_kept_while_the_run_waits_for_one_statement(
    server: ServerUnderTest, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("osc.mysql.advisory.WAIT_TIMEOUT_S", 1)
    monkeypatch.setattr("osc.mysql.advisory.PING_EVERY_S", 0.1)
    sessions = Sessions(server.migrator)
    lock, other = AdvisoryLock(sessions, database, "t"), AdvisoryLock(sessions, database, "t")
    lock.take()
    with lock.kept() as check, closing(sessions.open("wait")) as connection:
        with connection.cursor() as cursor:
            cursor.execute("select sleep(3)")
        check()
        with pytest.raises(AlreadyRunning):
            other.take()
    lock.release()
    other.take()
    other.release()


def test_a_holder_that_falls_silent_loses_it(
    server: ServerUnderTest, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("osc.mysql.advisory.WAIT_TIMEOUT_S", 1)
    sessions = Sessions(server.migrator)
    silent, other = AdvisoryLock(sessions, database, "t"), AdvisoryLock(sessions, database, "t")
    silent.take()
    with closing(server.admin()) as admin, admin.cursor() as cursor:
        # Waits for the lock without taking it from `other`.
        while True:
            cursor.execute("select is_used_lock(%s)", (silent.name,))
            row = cursor.fetchone()
            if row is None or row[0] is None:
                break
    other.take()
    other.release()
    silent.release()
