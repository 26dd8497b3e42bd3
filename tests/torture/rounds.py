"""One round: a migration that is disturbed as planned, started again until it ends, and compared with the ledger."""

from __future__ import annotations

import signal
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from osc.sandbox.orders import CORE_COLUMNS
from osc.sandbox.proxy import Proxy
from osc.sandbox.workload import Workload
from osc.table.names import Names, names_for
from tests.servers import ServerUnderTest
from tests.torture.faults import Faults
from tests.torture.plan import Fault, Round
from tests.torture.tool import Ending, Tool

TABLE = "orders"
PHASE_TIMEOUT_S = 300.0
"""How long a run may take to come to its next phase before it counts as hung."""
MOST_RUNS = 60

_GO_ON = frozenset({5, 3, -signal.SIGKILL, -signal.SIGINT})
"""Stopped with a checkpoint, stopped before there was one, killed, interrupted before the command took its signals over."""

_PASSING = (
    "another osc is at work",
    "cannot reach",
    "refused the connection",
    "cannot look at",
    "cannot read the binlog",
)
"""Refusals of a start in the middle of a fault: the server is away, or does not know yet that an earlier run is dead."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A fault that happened."""

    fault: Fault
    phase: str
    """In which phase the tool was then."""
    detail: str

    @property
    def was_hit(self) -> bool:
        """False where what it aimed at was not there any more."""
        return not self.detail.startswith("missed")


@dataclass(slots=True)
class Played:
    """What came of a round."""

    round: Round
    hits: list[Hit] = field(default_factory=list)
    endings: list[Ending] = field(default_factory=list)
    transactions: int = 0
    rows: int = 0
    seconds: float = 0.0
    findings: list[str] = field(default_factory=list)
    """What must not be: rows lost or changed, errors in the application, a run that cannot be finished."""

    @property
    def resumes(self) -> int:
        return sum(ending.resumed for ending in self.endings)


def play(planned: Round, server: ServerUnderTest, folder: Path) -> Played:
    """Play the round; what goes wrong is in its findings. The tool's output goes to a file in `folder`."""
    played = Played(planned)
    started = time.monotonic()
    with (
        server.fresh_database() as database,
        Proxy((server.host, server.port)) as proxy,
        Workload(
            server.root,
            database,
            TABLE,
            writers=planned.writers,
            rate_per_writer=80,
            seed=planned.number,
            core_columns=CORE_COLUMNS,
        ) as workload,
    ):
        workload.create(planned.rows, key=planned.key, secondary_unique=planned.secondary_unique)
        workload.start()
        through_proxy = replace(server, migrator=replace(server.migrator, host=proxy.host, port=proxy.port))
        names = names_for(database, TABLE)
        faults = Faults(server, proxy, names, workload.table.key_columns[0])
        _Player(played, through_proxy, names, faults, folder).run()
        report = workload.stop()
        played.transactions = report.transactions
        played.findings += [f"the application saw: {error}" for error in report.errors[:5]]
        if not played.findings:
            verdict = workload.verify_against_direct_alter(planned.alter)
            played.rows = verdict.rows_found
            if not verdict.equal:
                played.findings.append(f"the table is not what was committed: {verdict}")
    server.execute("flush binary logs", "purge binary logs before now()")
    played.seconds = time.monotonic() - started
    return played


class _Player:
    """Starts the tool, brings the faults about, and starts it again until the table is swapped."""

    def __init__(self, played: Played, server: ServerUnderTest, names: Names, faults: Faults, folder: Path) -> None:
        self._played = played
        self._server = server
        self._names = names
        self._faults = faults
        stem = f"{played.round.number:04}-{server.name}"
        self._log = folder / f"{stem}.log"
        self._postpone, self._throttle = folder / f"{stem}.postpone", folder / f"{stem}.throttle"

    def run(self) -> None:
        self._postpone.touch()
        try:
            self._start()
            for fault in self._played.round.faults:
                if not self._come_to(fault):
                    break
                phase = self._tool.phase or "start"
                self._played.hits.append(Hit(fault, phase, self._faults.apply(fault, self._tool)))
            self._postpone.unlink(missing_ok=True)
            while not self._is_finished():
                self._start()
        except _GivenUp as reason:
            self._played.findings.append(str(reason))
        finally:
            self._tool.close()
            self._postpone.unlink(missing_ok=True)
            self._throttle.unlink(missing_ok=True)

    def _start(self) -> None:
        """Start the tool, again if it was started before."""
        if len(self._played.endings) >= MOST_RUNS:
            raise _GivenUp(f"not finished after {MOST_RUNS} runs; the last: {self._played.endings[-1]}")
        planned = self._played.round
        options = ("--workers", str(planned.workers), "--chunk-size", str(planned.chunk_size))
        files = ("--postpone-cut-over-flag-file", str(self._postpone), "--throttle-flag-file", str(self._throttle))
        self._tool = Tool(self._server, self._names.database, TABLE, planned.alter, (*options, *files), self._log)

    def _come_to(self, fault: Fault) -> bool:
        """Let the migration come to where the fault is to hit it; False when it was finished before."""
        if fault.phase == "cut-over":
            self._postpone.unlink(missing_ok=True)
        while True:
            self._require(self._tool.wait_for(fault.phase, PHASE_TIMEOUT_S), f"did not come to {fault.phase}")
            # Small tables are verified in no time.
            if fault.phase == "verify" and self._tool.phase == "verify":
                self._throttle.touch()
            self._tool.wait(fault.delay_s)
            self._throttle.unlink(missing_ok=True)
            if not self._tool.has_ended:
                return True
            if self._is_finished():
                return False
            self._start()

    def _is_finished(self) -> bool:
        """Wait for the run's end; whether there is nothing left to do. Raises _GivenUp for an end that must not be."""
        self._require(self._tool.wait(PHASE_TIMEOUT_S), "did not end")
        ending = self._tool.ending()
        self._tool.close()
        self._played.endings.append(ending)
        if ending.exit_code == 0:
            return True
        if ending.exit_code in _GO_ON:
            return False
        if ending.exit_code == 2 and any(text in ending.error for text in _PASSING):
            threading.Event().wait(1.0)
            return False
        if ending.exit_code == 2 and "[old-name-taken]" in ending.error and self._was_done():
            return True
        if ending.exit_code == 1 and ending.phase in ("preflight", "prepare"):
            return False  # nothing was there yet to be kept
        raise _GivenUp(f"a run ended with {ending}")

    def _was_done(self) -> bool:
        """Whether an earlier run had swapped and cleaned up, and was killed between that and its last word."""
        return any(ending.phase == "done" for ending in self._played.endings[:-1])

    def _require(self, done: bool, what: str) -> None:
        if not done:
            self._tool.abort()
            raise _GivenUp(f"hung: in phase {self._tool.phase} it {what} within {PHASE_TIMEOUT_S:.0f} s")


class _GivenUp(Exception):
    """The round cannot be finished."""
