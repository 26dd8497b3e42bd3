"""What is done to the ghost before the swap."""

from __future__ import annotations

from contextlib import closing

import pymysql
import pytest

from osc.cutover.prepare import prepare_ghost
from osc.mysql.session import LOCK_WAIT_TIMEOUT, Sessions
from osc.table.projection import MigrationKey, Projection
from tests.servers import ServerUnderTest


def test_statistics_that_a_lock_keeps_from_being_gathered_are_an_error(server: ServerUnderTest, database: str) -> None:
    server.execute("create table g (id int primary key)", database=database)
    key = MigrationKey((), "PRIMARY", "PRIMARY")
    projection = Projection(database, "t", "g", key, ("id",), ("id",))
    sessions = Sessions(server.migrator)
    with (
        closing(server.admin(database)) as other,
        other.cursor() as cursor,
        closing(sessions.open("look", {"lock_wait_timeout": "1"})) as connection,
    ):
        cursor.execute("lock tables g write")
        with pytest.raises(pymysql.err.OperationalError) as caught:
            prepare_ghost(connection, sessions.server, projection)
    assert caught.value.args[0] == LOCK_WAIT_TIMEOUT
