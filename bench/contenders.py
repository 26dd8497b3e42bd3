"""Who alters the table: osc, its peers, and the server itself.

A contender's name may have a variant: `osc:medium` is another impact, `gh-ost:10000` another size of chunks.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pymysql

from bench.child import Ran, run
from bench.host import Host
from bench.tables import ALTER, DATABASE, TABLE
from osc.mysql.session import error_text

NOT_IN_TIME = "not finished in time"
"""How such problems begin."""
_SWAP_AT_THE_END_S = 1.0
"""What counts as the swap where a contender does not say when it was."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a contender did. Moments are seconds of `time.monotonic()`."""

    began: float
    ended: float
    problem: str | None = None
    """Why the table was not altered; None when it was."""
    phases: tuple[tuple[str, float], ...] = ()
    """What the contender was doing, each with the moment at which it began."""
    swap: tuple[float, float] | None = None
    """When writers were locked out; None when that never happened."""
    told: Mapping[str, float] = field(default_factory=dict)
    """What it says of itself."""
    cpu_s: float | None = None
    """Processor time of the tool; None for the server's own `ALTER`."""
    peak_mib: float | None = None

    @property
    def wall_s(self) -> float:
        return self.ended - self.began


Contender = Callable[[Host, float], Outcome]
"""Alters the table, and gives up after so many seconds."""


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the programs are; None for those that are not there."""

    gh_ost: str | None = field(default_factory=lambda: shutil.which("gh-ost"))
    pt_osc: str | None = field(default_factory=lambda: shutil.which("pt-online-schema-change"))

    def versions(self) -> dict[str, str]:
        """The versions of those that are there, and of osc."""
        programs = {"gh-ost": self.gh_ost, "pt-online-schema-change": self.pt_osc}
        found = {name: version_of([path]) for name, path in programs.items() if path}
        return {"osc": version_of(_OSC), **found}

    def contender(self, name: str) -> Contender | None:
        """The contender of that name; None when its program is not there. Raises ValueError for an unknown name."""
        kind, _, variant = name.partition(":")
        match kind:
            case "osc":
                return functools.partial(_osc, variant or "low")
            case "gh-ost" if not variant or variant.isdecimal():
                return functools.partial(_gh_ost, self.gh_ost, int(variant or 1000)) if self.gh_ost else None
            case "pt-osc":
                return functools.partial(_pt_osc, self.pt_osc) if self.pt_osc else None
            case "COPY" | "INPLACE":
                return functools.partial(_server_itself, kind)
        raise ValueError(f"unknown contender {name!r}; known are osc[:IMPACT], gh-ost[:CHUNK], pt-osc, COPY, INPLACE")


_OSC = (sys.executable, "-m", "osc")


def version_of(command: Sequence[str]) -> str:
    """What a program gives as its version."""
    done = subprocess.run(
        [*command, "--version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    found = re.search(r"\d+(\.\d+)+\S*", done.stdout)
    return found[0] if found else done.stdout.strip() or "unknown"


def osc_command(verb: str, host: Host, alter: str, *options: str) -> list[str]:
    """`osc plan` or `osc migrate` of the table, as an operator starts it."""
    # gh-ost connects without TLS unless it is told to; so does osc here.
    login = [f"--defaults-file={host.option_file}", "--ssl-mode=DISABLED"]
    return [*_OSC, verb, *login, f"--table={DATABASE}.{TABLE}", f"--alter={alter}", *options]


def _osc(impact: str, host: Host, limit_s: float) -> Outcome:
    """The command, verification included."""
    options = ("--yes", "--output=json", f"--impact={impact}", "--resume=never", "--strategy=copy")
    ran = run(osc_command("migrate", host, ALTER, *options), limit_s)
    events = [(moment, event) for moment, line in ran.lines if (event := json_event(line))]
    swap: tuple[float, float] | None = None
    for moment, event in events:
        if event["event"] == "cut_over_attempt" and event["outcome"] == "swapped":
            swap = (moment - float(event["stall_ms"]) / 1000, moment)
    phases = tuple((str(event["phase"]), moment) for moment, event in events if event["event"] == "phase")
    told: dict[str, float] = {}
    for _, event in events:
        if event["event"] == "finished":
            names = ("copy_s", "verify_s", "duration_s", "cut_over_stall_ms", "rows_copied", "keys_reconciled")
            told |= {name: float(event[name]) for name in names if event.get(name) is not None}
            told["cut_over_attempts"] = len(event["cut_over_attempts"])
        if event["event"] == "status" and event["tail_lag_s"] is not None:
            told["worst_tail_lag_s"] = max(told.get("worst_tail_lag_s", 0.0), float(event["tail_lag_s"]))
    statuses = [event for _, event in events if event["event"] == "status"]
    for phase in ("copy", "verify"):
        paces = [event["pace"] for event in statuses if event["phase"] == phase and event["pace"] is not None]
        told |= {f"{phase}_pace": statistics.mean(paces)} if paces else {}
    last = statuses[-1] if statuses else {}
    names = ("phase", "pace", "pace_reason", "throttled_by", "waiting_for", "pending_keys")
    at_last = ", ".join(f"{name} {last[name]}" for name in names if last.get(name) is not None)
    return _outcome(ran, phases, swap, told, at_last)


def json_event(line: str) -> dict[str, Any] | None:
    """The object that a line of `--output json` is; None for any other line."""
    with contextlib.suppress(json.JSONDecodeError):
        found = json.loads(line)
        if isinstance(found, dict):
            return found
    return None


def _gh_ost(program: str, chunk_size: int, host: Host, limit_s: float) -> Outcome:
    """gh-ost on the primary itself, with nothing to hold it back."""
    command = [program, f"--conf={host.option_file}", f"--host={host.server.host}", f"--port={host.server.port}"]
    command += [f"--database={DATABASE}", f"--table={TABLE}", f"--alter={ALTER}", f"--chunk-size={chunk_size}"]
    command += ["--allow-on-master", "--execute", "--initially-drop-ghost-table", "--initially-drop-old-table"]
    socket = Path(host.server.folder, "gh-ost.sock")
    socket.unlink(missing_ok=True)
    command += [f"--serve-socket-file={socket}", "--assume-rbr", "--verbose"]
    # MariaDB keeps no record of metadata locks unless it is told to.
    command += ["--skip-metadata-lock-check"] if host.facts.is_mariadb else []
    ran = run(command, limit_s)
    locking = rf"Locking \S*{TABLE}\S*,"
    told: dict[str, float] = {}
    if found := ran.last(r"Lock & rename duration: ([\d.]+)(µs|ms|s)\b"):
        told["cut_over_stall_ms"] = float(found[1]) * {"µs": 0.001, "ms": 1.0, "s": 1000.0}[found[2]]
    if found := ran.last(r"Copy: (\d+)/"):
        told["rows_copied"] = float(found[1])
    if found := ran.last(r"Applied: (\d+);"):
        told["keys_reconciled"] = float(found[1])
    phases = _phases(ran, {"copy": None, "cut-over": locking})
    status = ran.last(r"Copy: .*?Backlog: \S+?;")
    return _outcome(ran, phases, _between(ran, locking, "Tables unlocked"), told, status[0] if status else "")


def _pt_osc(program: str, host: Host, limit_s: float) -> Outcome:
    """pt-online-schema-change, with nothing to hold it back but its chunk time of half a second."""
    command = [program, f"--alter={ALTER}", "--execute", "--no-drop-old-table", "--no-check-alter"]
    command += ["--max-load=Threads_running=1000", "--critical-load=Threads_running=1000"]
    command += ["--recursion-method=none", "--no-version-check"]
    ran = run([*command, f"F={host.option_file},D={DATABASE},t={TABLE}"], limit_s)
    swap = _between(ran, "Swapping tables", "Swapped original and new tables")
    phases = _phases(ran, {"copy": "Copying approximately", "cut-over": "Swapping tables"})
    return _outcome(ran, phases, swap, {}, ran.last_line)


def _phases(ran: Ran, patterns: Mapping[str, str | None]) -> tuple[tuple[str, float], ...]:
    """When each phase began, by what was printed; None is the beginning."""
    moments = ((name, ran.began if pattern is None else ran.at(pattern)) for name, pattern in patterns.items())
    return tuple((name, moment) for name, moment in moments if moment is not None)


def _between(ran: Ran, first: str, last: str) -> tuple[float, float] | None:
    begin, end = ran.at(first), ran.at(last)
    return None if begin is None or end is None else (begin, end)


def _outcome(
    ran: Ran,
    phases: tuple[tuple[str, float], ...],
    swap: tuple[float, float] | None,
    told: Mapping[str, float],
    at_last: str,
) -> Outcome:
    """The outcome of a program; `at_last` is how it stood when it ran out of time."""
    problem = None
    if ran.timed_out:
        problem = f"{NOT_IN_TIME} ({at_last})"
    elif ran.exit_code:
        problem = f"exit code {ran.exit_code}: {ran.last_line}\n{ran.tail()}"
    elif swap is None:
        swap = (ran.ended - _SWAP_AT_THE_END_S, ran.ended)
    return Outcome(ran.began, ran.ended, problem, phases, swap, told, ran.cpu_s, ran.peak_mib)


def _server_itself(algorithm: str, host: Host, limit_s: float) -> Outcome:
    """The server's own `ALTER`; one that takes too long is killed."""
    with closing(host.server.admin(DATABASE)) as connection, connection.cursor() as cursor:
        late = threading.Event()
        cursor.execute("select connection_id()")
        (own_id,) = cursor.fetchone() or (0,)

        def give_up() -> None:
            late.set()
            host.execute(f"kill {own_id}")

        timer = threading.Timer(limit_s, give_up)
        timer.start()
        began, problem = time.monotonic(), None
        try:
            cursor.execute(f"alter table {TABLE} {ALTER}, algorithm={algorithm}")
        except (pymysql.err.Error, OSError) as error:
            problem = NOT_IN_TIME if late.is_set() else error_text(error)
        finally:
            timer.cancel()
        ended = time.monotonic()
    # COPY keeps writers out from its beginning on.
    begin = began if algorithm == "COPY" else max(began, ended - _SWAP_AT_THE_END_S)
    return Outcome(began, ended, problem, (("alter", began),), None if problem else (begin, ended))
