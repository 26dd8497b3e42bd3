"""Byte by byte: what no server can be made to send in a test, from the other end of a socket."""

from __future__ import annotations

import socket
import struct
import threading
import zlib
from collections.abc import Iterator

import pytest

from osc.errors import BinlogGone, MigrationFailed
from osc.tail.events import FORMAT_DESCRIPTION, HEARTBEAT, QUERY, ROTATE, XID
from osc.tail.stream import CAUGHT_UP_BYTES, SameServerId, Stream, StreamLost

WRAP = 1 << 32
WRITE_ROWS = 30


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def event(type_: int, log_pos: int, body: bytes = b"", checksum: bool = False, flags: int = 0) -> bytes:
    size = 19 + len(body) + (4 if checksum else 0)
    whole = struct.pack("<IBIIIH", 0, type_, 1, size, log_pos % WRAP, flags) + body
    return whole + (zlib.crc32(whole).to_bytes(4, "little") if checksum else b"")


def packets(*events: bytes) -> bytes:
    wire = b""
    for whole in events:
        payload = b"\0" + whole
        while True:
            part, payload = payload[: (1 << 24) - 1], payload[(1 << 24) - 1 :]
            wire += len(part).to_bytes(3, "little") + b"\0" + part
            if len(part) < (1 << 24) - 1:
                break
    return wire


def rotate(file: str, position: int = 4, checksum: bool = False) -> bytes:
    return event(ROTATE, 0, position.to_bytes(8, "little") + file.encode(), checksum, flags=0x20)


def format_description(checksum: bool) -> bytes:
    body = struct.pack("<H50sIB", 4, b"9.7.0", 0, 19) + bytes(41) + bytes((checksum,))
    return event(FORMAT_DESCRIPTION, 0, body + bytes(4))


def rows(table_id: int, log_pos: int, size: int = 10, checksum: bool = False) -> bytes:
    return event(WRITE_ROWS, log_pos, table_id.to_bytes(6, "little") + bytes(size), checksum)


def read(
    ends: tuple[socket.socket, socket.socket],
    stream: Stream,
    wire: bytes,
    wanted: frozenset[int] = frozenset(),
    step: int = 0,
) -> list[tuple[int, str, int, int]]:
    """Type, file, end and length of the body of each event, until the other end closes."""

    def send() -> None:
        for start in range(0, len(wire), step or len(wire)):
            ends[1].sendall(wire[start : start + (step or len(wire))])
        ends[1].shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send)
    sender.start()
    found = []
    try:
        for event in stream.events_for(wanted):
            found.append((event.type, stream.file, stream.position, len(event.body)))
    except StreamLost:
        pass
    finally:
        sender.join()
    return found


@pytest.mark.parametrize("step", [0, 1, 7, 1000])
@pytest.mark.parametrize("checksum", [False, True])
def test_events_are_cut_out_however_the_bytes_arrive(
    ends: tuple[socket.socket, socket.socket], step: int, checksum: bool
) -> None:
    wire = packets(
        rotate("binlog.000002", 120, checksum),
        format_description(checksum),
        event(QUERY, 200, b"x" * 33, checksum),
        rows(5, 300, checksum=checksum),
        rows(6, 400, checksum=checksum),
        event(HEARTBEAT, 400, b"binlog.000002", checksum),
        event(XID, 431, bytes(8), checksum),
    )
    stream = Stream(ends[0], "binlog.000001", 4)
    assert read(ends, stream, wire, frozenset({6}), step)[2:] == [
        (QUERY, "binlog.000002", 200, 33),
        (WRITE_ROWS, "binlog.000002", 400, 16),
        (XID, "binlog.000002", 431, 8),
    ]
    assert stream.events == 7
    assert stream.row_events == 2
    assert stream.skipped_row_events == 1
    assert stream.bytes == len(wire)


def test_it_naps_where_all_that_arrived_was_read_and_only_there(ends: tuple[socket.socket, socket.socket]) -> None:
    parts = [event(XID, end) for end in (100, 200, 300)]
    to_come = [packets(*parts[1:]), b""]
    naps: list[int] = []

    def nap() -> None:
        naps.append(stream.events)
        ends[1].sendall(to_come.pop(0))
        if not to_come:
            ends[1].shutdown(socket.SHUT_WR)

    stream = Stream(ends[0], "binlog.000001", 4, nap=nap)
    ends[1].sendall(packets(parts[0]))
    with pytest.raises(StreamLost):
        list(stream.events_for(()))
    assert stream.events == 3
    assert naps == [1, 3]


