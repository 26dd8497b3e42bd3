"""MySQL's transaction payload (`binlog_transaction_compression`): the events of a whole transaction in one event."""

from __future__ import annotations

from collections.abc import Iterator

import zstandard

from osc.tail.events import length_encoded

_END, _SIZE, _COMPRESSION, _UNCOMPRESSED_SIZE = range(4)
_ZSTD, _NONE = 0, 255
_EVENT_HEADER = 19


def events_in(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and body of each event inside; they have no checksums. Raises ValueError for a compression unknown here."""
    compression = _ZSTD
    at = 0
    while True:
        kind, at = length_encoded(body, at)
        if kind == _END:
            break
        size, at = length_encoded(body, at)
        if kind == _COMPRESSION:
            compression, _ = length_encoded(body, at)
        at += size
    if compression == _NONE:
        yield from _cut([body[at:]])
    elif compression == _ZSTD:
        # In pieces: a transaction may be far larger than its compressed form.
        yield from _cut(zstandard.ZstdDecompressor().read_to_iter(body[at:], write_size=1 << 20))
    else:
        raise ValueError(f"transaction compression {compression} is unknown")


def _cut(pieces: Iterator[bytes] | list[bytes]) -> Iterator[tuple[int, bytes]]:
    have = b""
    for piece in pieces:
        have = have + piece if have else piece
        at = 0
        while len(have) - at >= _EVENT_HEADER:
            size = int.from_bytes(have[at + 9 : at + 13], "little")
            if len(have) - at < size:
                break
            yield have[at + 4], have[at + _EVENT_HEADER : at + size]
            at += size
        have = have[at:]
    if have:
        raise ValueError(f"{len(have)} bytes are left at the end of a transaction's payload")
