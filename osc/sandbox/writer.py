"""One writer of the workload: a process of its own, as an application is, that survives what applications survive.

It runs the transactions that a clerk makes up and enters into its ledger those that were committed for certain. When
the connection breaks while a commit is under way, the row that counts its transactions tells what became of it.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from array import array
from collections import Counter
from collections.abc import Iterator
from ctypes import Array, c_uint64
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe

import pymysql

from osc.errors import ConnectionRefused
from osc.mysql.session import Conn, ConnectionSettings, connect, error_code, error_text, is_lost
from osc.mysql.sql import qualified
from osc.sandbox.latency import Latencies
from osc.sandbox.ledger import Ledger
from osc.sandbox.transactions import Clerk, Statement, Transaction

RETRYABLE = frozenset({1205, 1213})
"""Lock wait timeout and deadlock: what every application on InnoDB has to take."""

PROGRESS_TABLE = "writer_progress"
_RECONNECT_DEADLINE_S = 60.0
_MOST_ERRORS = 1000


@dataclass(frozen=True, slots=True)
class WriterError:
    """An error that no application should have seen."""

    code: int
    """The server's number; 0 when the server reported success and the rows were not what the ledger says."""
    message: str
    statement: str
    at: float
    """`time.monotonic()`."""

    def __str__(self) -> str:
        return f"{self.message} in: {self.statement}"


@dataclass(frozen=True, slots=True)
class WriterJob:
    """What a writer is told; sent to its process."""

    settings: ConnectionSettings
    ledger: Ledger
    seed: int
    run: int
    rate_per_s: float | None
    """Transactions a second on a fixed schedule; None is as many as it can."""


@dataclass(slots=True)
class WriterReport:
    """What a writer did; sent back from its process."""

    ledger: Ledger
    transactions: int = 0
    rolled_back: int = 0
    rows_changed: int = 0
    reconnects: int = 0
    retryable: Counter[int] = field(default_factory=Counter)
    errors: list[WriterError] = field(default_factory=list)
    starts: array[float] = field(default_factory=lambda: array("d"))
    durations_s: array[float] = field(default_factory=lambda: array("d"))
    queued_s: array[float] = field(default_factory=lambda: array("d"))

    @property
    def latencies(self) -> Latencies:
        return Latencies(self.starts, self.durations_s, self.queued_s)


class WriterFailed(Exception):
    """A writer could not go on; what it had committed last is not known."""


def run_writer(job: WriterJob, pipe: Pipe, committed: Array[c_uint64]) -> None:
    """The process. Sends "ready", then on any message, or when the other end is gone, stops and sends its report.

    `committed` is shared: this writer's place in it counts what it has committed so far.
    """
    # Ctrl-C at a terminal reaches the whole process group; when to stop is the owner's decision.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stop = threading.Event()
    threading.Thread(target=_wait_for_stop, args=(pipe, stop), name="stop", daemon=True).start()
    try:
        with contextlib.closing(_Writer(job, stop, committed)) as writer:
            pipe.send("ready")
            writer.run()
            pipe.send(writer.report)
    except (WriterFailed, ConnectionRefused, pymysql.err.Error) as error:
        pipe.send(WriterFailed(f"writer {job.ledger.writer}: {error_text(error)}"))


def _wait_for_stop(pipe: Pipe, stop: threading.Event) -> None:
    with contextlib.suppress(EOFError, OSError):
        pipe.recv()
    stop.set()