def test_it_does_not_nap_while_much_arrives(ends: tuple[socket.socket, socket.socket]) -> None:
    naps: list[int] = []
    stream = Stream(ends[0], "binlog.000001", 4, nap=lambda: naps.append(stream.bytes))
    large = packets(event(QUERY, 100, b"x" * CAUGHT_UP_BYTES))
    ends[0].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * len(large))
    ends[1].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * len(large))
    ends[1].sendall(large)
    closer = threading.Timer(0.3, ends[1].shutdown, (socket.SHUT_WR,))
    closer.start()
    with pytest.raises(StreamLost):
        list(stream.events_for(()))
    closer.join()
    assert stream.bytes == len(large)
    assert naps == []


def test_positions_beyond_four_gib_are_counted_on(ends: tuple[socket.socket, socket.socket]) -> None:
    ends_at = [100, WRAP - 10, WRAP + 90, WRAP + 200, 2 * WRAP - 1, 2 * WRAP + 5]
    wire = packets(
        rotate("binlog.000002"), *(event(XID, end) for end in ends_at), rotate("binlog.000003"), event(XID, 50)
    )
    found = read(ends, Stream(ends[0], "binlog.000002", 4), wire)
    assert [end for type_, _, end, _ in found if type_ == XID] == [*ends_at, 50]


def test_skipped_events_count_towards_a_position_beyond_four_gib(ends: tuple[socket.socket, socket.socket]) -> None:
    wire = packets(rotate("binlog.000002"), rows(1, WRAP - 10), rows(1, WRAP + 10), event(XID, WRAP + 50))
    found = read(ends, Stream(ends[0], "binlog.000002", 4), wire)
    assert found[-1] == (XID, "binlog.000002", WRAP + 50, 0)


def test_a_start_beyond_four_gib_passes_over_what_is_before_it(ends: tuple[socket.socket, socket.socket]) -> None:
    ends_at = [100, WRAP - 10, WRAP + 90, WRAP + 200, WRAP + 300]
    wire = packets(rotate("binlog.000002"), format_description(False), *(event(XID, end) for end in ends_at))
    wire += packets(rotate("binlog.000003"), event(XID, 50))
    found = read(ends, Stream(ends[0], "binlog.000002", 4, skip_to=WRAP + 90), wire)
    assert [(file, end) for type_, file, end, _ in found if type_ == XID] == [
        ("binlog.000002", WRAP + 200),
        ("binlog.000002", WRAP + 300),
        ("binlog.000003", 50),
    ]


@pytest.mark.parametrize("offset", [-25, -21, -20, -19, 0, 5])
def test_events_of_about_a_packets_length_are_cut_right(ends: tuple[socket.socket, socket.socket], offset: int) -> None:
    size = (1 << 24) + offset
    wire = packets(rotate("binlog.000002"), rows(1, 100, size), rows(2, 200, size), event(XID, 250, bytes(8)))
    found = read(ends, Stream(ends[0], "binlog.000002", 4), wire, frozenset({2}))
    assert found[-2:] == [(WRITE_ROWS, "binlog.000002", 200, size + 6), (XID, "binlog.000002", 250, 8)]


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        (1236, "Could not find first log file name in binary log index file", BinlogGone),
        (1236, "Cannot replicate because the source purged required binary logs.", BinlogGone),
        (1236, "A replica with the same server_uuid/server_id as this replica has connected", SameServerId),
        (4052, "A slave with the same server_id is already connected; the first event", SameServerId),
        (1236, "bogus data in log event; the first event ...", MigrationFailed),
        (1053, "Server shutdown in progress", StreamLost),
        (3169, "Session was killed", StreamLost),
    ],
)
def test_what_the_server_says_at_the_end_is_told_apart(
    ends: tuple[socket.socket, socket.socket], code: int, text: str, kind: type[Exception]
) -> None:
    payload = b"\xff" + code.to_bytes(2, "little") + b"#HY000" + text.encode()
    ends[1].sendall(len(payload).to_bytes(3, "little") + b"\0" + payload)
    with pytest.raises(kind, match=text[:20]) as caught:
        next(Stream(ends[0], "binlog.000001", 4).events_for(()))
    assert type(caught.value) is kind


def test_an_orderly_end_and_a_closed_connection_are_both_a_loss(ends: tuple[socket.socket, socket.socket]) -> None:
    ends[1].sendall(b"\x05\0\0\0\xfe\0\0\2\0")
    stream = Stream(ends[0], "binlog.000001", 4)
    with pytest.raises(StreamLost, match="ended"):
        next(stream.events_for(()))
    ends[1].close()
    with pytest.raises(StreamLost):
        next(Stream(ends[0], "binlog.000001", 4).events_for(()))
