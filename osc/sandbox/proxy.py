"""A network that misbehaves on purpose: a TCP proxy before a server whose connections can be cut, frozen or hollowed out.

    pass    bytes go to and fro
    cut     both ends learn at once that the connection is gone
    freeze  nothing is delivered for a while; what was sent in the meantime arrives when the network is healed
    hold    half-open: what either end sends is swallowed and acknowledged, and neither hears that the other is gone

A connection that was held is dead for good, as one is that a firewall has forgotten; healing lets new ones pass.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Literal, Self

Mode = Literal["pass", "freeze", "hold"]

_CHUNK = 1 << 16
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_CONNECT_TIMEOUT_S = 10.0


class Link:
    """One connection through the proxy, with a thread for each direction."""

    def __init__(self, client: socket.socket, mode: Mode) -> None:
        self._client = client
        self._server: socket.socket | None = None
        self._mode = mode
        self._moved = threading.Condition()
        self._is_cut = False
        self.server_side: tuple[str, int] | None = None
        """Address and port from which the server sees the connection, as its process list has them; None when unconnected."""

    @property
    def is_open(self) -> bool:
        """Whether it was neither cut nor ended by one of its ends."""
        return not self._is_cut

    def connect(self, address: tuple[str, int]) -> None:
        """Reach the server, unless the network is held, and begin to pass bytes."""
        if self._mode != "hold":
            try:
                self._server = socket.create_connection(address, _CONNECT_TIMEOUT_S)
            except OSError:
                self.cut()
                return
            self._server.settimeout(None)
            self._server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.server_side = self._server.getsockname()
        self._client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for source, target in ((self._client, self._server), (self._server, self._client)):
            if source is not None:
                threading.Thread(target=self._pump, args=(source, target), name="proxy link", daemon=True).start()

    def set(self, mode: Mode) -> None:
        """From now on; what was held stays so."""
        with self._moved:
            if self._mode != "hold":
                self._mode = mode
            self._moved.notify_all()

    def cut(self) -> None:
        """Reset the connection at both ends."""
        with self._moved:
            self._is_cut = True
            self._moved.notify_all()
        for end in (self._client, self._server):
            if end is not None:
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                    end.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads it
                end.close()

    def _pump(self, source: socket.socket, target: socket.socket | None) -> None:
        """Pass on what arrives; of a held link nothing, not even that an end has closed."""
        try:
            while True:
                # Wait before reading: what arrives while frozen stays in the kernel, and the sender feels it.
                select.select([source], [], [])
                with self._moved:
                    self._moved.wait_for(lambda: self._mode != "freeze" or self._is_cut)
                data = source.recv(_CHUNK)
                if self._mode == "hold" or target is None:
                    if not data:
                        return
                    continue
                if not data:
                    break
                target.sendall(data)
        except (OSError, ValueError):
            pass  # an end was closed, or the link was cut: either way it is over, and `cut` below says so to both
        if self._mode != "hold":
            self.cut()


class Proxy:
    """Listens on a loopback port and passes connections on to `address`, as a context manager. Thread-safe."""

    host = "127.0.0.1"

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        """Where new connections go; may be changed at any time, as a name does that is moved to another server."""
        self._listener = socket.create_server((self.host, 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._mode: Mode = "pass"
        self._links: list[Link] = []
        self._thread = threading.Thread(target=self._accept, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def links(self) -> list[Link]:
        """The connections that are open, oldest first."""
        with self._lock:
            self._links = [link for link in self._links if link.is_open]
            return list(self._links)

    def link_from(self, host_and_port: str) -> Link:
        """The connection that the server's process list shows as coming from `127.0.0.1:54321`. Raises LookupError."""
        port = int(host_and_port.rpartition(":")[2])
        for link in self.links:
            if link.server_side is not None and link.server_side[1] == port:
                return link
        raise LookupError(f"no connection through the proxy comes from {host_and_port}")

    def cut(self, links: Iterable[Link] | None = None) -> None:
        """Cut these connections, by default all; new ones pass."""
        for link in self.links if links is None else links:
            link.cut()

    def freeze(self) -> None:
        """Deliver nothing, on any connection, until `heal`."""
        self._set("freeze")

    def hold(self, links: Iterable[Link] | None = None) -> None:
        """Hold these connections; by default all, and those that are made until `heal`."""
        if links is None:
            self._set("hold")
        else:
            for link in links:
                link.set("hold")

    def heal(self) -> None:
        """Let everything pass again that was not held."""
        self._set("pass")

    def close(self) -> None:
        """Cut everything and stop listening."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listener.close()
        self._thread.join()
        self.cut()

    def _set(self, mode: Mode) -> None:
        with self._lock:
            self._mode = mode
            links = list(self._links)
        for link in links:
            link.set(mode)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                link = Link(client, self._mode)
                self._links.append(link)
            # Reaching a server takes a while, and others want to be let in meanwhile.
            threading.Thread(target=link.connect, args=(self.address,), name="proxy link", daemon=True).start()
