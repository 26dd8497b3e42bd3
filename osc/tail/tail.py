"""The tail: the thread that follows the binlog, goes on after a lost connection, and says how far it is."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from osc.errors import ServerLost
from osc.mysql.server import Server
from osc.mysql.session import ConnectionSettings
from osc.tail.coordinate import Coordinate
from osc.tail.dump import Dump, choose_reader_id, same_server_id
from osc.tail.progress import Progress
from osc.tail.reader import EventReader, Swap
from osc.tail.stream import SameServerId, Stream, StreamLost
from osc.tail.watch import Sink, TailCounters, Watch
from osc.threads import OwnedThread

PATIENCE_S = 60.0
"""How long a lost connection is tried again before the migration stops."""
NAP_S = 0.01
"""What arrives meanwhile is read in one go: waking for each transaction, 1,500 a second, cost about as much as reading them."""
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0


class Tail:
    """Follows the binlog of one server from `start` on. `start()` and `stop()` belong to the same owner."""

    def __init__(
        self,
        settings: ConnectionSettings,
        server: Server,
        start: Coordinate,
        watch: Watch,
        sink: Sink,
        server_id: int | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """`server_id`: as whom to register; None for a random one that no other reader has."""
        self._settings = settings
        self._server = server
        self._wanted_id = server_id
        self._patience_s = patience_s
        self._sink = sink
        self._progress = Progress(start, server)
        self._reader = EventReader(server, watch, sink, self._progress, self._beat)
        self._uuid = str(uuid.uuid4())
        self._id = 0
        self._dump: Dump | None = None
        self._counted = TailCounters(0, 0, 0, 0, 0)
        self._reconnects = 0
        self._condition = threading.Condition()
        self._heartbeat = 0
        self._waiting = 0
        self._awaited = threading.Event()
        """While somebody waits for what the tail will meet, it takes no nap."""
        self._stopping = threading.Event()
        self._thread = OwnedThread("tail", self._run)

    # --- the owner's side -----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Connect, then follow the binlog on a thread. Raises ServerLost, BinlogGone, MigrationFailed."""
        try:
            self._id = choose_reader_id(self._settings, self._server, self._wanted_id)
            self._dump = self._open()
        except StreamLost as error:
            raise self._lost(error) from error
        self._thread.start()

    def stop(self) -> None:
        """End the thread and the connection. What it died of, if it did, stays in `error`."""
        self._stopping.set()
        if self._dump is not None:
            self._dump.interrupt()
        if self._thread.is_alive:
            self._thread.join()

    @property
    def error(self) -> BaseException | None:
        """What the thread died of."""
        return self._thread.error

    def raise_if_dead(self) -> None:
        """Raise what the thread died of, if it did."""
        self._thread.raise_if_dead()

    def wait_for_heartbeat(self, counter: int, timeout_s: float) -> bool:
        """Whether the heartbeat `counter`, or a later one, has passed within the time. Raises what the thread died of."""
        with self._wide_awake(), self._condition:
            self._condition.wait_for(lambda: self._heartbeat >= counter or self.error is not None, timeout_s)
            passed = self._heartbeat >= counter
        if not passed:
            self.raise_if_dead()
        return passed

    def wait_for_swap(self, timeout_s: float) -> Swap | None:
        """The engine's own rename of the watched table, or None when it has not come by in that time."""
        with self._wide_awake(), self._condition:
            self._condition.wait_for(lambda: self._reader.swap is not None or self.error is not None, timeout_s)
        if self._reader.swap is None:
            self.raise_if_dead()
        return self._reader.swap

    @contextmanager
    def _wide_awake(self) -> Iterator[None]:
        with self._condition:
            self._waiting += 1
            self._awaited.set()
        try:
            yield
        finally:
            with self._condition:
                self._waiting -= 1
                if not self._waiting:
                    self._awaited.clear()

    @property
    def heartbeat(self) -> int:
        """The counter of the last heartbeat that passed; 0 before the first."""
        return self._heartbeat

    @property
    def position(self) -> tuple[Coordinate, int]:
        """The end of the last complete transaction, and its number; the start and 0 before the first."""
        return self._progress.complete

    def checkpoint(self, oldest_pending: int | None) -> Coordinate:
        """Where a later run can start when every transaction below `oldest_pending` (None: all received) is dealt with.

        It is the start of a transaction or the end of a complete one. `oldest_pending` must never go back.
        """
        return self._progress.checkpoint(oldest_pending)

    @property
    def server_id(self) -> int:
        """As whom the tail is registered with the server."""
        return self._id

    @property
    def reconnects(self) -> int:
        """How often a lost connection was had again."""
        return self._reconnects

    @property
    def counters(self) -> TailCounters:
        """What was read so far, all connections together."""
        done, dump = self._counted, self._dump
        if dump is None:
            return done
        stream = dump.stream
        return TailCounters(
            done.events + stream.events,
            done.bytes + stream.bytes,
            done.row_events + stream.row_events,
            self._reader.rows,
            done.skipped_row_events + stream.skipped_row_events,
        )

    # --- the thread's side ----------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._follow()
        except BaseException as error:
            self._thread.error = error  # before those who wait are woken
            raise
        finally:
            if self._dump is not None:
                self._dump.close()
            with self._condition:
                self._condition.notify_all()

    def _follow(self) -> None:
        while not self._stopping.is_set():
            dump = self._dump
            assert dump is not None
            try:
                self._read(dump.stream)
            except StreamLost as error:
                if self._stopping.is_set():
                    return
                self._close(dump)
                self._reader.interrupted()
                self._connect_again(error)

    def _read(self, stream: Stream) -> None:
        reader = self._reader
        had_swap = reader.swap is not None
        for event in stream.events_for(reader.wanted):
            reader.read(event.type, event.body, event.server_id, event.flags, stream.file, stream.position)
            if not had_swap and reader.swap is not None:
                had_swap = True
                with self._condition:
                    self._condition.notify_all()
            if self._stopping.is_set():
                return

    def _beat(self, counter: int) -> None:
        self._sink.heartbeat(counter)
        with self._condition:
            self._heartbeat = max(self._heartbeat, counter)
            self._condition.notify_all()

    def _open(self) -> Dump:
        coordinate, _ = self._progress.complete
        return Dump(self._settings, self._server, coordinate, self._id, self._uuid, lambda: self._awaited.wait(NAP_S))

    def _close(self, dump: Dump) -> None:
        self._counted = self.counters
        self._dump = None
        dump.close()

    def _connect_again(self, reason: StreamLost) -> None:
        """Go on behind the last complete transaction; what was read of the one after it comes again, and does no harm."""
        deadline = time.monotonic() + self._patience_s
        pause_s = _FIRST_PAUSE_S
        while True:
            if isinstance(reason, SameServerId) and self._wanted_id is not None:
                raise same_server_id(self._wanted_id) from reason
            try:
                if isinstance(reason, SameServerId):
                    self._id = choose_reader_id(self._settings, self._server, None)
                self._dump = self._open()
            except StreamLost as error:
                reason = error
            else:
                self._reconnects += 1
                return
            if time.monotonic() >= deadline:
                raise self._lost(reason) from reason
            if self._stopping.wait(pause_s):
                return
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _lost(self, error: StreamLost) -> ServerLost:
        coordinate, _ = self._progress.complete
        return ServerLost(
            f"the binlog of {self._settings.place} can't be read on from {coordinate}: {error}. The original table is intact"
        )
