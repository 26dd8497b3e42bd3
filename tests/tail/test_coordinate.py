from __future__ import annotations

import json
from contextlib import closing

import pytest

from osc.errors import BinlogGone, MigrationFailed
from osc.mysql.server import read_server
from osc.tail.coordinate import Coordinate, binlog_files, current_coordinate, is_available, require_available
from tests.conftest import StartServer
from tests.servers import ServerUnderTest


def test_coordinates_compare_by_the_number_of_the_file_and_not_by_its_name() -> None:
    in_order = [
        Coordinate("b.999999", 100),
        Coordinate("b.1000000", 4),
        Coordinate("b.1000000", 5, "some:1"),
        Coordinate("b.1000001", 4),
    ]
    assert sorted([in_order[2], in_order[0], in_order[3], in_order[1]]) == in_order
    assert in_order[0] < in_order[1] <= in_order[1]
    assert in_order[2] > in_order[1] >= in_order[1]
    assert str(in_order[0]) == "b.999999:100"


@pytest.mark.parametrize("coordinate", [Coordinate("a.b.000001", 4), Coordinate("x.000002", 1 << 33, "0-1-2")])
def test_a_coordinate_survives_json(coordinate: Coordinate) -> None:
    assert Coordinate.from_json(json.loads(json.dumps(coordinate.to_json()))) == coordinate


def test_what_is_not_a_coordinate_is_refused() -> None:
    with pytest.raises(KeyError):
        Coordinate.from_json({"file": "x.000001"})


def test_the_end_of_the_binlog_moves_and_is_available(server: ServerUnderTest, table: str) -> None:
    # As the account that migrates: it has the privileges.
    with closing(server.connect()) as connection:
        facts = read_server(connection)
        before = current_coordinate(connection, facts)
        server.execute("insert into t values (1, 'a')", database=table)
        after = current_coordinate(connection, facts)
        assert before < after
        assert before.gtid_set != after.gtid_set
        assert after.gtid_set
        assert is_available(connection, before)
        require_available(connection, after)
        assert after.file in binlog_files(connection)


def test_a_coordinate_that_the_server_does_not_have_is_gone_and_the_message_says_what_there_is(
    server: ServerUnderTest,
) -> None:
    with closing(server.connect()) as connection:
        end = current_coordinate(connection, read_server(connection))
        for gone in (Coordinate(end.file, end.position + (1 << 40)), Coordinate("binlog.999999", 4)):
            assert not is_available(connection, gone)
            with pytest.raises(BinlogGone, match=r"it has .*\d{6} to .*\d{6}"):
                require_available(connection, gone)


def test_a_server_without_a_binlog_has_no_coordinate(start_server: StartServer) -> None:
    server = start_server({"skip-log-bin": ""})
    with closing(server.admin()) as admin, pytest.raises(MigrationFailed, match="no binlog"):
        current_coordinate(admin, read_server(admin))
