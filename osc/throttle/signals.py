"""The signals: each says why the engine should hold back right now, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from osc.throttle.gate import Signal


def flag_file(path: Path) -> Signal:
    """Held back while the file exists."""
    return lambda: f"{path} exists" if path.exists() else None


def backlog(pending: Callable[[], int], most: int) -> Signal:
    """Held back while more keys than `most` wait to be reconciled: the copy must not outrun the tail."""

    def signal() -> str | None:
        keys = pending()
        return f"{keys} keys wait to be reconciled" if keys > most else None

    return signal


def tail_lag(lag_s: Callable[[], float | None], most_s: float) -> Signal:
    """Held back while the binlog reader is further behind than `most_s`."""

    def signal() -> str | None:
        lag = lag_s()
        return f"the binlog reader is {lag:.1f} s behind" if lag is not None and lag > most_s else None

    return signal
