"""What the model says of servers, and the documentation of servers does not, is so."""

from __future__ import annotations

import threading
from contextlib import closing

from osc.mysql.server import read_server
from osc.tail.coordinate import current_coordinate
from tests.conftest import StartServer
from tests.model.stalls import commits_stalled, make_stallable

MOMENT_S = 0.02


def test_an_xa_transaction_that_is_being_prepared_is_in_the_binlog_before_it_is_listed(
    start_server: StartServer,
) -> None:
    server = start_server()
    make_stallable(server)
    with server.fresh_database() as database, closing(server.admin(database)) as looking:
        server.execute("create table t (id int primary key)", "create table beats (n int)", database=database)
        facts = read_server(looking)
        before = current_coordinate(looking, facts)
        with closing(server.admin(database)) as writer, writer.cursor() as cursor:
            for statement in ("xa start 'x'", "insert into t values (1)", "xa end 'x'"):
                cursor.execute(statement)
            prepare = threading.Thread(target=lambda: cursor.execute("xa prepare 'x'"))
            beat = threading.Thread(target=lambda: server.execute("insert into beats values (1)", database=database))
            with commits_stalled(server):
                prepare.start()
                while current_coordinate(looking, facts) == before:
                    assert prepare.is_alive(), "the statement did not stall"
                    prepare.join(MOMENT_S)
                beat.start()
                beat.join(10 * MOMENT_S)
                listed = server.query("xa recover")
                is_stalled = prepare.is_alive() and beat.is_alive()
            prepare.join()
            beat.join()
            listed_then = server.query("xa recover")
            cursor.execute("xa rollback 'x'")
    assert is_stalled, "a commit behind it does not overtake it: that is what the barrier relies on"
    assert (len(listed), len(listed_then)) == (0, 1)
