"""Swapping one small table again and again, under writers that queue for it, by the real engine."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import pytest

from osc.control.stop import StopRequest
from osc.cutover.cutover import CutOver, Readiness
from osc.cutover.locked import LockedRename
from osc.cutover.names import has_swapped, restore_names
from osc.cutover.sentry import SentryRename
from osc.engine import Engine
from osc.mysql.session import Conn, Sessions
from osc.mysql.sql import qualified
from osc.options import MigrationOptions
from osc.plan.alter import parse_alter
from osc.prepare import prepare_tables
from osc.table.facts import read_table
from osc.table.ghost import drop_tables
from osc.table.names import names_for
from tests.cutover.hammer import KEPT
from tests.migration.migrating import ROOT
from tests.servers import ServerUnderTest

WRITERS = 4


def nothing_prepared(_: Conn) -> list[str]:
    """No XA transaction is in the way."""
    return []


def swap(
    sessions: Sessions,
    database: str,
    table: str,
    attempts_allowed: int = 60,
    prepared_transactions: Callable[[Conn], list[str]] = nothing_prepared,
    way: type[LockedRename] | type[SentryRename] | None = None,
) -> CutOver:
    """Copy the table and swap the copy in, as a migration does but without looking and verifying; the old table goes.

    `prepared_transactions` is the last that is asked under the lock. Returns the cut-over with its attempts. Asserts that
    the binlog proves the swap.
    """
    names = names_for(database, table)
    options = MigrationOptions(database, table, "engine=InnoDB", workers=1)
    stop = StopRequest()
    with closing(sessions.open("test the swap")) as connection:
        source = read_table(connection, database, table)
        assert source is not None
        prepared = prepare_tables(sessions, sessions, names, source, parse_alter(options.alter), options, print)
        engine = Engine(
            sessions,
            sessions,
            names,
            prepared.pair,
            prepared.state,
            prepared.beginning,
            prepared.fingerprint,
            options,
            stop,
            print,
        )
        way = way or (LockedRename if sessions.server.renames_under_lock else SentryRename)
        try:
            engine.start(engine.check, lambda _: None)
            engine.copy_rows(engine.check)
            cut_over = CutOver(
                swap=way(sessions, names, prepared.pair.projection.key, engine.handover(prepared_transactions), 3, {}),
                reconciler=engine.reconciler,
                readiness=lambda: Readiness(len(engine.pending), (), engine.heartbeat.lag_s, None, None),
                blockers=list,
                has_swapped=lambda: has_swapped(connection, names),
                check=engine.check,
                stop=stop,
                attempts_allowed=attempts_allowed,
                announce=lambda _: None,
                report=lambda _: None,
            )
            cut_over.run(lambda: set())
            assert engine.prove_swap() is None
        finally:
            engine.close()
        restore_names(connection, names)
        drop_tables(connection, database, [names.state, names.old], pytest.fail)
    return cut_over


@dataclass
class Hammered:
    """What the writers say that they have written; filled when they have ended."""

    expected: set[tuple[int, int, int]]
    errors: list[str]
    deadlocks: int = 0
    """Errors 1213, after each of which the transaction was repeated."""


@contextmanager
def hammered(server: ServerUnderTest, database: str, table: str) -> Iterator[Hammered]:
    """Inside, writers write the table, which is made here, without a pause."""
    server.execute(
        f"create table {qualified(database, table)}"
        " (w int not null, n int not null, v int not null, primary key (w, n), key by_n (n)) engine=InnoDB"
    )
    root = server.root
    login = {"user": root.user, "password": root.password}
    reach = {"unix_socket": root.socket} if root.socket else {"host": root.host, "port": root.port}
    asked = {"settings": {**login, **reach}, "database": database, "table": table, "writers": WRITERS}
    hammer = subprocess.Popen(
        [sys.executable, "-m", "tests.cutover.hammer"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert hammer.stdin is not None
    assert hammer.stdout is not None
    done = Hammered(set(), [])
    try:
        hammer.stdin.write(json.dumps(asked) + "\n")
        hammer.stdin.flush()
        assert hammer.stdout.readline() == "ready\n"
        yield done
    finally:
        out, _ = hammer.communicate(timeout=60)
    for writer in json.loads(out):
        rounds = writer["rounds"]
        done.expected |= {(writer["number"], n, 1) for n in range(max(1, rounds - KEPT + 1), rounds + 1)}
        done.errors += writer["errors"]
        done.deadlocks += writer["deadlocks"]
