"""Writers that queue for one table without a pause, in a process of their own: `python -m tests.cutover.hammer`.

Reads what to do as a JSON object from stdin, says `ready` when every writer has written, ends when stdin does, and prints how
far each writer came. A writer inserts a row, updates it, and deletes the one that it inserted `KEPT` rounds before, each in a
transaction of its own; so it knows exactly which rows of its are there at the end.
"""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import asdict, dataclass, field

import pymysql
from pymysql.cursors import Cursor

from osc.mysql.sql import qualified

KEPT = 10
DEADLOCK = 1213


@dataclass
class Writer:
    """One writer, and how far it came."""

    number: int
    rounds: int = 0
    deadlocks: int = 0
    errors: list[str] = field(default_factory=list)

    def write(
        self, settings: dict[str, object], table: str, has_begun: threading.Barrier, end: threading.Event
    ) -> None:
        """Write until `end`, or until a statement fails."""
        connection = pymysql.connect(**settings, autocommit=True)  # type: ignore[call-overload]
        try:
            while not end.is_set():
                try:
                    self._round(connection, table, self.rounds + 1)
                except pymysql.err.OperationalError as error:
                    if error.args[0] != DEADLOCK:
                        raise
                    connection.rollback()
                    self.deadlocks += 1
                    continue
                self.rounds += 1
                if self.rounds == 1:
                    has_begun.wait()
        except (pymysql.err.MySQLError, OSError) as error:
            self.errors.append(repr(error))
            has_begun.abort()
        finally:
            connection.close()

    def _round(self, connection: pymysql.connections.Connection[Cursor], table: str, number: int) -> None:
        with connection.cursor() as cursor:
            if self.number % 2:
                cursor.execute("begin")
                cursor.execute(f"select v from {table} where w = {self.number}")
            cursor.execute(f"insert into {table} (w, n, v) values ({self.number}, {number}, 0)")
            cursor.execute(f"update {table} set v = v + 1 where w = {self.number} and n = {number}")
            cursor.execute(f"delete from {table} where w = {self.number} and n = {number - KEPT}")
        connection.commit()


def main() -> None:
    asked = json.loads(sys.stdin.readline())
    table = qualified(asked["database"], asked["table"])
    has_begun, end = threading.Barrier(asked["writers"] + 1), threading.Event()
    writers = [Writer(number) for number in range(asked["writers"])]
    threads = [
        threading.Thread(target=writer.write, args=(asked["settings"], table, has_begun, end)) for writer in writers
    ]
    for thread in threads:
        thread.start()
    has_begun.wait()
    print("ready", flush=True)
    sys.stdin.read()
    end.set()
    for thread in threads:
        thread.join()
    print(json.dumps([asdict(writer) for writer in writers]))


if __name__ == "__main__":
    main()
