"""The command under torture: started, watched through its events, and started again."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from osc.progress.report import PHASES, Phase
from tests.migration.migrating import ROOT, command, environment
from tests.servers import ServerUnderTest


@dataclass(frozen=True, slots=True)
class Ending:
    """How one run of the command ended."""

    exit_code: int
    outcome: str
    phase: Phase | None
    """Where it was then; None before its first."""
    resumed: bool
    error: str

    def __str__(self) -> str:
        what = f"exit code {self.exit_code} ({self.outcome}) in phase {self.phase}"
        return f"{what}{', resumed' if self.resumed else ''}: {self.error}"


class Tool:
    """One run of the command. Its events are read by a thread of their own."""

    def __init__(
        self, server: ServerUnderTest, database: str, table: str, alter: str, options: Sequence[str], log: Path
    ) -> None:
        self._log = log.open("ab")
        self._process = subprocess.Popen(
            command(server, database, table, alter, options),
            env={**environment(server), "PYTHONFAULTHANDLER": "1"},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        self._changed = threading.Condition()
        self._phase: Phase | None = None
        self._has_ended = False
        self._resumed = False
        self._last: Mapping[str, object] = {}
        self._reader = threading.Thread(target=self._read, name="events", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._log.write(line)
            try:
                event = json.loads(line)
            except ValueError:
                continue  # the last line of a run that was killed
            with self._changed:
                self._last = event
                if event["event"] == "phase":
                    self._phase = event["phase"]
                self._resumed = self._resumed or event.get("resumed") is True
                self._changed.notify_all()
        self._process.wait()
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()

    @property
    def phase(self) -> Phase | None:
        """The phase it is in; None before the first."""
        return self._phase

    @property
    def has_ended(self) -> bool:
        return self._has_ended

    def wait_for(self, phase: Phase, timeout_s: float) -> bool:
        """Wait until it has come to that phase, or to one behind it, or has ended; whether one of these came true."""
        goal = PHASES.index(phase)
        with self._changed:
            return self._changed.wait_for(
                lambda: self._has_ended or (self._phase is not None and PHASES.index(self._phase) >= goal), timeout_s
            )

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end; whether it has ended."""
        with self._changed:
            return self._changed.wait_for(lambda: self._has_ended, timeout_s)

    def send(self, number: signal.Signals) -> None:
        if self._process.poll() is None:
            self._process.send_signal(number)

    def ending(self) -> Ending:
        """How it ended; it must have."""
        self._reader.join()
        told = self._last if self._last.get("event") == "finished" else {}
        return Ending(
            exit_code=self._process.returncode,
            outcome=str(told.get("outcome", "killed")),
            phase=self._phase,
            resumed=self._resumed,
            error=str(told.get("error") or ""),
        )

    def abort(self) -> None:
        """End one that hangs; where each of its threads was goes to the log."""
        self.send(signal.SIGABRT)
        self.wait(10)

    def close(self) -> None:
        """Kill it if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
        self._reader.join()
        self._log.close()
