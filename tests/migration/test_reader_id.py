"""The tail's own id among the readers of the binlog, given on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.migration.migrating import migrate, postponed
from tests.migration.tables import make_table
from tests.servers import ServerUnderTest

ALTER = "add column z int not null default 7"
READER_ID = "471147"


@pytest.mark.everyday("mysql-9.7", "mariadb-11.8", reason="one of each flavor")
def test_the_tail_reads_under_the_id_that_it_is_given_and_of_two_with_one_id_one_says_why_it_ends(
    server: ServerUnderTest, database: str, tmp_path: Path
) -> None:
    make_table(server, database, 10)
    make_table(server, database, 10, name="u")
    own_id = ("--replica-server-id", READER_ID)
    with postponed(server, database, ALTER, tmp_path, *own_id) as (running, let_go):
        readers = server.query("show slave hosts" if server.is_mariadb else "show replicas")
        assert READER_ID in [str(reader[0]) for reader in readers]
        second = migrate(server, database, "u", ALTER, *own_id)
        let_go()
        first = running.end()
    # MariaDB shows the readers to nobody without more grants, and disconnects the first when the second comes.
    loser, winner = (first, second) if server.is_mariadb else (second, first)
    assert (winner.exit_code, winner.outcome) == (0, "swapped"), str(winner)
    assert loser.exit_code == (1 if server.is_mariadb else 2), str(loser)
    assert READER_ID in loser.error
    assert "another --replica-server-id" in loser.error
