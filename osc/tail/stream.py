"""Events cut out of the bytes of a binlog dump, most of them passed over by their header alone.

Most of the binlog is what the engine itself writes to the ghost table, and such an event must cost no more than a look at
its type and table id.
"""

from __future__ import annotations

import select
import socket
import ssl
import struct
import zlib
from collections.abc import Callable, Container, Iterator
from typing import Final

from osc.errors import BinlogGone, MigrationFailed
from osc.tail.events import FORMAT_DESCRIPTION, HEARTBEAT, HEARTBEAT_V2, ROTATE, ROW_EVENTS

# A packet's header, the byte for "OK", the event's header, and the first six bytes of its body: a table id.
_HEADER = struct.Struct("<HBBBIBIIIHIH")
_EVENT_HEADER: Final = 19
_WHOLE_PACKET: Final = 0xFFFFFF
CAUGHT_UP_BYTES: Final = 1 << 16
"""Who receives more at a time is behind, or about to be."""
WRAP: Final = 1 << 32
"""An event's header has four bytes for a position, and a file may be longer."""
_IS_ROWS: Final = bytes(type_ in ROW_EVENTS for type_ in range(256))
_SLAVE_SAME_ID: Final = 4052  # on MariaDB; MySQL says it in the text of 1236, which stands for many things
_IS_HEARTBEAT: Final = frozenset({HEARTBEAT, HEARTBEAT_V2})


class StreamLost(Exception):
    """The connection of the dump is gone; another may work."""


class SameServerId(StreamLost):
    """Another reader has the same `server_id`, and the server lets only one of them live."""


class Event:
    """One event, without its checksum. `position` of the stream is its end while it is being looked at."""

    __slots__ = ("body", "flags", "server_id", "type")

    def __init__(self, type_: int, server_id: int, flags: int, body: bytes) -> None:
        self.type = type_
        self.server_id = server_id
        self.flags = flags
        self.body = body


