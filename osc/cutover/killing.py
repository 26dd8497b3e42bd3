"""Ending the sessions that keep the swap waiting, where the operator has said after how long.

Never one that would cost more than it is worth: rolling a large transaction back takes as long as it took, with its locks
held, and who holds `LOCK TABLES`, a global read lock or a backup's has a reason. Where nobody can see who does, nobody is
ended.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import pymysql

from osc.cutover.blockers import Blocker
from osc.cutover.holders import deliberate_lockers
from osc.mysql.session import NO_SUCH_THREAD, Conn, error_code, error_text, is_lost

MOST_ROWS_UNDONE = 10_000

LONGEST_BLINK_S = 2.0
"""Who was not looked at for longer may have gone and come back."""


class Patience:
    """How long each transaction has been in the way, and what becomes of it then. Used by one thread."""

    def __init__(
        self, kill_after_s: float | None, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`kill_after_s`: None kills nobody. `say` is told of every session that is killed, or cannot be."""
        self._kill_after_s = kill_after_s
        self._say = say
        self._clock = clock
        self._looked_at = 0.0
        self._met_at: dict[tuple[int, str], float] = {}
        self._told: set[tuple[int, str]] = set()

    def lose(self, connection: Conn, blockers: Sequence[Blocker]) -> list[str]:
        """Kill those that have been in the way for too long; what is in the way now, for people.

        Nobody is killed while there is something else in the way: the swap would gain nothing by it.
        """
        texts = [blocker.text for blocker in blockers]
        if self._kill_after_s is None or not blockers:
            return texts
        lockers = deliberate_lockers(connection)
        now = self._clock()
        known = self._met_at if now - self._looked_at < LONGEST_BLINK_S else {}
        self._looked_at = now
        self._met_at = {key: known.get(key, now) for blocker in blockers if (key := _key(blocker)) is not None}
        spared = [_why_spared(blocker, lockers) for blocker in blockers]
        for number, why in enumerate(spared):
            if why is not None:
                texts[number] += f"; it is not killed: {why}"
        if not any(spared) and all(now - met_at >= self._kill_after_s for met_at in self._met_at.values()):
            for blocker in blockers:
                self._kill_once(connection, blocker, self._kill_after_s)
        return texts

    def _kill_once(self, connection: Conn, blocker: Blocker, after_s: float) -> None:
        key = _key(blocker)
        if key is not None and key not in self._told:
            told = _kill(connection, blocker, after_s)
            self._told.add(key)
            self._say(told)


def _key(blocker: Blocker) -> tuple[int, str] | None:
    return None if blocker.session is None else (blocker.session, blocker.since)


def _why_spared(blocker: Blocker, lockers: frozenset[int] | None) -> str | None:
    if blocker.session is None:
        return "it is no session"
    if blocker.is_of_the_server:
        return "it is a thread of the server's own"
    if lockers is None:
        return (
            "whether it holds a lock on purpose cannot be seen here, which takes SELECT on performance_schema and its "
            "instrument wait/lock/metadata/sql/mdl"
        )
    if blocker.session in lockers:
        return "it holds a lock on purpose"
    if blocker.rows_modified is None:
        return "what it has changed is not known"
    if blocker.rows_modified > MOST_ROWS_UNDONE:
        return f"it has changed {blocker.rows_modified:,} rows, and undoing that would take long"
    return None


def _kill(connection: Conn, blocker: Blocker, after_s: float) -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"kill {blocker.session}")
    except pymysql.err.MySQLError as error:
        if is_lost(error):
            raise
        if error_code(error) != NO_SUCH_THREAD:
            return f"{blocker.text} could not be killed: {error_text(error)}"
    return f"{blocker.text} was killed, having kept the swap waiting for {after_s:g} s"