class _Writer:
    def __init__(self, job: WriterJob, stop: threading.Event, committed: Array[c_uint64]) -> None:
        self._job = job
        self._stop = stop
        self._committed = committed
        self._ledger = job.ledger
        self._clerk = Clerk(job.ledger, job.seed, job.run)
        self._progress = qualified(job.ledger.table.database, PROGRESS_TABLE)
        self._serial = job.run << 40
        self.report = WriterReport(job.ledger)
        self._connection = self._connect()

    def close(self) -> None:
        self._connection.close()

    def run(self) -> None:
        """Transactions, one after the other, until asked to stop."""
        for start in self._starts():
            self.report.queued_s.append(time.monotonic() - start)
            self._attempt(self._clerk.next())
            self.report.starts.append(start)
            self.report.durations_s.append(time.monotonic() - start)

    def _starts(self) -> Iterator[float]:
        """When each transaction starts, or should have: the schedule does not wait for the server."""
        if self._job.rate_per_s is None:
            while not self._stop.is_set():
                yield time.monotonic()
            return
        interval = 1 / self._job.rate_per_s
        due = time.monotonic() + interval * (self._ledger.writer + 1) / 8
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            yield due
            due += interval

    def _attempt(self, transaction: Transaction) -> None:
        """Run it; afterwards the ledger is right, whatever happened."""
        self._serial += 1
        statement: Statement | None = None
        try:
            with self._connection.cursor() as cursor:
                for statement in transaction.statements:
                    if wrong := self._execute(cursor, statement, transaction):
                        self._note_error(0, wrong, statement)
                        transaction.commits = False
                        break
                statement = None
                if not transaction.commits:
                    self._connection.rollback()
                    self.report.rolled_back += 1
                    return
                cursor.execute(
                    f"update {self._progress} set transactions = %s where writer = %s",
                    (self._serial, self._ledger.writer),
                )
            self._connection.commit()
            self._enter(transaction)
        except (pymysql.err.Error, OSError) as error:
            self._recover(error, statement, transaction)

    def _execute(self, cursor: pymysql.cursors.Cursor, statement: Statement, transaction: Transaction) -> str | None:
        """Send it. What is wrong with the outcome, or None."""
        rows = cursor.execute(statement.sql, statement.parameters)
        if rows != statement.rows:
            return f"{rows} rows instead of {statement.rows}"
        if statement.returns is not None:
            row = cursor.fetchone()
            if row != (statement.returns,):
                return f"found {row!r} where {statement.returns!r} was committed"
        if statement.appends is not None:
            transaction.changes[cursor.lastrowid] = statement.appends
        return None

    def _recover(self, error: Exception, statement: Statement | None, transaction: Transaction) -> None:
        if is_lost(error):
            self._connection = self._reconnect()
            if self._was_committed():
                self._enter(transaction)
            return
        if error_code(error) in RETRYABLE:
            self.report.retryable[error_code(error)] += 1
        else:
            self._note_error(error_code(error), error_text(error), statement)
        try:
            # Always: a lock wait timeout undoes its statement only.
            self._connection.rollback()
        except (pymysql.err.Error, OSError) as lost:
            if not is_lost(lost):
                raise
            self._connection = self._reconnect()

    def _enter(self, transaction: Transaction) -> None:
        self._ledger.commit(transaction.changes)
        self.report.transactions += 1
        self.report.rows_changed += transaction.rows_changed
        self._committed[self._ledger.writer] += 1

    def _note_error(self, code: int, message: str, statement: Statement | None) -> None:
        if len(self.report.errors) < _MOST_ERRORS:
            text = f"{statement.sql} with {statement.parameters!r}" if statement else "the transaction's end"
            self.report.errors.append(WriterError(code, message, text, time.monotonic()))

    def _was_committed(self) -> bool:
        """Whether the transaction that was under way has been committed.

        A locking read: the lost session may still be committing, and holds its lock on the row until it is through.
        """
        while True:
            try:
                with self._connection.cursor() as cursor:
                    cursor.execute(
                        f"select transactions from {self._progress} where writer = %s for update",
                        (self._ledger.writer,),
                    )
                    row = cursor.fetchone()
                self._connection.rollback()
            except (pymysql.err.Error, OSError) as error:
                if is_lost(error):
                    self._connection = self._reconnect()
                elif error_code(error) not in RETRYABLE:
                    raise
                continue
            if row is None:
                raise WriterFailed(f"no row in {self._progress} for this writer")
            return bool(row[0] == self._serial)

    def _reconnect(self) -> Conn:
        self.report.reconnects += 1
        with contextlib.suppress(pymysql.err.Error, OSError):
            self._connection.close()
        deadline = time.monotonic() + _RECONNECT_DEADLINE_S
        while True:
            try:
                return self._connect()
            except (ConnectionRefused, pymysql.err.Error, OSError):
                if time.monotonic() > deadline:
                    raise
                threading.Event().wait(0.05)

    def _connect(self) -> Conn:
        connection = connect(self._job.settings, database=self._ledger.table.database)
        with connection.cursor() as cursor:
            cursor.execute(
                "set session autocommit = 0, session time_zone = '+00:00',"
                " session sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'"
            )
        return connection