class Stream:
    """The events that arrive on a socket behind the request for a dump, and the coordinate behind the last one."""

    def __init__(
        self,
        source: socket.socket,
        file: str,
        position: int,
        skip_to: int = 0,
        nap: Callable[[], object] = lambda: None,
    ) -> None:
        """Events of `file` that end at `skip_to` or before are not delivered. `nap` is called when all that had arrived was
        read, and that was little; it returns when it is time to wait for more."""
        self.file = file
        self.position = position
        """The end of the event last delivered."""
        self.events = 0
        self.bytes = 0
        self.row_events = 0
        self.skipped_row_events = 0
        self._socket = source
        self._skip_to = skip_to
        self._nap = nap
        self._received = 0
        self._checksum_bytes = 0
        self._buffer = bytearray(1 << 20)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0

    def events_for(self, wanted: Container[int]) -> Iterator[Event]:
        """Events as they come, without heartbeats and without row events of table ids that are not in `wanted` then.

        Raises StreamLost, SameServerId, BinlogGone, MigrationFailed.
        """
        unpack, is_rows = _HEADER.unpack_from, _IS_ROWS
        start, end = self._start, self._end
        high, low = self.position & -WRAP, self.position & (WRAP - 1)
        while True:
            # The buffer is longer than what it may hold, so that a header can be unpacked before it is all there.
            size, size_high, _, ok, _, type_, server_id, _, log_pos, flags, id_low, id_high = unpack(
                self._buffer, start
            )
            behind = start + 4 + (size | size_high << 16)
            if end - start < 4 or behind > end:
                # Of an event of more than one packet the header is enough: it may be none that is wanted.
                enough = min(behind - start, _HEADER.size) if behind - start == 4 + _WHOLE_PACKET else behind - start
                if end - start < 4 or end - start < enough:
                    self._start, self._end = start, end
                    self._fill(enough if end - start >= 4 else 4)
                    start, end = self._start, self._end
                    continue
            self.events += 1
            if ok:
                raise _server_error(bytes(self._view[start + 4 : behind]))
            if log_pos:
                if log_pos < low and low - log_pos > WRAP >> 1:
                    high += WRAP  # the header has four bytes for a position
                low = log_pos
            if is_rows[type_]:
                self.row_events += 1
                if (id_low | id_high << 32) not in wanted:
                    self.skipped_row_events += 1
                    if behind - start < 4 + _WHOLE_PACKET:
                        start = behind
                        continue
                    self._start, self._end = start, end
                    self._pass_over_long_event()
                    start, end = self._start, self._end
                    continue
            if behind - start < 4 + _WHOLE_PACKET:
                raw = bytes(self._view[start + 5 : behind])
                start = behind
            else:
                self._start, self._end = start, end
                raw = self._long_event()
                start, end = self._start, self._end
            if type_ in _IS_HEARTBEAT or (high + low <= self._skip_to and type_ not in (ROTATE, FORMAT_DESCRIPTION)):
                continue
            if type_ == FORMAT_DESCRIPTION:
                self._checksum_bytes = 4 if raw[-5] == 1 else 0
            if type_ == ROTATE:
                self._rotate(raw)
                high, low = self.position & -WRAP, self.position & (WRAP - 1)
                yield Event(type_, server_id, flags, b"")
                continue
            self.position = high + low
            yield Event(type_, server_id, flags, raw[_EVENT_HEADER : len(raw) - self._checksum_bytes])

    def _rotate(self, raw: bytes) -> None:
        """Go on in the file that the event names. One made up for the reader has a checksum or not, whatever its file has."""
        has_checksum = len(raw) > _EVENT_HEADER + 12 and zlib.crc32(raw[:-4]) == int.from_bytes(raw[-4:], "little")
        body = raw[_EVENT_HEADER:-4] if has_checksum else raw[_EVENT_HEADER:]
        file = body[8:].decode()
        if file != self.file and self._skip_to:
            self._skip_to = 0
        self.file, self.position = file, int.from_bytes(body[:8], "little")

    def _fill(self, size: int) -> None:
        """Receive until at least `size` bytes are there, counted from `_start`. Moves what there is to the front."""
        have = self._end - self._start
        if size + _HEADER.size > len(self._buffer):
            grown = bytearray(size + len(self._buffer))
            grown[:have] = self._view[self._start : self._end]
            self._buffer, self._view = grown, memoryview(grown)
        else:
            self._view[:have] = self._view[self._start : self._end]
        self._start, self._end = 0, have
        room = len(self._buffer) - _HEADER.size
        while self._end < size:
            try:
                if not self._end and self._received < CAUGHT_UP_BYTES and not self._has_arrived():
                    self._nap()
                received = self._socket.recv_into(self._view[self._end : room])
            except (OSError, ValueError) as error:
                raise StreamLost(f"reading the binlog: {error}") from error
            if not received:
                raise StreamLost("the server closed the connection of the binlog dump")
            self.bytes += received
            self._end += received
            self._received = received

    def _has_arrived(self) -> bool:
        """Whether there is more to receive at once."""
        if isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            return True
        look = select.poll()
        look.register(self._socket, select.POLLIN)
        return bool(look.poll(0))

    def _long_event(self) -> bytes:
        """The event that begins at `_start` and takes more than one packet (16 MiB)."""
        whole = bytearray()
        size = _WHOLE_PACKET
        while size == _WHOLE_PACKET:
            self._fill(4)
            size = int.from_bytes(self._view[self._start : self._start + 3], "little")
            if self._end - self._start < 4 + size:
                self._fill(4 + size)
            whole += self._view[self._start + 4 : self._start + 4 + size]
            self._start += 4 + size
        del whole[0]
        return bytes(whole)

    def _pass_over_long_event(self) -> None:
        """The same for one that nobody wants: never in memory as a whole."""
        size = _WHOLE_PACKET
        while size == _WHOLE_PACKET:
            self._fill(4)
            size = int.from_bytes(self._view[self._start : self._start + 3], "little")
            self._start += 4
            left = size
            while left:
                if self._start == self._end:
                    self._fill(1)
                passed = min(left, self._end - self._start)
                self._start += passed
                left -= passed


def _server_error(packet: bytes) -> Exception:
    """What the server's refusal to go on means."""
    if packet[0] == 0xFE:
        return StreamLost("the server ended the binlog dump")
    code = int.from_bytes(packet[1:3], "little")
    text = packet[9:].decode("utf-8", "replace")
    lowered = text.lower()
    if code == _SLAVE_SAME_ID or "same server_uuid" in lowered or "same server_id" in lowered:
        return SameServerId(f"{text} (error {code})")
    if code != 1236:
        return StreamLost(f"{text} (error {code})")
    if "bogus data" in lowered or "corrupt" in lowered or "max_allowed_packet" in lowered:
        return MigrationFailed(
            f"the server cannot send its binlog: {text} (error {code}). The original table is intact"
        )
    return BinlogGone(
        f"the server no longer has the part of the binlog that is still needed: {text} (error {code}). The original table "
        "is intact; what was copied cannot be brought up to date any more. Remove it (osc cleanup) and start again"
    )
