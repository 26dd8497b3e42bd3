"""Writers that remember what they committed, so that the final table is known exactly while they write through a swap.

The oracle is the server itself: what the writers committed is loaded into a fresh table with the original schema, the
same `ALTER` is run on it directly, and the result must equal the migrated table, row for row.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection as Pipe
from multiprocessing.context import ForkServerProcess
from types import TracebackType
from typing import Self

from osc.mysql.session import Conn, ConnectionSettings, Sessions
from osc.mysql.sql import columns_list, qualified
from osc.sandbox.latency import Latencies, merged
from osc.sandbox.ledger import Ledger, Row, all_values, written_columns
from osc.sandbox.oracle import Comparison, compare_tables
from osc.sandbox.orders import CORE_COLUMNS, GAP, KeyKind, OrdersTable, Value
from osc.sandbox.writer import PROGRESS_TABLE, WriterError, WriterFailed, WriterJob, WriterReport, run_writer

_FILL_ROWS = 50_000
_LOAD_ROWS = 500
_READY_DEADLINE_S = 60.0
_STOP_DEADLINE_S = 120.0


@dataclass(frozen=True, slots=True)
class WorkloadReport:
    """What all writers did between a start and a stop."""

    started_at: float
    """`time.monotonic()` when all writers had connected, as are all moments in here."""
    stopped_at: float
    transactions: int
    """Committed ones."""
    rolled_back: int
    rows_changed: int
    reconnects: int
    retryable: Counter[int]
    """Deadlocks (1213) and lock wait timeouts (1205), which are an application's daily bread."""
    errors: tuple[WriterError, ...]
    """Everything else that went wrong, verbatim; a sound migration leaves this empty."""
    latencies: Latencies

    @property
    def errors_by_code(self) -> Counter[int]:
        return Counter(error.code for error in self.errors)

    @property
    def longest_stall_ms(self) -> float:
        """The longest that any transaction took."""
        return max(self.latencies.durations_s, default=0.0) * 1000


