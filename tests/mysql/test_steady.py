"""Work that the server asks to be tried again: as often as allowed, and nothing of a failed try stays."""

from __future__ import annotations

import pytest

from osc.control.stop import StopRequest
from osc.errors import Stalled
from osc.mysql.session import Conn, Sessions
from osc.mysql.steady import SteadySession
from tests.servers import ServerUnderTest


@pytest.mark.everyday("mariadb-11.8", reason="what is done about an error's number differs on none")
@pytest.mark.parametrize(("code", "text"), [(1205, "Lock wait timeout exceeded"), (1213, "Deadlock found")])
def test_lock_waits_and_deadlocks_are_tried_again_so_many_times_and_rolled_back(
    server: ServerUnderTest, database: str, code: int, text: str
) -> None:
    server.execute("create table t (id int primary key)", database=database)
    tries: list[int] = []

    def work(connection: Conn) -> None:
        tries.append(len(tries))
        with connection.cursor() as cursor:
            cursor.execute(f"insert into {database}.t values ({len(tries)})")
            cursor.execute(f"signal sqlstate 'HY000' set mysql_errno = {code}, message_text = '{text}'")

    session = SteadySession(
        Sessions(server.migrator), "write", StopRequest(), variables={"autocommit": "0"}, attempts=3
    )
    with pytest.raises(Stalled, match=f"cannot write, tried 3 times: {text}"):
        session.run(work)
    assert len(tries) == 3
    session.run(lambda connection: connection.commit())
    session.close()
    assert server.query("select * from t", database=database) == ()


@pytest.mark.only("mariadb", reason="the variable is MariaDB's; on in 11.8 unless told otherwise")
def test_reads_that_fail_where_a_row_has_changed_since_are_off_in_every_session(server: ServerUnderTest) -> None:
    def setting(connection: Conn) -> object:
        with connection.cursor() as cursor:
            cursor.execute("select @@global.innodb_snapshot_isolation, @@session.innodb_snapshot_isolation")
            return cursor.fetchone()

    session = SteadySession(Sessions(server.migrator), "look", StopRequest())
    assert session.run(setting) == (int(server.version >= (11, 6)), 0)
    session.close()
