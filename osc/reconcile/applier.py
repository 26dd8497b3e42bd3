"""Applying keys to the ghost: the server re-derives each row from the original as it is now.

Reconciling a key is idempotent and free of order: whichever event put the key here, the row that is written is the one that
a fresh read sees. Values never pass through Python.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pymysql
from pymysql.cursors import Cursor

from osc.errors import UniqueConflict
from osc.mysql.session import Conn, error_code
from osc.reconcile.conflicts import owner_of_duplicate, unique_conflict
from osc.state.writer import GhostWriter
from osc.table.facts import Index
from osc.table.key import Key
from osc.table.projection import Projection

BATCH_KEYS = 300
DUPLICATE_ENTRY = 1062
STRICT_TRIES = 5


class Applier:
    """Reconciles keys in batches, several at a time where there are enough of them. Used by one thread at a time."""

    def __init__(
        self,
        projection: Projection,
        open_writer: Callable[[], GhostWriter],
        lanes: int,
        stricter_indexes: Sequence[Index],
    ) -> None:
        """`stricter_indexes`: unique indexes of the ghost that the original does not have in the same form."""
        self._projection = projection
        self._writers = [open_writer() for _ in range(lanes)]
        self._pool = ThreadPoolExecutor(lanes, thread_name_prefix="reconcile")
        self._stricter = tuple(stricter_indexes)
        self.keys = 0

    def apply(self, keys: Sequence[Key]) -> None:
        """Make the ghost's rows of these keys equal to what the original has now, or absent."""
        ordered = sorted(keys)
        batches = [ordered[start : start + BATCH_KEYS] for start in range(0, len(ordered), BATCH_KEYS)]
        if len(batches) <= 1:
            for batch in batches:
                self._apply_batch(self._writers[0], batch)
            return
        # Adjacent batches share gaps of the index: each lane gets one run of the key space, so lanes rarely meet.
        lanes = len(self._writers)
        share = -(-len(batches) // lanes)
        runs = [batches[lane * share : (lane + 1) * share] for lane in range(lanes)]
        work = [
            self._pool.submit(self._apply_run, writer, run)
            for writer, run in zip(self._writers, runs, strict=True)
            if run
        ]
        for future in work:
            future.exception()  # wait for every lane before any error is raised: no lane writes on in the background
        for future in work:
            future.result()

    def _apply_run(self, writer: GhostWriter, batches: Sequence[Sequence[Key]]) -> None:
        for batch in batches:
            self._apply_batch(writer, batch)

    def _apply_batch(self, writer: GhostWriter, keys: Sequence[Key]) -> None:
        if self._stricter:
            writer.run(lambda connection: self._apply_strictly(connection, keys, self._projection))
        else:
            writer.transact([self._projection.delete_keys(keys), self._projection.insert_keys(keys, replace=True)])
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
        """Reconcile where the ghost is stricter than the original: nothing may be displaced unseen.

        `replace` would displace a row for which no event will ever come. A duplicate therefore is an error here; the owner
        of the value joins the batch. If both rows are in the original, no ghost can hold them: UniqueConflict.
        """
        batch = list(keys)
        tries_left = STRICT_TRIES
        while (duplicate := self._duplicate_of(connection, batch, projection)) is not None:
            found = owner_of_duplicate(connection, projection, self._stricter, batch)
            if found is not None:
                batch.append(found[1])
                continue
            # Either two rows of the batch have the value, or a copy worker has just inserted one of these very rows.
            tries_left -= 1
            if not tries_left:
                raise self._conflict_within(connection, batch, projection) from duplicate

    def _duplicate_of(
        self, connection: Conn, batch: Sequence[Key], projection: Projection
    ) -> pymysql.err.IntegrityError | None:
        """Delete and insert the batch; the server's complaint about a value that another row has, or None."""
        with connection.cursor() as cursor:
            cursor.execute(projection.delete_keys(batch))
            return _insert(cursor, projection, batch)

    def _conflict_within(self, connection: Conn, batch: Sequence[Key], projection: Projection) -> UniqueConflict:
        """Both rows are in the batch: put them into the ghost one by one, in a transaction that is then rolled back."""
        for key in batch:
            with connection.cursor() as cursor:
                duplicate = _insert(cursor, projection, [key])
            if duplicate is not None:
                found = owner_of_duplicate(connection, projection, self._stricter, [key])
                if found is not None:
                    return unique_conflict(projection, found[0], found[1], key)
        return unique_conflict(projection, ", ".join(index.name for index in self._stricter), batch[0], batch[-1])

    def close(self) -> None:
        self._pool.shutdown()
        for writer in self._writers:
            writer.close()


def _insert(cursor: Cursor, projection: Projection, keys: Sequence[Key]) -> pymysql.err.IntegrityError | None:
    """Insert the keys' rows; the error when another row has a value of theirs, None when all are in."""
    try:
        cursor.execute(projection.insert_keys(keys, replace=False))
    except pymysql.err.IntegrityError as error:
        if error_code(error) != DUPLICATE_ENTRY:
            raise
        return error
    return None
