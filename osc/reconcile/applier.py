"""Applying keys to the ghost: the server re-derives each row from the original as it is now.

Reconciling a key is idempotent and free of order: whichever event put the key here, the row that is written is the one that
a fresh read sees. Values never pass through Python.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pymysql
from pymysql.cursors import Cursor

from osc.copy.sizing import CHUNK_BYTES, ChunkSizer
from osc.errors import UniqueConflict
from osc.mysql.session import Conn, error_code
from osc.reconcile.conflicts import owner_of_duplicate, unique_conflict
from osc.reconcile.strictly import FindOwner, Rewrite, rewrite_strictly
from osc.state.writer import GhostWriter
from osc.steps import carry_out
from osc.table.facts import Index
from osc.table.key import Key
from osc.table.misfits import MISFIT_ERRORS, raise_misfits
from osc.table.projection import Projection

BATCH_KEYS = 300
BATCH_TARGET_S = 0.05
BATCH_BYTES = CHUNK_BYTES // 2
"""A row that is deleted and inserted is in the binlog twice."""
FIRST_WIDE_KEYS = 20
DUPLICATE_ENTRY = 1062


class Applier:
    """Reconciles keys in batches, several at a time where there are enough of them. Used by one thread at a time."""

    def __init__(
        self,
        projection: Projection,
        open_writer: Callable[[], GhostWriter],
        lanes: int,
        stricter_indexes: Sequence[Index],
        rest: Callable[[float], None],
    ) -> None:
        """`stricter_indexes`: unique indexes of the ghost that the original does not have in the same form.

        `rest` is called after each batch with the seconds that it took, and returns when the next may follow.
        """
        self._projection = projection
        self._writers = [open_writer() for _ in range(lanes)]
        self._pool = ThreadPoolExecutor(lanes, thread_name_prefix="reconcile")
        self._stricter = tuple(stricter_indexes)
        self._rest = rest
        first = FIRST_WIDE_KEYS if projection.wide_columns else BATCH_KEYS
        self._sizer = ChunkSizer(BATCH_TARGET_S, first, BATCH_KEYS)
        self.keys = 0

    def apply(self, keys: Sequence[Key]) -> None:
        """Make the ghost's rows of these keys equal to what the original has now, or absent."""
        ordered = sorted(keys)
        if len(ordered) <= BATCH_KEYS:
            self._apply_run(self._writers[0], ordered)
            return
        # Adjacent batches share gaps of the index: each lane gets one run of the key space, so lanes rarely meet.
        lanes = len(self._writers)
        share = -(-len(ordered) // lanes)
        runs = [ordered[lane * share : (lane + 1) * share] for lane in range(lanes)]
        work = [
            self._pool.submit(self._apply_run, writer, run)
            for writer, run in zip(self._writers, runs, strict=True)
            if run
        ]
        for future in work:
            future.exception()  # wait for every lane before any error is raised: no lane writes on in the background
        for future in work:
            future.result()

    def _apply_run(self, writer: GhostWriter, keys: Sequence[Key]) -> None:
        start = 0
        while start < len(keys):
            batch = self._fitting(writer, keys[start : start + self._sizer.rows])
            began = time.monotonic()
            self._apply_batch(writer, batch)
            # Without the commit: what that takes on a busy server does not become less with fewer rows. A small remainder
            # says nothing, since most of its time is round trips.
            if 2 * len(batch) >= self._sizer.rows or writer.worked_s > BATCH_TARGET_S:
                self._sizer.took(len(batch), writer.worked_s)
            start += len(batch)
            self._rest(time.monotonic() - began)

    def _fitting(self, writer: GhostWriter, keys: Sequence[Key]) -> Sequence[Key]:
        """As many of the keys, from the first on, as fit into one transaction; at least one."""
        while self._projection.wide_columns and len(keys) > 1:
            if writer.run(partial(_number, query=self._projection.bytes_of(keys))) <= BATCH_BYTES:
                break
            keys = keys[: len(keys) // 2]
        return keys

    def _apply_batch(self, writer: GhostWriter, keys: Sequence[Key]) -> None:
        try:
            if self._stricter:
                writer.run(lambda connection: self._apply_strictly(connection, keys, self._projection))
            else:
                writer.transact([self._projection.delete_keys(keys), self._projection.insert_keys(keys, replace=True)])
        except pymysql.err.MySQLError as error:
            if error_code(error) in MISFIT_ERRORS:
                writer.run(lambda c: raise_misfits(c, self._projection, keys, self._projection.has_key))
            raise
        self.keys += len(keys)

    def apply_on(self, connection: Conn, keys: Sequence[Key], projection: Projection) -> None:
        """The same on a session of the caller's, within its transaction, into the ghost as `projection` names it."""
        ordered = sorted(keys)
        for start in range(0, len(ordered), BATCH_KEYS):
            batch = ordered[start : start + BATCH_KEYS]
            if self._stricter:
                self._apply_strictly(connection, batch, projection)
            else:
                with connection.cursor() as cursor:
                    cursor.execute(projection.delete_keys(batch))
                    cursor.execute(projection.insert_keys(batch, replace=True))
        self.keys += len(ordered)

    def _apply_strictly(self, connection: Conn, keys: Sequence[Key], projection: Projection) -> None:
        """Reconcile where the ghost is stricter than the original. Raises UniqueConflict when it cannot hold both rows."""

        def do(step: Rewrite | FindOwner) -> None:
            match step:
                case Rewrite():
                    step.is_duplicate = self._meets_duplicate(connection, step.keys, projection)
                case FindOwner():
                    found = owner_of_duplicate(connection, projection, self._stricter, step.keys)
                    step.owner = None if found is None else found[1]

        batch = carry_out(rewrite_strictly(keys), do)
        if batch is not None:
            raise self._conflict_within(connection, batch, projection)

    def _meets_duplicate(self, connection: Conn, batch: Sequence[Key], projection: Projection) -> bool:
        """Delete and insert the batch; whether another row had a value of theirs."""
        with connection.cursor() as cursor:
            cursor.execute(projection.delete_keys(batch))
            return not _insert(cursor, projection, batch)

    def _conflict_within(self, connection: Conn, batch: Sequence[Key], projection: Projection) -> UniqueConflict:
        """Both rows are in the batch: put them into the ghost one by one, in a transaction that is then rolled back."""
        for key in batch:
            with connection.cursor() as cursor:
                is_in = _insert(cursor, projection, [key])
            if not is_in:
                found = owner_of_duplicate(connection, projection, self._stricter, [key])
                if found is not None:
                    return unique_conflict(projection, found[0], found[1], key)
        return unique_conflict(projection, ", ".join(index.name for index in self._stricter), batch[0], batch[-1])

    def close(self) -> None:
        self._pool.shutdown()
        for writer in self._writers:
            writer.close()


def _insert(cursor: Cursor, projection: Projection, keys: Sequence[Key]) -> bool:
    """Insert the keys' rows; False, and none is in, when another row has a value of theirs."""
    try:
        cursor.execute(projection.insert_keys(keys, replace=False))
    except pymysql.err.IntegrityError as error:
        if error_code(error) != DUPLICATE_ENTRY:
            raise
        return False
    return True


def _number(connection: Conn, query: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(query)
        row = cursor.fetchone()
    return 0 if row is None else int(row[0])
