"""The loads: sysbench, with every transaction's latency written down."""

from __future__ import annotations

import contextlib
import re
import subprocess
import time
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.host import Host
from bench.tables import DATABASE, BenchTable
from osc.sandbox.latency import Latencies, merged
from osc.sandbox.writer import RETRYABLE

SCRIPT = Path(__file__).parent / "lua" / "load.lua"
KINDS = ("write", "hot", "append")
_THREADS = 4
_READY_DEADLINE_S = 60.0
_STOP_DEADLINE_S = 60.0
_FIELDS = 3
_RECORD_HAS_CHANGED = 1020  # MariaDB's, of transactions that would not be repeatable


class LoadFailed(Exception):
    """The load could not be started, or ended by itself."""


@dataclass(frozen=True, slots=True)
class Load:
    """What writes to the table: `none`, or a kind and a rate, as `write@1000`, `hot@full`."""

    kind: str
    rate_per_s: float | None
    """Transactions a second, of all threads; None is as many as it can."""

    @classmethod
    def parse(cls, text: str) -> Load | None:
        """The load of that name; None is no load. Raises ValueError."""
        if text == "none":
            return None
        found = re.fullmatch(r"(\w+)@(full|\d+)", text)
        if found is None or found[1] not in KINDS:
            raise ValueError(
                f"{text!r} is no load: none, or one of {', '.join(KINDS)} with a rate, as write@1000, hot@full"
            )
        return cls(found[1], None if found[2] == "full" else float(found[2]))

    @property
    def title(self) -> str:
        """For people."""
        kinds = {"write": "writes", "hot": "writes, 90% of them on 0.1% of the keys,", "append": "appends"}
        rate = "at full speed" if self.rate_per_s is None else f"at {self.rate_per_s:,.0f} transactions a second"
        return f"{kinds[self.kind]} {rate}"

    @property
    def rows_per_transaction(self) -> int:
        """Row changes of a transaction."""
        return 1 if self.kind == "append" else 4

    def statements(self, table: BenchTable) -> list[str]:
        """The statements of a transaction; none where sysbench has its own for this table."""
        if self.kind == "append":
            return [table.insert("{new}")]
        if self.kind == "write" and table.is_sysbench:
            return []
        return [table.update(0, "{a}"), table.update(1, "{b}"), table.delete("{c}"), table.insert("{c}")]


@dataclass(frozen=True, slots=True)
class Failure:
    """A transaction that failed once; it was tried again."""

    at: float
    code: int
    message: str

    @property
    def is_error(self) -> bool:
        """Whether it is more than a deadlock or a lock wait timeout, which every application has to take."""
        return self.code not in RETRYABLE and self.code != _RECORD_HAS_CHANGED

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


@dataclass(frozen=True, slots=True)
class LoadRecords:
    """What became of a load's transactions. Moments are seconds of `time.monotonic()`."""

    latencies: Latencies
    failures: tuple[Failure, ...] = ()
    """In the order of time."""

    def failed(self, since: float, until: float) -> list[Failure]:
        """Those in `[since, until)`."""
        return [failure for failure in self.failures if since <= failure.at < until]


class RunningLoad:
    """A sysbench at work. Moments are seconds of `time.monotonic()`."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self._process = process
        self._folder = folder
        self.records: LoadRecords | None = None
        """Everything, once the load has been stopped."""

    def raise_if_dead(self) -> None:
        """Raise LoadFailed when it has ended by itself."""
        if self._process.poll() is not None:
            said = (self._folder / "sysbench.log").read_text(errors="replace")
            raise LoadFailed(f"sysbench ended with exit code {self._process.returncode}:\n{said[-2000:]}")

    def wait_until_ready(self) -> None:
        """Wait until all threads have begun."""
        deadline = time.monotonic() + _READY_DEADLINE_S
        while b"Threads started" not in (self._folder / "sysbench.log").read_bytes():
            self.raise_if_dead()
            if time.monotonic() > deadline:
                raise LoadFailed(f"sysbench did not begin within {_READY_DEADLINE_S:.0f} s")
            time.sleep(0.02)

    def stop(self) -> LoadRecords:
        """Let every thread finish its transaction, and read what they wrote down."""
        self.raise_if_dead()
        (self._folder / "stop").touch()
        try:
            code = self._process.wait(_STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            raise LoadFailed(f"sysbench did not end within {_STOP_DEADLINE_S:.0f} s") from None
        if code:
            self.raise_if_dead()
        self.records = read_records(self._folder)
        return self.records


@contextlib.contextmanager
def running(load: Load, host: Host, sysbench: str, folder: Path) -> Iterator[RunningLoad]:
    """The load on the host's table, ready; ended at the latest when this is left. Its files are in `folder`."""
    command = [sysbench, str(SCRIPT), "--db-driver=mysql", f"--mysql-socket={host.server.socket}", "--mysql-user=root"]
    command += [f"--mysql-db={DATABASE}", "--tables=1", f"--table-size={host.rows}", f"--threads={_THREADS}"]
    command += [
        "--time=0",
        "--events=0",
        "--mysql-ignore-errors=all",
        f"--records={folder}/records",
        f"--stop-file={folder}/stop",
    ]
    command += [f"--per-thread-rate={(load.rate_per_s or 0) / _THREADS}"]
    command += ["--distribution=hot"] if load.kind == "hot" else []
    if statements := load.statements(host.table):
        (folder / "statements").write_text("\n".join(statements) + "\n", encoding="utf-8")
        command.append(f"--statements={folder}/statements")
    with (folder / "sysbench.log").open("wb") as log:
        process = subprocess.Popen([*command, "run"], stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        running_load = RunningLoad(process, folder)
        running_load.wait_until_ready()
        yield running_load
    finally:
        process.kill()
        process.wait()


def read_records(folder: Path) -> LoadRecords:
    """What all threads together wrote into the folder."""
    parts, failures = [], []
    for file in sorted(folder.glob("records.[0-9]")):
        values = array("d")
        values.frombytes(file.read_bytes())
        parts.append(Latencies(*(values[place::_FIELDS] for place in range(_FIELDS))))
    for file in folder.glob("records.*.failures"):
        for line in file.read_text(errors="replace").splitlines():
            moment, code, message = line.split(" ", maxsplit=2)
            failures.append(Failure(float(moment), int(code), message))
    return LoadRecords(merged(parts), tuple(sorted(failures, key=lambda failure: failure.at)))
