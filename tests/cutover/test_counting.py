"""Numbers that `AUTO_INCREMENT` gave out before the swap are not given out again after it."""

from __future__ import annotations

import threading
from contextlib import closing
from itertools import pairwise

from osc.mysql.session import Sessions
from tests.cutover.swapping import swap
from tests.migration.tables import make_table
from tests.servers import ServerUnderTest


def test_a_number_whose_row_is_gone_by_the_time_of_the_swap_is_not_given_out_again(
    server: ServerUnderTest, database: str
) -> None:
    # No row lasts, so the ghost never gets one of these numbers and cannot count past them by itself.
    make_table(server, database, 50)
    numbers: list[int] = []
    end = threading.Event()

    def write() -> None:
        with closing(server.admin(database)) as connection, connection.cursor() as cursor:
            while not end.is_set():
                cursor.execute("insert into t (k, s) values (1, 'soon gone')")
                numbers.append(int(cursor.lastrowid))
                cursor.execute("delete from t where id = %s", (numbers[-1],))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        sessions = Sessions(server.migrator)
        for _ in range(3):
            swap(sessions, database, "t")
    finally:
        end.set()
        writer.join()
    assert len(numbers) > 100
    given_again = [(before, after) for before, after in pairwise(numbers) if after <= before]
    assert given_again == []
