"""The running engine: tail, reconciler, copy, verification and swap wired together, and what keeps watch over them.

The wiring is all there is here. What each part does, and why no row is lost, is told in the parts.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

import pymysql

from osc.control.stop import StopRequest
from osc.copy.indexes import IndexBuilder
from osc.copy.position import KeySpan
from osc.copy.sizing import CHUNK_BYTES, FIRST_ROWS, FIRST_WIDE_ROWS, MAX_ROWS, ChunkSizer
from osc.copy.workers import Copy
from osc.cutover.blockers import prepared_transactions
from osc.cutover.handover import Handover
from osc.errors import DifferencesFound, OscError
from osc.mysql.session import Conn, Sessions
from osc.mysql.steady import SteadySession
from osc.options import MigrationOptions
from osc.prepared import Beginning, TablePair
from osc.progress.gauges import Gauges
from osc.reconcile.applier import Applier
from osc.reconcile.barrier import Heartbeat, require_commit_order
from osc.reconcile.cycle import opening
from osc.reconcile.intake import Intake
from osc.reconcile.pending import PendingSet
from osc.reconcile.reconciler import Reconciler
from osc.reconcile.sink import Sink
from osc.reconcile.watermarks import Watermarks
from osc.reconcile.xa import prepared_xids
from osc.state.checkpoint import Checkpoint, Fingerprint, Stage, resume_coordinate
from osc.state.table import StateTable
from osc.state.writer import GhostWriter
from osc.steps import AskPrepared, Barrier, carry_out
from osc.table.key import Key
from osc.table.names import Names
from osc.table.width import rows_in
from osc.tail.tail import Tail
from osc.threads import join_all
from osc.throttle.governor import Pace
from osc.throttle.throttle import Throttle
from osc.verify.again import Reverification
from osc.verify.ahead import Ahead
from osc.verify.verifier import Verifier
from osc.watching import watch_for

log = logging.getLogger(__name__)

OTHER_MEMORY_BYTES = 96 << 20
"""The process without its pending set: 55 MB at the start, and what reading and rendering need."""
CHECKPOINT_EVERY_S = 3.0
RECONCILE_LANES = 2
SWAP_PROOF_TIMEOUT_S = 30.0
TAIL_KNOWS_TIMEOUT_S = 3.0

WRITER_WAIT_TIMEOUT_S = 30
"""A transaction whose host has vanished holds its row locks, and the run's epoch, no longer. A writer that was only idle for
as long is opened again when it is needed."""


class Engine:
    """One migration at work. Its methods are called by one thread, in the order in which they stand here."""

    def __init__(
        self,
        sessions: Sessions,
        binlog: Sessions,
        names: Names,
        pair: TablePair,
        state: StateTable,
        beginning: Beginning,
        fingerprint: Fingerprint,
        options: MigrationOptions,
        stop: StopRequest,
        warn: Callable[[str], None],
    ) -> None:
        """`binlog`: the server whose binlog is read; the same as `sessions` unless a replica is tailed."""
        key = pair.projection.key
        self._sessions = sessions
        self._pair = pair
        self._state = state
        self._beginning = beginning
        self._fingerprint = fingerprint
        self._options = options
        self._stop = stop
        self._stage: Stage = beginning.stage
        self._saved_at = 0.0
        self._swapped = False
        self._is_doubted = False
        self._handover: Handover | None = None
        self.has_checkpoint = beginning.is_resumed
        self._pending_bytes = max(0, options.max_memory_bytes - OTHER_MEMORY_BYTES)
        self.pending = PendingSet(self._pending_bytes)
        if pair.stricter:
            # There a row that is written drags the others along that had its value: the fewer are out of date, the better.
            self.pending.rest_no_more()
        self.watermarks = Watermarks(
            compares=key.compares, may_drop=not pair.has_other_unique, low=beginning.low, guard=beginning.guard
        )
        self.heartbeat = Heartbeat(self._steady("write the heartbeat"), state)
        self._xa = self._steady("look for prepared transactions")
        self._checkpoints = self._steady("save the checkpoint")
        self.applier = Applier(
            pair.projection,
            self._open_writer,
            RECONCILE_LANES,
            pair.stricter,
            lambda worked_s: self.throttle.rest_from_reconciling(worked_s),
        )
        self.reconciler = Reconciler(
            self.pending,
            self.watermarks,
            self.heartbeat,
            self.applier,
            lambda: self._xa.run(lambda connection: prepared_xids(connection, sessions.server.is_mariadb)),
            stop,
        )
        self.tail = Tail(
            binlog.settings,
            binlog.server,
            beginning.coordinate,
            watch_for(names, pair.source, key, sessions, beginning.resumed_at),
            Sink(Intake(self.pending, stop, warn), self.pending, self.heartbeat),
            options.replica_server_id,
        )
        self.throttle = Throttle(
            options,
            sessions,
            self._steady("read the server's status"),
            state,
            self.heartbeat,
            self.pending,
            self._pending_bytes,
            stop,
            warn,
            self._take_pace,
            lambda: self.indexes.thread.is_alive or (self._ahead is not None and self._ahead.is_at_work),
        )
        self.sizer = ChunkSizer(
            options.chunk_target_ms / 1_000,
            options.chunk_size or (FIRST_WIDE_ROWS if pair.projection.wide_columns else FIRST_ROWS),
            min(options.chunk_size or MAX_ROWS, rows_in(pair.source, CHUNK_BYTES) or MAX_ROWS),
        )
        self.copy = Copy(
            pair.projection,
            self.watermarks,
            self.sizer,
            self._open_writer,
            sessions,
            self.throttle.gate.pass_through,
            stop,
            options.workers,
        )
        self.indexes = IndexBuilder(
            sessions,
            names.database,
            names.ghost,
            beginning.deferred,
            self.reconciler,
            stop,
            options.default_retries,
        )
        self._key_span = KeySpan(pair.projection, sessions, stop)
        self.verifier: Verifier | None = None
        self._ahead: Ahead | None = None
        self._reverification: Reverification | None = None

    def _take_pace(self, pace: Pace) -> None:
        self.sizer.aim(pace.chunk_s)
        if self.verifier is not None:
            self.verifier.aim(pace.chunk_s)

    def _steady(self, purpose: str, variables: Mapping[str, str] | None = None) -> SteadySession:
        return SteadySession(
            self._sessions, purpose, self._stop, variables=variables, attempts=self._options.default_retries
        )

    def _open_writer(self) -> GhostWriter:
        variables = {**self._pair.session_variables, "autocommit": "0", "wait_timeout": str(WRITER_WAIT_TIMEOUT_S)}
        return GhostWriter(self._steady("write the ghost table", variables), self._state, self._beginning.epoch)

    # --- the phases -----------------------------------------------------------------------------------------------

    def start(self, while_waiting: Callable[[], None], announce: Callable[[str | None], None]) -> None:
        """Begin to tail, and make sure that what was committed before the first event is visible to the copy."""
        self.throttle.watch()
        self.tail.start()
        # Behind the tail, whose own statements nobody counts.
        self.throttle.take_the_pulse()
        session = self._steady("look for prepared transactions")

        def do(step: AskPrepared | Barrier) -> None:
            match step:
                case AskPrepared():
                    if step.waited_for:
                        first = min(step.waited_for)
                        announce(f"{first} to be committed or rolled back: it began before the binlog is followed")
                        while_waiting()
                        self._stop.wait(0.2)
                    step.listed = frozenset(session.run(prepared_transactions))
                case Barrier():
                    announce(None)
                    step.beat = self.heartbeat.barrier()

        try:
            carry_out(opening(), do)
        finally:
            session.close()
        if self._stage == "verify":
            self.watermarks.open_end()
        self.reconciler.start()
        self.save_checkpoint()

    def copy_rows(self, while_waiting: Callable[[], None]) -> None:
        """Copy every row below the end, or what an earlier run has not copied; compare some of it meanwhile.

        Raises DifferencesFound.
        """
        self.verifier = self._first_verifier()
        if self._stage == "copy":
            self.copy.start()
            self._look_how_far()
            if self._may_verify_ahead:
                self._ahead = Ahead(self.verifier, lambda: self.watermarks.low, lambda: self.throttle.has_time_to_spare)
                self._ahead.start()
            join_all(self.copy.threads, while_waiting)
            self.pending.rest_no_more()
            if self._ahead is not None:
                self._ahead.halt()
                if not self._ahead.is_fresh:
                    self.verifier = self._first_verifier()
            self._stage = "verify"
            self.save_checkpoint()
        else:
            self.pending.rest_no_more()

    def verify(self, while_waiting: Callable[[], None], announce: Callable[[str | None], None]) -> None:
        """Compare all rows of both tables, and build the deferred indexes beside it. Raises DifferencesFound."""
        if self._beginning.deferred.definitions:
            self.indexes.start()
        assert self.verifier is not None
        self.throttle.governor.other_work()
        self.verifier.start()
        join_all(self.verifier.threads, while_waiting)
        if self.indexes.thread.is_started:
            announce(self.indexes.what)
            join_all([self.indexes.thread], while_waiting)
            announce(None)

    @property
    def _may_verify_ahead(self) -> bool:
        """Not where indexes will be built: beside that, verification costs less time than beside the copy."""
        key = self._pair.projection.key
        return key.compares and not self._pair.has_other_unique and not self._beginning.deferred.definitions

    def _first_verifier(self) -> Verifier:
        verifier = self._new_verifier(
            self._pass_verification_gate, self._stop, self._options.workers, self._beginning.verified
        )
        verifier.aim(self.throttle.governor.pace.chunk_s)
        return verifier

    def _pass_verification_gate(self) -> None:
        self.indexes.wait_while_held()
        self.throttle.gate.pass_through()

    def reverification(self, proven: Callable[[Verifier], None]) -> Reverification:
        """What verifies again while the swap waits; `proven` is told of each pass. After `verify`."""
        assert self.verifier is not None
        self._reverification = Reverification(
            self.verifier, lambda gate, stop: self._new_verifier(gate, stop, 1), self.throttle.gate.closed_by, proven
        )
        return self._reverification

    def _new_verifier(
        self, gate: Callable[[], None], stop: StopRequest, workers: int, verified: Key | None = None
    ) -> Verifier:
        return Verifier(
            self._pair.comparison,
            self._sessions,
            self.pending,
            self.heartbeat,
            self.tail.wait_for_heartbeat,
            gate,
            stop,
            workers,
            self._pair.session_variables,
            self._pair.stricter,
            verified,
            rows_in(self._pair.source, CHUNK_BYTES) or MAX_ROWS,
        )

    def handover(self, prepared: Callable[[Conn], list[str]]) -> Handover:
        """What is left to do under the lock. `prepared`: XA transactions that must have ended by then."""

        def last_look(connection: Conn) -> str | None:
            require_commit_order(connection, self._sessions.server)
            return next(iter(prepared(connection)), None)

        self._handover = Handover(
            self.pending,
            self.applier,
            self._pair.comparison,
            self._state,
            self._beginning.epoch,
            self.tail.wait_for_heartbeat,
            self._fingerprint,
            last_look,
        )
        return self._handover

    def prove_swap(self) -> str | None:
        """Look into the binlog for a row of the original between the last heartbeat and the rename.

        Nobody reconciled such a row. Raises DifferencesFound when there is one; returns why it could not be looked up, if
        the tail has not come to the rename in time.
        """
        self._swapped = True
        swap = self.tail.wait_for_swap(SWAP_PROOF_TIMEOUT_S)
        if swap is None:
            return f"the binlog reader did not come to the rename within {SWAP_PROOF_TIMEOUT_S:.0f} s"
        if self._handover is None or swap.heartbeat != self._handover.beat:
            return f"the last heartbeat before the rename is {swap.heartbeat}, which is not the swap's own"
        if swap.rows_since_heartbeat:
            raise DifferencesFound(
                f"the tables were swapped, but {swap.rows_since_heartbeat} row change(s) of the original lie between the last "
                f"heartbeat and the rename, before {swap.coordinate} of the binlog, and are missing in the new table. The old "
                "table has them. This must not happen; please report it"
            )
        return None

    # --- watching over them ---------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise what a thread has died of, and Interrupted when the run is to stop. Saves a checkpoint now and then."""
        self.tail.raise_if_dead()
        self.reconciler.thread.raise_if_dead()
        self.indexes.thread.raise_if_dead()
        self.throttle.raise_if_dead()
        if self._ahead is not None:
            self._ahead.thread.raise_if_dead()
        self._stop.check()
        if self.has_checkpoint and time.monotonic() - self._saved_at > CHECKPOINT_EVERY_S:
            self.save_checkpoint()
            if self._stage == "copy":
                self._look_how_far()

    def _look_how_far(self) -> None:
        """For the time that is left to be told. Not while the run is held back: somebody may have locked the original."""
        if self.throttle.gate.closed_by() is None:
            self._key_span.look()

    def raise_what_the_tail_knows(self) -> None:
        """Raise what the tail dies of within a moment, if it does."""
        deadline = time.monotonic() + TAIL_KNOWS_TIMEOUT_S
        while time.monotonic() < deadline:
            self.tail.raise_if_dead()
            self._stop.wait(0.05)
            self._stop.check()

    def distrust(self) -> None:
        """A difference was found: a run that resumes this one has to compare every row again."""
        self._is_doubted = True

    def save_checkpoint(self) -> None:
        """Store from where a resumed run would go on.

        The low watermark is read last, which is right: what it passes in between is copied, and a key dropped before was
        visible to that copy.
        """
        # Before the copy is complete, nobody knows whether what was compared ahead will be fresh enough then.
        has_proof = self._stage == "verify" and not self._is_doubted
        coordinate = resume_coordinate(lambda: self.tail.position[0], self.pending.oldest, self.tail.checkpoint)
        checkpoint = Checkpoint(
            fingerprint=self._fingerprint,
            coordinate=coordinate,
            stage=self._stage,
            low=self.watermarks.low,
            rows_copied=self.rows_copied,
            copy_s=self._beginning.copy_s,
            deferred=self._beginning.deferred,
            verified=(self.verifier or self._beginning).verified if has_proof else None,
            rows_verified=self.rows_verified if has_proof else 0,
        )

        def save(connection: Conn) -> None:
            require_commit_order(connection, self._sessions.server)
            self._state.save(connection, checkpoint, self._beginning.epoch)

        self._checkpoints.run(save)
        self._saved_at = time.monotonic()
        self.has_checkpoint = True

    # --- what it has done -----------------------------------------------------------------------------------------

    @property
    def rows_copied(self) -> int:
        """By this run and, where it resumes one, by the earlier."""
        return self._beginning.rows_copied + self.copy.rows

    @property
    def rows_verified(self) -> int:
        """Likewise."""
        return self._beginning.rows_verified + (self.verifier.rows if self.verifier is not None else 0)

    def gauges(self) -> Gauges:
        """What it has done and how it works right now."""
        governor = self.throttle.governor
        return Gauges(
            rows_copied=self.rows_copied,
            key_share=self._key_span.share_below(self.watermarks.low),
            keys_reconciled=self.applier.keys,
            rows_verified=self.rows_verified,
            rows_changed_by_conversion=self.verifier.changed_rows
            if self.verifier is not None and self._options.allow_lossy
            else None,
            is_building=self.indexes.thread.is_started and self.indexes.thread.is_alive,
            pending_keys=self.pending.due,
            chunk_rows=self.sizer.rows,
            chunk_s=self.sizer.last_s,
            tail_lag_s=self.heartbeat.lag_s,
            throttled_by=self.throttle.gate.closed_by(),
            pace=governor.pace,
            commit_s=governor.commit_s,
            baseline_s=governor.baseline_s,
        )

    def close(self) -> None:
        """End every thread and session. What a thread died of is not raised again here."""
        self._stop.request("the run has ended")
        self.indexes.close()
        if self._ahead is not None:
            self._ahead.end()
        self._end_reverification()
        for thread in self.copy.threads + (self.verifier.threads if self.verifier else []):
            if thread.is_started:
                thread.join()
        self.throttle.close()
        if self.reconciler.thread.is_started:
            self.reconciler.close()
        if self.has_checkpoint and not self._swapped:
            self._save_last_checkpoint()
        self.tail.stop()
        self.applier.close()
        self.heartbeat.close()
        self._xa.close()
        self._checkpoints.close()
        self._key_span.close()

    def _end_reverification(self) -> None:
        """What it finds so late is of no account: the run ends for another reason, or has swapped."""
        if self._reverification is not None:
            try:
                self._reverification.halt()
            except DifferencesFound as error:
                self.distrust()
                log.warning("found when the run was ending: %s", error)
            except (OscError, pymysql.err.MySQLError, OSError) as error:
                log.info("the verification under way when the run ended: %s", error)

    def _save_last_checkpoint(self) -> None:
        """So that a run that resumes this one has little to do again. If it fails, the one before counts."""
        try:
            self.save_checkpoint()
        except (OscError, pymysql.err.MySQLError, OSError) as error:
            log.warning("the last checkpoint could not be saved, an earlier one counts: %s", error)
