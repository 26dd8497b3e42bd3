"""How far the tail has read: complete transactions, and the places from which a later reader could go on.

A place is always the start of a transaction or the end of a complete one: nobody can start between a table map and its
rows.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from osc.mysql.server import Server
from osc.tail.coordinate import Coordinate, file_number
from osc.tail.gtids import GtidSet, MariadbGtids, MysqlGtids

MARK_INTERVAL_S = 0.1
MARK_TRANSACTIONS = 1000


class Progress:
    """Counts transactions and remembers where some of them began. The reading thread writes, any thread may ask."""

    def __init__(self, start: Coordinate, server: Server, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._file = start.file
        self._position = start.position
        self._gtids: GtidSet | None = None
        if start.gtid_set is not None:
            parse = MariadbGtids.parse if server.is_mariadb else MysqlGtids.parse
            self._gtids = parse(start.gtid_set)
        self._pending: Callable[[], None] | None = None
        self._number = 0
        self._complete = 0
        self._marks: deque[tuple[int, Coordinate]] = deque([(1, start)])
        self._marked_at = clock()

    @property
    def number(self) -> int:
        """The transaction that is being read, or the last one; 0 before the first."""
        return self._number

    @property
    def complete(self) -> tuple[Coordinate, int]:
        """The end of the last complete transaction, and its number."""
        with self._lock:
            return self._coordinate(), self._complete

    def _coordinate(self) -> Coordinate:
        return Coordinate(self._file, self._position, None if self._gtids is None else self._gtids.text)

    def begin(self) -> int:
        """A transaction begins where the last complete one ended; returns its number."""
        self._number += 1
        number, at = self._marks[-1]
        now = self._clock()
        if now - self._marked_at >= MARK_INTERVAL_S or self._number - number >= MARK_TRANSACTIONS:
            with self._lock:
                here = self._coordinate()
                # A transaction that is delivered again begins at the same place, for which the lower number holds too.
                if here != at:
                    self._marks.append((self._number, here))
                self._marked_at = now
        self._pending = None
        return self._number

    def named_by_mysql(self, source: str, number: int) -> None:
        """The transaction's id, `source` being `uuid` or `uuid:tag`."""
        if isinstance(self._gtids, MysqlGtids):
            gtids = self._gtids
            self._pending = lambda: gtids.add(source, number)

    def named_by_mariadb(self, domain: int, server_id: int, number: int) -> None:
        """The transaction's id."""
        if isinstance(self._gtids, MariadbGtids):
            gtids = self._gtids
            self._pending = lambda: gtids.add(domain, server_id, number)

    def unnamed(self) -> None:
        """The transaction has an id that cannot be counted: from now on places are known by file and position only."""
        self._gtids = None

    def end(self, file: str, position: int) -> None:
        """The transaction is complete, and ends there."""
        with self._lock:
            if self._pending is not None:
                self._pending()
                self._pending = None
            self._file, self._position = file, position
            self._complete = self._number

    def rotated(self, file: str, position: int) -> None:
        """The binlog goes on in another file; the one before may be purged now."""
        with self._lock:
            if self._complete == self._number and file_number(file) > file_number(self._file):
                self._file, self._position = file, position

    def checkpoint(self, oldest_pending: int | None) -> Coordinate:
        """The newest remembered place before which there are only transactions below `oldest_pending`.

        With None the end of the last complete transaction. Calls must not go back: places that a call passed by are
        forgotten. Raises ValueError when one does.
        """
        with self._lock:
            if oldest_pending is None:
                return self._coordinate()
            marks = self._marks
            if oldest_pending < marks[0][0]:
                raise ValueError(f"transaction {oldest_pending} is older than what is remembered ({marks[0][0]})")
            while len(marks) > 1 and marks[1][0] <= oldest_pending:
                marks.popleft()
            return marks[0][1]
