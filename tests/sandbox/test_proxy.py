"""The proxy's network: what each end of a connection notices."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from osc.sandbox.proxy import Proxy

LONG_S, SHORT_S = 30.0, 0.3


class Echo:
    """A server that says everything back, and counts the connections that it saw end."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.ended = threading.Semaphore(0)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with closing(connection):
            try:
                while data := connection.recv(1_000):
                    connection.sendall(data)
            except OSError:
                pass  # reset: it has ended as well
        self.ended.release()


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.listener.shutdown(socket.SHUT_RDWR)
    server.listener.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    with Proxy(echo.listener.getsockname()) as running:
        yield running


def client_of(proxy: Proxy) -> socket.socket:
    """A connection that has been answered once, so that the proxy has reached the server."""
    connection = socket.create_connection((proxy.host, proxy.port), LONG_S)
    assert asks(connection, b"hello") == b"hello"
    return connection


def asks(connection: socket.socket, data: bytes) -> bytes:
    connection.sendall(data)
    return connection.recv(1_000)


def is_gone(connection: socket.socket) -> bool:
    """Whether the connection has ended: in order or by a reset, which of the two comes first is TCP's business."""
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def test_bytes_pass_and_an_end_that_closes_is_noticed_by_the_other(proxy: Proxy, echo: Echo) -> None:
    with closing(client_of(proxy)) as connection:
        assert asks(connection, b"again") == b"again"
    assert echo.ended.acquire(timeout=LONG_S)


def test_a_cut_is_noticed_at_both_ends_and_new_connections_pass(proxy: Proxy, echo: Echo) -> None:
    with closing(client_of(proxy)) as connection:
        proxy.cut()
        assert is_gone(connection)
        assert echo.ended.acquire(timeout=LONG_S)
    client_of(proxy).close()


def test_a_held_connection_is_silent_at_both_ends_for_good(proxy: Proxy, echo: Echo) -> None:
    connection = client_of(proxy)
    proxy.hold()
    connection.settimeout(SHORT_S)
    with pytest.raises(TimeoutError):
        asks(connection, b"anybody there?")
    proxy.heal()
    with pytest.raises(TimeoutError):
        asks(connection, b"and now?")
    connection.close()
    assert not echo.ended.acquire(timeout=SHORT_S)
    client_of(proxy).close()


def test_one_connection_can_be_held_while_the_others_pass(proxy: Proxy) -> None:
    with closing(client_of(proxy)) as one, closing(client_of(proxy)) as other:
        address, port = proxy.links[0].server_side or ("", 0)
        proxy.hold([proxy.link_from(f"{address}:{port}")])
        assert asks(other, b"still here") == b"still here"
        one.settimeout(SHORT_S)
        with pytest.raises(TimeoutError):
            asks(one, b"anybody there?")


def test_a_frozen_network_delivers_everything_once_it_is_healed(proxy: Proxy) -> None:
    with closing(client_of(proxy)) as connection:
        proxy.freeze()
        connection.settimeout(SHORT_S)
        with pytest.raises(TimeoutError):
            asks(connection, b"late")
        proxy.heal()
        connection.settimeout(LONG_S)
        assert connection.recv(1_000) == b"late"


def test_a_connection_made_while_the_network_is_held_reaches_nobody(proxy: Proxy) -> None:
    proxy.hold()
    with closing(socket.create_connection((proxy.host, proxy.port), LONG_S)) as connection:
        connection.settimeout(SHORT_S)
        with pytest.raises(TimeoutError):
            asks(connection, b"hello")
