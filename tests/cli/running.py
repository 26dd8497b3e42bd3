"""Running the command as its users do: in a process of its own, with or without a terminal."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-m", "osc")
TIMEOUT_S = 120

_FROM_OUTSIDE = ("MYSQL_HOST", "MYSQL_TCP_PORT", "MYSQL_UNIX_PORT", "MYSQL_PWD")


def environment(**more: str) -> dict[str, str]:
    """This process's environment without what would tell the command where to connect."""
    return {**{name: value for name, value in os.environ.items() if name not in _FROM_OUTSIDE}, "HOME": "/", **more}


def osc(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The command, run to its end without a terminal."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=CHECKOUT,
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


@dataclass(frozen=True, slots=True)
class AtTerminal:
    """What a run at a terminal showed, and its exit code."""

    shown: str
    exit_code: int


def osc_at_terminal(
    *arguments: str, answers: Mapping[str, str] | None = None, variables: Mapping[str, str] | None = None
) -> AtTerminal:
    """The command, run at a terminal of its own: each text of `answers`, once it is shown, is answered in its turn."""
    waiting = list((answers or {}).items())
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(CHECKOUT)
        os.execve(sys.executable, [*COMMAND, *arguments], environment(TERM="xterm", COLUMNS="100", **(variables or {})))
    shown = ""
    asked_from = 0
    try:
        while True:
            readable, _, _ = select.select([terminal], [], [], TIMEOUT_S)
            assert readable, f"silent for {TIMEOUT_S} s: {shown}"
            try:
                data = os.read(terminal, 65536)
            except OSError:  # the other end is closed: the process has ended
                data = b""
            if not data:
                break
            shown += data.decode(errors="replace")
            if waiting and waiting[0][0] in shown[asked_from:]:
                asked_from = len(shown)
                os.write(terminal, waiting.pop(0)[1].encode())
    finally:
        os.close(terminal)
        _, status = os.waitpid(pid, 0)
    assert not waiting, f"never shown: {waiting[0][0]!r} in {shown}"
    return AtTerminal(shown, os.waitstatus_to_exitcode(status))


def login_arguments(host: str, port: int, user: str) -> Sequence[str]:
    return ("--host", host, "--port", str(port), "--user", user)