class Workload:
    """A table of orders with writers on it. As a context manager it ends its writers on the way out.

    `rate_per_writer` is in transactions a second, kept by an open-loop schedule; None is as many as it can. The writers
    change the `core_columns`, which must keep their names, and take the same values, through the migration.
    """

    def __init__(
        self,
        settings: ConnectionSettings,
        database: str,
        table: str = "orders",
        *,
        writers: int = 4,
        rate_per_writer: float | None = None,
        seed: int = 1,
        core_columns: Sequence[str] = CORE_COLUMNS,
    ) -> None:
        self._settings = settings
        self._database = database
        self._name = table
        self._core_columns = tuple(core_columns)
        self._seed = seed
        self._run = 0
        self._processes: list[tuple[ForkServerProcess, Pipe]] = []
        self._committed: Sequence[int] = ()
        self._started_at = 0.0
        self._orders: OrdersTable | None = None
        self._ledgers: list[Ledger] = []
        self.writers = writers
        self.rate_per_writer = rate_per_writer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def table(self) -> OrdersTable:
        """The table that `create` made. Raises RuntimeError before that."""
        if self._orders is None:
            raise RuntimeError("the workload's table has not been created yet")
        return self._orders

    @property
    def is_running(self) -> bool:
        """Whether all writers are at work."""
        return bool(self._processes) and all(process.is_alive() for process, _ in self._processes)

    @property
    def committed_so_far(self) -> int:
        """How many transactions the writers have committed since they were started; may be asked while they run."""
        return sum(self._committed)

    def create(self, rows: int, *, key: KeyKind = "int", secondary_unique: bool = False) -> None:
        """Make the table, fill it, and forget what was before. The database must exist already, the table must not."""
        self._orders = OrdersTable(self._database, self._name, rows, key, secondary_unique)
        columns = written_columns(self._orders, self._core_columns)
        self._ledgers = [Ledger(self._orders, columns, writer, self.writers) for writer in range(self.writers)]
        with self._session() as connection:
            _create_filled(connection, self._orders, self._name)
            progress = qualified(self._database, PROGRESS_TABLE)
            with connection.cursor() as cursor:
                cursor.execute(f"drop table if exists {progress}")
                cursor.execute(
                    f"create table {progress} (writer int not null primary key, transactions bigint unsigned not null)"
                )
                for writer in range(self.writers):
                    cursor.execute(f"insert into {progress} values (%s, 0)", (writer,))

    def start(self) -> None:
        """Start the writers and wait until all have connected. May be called again after `stop`.

        Raises WriterFailed when one could not.
        """
        if self._processes:
            raise RuntimeError("the writers are running already")
        context = multiprocessing.get_context("forkserver")
        # Imported once for all writers there will be: they are started again and again.
        context.set_forkserver_preload([run_writer.__module__])
        committed = context.RawArray("Q", self.writers)
        self._committed = committed
        self._run += 1
        for ledger in self._ledgers:
            ours, theirs = context.Pipe()
            job = WriterJob(self._settings, ledger, self._seed, self._run, self.rate_per_writer)
            process = context.Process(
                target=run_writer, args=(job, theirs, committed), name=f"writer-{ledger.writer}", daemon=True
            )
            process.start()
            theirs.close()
            self._processes.append((process, ours))
        for process, pipe in self._processes:
            _receive(process, pipe, _READY_DEADLINE_S)
        self._started_at = time.monotonic()

    def wait_for(self, transactions: int, timeout_s: float = 60.0) -> None:
        """Wait until that many have been committed since the start. Raises WriterFailed when that takes too long."""
        deadline = time.monotonic() + timeout_s
        while self.committed_so_far < transactions:
            dead = multiprocessing.connection.wait([process.sentinel for process, _ in self._processes], timeout=0.01)
            if dead or time.monotonic() > deadline:
                why = "a writer has ended" if dead else f"in {timeout_s:g} s"
                raise WriterFailed(f"only {self.committed_so_far:,} of {transactions:,} transactions: {why}")

    def stop(self) -> WorkloadReport:
        """Let every writer finish its transaction, and take their reports. Raises WriterFailed when one cannot say."""
        if not self._processes:
            raise RuntimeError("the writers are not running")
        try:
            for _, pipe in self._processes:
                with contextlib.suppress(OSError):  # one that died says why, or not, in the next step
                    pipe.send("stop")
            reports = []
            for process, pipe in self._processes:
                report = _receive(process, pipe, _STOP_DEADLINE_S)
                assert isinstance(report, WriterReport)
                reports.append(report)
                process.join(_STOP_DEADLINE_S)
        finally:
            self.kill()
        self._ledgers = [report.ledger for report in reports]
        return self._combined(reports)

    def kill(self) -> None:
        """End the writers at once, if any run; what they did is lost. Harmless when called again."""
        for process, pipe in self._processes:
            process.kill()
            process.join()
            process.close()
            pipe.close()
        self._processes = []

    def expected_rows(self) -> Iterator[tuple[Value, ...]]:
        """Every row that the table must hold by what was committed, in the original schema; the writers stopped.

        In the order of `table.column_names`; decimals and times as the server prints them.
        """
        changed = self._changed()
        table, columns = self.table, self._ledgers[0].columns
        for number in range(GAP, GAP * table.rows + 1, GAP):
            if number not in changed:
                first = table.first_values(number)
                yield table.key_of(number) + tuple(first[column.name] for column in table.value_columns)
        for number, row in changed.items():
            if row is not None:
                yield all_values(table, columns, number, row)

    def verify_against_direct_alter(self, alter: str = "", expected_name: str | None = None) -> Comparison:
        """Compare the table with what the server's own `ALTER` makes of what was committed; the writers stopped.

        `alter` is the clauses only; without any, the original schema is expected. The table that is compared with is
        called `<table>_expected`, or `expected_name`, and dropped again when nothing differs.
        """
        name = expected_name or f"{self._name}_expected"
        expected = qualified(self._database, name)
        with self._session() as connection:
            with connection.cursor() as cursor:
                cursor.execute(f"drop table if exists {expected}")
            self._load_expected(connection, name)
            with connection.cursor() as cursor:
                if alter:
                    cursor.execute(f"alter table {expected} {alter}")
                comparison = compare_tables(connection, self._database, name, self._name)
                if comparison.equal:
                    cursor.execute(f"drop table {expected}")
        return comparison

    def _changed(self) -> dict[int, Row | None]:
        return {number: row for ledger in self._ledgers for number, row in ledger.changed.items()}

    def _load_expected(self, connection: Conn, name: str) -> None:
        """What was committed, in the original schema, under another name."""
        table, columns = self.table, self._ledgers[0].columns
        _create_filled(connection, table, name)
        changed = self._changed()
        target = qualified(table.database, name)
        keys = columns_list(table.key_columns)
        one_key = f"({', '.join(['%s'] * len(table.key_columns))})"
        one_row = f"({', '.join(['%s'] * len(table.column_names))})"
        gone = (table.key_of(number) for number in changed if number % GAP == 0 and number <= GAP * table.rows)
        rows = (all_values(table, columns, number, row) for number, row in sorted(changed.items()) if row is not None)
        with connection.cursor() as cursor:
            for batch in _batches(gone):
                places = ", ".join([one_key] * len(batch))
                cursor.execute(f"delete from {target} where ({keys}) in ({places})", [v for key in batch for v in key])
            for batch in _batches(rows):
                places = ", ".join([one_row] * len(batch))
                cursor.execute(
                    f"insert into {target} ({columns_list(table.column_names)}) values {places}",
                    [value for row in batch for value in row],
                )

    def _combined(self, reports: Sequence[WriterReport]) -> WorkloadReport:
        return WorkloadReport(
            started_at=self._started_at,
            stopped_at=time.monotonic(),
            transactions=sum(report.transactions for report in reports),
            rolled_back=sum(report.rolled_back for report in reports),
            rows_changed=sum(report.rows_changed for report in reports),
            reconnects=sum(report.reconnects for report in reports),
            retryable=sum((report.retryable for report in reports), Counter()),
            errors=tuple(sorted((error for report in reports for error in report.errors), key=lambda error: error.at)),
            latencies=merged(report.latencies for report in reports),
        )

    @contextlib.contextmanager
    def _session(self) -> Iterator[Conn]:
        with contextlib.closing(
            Sessions(self._settings).open("prepare the workload", {"innodb_lock_wait_timeout": "50"})
        ) as connection:
            yield connection


