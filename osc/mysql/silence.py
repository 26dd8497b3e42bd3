"""Waiting for an answer that takes long, without waiting for ever for one that never comes.

A statement takes as long as it takes: there is no time after which its answer is too late, so no read timeout is right. But
a host that vanished, or a firewall that forgot a connection, leaves a session waiting for nothing. TCP notices when nobody
acknowledges what it sends; a waiting session sends nothing, and some boxes in between acknowledge what they then drop. So a
session that has heard nothing for a while asks on another connection what the server makes of it: at work, then it waits
on; idle or gone, then the request or its answer was lost on the way. And if no other connection can be had either, the
server is out of reach.
"""

from __future__ import annotations

import io
import select
import socket
from collections.abc import Callable

LOOK_AFTER_S = 5.0
"""How long a session hears nothing before the server is asked about it."""

LOOKS = 2
"""As often in a row must the server say that it is idle: the request, or the answer, may just be on its way."""


class PatientReader(io.RawIOBase):
    """A socket's bytes. The socket must have a timeout; `is_at_work` is asked after each that passes."""

    def __init__(self, source: socket.socket, is_at_work: Callable[[], bool]) -> None:
        """`is_at_work` raises OSError when the server is out of reach."""
        super().__init__()
        self._source = source
        self._is_at_work = is_at_work

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read some bytes, 0 at the end. Raises OSError when none will come."""
        idle = 0
        while True:
            try:
                return self._source.recv_into(buffer)
            except TimeoutError:
                idle = 0 if self._is_at_work() else idle + 1
            # An answer that came while the other connection was asking counts.
            if idle >= LOOKS and not select.select([self._source], [], [], 0)[0]:
                raise ConnectionResetError(
                    f"no answer came for {LOOKS * LOOK_AFTER_S:.0f} s, and the server says that it is not working on one: the "
                    "network has lost it"
                )
