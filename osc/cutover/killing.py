"""Ending the sessions that keep the swap waiting, where the operator has said after how long.

Never one that would cost more than it is worth: rolling a large transaction back takes as long as it took, with its locks
held, and who holds `LOCK TABLES` has a reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import pymysql

from osc.cutover.blockers import Blocker
from osc.mysql.session import NO_SUCH_THREAD, Conn, error_code, error_text

MOST_ROWS_UNDONE = 10_000


class Patience:
    """How long each session has been in the way, and what becomes of it then. Used by one thread."""

    def __init__(
        self, kill_after_s: float | None, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`kill_after_s`: None kills nobody. `say` is told of every session that is killed, or cannot be."""
        self._kill_after_s = kill_after_s
        self._say = say
        self._clock = clock
        self._met_at: dict[int, float] = {}
        self._told: set[int] = set()

    def lose(self, connection: Conn, blockers: Sequence[Blocker]) -> list[str]:
        """Kill those that have been in the way for too long; what is in the way now, for people."""
        if self._kill_after_s is None:
            return [blocker.text for blocker in blockers]
        now = self._clock()
        sessions = {blocker.session for blocker in blockers if blocker.session is not None}
        self._met_at = {session: self._met_at.get(session, now) for session in sessions}
        return [self._text(connection, blocker, now) for blocker in blockers]

    def _text(self, connection: Conn, blocker: Blocker, now: float) -> str:
        assert self._kill_after_s is not None
        if blocker.session is None or now - self._met_at[blocker.session] < self._kill_after_s:
            return blocker.text
        if (spared := _why_spared(blocker)) is not None:
            return f"{blocker.text}; it is not killed: {spared}"
        if blocker.session not in self._told:
            self._told.add(blocker.session)
            self._say(_kill(connection, blocker, self._kill_after_s))
        return blocker.text


def _why_spared(blocker: Blocker) -> str | None:
    if blocker.is_explicit:
        return "it has locked the table on purpose"
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
        if error_code(error) != NO_SUCH_THREAD:
            return f"{blocker.text} could not be killed: {error_text(error)}"
    return f"{blocker.text} was killed, having kept the swap waiting for {after_s:g} s"