def _create_filled(connection: Conn, table: OrdersTable, name: str) -> None:
    """The table under that name, as it is before any writer."""
    with connection.cursor() as cursor:
        cursor.execute(table.create_statement(name))
        cursor.execute("show variables where variable_name in ('cte_max_recursion_depth', 'max_recursive_iterations')")
        for variable, _ in cursor.fetchall():
            cursor.execute(f"set session {variable} = {2 * _FILL_ROWS}")
        for first in range(1, table.rows + 1, _FILL_ROWS):
            cursor.execute(table.fill_statement(first, min(first + _FILL_ROWS - 1, table.rows), name))


def _batches(items: Iterator[tuple[Value, ...]]) -> Iterator[list[tuple[Value, ...]]]:
    while batch := list(islice(items, _LOAD_ROWS)):
        yield batch


def _receive(process: ForkServerProcess, pipe: Pipe, timeout_s: float) -> object:
    """The next message of a writer. Raises WriterFailed when it says so, ended or stays silent."""
    if not pipe.poll(timeout_s):
        raise WriterFailed(f"{process.name} did not answer in {timeout_s:g} s")
    try:
        message: object = pipe.recv()
    except EOFError as error:
        process.join()
        raise WriterFailed(f"{process.name} ended with exit code {process.exitcode} and said nothing") from error
    if isinstance(message, WriterFailed):
        raise message
    return message
