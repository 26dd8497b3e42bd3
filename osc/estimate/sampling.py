"""The sample: ranges from all over the table copied, compared and reconciled in the scratch ghost, at the governor's pace.

It is the engine's own copy, comparison, throttle and statements that are at work here, so what is measured is what a
migration would do. Always at less than low impact, whatever the migration is to have: it is a question, not the work.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace

import pymysql

from osc.control.stop import StopRequest
from osc.copy.ranges import one_key
from osc.copy.sizing import CHUNK_BYTES, FIRST_ROWS, FIRST_WIDE_ROWS, MAX_ROWS, MIN_ROWS, ChunkSizer
from osc.copy.workers import Copy
from osc.errors import ConversionFailed, Interrupted, OscError
from osc.estimate.losses import find_misfits, may_refuse
from osc.estimate.measured import Load, Measured, Traffic, Work
from osc.estimate.reconciling import ReconcileSample
from osc.estimate.regions import REGIONS, Region, choose_regions
from osc.estimate.scratch import Scratch
from osc.estimate.sizes import bytes_per_row
from osc.estimate.stopwatch import Stopwatch
from osc.estimate.traffic import TrafficMeter
from osc.estimate.verifying import VerifySample
from osc.mysql.session import Sessions, error_code
from osc.mysql.steady import SteadySession
from osc.options import MigrationOptions
from osc.reconcile.barrier import Heartbeat
from osc.reconcile.pending import PendingSet
from osc.reconcile.watermarks import Watermarks
from osc.state.writer import GhostWriter
from osc.table.deferred import build_statement, ddl_variables
from osc.table.key import Key
from osc.table.misfits import MISFIT_ERRORS
from osc.table.ranges import Range
from osc.table.width import rows_in
from osc.threads import OwnedThread, join_all
from osc.throttle.governor import Pace
from osc.throttle.throttle import Throttle
from osc.verify.verifier import RANGE_TARGET_S

DEFAULT_SAMPLE_S = 8.0
SAMPLE_IMPACT = "1.5"
"""By how much commits may become dearer while a sample is taken."""
QUIET_S = 1.2
"""So long the binlog is read before anything is copied: what others write. The governor measures meanwhile."""
LEAST_SAMPLE_ROWS = 20_000
"""Of a table that is no larger, every row may be sampled; of others `SAMPLED_SHARE`, but at least so many."""
SAMPLED_SHARE = 0.15
LEAST_SAMPLE_S = 3.0
"""A server is not the same from second to second, so even of a quick table rows are copied for so long."""
REACH = 0.4
"""Of its region's rows, the most that is copied: it begins in the middle."""
VERIFY_SHARE_S = 0.4
"""Of the time for copying."""
TINY_CHUNKS = (MIN_ROWS,) * 2
"""Before each region: what a chunk costs besides its rows changes from moment to moment, too."""
WARM_UP_S = 2.0
RECONCILING_S = 2.0
GRACE_S = 5.0
DUPLICATE = 1062
PENDING_BYTES = 1 << 30
"""Nothing waits to be reconciled in a plan, so nothing of it is ever filled."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What came of it, and what was met on the way."""

    measured: Measured
    changed_rows: int
    """Sampled rows that the conversion changes, where losses are allowed."""
    spans: tuple[Range, ...]
    """What was copied, a range a region."""
    misfits: ConversionFailed | None = None
    """Rows that the new schema does not take, where every row was checked."""


