"""Reconciling sampled keys in the scratch ghost, only to learn what it costs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

from osc.copy.ranges import one_key
from osc.copy.sizing import CHUNK_BYTES
from osc.estimate.regions import Region
from osc.mysql.session import Conn
from osc.state.writer import GhostWriter
from osc.table.key import Key
from osc.table.projection import Projection
from osc.table.ranges import Range

BATCH_KEYS = 300
BATCHES = 3


class ReconcileSample:
    """Takes a few batches of keys that were copied, removes their rows and puts them in again."""

    def __init__(self, projection: Projection, regions: Sequence[Region], gate: Callable[[], None]) -> None:
        self._projection = projection
        self._regions = regions[:: max(1, len(regions) // BATCHES)]
        self._gate = gate
        self._took_s: list[float] = []

    @property
    def key_s(self) -> float | None:
        """Seconds a key; None where there was none."""
        return statistics.median(self._took_s) if self._took_s else None

    def work(self, writer: GhostWriter) -> None:
        """To be run on a thread. Raises what the server has against a row."""
        for region in self._regions:
            self._gate()
            keys = writer.run(lambda connection, region=region: self._keys(connection, region.start))  # type: ignore[misc]
            if not keys:
                continue
            began = time.monotonic()
            projection = self._projection
            writer.transact([projection.delete_keys(keys), projection.insert_keys(keys, replace=False)])
            self._took_s.append((time.monotonic() - began) / len(keys))

    def _keys(self, connection: Conn, start: Key | None) -> list[Key]:
        projection = self._projection
        end = one_key(connection, projection, projection.range_end(start, BATCH_KEYS, None, CHUNK_BYTES))
        if end is None:
            return []
        with connection.cursor() as cursor:
            cursor.execute(projection.keys_in_range(Range(0, start, end)))
            return [projection.key_from_row(row) for row in cursor.fetchall()]
