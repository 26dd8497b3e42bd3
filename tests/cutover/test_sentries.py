"""The sentry table of the swap, and one that nobody heard of."""

from __future__ import annotations

import pytest

from osc.cutover.names import SwapNames
from osc.errors import CutOverFailed
from osc.mysql.session import Sessions
from osc.mysql.sql import qualified
from osc.state.table import SENTRY_COMMENT
from osc.table.names import names_for
from tests.cutover.swapping import swap
from tests.migration.tables import make_table
from tests.servers import ServerUnderTest

pytestmark = pytest.mark.only("mariadb", reason="MySQL renames under the lock, and has no sentry")


def make_sentry(server: ServerUnderTest, database: str, comment: str) -> str:
    name = qualified(database, SwapNames.of(names_for(database, "t")).old)
    server.execute(f"create table {name} (id int primary key) engine=InnoDB comment='{comment}'")
    return name


def test_a_sentry_that_was_made_for_a_lost_connection_does_not_stop_the_next_attempt(
    server: ServerUnderTest, database: str
) -> None:
    make_table(server, database, 10)
    make_sentry(server, database, SENTRY_COMMENT)
    done = swap(Sessions(server.migrator), database, "t", attempts_allowed=1)
    assert [attempt.outcome for attempt in done.attempts] == ["swapped"]


def test_a_table_of_somebody_else_under_the_sentrys_name_is_left_alone(server: ServerUnderTest, database: str) -> None:
    make_table(server, database, 10)
    theirs = make_sentry(server, database, "mine")
    with pytest.raises(CutOverFailed, match="exists, and the swap needs that name"):
        swap(Sessions(server.migrator), database, "t", attempts_allowed=1)
    assert server.query(f"select count(*) from {theirs}") == ((0,),)
