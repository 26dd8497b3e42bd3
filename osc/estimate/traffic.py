"""What the application writes to the table, learnt from a few seconds of the binlog by the engine's own reader."""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import closing

from osc.estimate.measured import Traffic
from osc.mysql.session import Sessions
from osc.table.choose import source_candidates
from osc.table.facts import Table
from osc.table.key import Key, key_column
from osc.table.names import Names
from osc.table.projection import MigrationKey
from osc.tail.coordinate import current_coordinate
from osc.tail.tail import Tail
from osc.watching import watch_for


class TrafficMeter:
    """Follows the binlog and counts; nothing is kept of the keys."""

    def __init__(
        self,
        sessions: Sessions,
        binlog: Sessions,
        names: Names,
        source: Table,
        key: MigrationKey,
        reader_id: int | None,
    ) -> None:
        """`names`: the tables whose rows are passed over."""
        with closing(binlog.open("read the binlog's coordinate")) as connection:
            start = current_coordinate(connection, binlog.server)
        self._counter = _Counter()
        self._tail = Tail(
            binlog.settings,
            binlog.server,
            start,
            watch_for(names, source, key, sessions, None),
            self._counter,
            reader_id,
        )
        self._tail.start()
        self._began_s = time.monotonic()

    @property
    def bytes(self) -> int:
        """Of the binlog, read so far."""
        return self._tail.counters.bytes

    def traffic(self, quiet: Traffic | None = None) -> Traffic:
        """What came since the start. Raises what the reader died of.

        `quiet`: from a time when the plan itself wrote nothing; its bytes are taken.
        """
        self._tail.raise_if_dead()
        watched_s = max(0.001, time.monotonic() - self._began_s)
        binlog_bytes_s = self.bytes / watched_s if quiet is None else quiet.binlog_bytes_s
        return Traffic(watched_s, self._counter.rows / watched_s, binlog_bytes_s)

    def has_met(self, beat: int, timeout_s: float) -> bool:
        """Whether the reader has come to that heartbeat within the time. Raises what it died of."""
        return self._tail.wait_for_heartbeat(beat, timeout_s)

    def close(self) -> None:
        self._tail.stop()


class _Counter:
    """Where the reader delivers."""

    def __init__(self) -> None:
        self.rows = 0

    def changed(self, keys: Collection[Key], transaction: int) -> None:
        self.rows += len(keys)

    def prepared(self, xid: str, keys: Collection[Key], transaction: int) -> None:
        self.rows += len(keys)

    def decided(self, xid: str, committed: bool, transaction: int) -> None:
        pass

    def heartbeat(self, counter: int) -> None:
        pass


def source_key(source: Table) -> MigrationKey | None:
    """The key by which the original's rows are named, whatever the new table has; None when it has none."""
    for index in source_candidates(source)[0]:
        columns = [key_column(source.column(name)) for name in index.columns]
        return MigrationKey(tuple(column for column in columns if column is not None), index.name, index.name)
    return None
