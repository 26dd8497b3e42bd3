"""The signals: each says why the engine should hold back right now, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from osc.mysql.session import Sessions
from osc.options import MigrationOptions
from osc.reconcile.barrier import Heartbeat
from osc.reconcile.pending import PendingSet
from osc.state.table import StateTable
from osc.throttle.ask import HTTP_EVERY_S, QUERY_EVERY_S, ThrottleQuery, throttle_http
from osc.throttle.gate import Signal
from osc.throttle.replicas import LOOK_EVERY_S, Address, ReplicaLag, registered_replicas
from osc.throttle.watched import Watched


def flag_file(path: Path) -> Signal:
    """Held back while the file exists."""
    return lambda: f"{path} exists" if path.exists() else None


def backlog(pending: PendingSet, most_keys: int, most_bytes: int) -> Signal:
    """Held back while more keys, or more bytes of them, wait to be reconciled: the copy must not outrun the tail."""

    def signal() -> str | None:
        keys, bytes_ = pending.due, pending.due_bytes
        if keys <= most_keys and bytes_ <= most_bytes:
            return None
        return f"{keys:,} keys ({bytes_ >> 20} MiB) wait to be reconciled"

    return signal


def tail_lag(lag_s: Callable[[], float | None], most_s: float) -> Signal:
    """Held back while the binlog reader is further behind than `most_s`."""

    def signal() -> str | None:
        lag = lag_s()
        return f"the binlog reader is {lag:.1f} s behind" if lag is not None and lag > most_s else None

    return signal


def watched_signals(
    sessions: Sessions,
    state: StateTable,
    heartbeat: Heartbeat,
    options: MigrationOptions,
    warn: Callable[[str], None],
) -> list[Watched]:
    """Those that have to be asked for elsewhere, as the options name them; and the replicas that the server knows."""
    found = []
    if options.throttle_query is not None:
        query = ThrottleQuery(sessions, options.throttle_query)
        found.append(Watched("--throttle-query", query.read, QUERY_EVERY_S, warn, close=query.close))
    if options.throttle_http is not None:
        found.append(Watched("--throttle-http", throttle_http(options.throttle_http), HTTP_EVERY_S, warn))
    is_named = bool(options.control_replicas)
    for address in options.control_replicas or _known_replicas(sessions):
        replica = ReplicaLag(
            sessions.settings, address, state, heartbeat.behind_s, options.max_lag_s, minds_delay=is_named
        )
        name = f"the replica {address}"
        found.append(Watched(name, replica.read, LOOK_EVERY_S, warn, is_named=is_named, close=replica.close))
    return found


def _known_replicas(sessions: Sessions) -> list[Address]:
    with closing(sessions.open("ask for the replicas")) as connection:
        return registered_replicas(connection, sessions.server)
