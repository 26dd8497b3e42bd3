"""A program run to its end: when it printed each line, and what it cost."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_LOOK_EVERY_S = 0.05
_TERM_DEADLINE_S = 20.0


@dataclass(frozen=True, slots=True)
class Ran:
    """What a program did. Moments are seconds of `time.monotonic()`."""

    began: float
    ended: float
    exit_code: int
    timed_out: bool
    lines: tuple[tuple[float, str], ...]
    """Everything that it printed, with the moment at which it arrived."""
    cpu_s: float
    peak_mib: float
    """The most physical memory that it had at once."""

    def at(self, pattern: str) -> float | None:
        """When the first line that matches was printed."""
        return next((moment for moment, line in self.lines if re.search(pattern, line)), None)

    def last(self, pattern: str) -> re.Match[str] | None:
        """The last match in what was printed."""
        found = (re.search(pattern, line) for _, line in reversed(self.lines))
        return next((match for match in found if match), None)

    @property
    def last_line(self) -> str:
        """The last line that is not empty; an empty text when there is none."""
        return next((line for _, line in reversed(self.lines) if line.strip()), "")

    def tail(self, lines: int = 15) -> str:
        """The end of what it printed, for messages."""
        return "\n".join(line for _, line in self.lines[-lines:])


def run(command: Sequence[str], limit_s: float) -> Ran:
    """Run it. After `limit_s` it is asked to end (SIGTERM), and ended when it does not.

    The peak is read from the process itself while it runs: what wait4 tells is never less than the memory of the process
    that started it.
    """
    began = time.monotonic()
    lines: list[tuple[float, str]] = []
    # A session of its own: Ctrl-C at the terminal is for the benchmark, which ends what it started.
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    ) as process:
        reader = threading.Thread(target=_read, args=(process, lines), name="output", daemon=True)
        reader.start()
        timed_out, peak_kib = False, 0
        try:
            while True:
                pid, status, usage = os.wait4(process.pid, os.WNOHANG)
                if pid:
                    break
                peak_kib = max(peak_kib, _peak_kib(process.pid))
                if not timed_out and time.monotonic() - began > limit_s:
                    timed_out = True
                    process.send_signal(signal.SIGTERM)
                if time.monotonic() - began > limit_s + _TERM_DEADLINE_S:
                    process.kill()
                reader.join(_LOOK_EVERY_S)
                if not reader.is_alive():
                    time.sleep(0.005)  # it has closed its output and is about to end
        except BaseException:
            process.kill()
            raise
        ended = time.monotonic()
        process.returncode = os.waitstatus_to_exitcode(status)
        reader.join()
    return Ran(
        began=began,
        ended=ended,
        exit_code=process.returncode,
        timed_out=timed_out,
        lines=tuple(lines),
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_mib=peak_kib / 1024,
    )


def _read(process: subprocess.Popen[bytes], lines: list[tuple[float, str]]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.append((time.monotonic(), line.decode(errors="replace").rstrip("\n")))


def _peak_kib(pid: int) -> int:
    with contextlib.suppress(OSError):
        found = re.search(r"^VmHWM:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
        if found:  # a process that is ending has none
            return int(found[1])
    return 0