class Sampler:
    """Takes one sample. Its methods are called by one thread."""

    def __init__(
        self,
        sessions: Sessions,
        binlog: Sessions,
        scratch: Scratch,
        options: MigrationOptions,
        sample_s: float,
        stop: StopRequest,
        warn: Callable[[str], None],
    ) -> None:
        """`sample_s`: how long to copy for, in seconds; all in all it takes about twice as long."""
        self._sessions = sessions
        self._binlog = binlog
        self._scratch = scratch
        self._options = replace(options, impact=SAMPLE_IMPACT)
        self._sample_s = sample_s
        self._outer_stop = stop
        self._stop = StopRequest()
        """Of the sample alone: asked when its time is up, too."""
        self._commits: list[tuple[float, float]] = []
        self._level = 0.0
        self._warm_rows = 0
        self._overheads_s: list[float] = []
        pair = scratch.pair
        self._heartbeat = Heartbeat(self._steady("write the heartbeat"), scratch.state)
        self._sizer = ChunkSizer(
            options.chunk_target_ms / 1_000,
            options.chunk_size or (FIRST_WIDE_ROWS if pair.projection.wide_columns else FIRST_ROWS),
            # A chunk that went on into the next region would find its rows copied there.
            min(
                options.chunk_size or MAX_ROWS,
                rows_in(pair.source, CHUNK_BYTES) or MAX_ROWS,
                self._rows_of_a_region(REGIONS),
            ),
        )
        most = rows_in(pair.source, CHUNK_BYTES) or MAX_ROWS
        self._verify_sizer = ChunkSizer(RANGE_TARGET_S, most_rows=most)
        self._throttle = Throttle(
            self._options,
            sessions,
            self._steady("read the server's status"),
            scratch.state,
            self._heartbeat,
            PendingSet(PENDING_BYTES),
            PENDING_BYTES,
            self._stop,
            warn,
            self._take_pace,
            lambda: False,
        )

    def take(self, checks_data: bool) -> Sample:
        """`checks_data`: also convert every row of the table, however long that takes.

        Raises Interrupted, and ConversionFailed when the new schema does not take a sampled row.
        """
        began = time.monotonic()
        with ExitStack() as cleanup:
            cleanup.callback(self._close)
            meter = self._follow(cleanup)
            self._throttle.watch()
            self._throttle.take_the_pulse()
            self._pause(QUIET_S)
            quiet = None if meter is None else meter.traffic()
            with closing(self._sessions.open("choose what to sample")) as connection:
                regions = choose_regions(connection, self._scratch.pair.projection)
            regions = self._warm_up(regions)
            bytes_before, sampled_at = (0 if meter is None else meter.bytes), time.monotonic()
            copied, spans = self._copy(regions)
            binlog_bytes = self._binlog_bytes(meter, quiet, bytes_before, sampled_at)
            verified, verify_overhead_s, changed = self._verify(regions, copied)
            reconcile_key_s = self._reconcile(regions)
            misfits = self._check_every_row() if checks_data else None
            held_back_by = self._throttle.gate.closed_by()
            traffic = None if meter is None or quiet is None else meter.traffic(quiet)
        build_s = self._build_indexes()
        rows = sum(work.rows for work in copied)
        data, index = bytes_per_row(self._sessions, self._scratch, rows + self._warm_rows)
        governor = self._throttle.governor
        measured = Measured(
            took_s=time.monotonic() - began,
            made_s=self._scratch.made_s,
            copied=copied,
            copy_overhead_s=statistics.median(self._overheads_s) if self._overheads_s else 0.0,
            verified=verified,
            verify_overhead_s=verify_overhead_s,
            reconcile_key_s=reconcile_key_s,
            build_s=build_s,
            data_bytes_per_row=data,
            index_bytes_per_row=index,
            binlog_bytes_per_row=None if binlog_bytes is None or not rows else binlog_bytes / rows,
            load=Load(governor.baseline_s is not None, governor.baseline_s, tuple(self._commits)),
            traffic=traffic,
            held_back_by=held_back_by,
        )
        return Sample(measured, changed, spans, misfits)

    # --- the parts ------------------------------------------------------------------------------------------------

    def _follow(self, cleanup: ExitStack) -> TrafficMeter | None:
        pair, scratch = self._scratch.pair, self._scratch
        try:
            meter = TrafficMeter(
                self._sessions,
                self._binlog,
                scratch.names,
                pair.source,
                pair.projection.key,
                self._options.replica_server_id,
            )
        except OscError:
            return None  # preflight tells what is wrong with the binlog
        cleanup.callback(meter.close)
        return meter

    def _warm_up(self, regions: list[Region]) -> list[Region]:
        """Copy until the size of a chunk is about right; the regions without what was copied for that."""
        if not regions:
            return regions
        at = len(regions) // 2
        end = self._copy_chunks(regions[at].start, self._larger_chunks())
        return [*regions[:at], replace(regions[at], start=end), *regions[at + 1 :]]

    def _copy_chunks(self, start: Key | None, sizes: Sequence[int]) -> Key | None:
        """Copy chunks of so many rows, one after the other, and note what the smallest take; where they end.

        Those are next to nothing but what any chunk costs.
        """
        projection, writer = self._scratch.pair.projection, self._open_writer()
        reached = start

        def work() -> None:
            nonlocal reached
            for rows in sizes:
                self._throttle.gate.pass_through()
                began = time.monotonic()
                seek = projection.range_end(reached, rows, None, CHUNK_BYTES)
                end = writer.run(lambda connection, seek=seek: one_key(connection, projection, seek))  # type: ignore[misc]
                if end is None:
                    break
                self._warm_rows += sum(writer.transact([projection.copy_range(Range(0, reached, end))]))
                if rows == MIN_ROWS:
                    self._overheads_s.append(time.monotonic() - began)
                else:
                    self._sizer.took(rows, writer.worked_s)
                reached = end

        try:
            self._run([OwnedThread("sample-chunks", work)], self._deadline(WARM_UP_S))
        except pymysql.err.MySQLError as error:
            if error_code(error) not in MISFIT_ERRORS:
                raise
            return start  # the copy meets the same rows, and tells which they are
        finally:
            writer.close()
        return reached

    def _larger_chunks(self) -> tuple[int, ...]:
        """As far as the table has rows enough for a sample beside them."""
        rows = self._scratch.pair.source.estimated_rows
        return tuple(size for size in (self._sizer.rows, 2 * self._sizer.rows) if size < rows / 20)

    def _copy(self, regions: list[Region]) -> tuple[tuple[Work, ...], tuple[Range, ...]]:
        done = [self._copy_from(region, len(regions)) for region in regions]
        return tuple(work for work, _ in done), tuple(span for _, span in done if span is not None)

    def _copy_from(self, region: Region, regions: int) -> tuple[Work, Range | None]:
        """What was copied, and from where to where. `regions`: how many share the time."""
        region = replace(region, start=self._copy_chunks(region.start, TINY_CHUNKS))
        rows = self._rows_of_a_region(regions)
        most = max(rows, int(region.share * self._scratch.pair.source.estimated_rows * REACH))
        watch = Stopwatch(self._throttle.gate.pass_through)
        watermarks = Watermarks(compares=False, may_drop=False, low=region.start)
        early = self._deadline(min(LEAST_SAMPLE_S, self._sample_s) / regions)
        deadline = self._deadline(self._sample_s / regions)
        copy: Copy

        def enough() -> bool:
            now = time.monotonic()
            return now > deadline or copy.rows >= (rows if now > early else most)

        copy = Copy(
            self._scratch.pair.projection,
            watermarks,
            self._sizer,
            self._open_writer,
            self._sessions,
            watch.pass_through,
            self._stop,
            self._options.workers,
            enough,
        )
        self._run(copy.threads, deadline)
        end = watermarks.high
        span = None if end is None or end == region.start else Range(0, region.start, end)
        return Work(region.share, copy.rows, watch.pieces, watch.busy_s), span

    def _rows_of_a_region(self, regions: int) -> int:
        rows = max(LEAST_SAMPLE_ROWS, self._scratch.pair.source.estimated_rows * SAMPLED_SHARE)
        return int(rows / max(1, regions)) + 1

    def _verify(self, regions: list[Region], copied: tuple[Work, ...]) -> tuple[tuple[Work, ...], float, int]:
        """What was compared, what comparing next to nothing takes, and how many rows the conversion changed."""
        self._throttle.governor.other_work()
        found: list[Work] = []
        changed, overheads_s = 0, []
        for region, work in zip(regions, copied, strict=True):
            if not work.rows:
                continue
            deadline = self._deadline(self._sample_s * VERIFY_SHARE_S / len(regions))
            tiny, _ = self._verify_from(region, MIN_ROWS, deadline, ChunkSizer(RANGE_TARGET_S), 1)
            if tiny.pieces:
                overheads_s.append(tiny.busy_s / tiny.pieces)
            done, lost = self._verify_from(region, work.rows, deadline, self._verify_sizer, self._options.workers)
            found.append(done)
            changed += lost
        return tuple(found), statistics.median(overheads_s) if overheads_s else 0.0, changed

    def _verify_from(
        self, region: Region, rows: int, deadline: float, sizer: ChunkSizer, workers: int
    ) -> tuple[Work, int]:
        watch = Stopwatch(self._throttle.gate.pass_through)
        sample = VerifySample(
            self._scratch.pair,
            region.start,
            rows,
            sizer,
            self._sessions,
            watch.pass_through,
            self._stop,
            workers,
            lambda: time.monotonic() > deadline,
        )
        self._run(sample.threads, deadline)
        return Work(region.share, sample.rows, watch.pieces, watch.busy_s), sample.changed_rows

    def _reconcile(self, regions: list[Region]) -> float | None:
        """What reconciling one key takes in a batch, in seconds."""
        sample = ReconcileSample(self._scratch.pair.projection, regions, self._throttle.gate.pass_through)
        writer = self._open_writer()
        try:
            self._run([OwnedThread("sample-reconciling", lambda: sample.work(writer))], self._deadline(RECONCILING_S))
        except pymysql.err.MySQLError as error:
            if error_code(error) not in {*MISFIT_ERRORS, DUPLICATE}:
                raise
            return None  # told of elsewhere, with the rows
        finally:
            writer.close()
        return sample.key_s

    def _check_every_row(self) -> ConversionFailed | None:
        if self._options.allow_lossy or self._stop.is_requested or not may_refuse(self._scratch):
            return None
        writer = self._open_writer()
        try:
            return find_misfits(self._scratch, writer, self._throttle.gate.pass_through, self._outer_stop)
        finally:
            writer.close()

    def _build_indexes(self) -> float | None:
        scratch = self._scratch
        if not scratch.deferred.definitions:
            return None
        began = time.monotonic()
        variables = {"lock_wait_timeout": "5", **ddl_variables(self._sessions.server)}
        connection = self._sessions.open("build the indexes", variables)
        with closing(connection), connection.cursor() as cursor:
            cursor.execute(build_statement(scratch.names.database, scratch.names.ghost, scratch.deferred.definitions))
        return time.monotonic() - began

    def _binlog_bytes(
        self, meter: TrafficMeter | None, quiet: Traffic | None, before: int, since: float
    ) -> float | None:
        """What the sample has written to the binlog; None where others wrote so much beside it that nobody can tell."""
        if meter is None or quiet is None or not meter.has_met(self._heartbeat.barrier(), GRACE_S):
            return None
        everything = meter.bytes - before
        others = quiet.binlog_bytes_s * (time.monotonic() - since)
        return everything - others if others < everything / 2 else None

    # --- what they stand on ---------------------------------------------------------------------------------------

    def _take_pace(self, pace: Pace) -> None:
        commit_s = self._throttle.governor.commit_s
        if commit_s is not None and self._level:
            self._commits.append((self._level, commit_s))
        self._level = pace.level if pace.workers else 0.0
        self._sizer.aim(pace.chunk_s)
        self._verify_sizer.aim(min(RANGE_TARGET_S, 2 * pace.chunk_s))

    def _steady(self, purpose: str, variables: dict[str, str] | None = None) -> SteadySession:
        return SteadySession(self._sessions, purpose, self._stop, variables=variables)

    def _open_writer(self) -> GhostWriter:
        variables = {**self._scratch.pair.session_variables, "autocommit": "0", "wait_timeout": "30"}
        writer = GhostWriter(
            self._steady("write the scratch table", variables), self._scratch.state, self._scratch.epoch
        )
        # Connecting is no part of what is measured.
        writer.run(lambda connection: None)
        return writer

    def _deadline(self, seconds: float) -> float:
        return time.monotonic() + seconds

    def _run(self, threads: list[OwnedThread], deadline: float) -> None:
        """Let them work until they end. Past the deadline they have a moment to see that; then the sample is over."""
        for thread in threads:
            thread.start()

        def watch() -> None:
            self._outer_stop.check()
            self._throttle.raise_if_dead()
            if time.monotonic() > deadline + GRACE_S:
                self._stop.request("the end of the time for a sample")

        try:
            join_all(threads, watch, 0.02)
        except Interrupted:
            self._outer_stop.check()
            # Held back by a signal, or by a statement that waits for a lock.
        finally:
            if any(thread.is_alive for thread in threads):
                self._stop.request("an error in the sample")
            for thread in threads:
                thread.join()

    def _pause(self, seconds: float) -> None:
        self._outer_stop.wait(seconds)
        self._outer_stop.check()

    def _close(self) -> None:
        self._stop.request("the end of the sample")
        self._throttle.close()
        self._heartbeat.close()
