"""How many row events per second the tail takes in, on one core: keys of the user's table, and the ghost's passed over.

    python -m bench.tail [SERVER] [--updates 25000] [--ghost-rows 300000] [--event-bytes 256]

It fills a binlog with updates of the table among inserts into the ghost, as during a copy, reads it from its beginning, and
prints what the reading cost in processor time of the reading process. With --event-bytes 256 every row has an event.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass

from osc.mysql.server import read_server
from osc.mysql.session import Conn, ConnectionSettings
from osc.sandbox.servers import LocalServer, quickest
from osc.table.facts import read_table
from osc.table.key import Key, key_column
from osc.tail.coordinate import Coordinate, current_coordinate
from osc.tail.tail import Tail
from osc.tail.watch import Watch

TEXT = "x" * 120


class Counting:
    """A sink that counts keys."""

    def __init__(self) -> None:
        self.keys = 0

    def changed(self, keys: Collection[Key], transaction: int) -> None:
        self.keys += len(keys)

    def prepared(self, xid: str, keys: Collection[Key], transaction: int) -> None:
        self.keys += len(keys)

    def decided(self, xid: str, committed: bool, transaction: int) -> None:
        pass

    def heartbeat(self, counter: int) -> None:
        pass


def fill(connection: Conn, updates: int, ghost_rows: int) -> Coordinate:
    """Write the binlog: the table's rows by single-row updates, the ghost's by multi-row inserts. Returns its beginning."""
    with connection.cursor() as cursor:
        cursor.execute("create database bench")
        cursor.execute("use bench")
        columns = "id int not null primary key, k int not null, c char(120) not null, pad char(60) not null"
        for table in ("t", "_t_gho"):
            cursor.execute(f"create table {table} ({columns}) engine=InnoDB")
        cursor.execute(
            "create table _t_ghc (id smallint unsigned not null primary key, counter bigint unsigned not null)"
        )
        cursor.execute("insert into _t_ghc values (1, 0)")
        start = current_coordinate(connection, read_server(connection))
        cursor.execute("set autocommit = 0")
        cursor.execute("insert into t values " + ",".join(f"({number}, 0, '{TEXT}', 'p')" for number in range(1000)))
        copied = 0
        for number in range(updates):
            cursor.execute("update t set k = k + 1 where id = %s", (number % 1000,))
            if number % 100 == 99:
                rows = range(copied, copied + ghost_rows * 100 // updates)
                copied = rows.stop
                cursor.execute("insert into _t_gho values " + ",".join(f"({row}, 0, '{TEXT}', 'p')" for row in rows))
            if number % 4 == 3:
                connection.commit()
        connection.commit()
        cursor.execute("update _t_ghc set counter = 1 where id = 1")
        connection.commit()
    return start


@dataclass(frozen=True, slots=True)
class TailRate:
    """What one reading took in, and what it cost."""

    server: str
    events: int
    mb: float
    row_events: int
    skipped_row_events: int
    """Those of the ghost, passed over at their headers; they count as row events too."""
    keys: int
    seconds: float
    cpu_s: float

    @property
    def row_events_per_cpu_s(self) -> float:
        """How many row events one core takes in a second."""
        return self.row_events / self.cpu_s

    def __str__(self) -> str:
        return (
            f"{self.server}: {self.events:,} events, {self.mb:.0f} MB, {self.row_events:,} of them row events,"
            f" {self.skipped_row_events:,} passed over; {self.keys:,} keys; {self.seconds:.2f} s, {self.cpu_s:.2f} s of"
            f" processor time: {self.events / self.cpu_s:,.0f} events, {self.row_events_per_cpu_s:,.0f} row events,"
            f" {self.mb / self.cpu_s:.0f} MB per second of processor time"
        )


def read(settings: ConnectionSettings, connection: Conn, start: Coordinate) -> TailRate:
    """Read the binlog from `start` to its end."""
    server = read_server(connection)
    table = read_table(connection, "bench", "t")
    assert table is not None
    key = key_column(table.column("id"))
    assert key is not None
    sink = Counting()
    tail = Tail(settings, server, start, Watch("bench", "t", (key,), ghosts=("_t_gho",), state_table="_t_ghc"), sink)
    began, began_cpu = time.perf_counter(), time.process_time()
    tail.start()
    assert tail.wait_for_heartbeat(1, 600)
    seconds, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    tail.stop()
    tail.raise_if_dead()
    counters = tail.counters
    return TailRate(
        server=server.title,
        events=counters.events,
        mb=counters.bytes / 1e6,
        row_events=counters.row_events,
        skipped_row_events=counters.skipped_row_events,
        keys=sink.keys,
        seconds=seconds,
        cpu_s=cpu,
    )


def measure_tail(server_name: str, updates: int, ghost_rows: int, event_bytes: int, times: int) -> list[TailRate]:
    """Fill a binlog on a server of its own and read it so many times."""
    options = {"sync_binlog": "0", "binlog_row_event_max_size": str(event_bytes)}
    with LocalServer(server_name, options) as server, closing(server.admin()) as admin:
        start = fill(admin, updates, ghost_rows)
        settings = ConnectionSettings(
            host=server.host, port=server.port, user=server.user, password=server.password, ssl_mode="DISABLED"
        )
        return [read(settings, admin, Coordinate(start.file, start.position)) for _ in range(times)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("server", nargs="?", default=None, help="a sandbox server (default: the quickest to get)")
    parser.add_argument("--updates", type=int, default=25_000, help="four to a transaction")
    parser.add_argument("--ghost-rows", type=int, default=300_000)
    parser.add_argument(
        "--event-bytes", type=int, default=8192, help="the longest row event; the servers' default is 8192"
    )
    given = parser.parse_args()
    for rate in measure_tail(given.server or quickest(), given.updates, given.ghost_rows, given.event_bytes, times=3):
        print(rate)


if __name__ == "__main__":
    main()
