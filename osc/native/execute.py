"""Carrying a native change out on the real table, once.

An instant change needs the table's metadata lock for a moment, and everybody who comes after it queues behind its request. So
the request is given up after a few seconds, whoever is in the way is named, and it is made again after a pause.

A lost connection tells nothing: the statement may be through, under way or undone. So it is waited for until the server no
longer works on it, and then the table itself is looked at. It is only sent again when the table is as it was.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pymysql

from osc.control.stop import StopRequest
from osc.cutover.holders import Holder, holders
from osc.errors import NativeFailed, NativeRefused, Refused, ServerLost, StatementRefused, TableChanged
from osc.mysql.session import (
    LOCK_WAIT_TIMEOUT,
    Conn,
    Sessions,
    connection_id,
    end_session,
    error_code,
    error_text,
    is_lost,
    is_retryable,
)
from osc.mysql.sql import qualified
from osc.mysql.steady import SteadySession
from osc.mysql.transactions import ask_for_sessions
from osc.native.strategy import NOT_THAT_WAY, Strategy
from osc.progress.report import AlterAttempt
from osc.table.facts import Table, read_table
from osc.table.ghost import run_alter
from osc.threads import OwnedThread

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 20.0

SHORT_PAUSE_S = 0.15
ATTEMPTS_WITHOUT_WAITING = 10
"""On MariaDB, which can be asked so: nobody queues behind the request then, and no transaction that has read the table and now
writes it meets a deadlock (error 1213)."""

LOOK_FOR_HOLDERS_EVERY_S = 0.5

QUERY_INTERRUPTED = 1317

TOO_LONG_TO_REPEAT_S = 60.0
"""A build that fails after longer than this is not begun anew unasked."""


@dataclass(slots=True)
class NativeChange:
    """One change, from the wait for a good moment to the altered table."""

    sessions: Sessions
    table: Table
    """As it was when the strategy was chosen."""
    strategy: Strategy
    lock_timeout_s: int
    attempts_allowed: int
    postpone_file: Path | None
    throttle_files: tuple[Path, ...]
    check: Callable[[], None]
    """Raises when the run has to stop: a panic file, a signal, a lost lock."""
    stop: StopRequest
    announce: Callable[[str | None], None]
    """Told what it waits for, and None when it no longer does."""
    report: Callable[[AlterAttempt], None]
    attempts: list[AlterAttempt] = field(default_factory=list)
    _in_the_way: list[Holder] = field(default_factory=list)

    def run(self) -> float:
        """Alter the table; returns how long the statement took that did it, in ms.

        Raises NativeRefused when the server does not take it that way, NativeFailed when it never went through, TableChanged
        and Refused when somebody else altered the table, and what stops the run. The table is as it was then, except where
        the message says that this is not known.
        """
        session = SteadySession(self.sessions, "look at the table", self.stop)
        try:
            while True:
                self._wait_for_a_good_moment(session)
                took_ms = self._attempt(session)
                if took_ms is not None:
                    return took_ms
                self._give_up_or_pause()
        finally:
            session.close()

    # --- when ---------------------------------------------------------------------------------------------------------

    def _wait_for_a_good_moment(self, session: SteadySession) -> None:
        while True:
            self.check()
            why_not = self._held_back() or self._blocked(session)
            self.announce(why_not)
            if why_not is None:
                return
            self.stop.wait(0.25)

    def _held_back(self) -> str | None:
        if self.postpone_file is not None and self.postpone_file.exists():
            return f"postponed while {self.postpone_file} exists"
        return next((f"throttled: {path} exists" for path in self.throttle_files if path.exists()), None)

    def _blocked(self, session: SteadySession) -> str | None:
        """Whoever would let the attempt fail for certain; asking for the lock would only make others wait."""
        found = session.run(self._holders)
        return next((holder.text for holder in found if holder.keeps_it), None)

    def _holders(self, connection: Conn) -> list[Holder]:
        own = self.sessions.connection_ids
        return holders(connection, self.table.database, self.table.name, own, self.lock_timeout_s)

    def _give_up_or_pause(self) -> None:
        last = self.attempts[-1]
        if len(self.attempts) >= self.attempts_allowed:
            raise NativeFailed(
                f"the ALTER was sent {len(self.attempts)} times and never went through; the last time: {last.reason}. "
                f"{self._name} is as it was. Run the same command again at a quieter time, or with a longer "
                "--cut-over-lock-timeout-seconds"
            )
        if last.duration_ms > 1_000 * TOO_LONG_TO_REPEAT_S:
            raise NativeFailed(
                f"the ALTER failed after {last.duration_ms / 1_000:.0f} s of work: {last.reason}. {self._name} is as it was. "
                "Run the same command again, or with --strategy copy"
            )
        waited = len(self.attempts) - self._without_waiting
        pause_s = SHORT_PAUSE_S if waited < 0 else min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** max(0, waited - 1))
        pause_s *= random.uniform(0.75, 1.25)
        self.announce(f"{pause_s:.1f} s after attempt {last.number}: {last.reason}")
        self.stop.wait(pause_s)
        self.check()

    # --- once ---------------------------------------------------------------------------------------------------------

    def _attempt(self, session: SteadySession) -> float | None:
        """Send the statement; how long it took in ms, or None when it may be sent again."""
        self._require_unchanged(session.run(self._read))
        number = len(self.attempts) + 1
        variables = {
            "lock_wait_timeout": str(self._lock_wait_s(number)),
            "foreign_key_checks": "@@global.foreign_key_checks",
        }
        try:
            connection = self.sessions.open("alter the table", variables)
        except ServerLost as away:
            self._note(AlterAttempt(number, 0.0, "failed", str(away)))
            return None
        self._in_the_way = []
        began = time.monotonic()
        try:
            error = self._send(session, connection)
            took_ms = 1_000 * (time.monotonic() - began)
        finally:
            if connection.open:
                connection.close()
        if error is not None and self._says_nothing(error) and self._went_through(connection, began):
            error = None
        if error is None:
            self._note(AlterAttempt(number, took_ms, "altered"))
            return took_ms
        if error_code(error) == LOCK_WAIT_TIMEOUT and not self._in_the_way:
            self._in_the_way = session.run(self._holders)
        self._note(AlterAttempt(number, took_ms, "failed", self._reason(error)))
        # Whoever ended the statement by hand does not want to see it again.
        if is_lost(error) or (is_retryable(error) and error_code(error) != QUERY_INTERRUPTED):
            return None
        raise self._understood(error) from error

    @property
    def _without_waiting(self) -> int:
        """How many attempts do not wait for the lock: none where it is asked for again after a long build."""
        is_quick = self.strategy.price is None
        return ATTEMPTS_WITHOUT_WAITING if is_quick and self.sessions.server.is_mariadb else 0

    def _lock_wait_s(self, number: int) -> int:
        """Others wait no longer than this; at first not even as long as they may."""
        if self.strategy.price is not None:
            return self.lock_timeout_s
        return max(0, min(number - self._without_waiting, self.lock_timeout_s))

    def _send(self, session: SteadySession, connection: Conn) -> BaseException | None:
        """Run the statement; its error. When the run has to stop, the statement is ended, and how that went is found out."""
        statement = self.strategy.statement
        assert statement is not None
        thread = OwnedThread("alter", lambda: run_alter(connection, statement))
        began = looked_at = time.monotonic()
        thread.start()
        while thread.is_alive:
            thread.join(0.05)
            try:
                if not self._in_the_way and time.monotonic() - looked_at > LOOK_FOR_HOLDERS_EVERY_S:
                    self._in_the_way = session.run(self._holders)
                    looked_at = time.monotonic()
                self.check()
            except Exception:
                self._end(connection, began)
                thread.join()
                if thread.error is None or (self._says_nothing(thread.error) and self._went_through(connection, began)):
                    return None
                raise
        return thread.error

    def _end(self, connection: Conn, opened_at: float) -> None:
        """Kill the statement's session; a server that is away has ended it."""
        with contextlib.suppress(ServerLost, pymysql.err.MySQLError, OSError):
            killer = self.sessions.open("end the ALTER")
            try:
                end_session(killer, connection_id(connection), opened_at)
            finally:
                killer.close()

    def _note(self, attempt: AlterAttempt) -> None:
        self.attempts.append(attempt)
        self.report(attempt)

    def _reason(self, error: BaseException) -> str:
        text = error_text(error)
        if error_code(error) != LOCK_WAIT_TIMEOUT:
            return text
        named = "; ".join(holder.text for holder in self._in_the_way[:3])
        return f"{named or 'somebody'} held its lock ({text})"

    def _understood(self, error: BaseException) -> BaseException:
        if error_code(error) in NOT_THAT_WAY:
            return NativeRefused(
                f"{self._name} itself does not take what its empty copy took: {error_text(error)}. It is as it was"
            )
        if isinstance(error, pymysql.err.MySQLError):
            return StatementRefused(
                f"the server refused to alter {self._name}: {error_text(error)}. It is as it was. Mend that and run the same "
                "command again"
            )
        return error

    # --- how it went --------------------------------------------------------------------------------------------------

    @property
    def _name(self) -> str:
        return qualified(self.table.database, self.table.name)

    def _read(self, connection: Conn) -> Table | None:
        return read_table(connection, self.table.database, self.table.name)

    def _require_unchanged(self, now: Table | None) -> None:
        if now is None or now.structure != self.table.structure:
            raise Refused(
                f"{self._name} was {'dropped' if now is None else 'altered'} by somebody else just now. This run changed "
                "nothing. Run the command again if the ALTER still makes sense"
            )

    def _says_nothing(self, error: BaseException) -> bool:
        """Whether it may have gone through in spite of that error: no answer came, or the statement was killed."""
        return is_lost(error) or (error_code(error) == QUERY_INTERRUPTED and self.strategy.is_visible)

    def _went_through(self, connection: Conn, opened_at: float) -> bool:
        """Whether the table has been altered, once no session of the attempt can still be about to do it.

        A session that does not work on it may be about to be sent the statement, by a network that was slow. So it is ended.
        """
        # Also after a stop request: whoever asked wants to know how it ended.
        unstopped = StopRequest()
        session = SteadySession(self.sessions, "find out whether the ALTER went through", unstopped)
        try:
            self._wait_until_nobody_alters(session, connection, unstopped)
            session.run(lambda c: end_session(c, connection_id(connection), opened_at))
            self._wait_until_nobody_alters(session, connection, unstopped)
            now = session.run(self._read)
        except ServerLost as error:
            raise ServerLost(
                f"{error}. Whether {self._name} was altered is not known: look at SHOW CREATE TABLE before the command is "
                "run again"
            ) from error
        finally:
            session.close()
        if now is not None and now.structure == self.table.structure:
            if self.strategy.is_visible:
                return False
            raise ServerLost(
                f"the connection was lost while {self._name} was altered, and this ALTER leaves no trace in SHOW CREATE TABLE: "
                "whether it went through is not known. To run it again does no harm"
            )
        if now is not None and self._is_as_expected(now):
            return True
        raise TableChanged(
            f"the connection was lost while {self._name} was altered, and meanwhile somebody else has "
            f"{'dropped' if now is None else 'altered'} it: it is neither as it was nor as the ALTER leaves it. Look at it "
            "first"
        )

    def _wait_until_nobody_alters(self, session: SteadySession, connection: Conn, stop: StopRequest) -> None:
        while session.run(lambda c: _is_altering(c, connection_id(connection))):
            stop.wait(0.1)

    def _is_as_expected(self, now: Table) -> bool:
        """Whether columns and indexes are those of the empty copy; names of constraints differ there."""
        expected = self.strategy.expected
        return expected is None or (now.columns == expected.columns and now.indexes == expected.indexes)


def _is_altering(connection: Conn, session_id: int) -> bool:
    rows = ask_for_sessions(
        connection,
        "select 1 from information_schema.processlist where id = %s and info like 'alter table%%'",
        (session_id,),
    )
    return rows is None or bool(rows)
