"""Servers on which commits can be stalled between the binlog's sync and the engine, for as long as a test likes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.servers import ServerUnderTest


def make_stallable(server: ServerUnderTest) -> None:
    """Prepare semi-synchronous replication to wait between the two, with no replica to answer."""
    if not server.is_mariadb:
        server.execute("install plugin rpl_semi_sync_source soname 'semisync_source.so'")
    server.execute(
        f"set global {_semi_sync(server)}_timeout = 60000", f"set global {_semi_sync(server)}_wait_point = AFTER_SYNC"
    )


@contextmanager
def commits_stalled(server: ServerUnderTest) -> Iterator[None]:
    """Inside, whatever is committed is in the binlog, is sent to its readers, and is not visible."""
    server.execute(f"set global {_semi_sync(server)}_enabled = 1")
    try:
        yield
    finally:
        server.execute(f"set global {_semi_sync(server)}_enabled = 0")


def _semi_sync(server: ServerUnderTest) -> str:
    return "rpl_semi_sync_master" if server.is_mariadb else "rpl_semi_sync_source"
