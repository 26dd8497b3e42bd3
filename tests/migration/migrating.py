"""Running `osc migrate` as an operator does: the command, as the user that the documentation describes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from tests.servers import ServerUnderTest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Run:
    """A run that has ended."""

    exit_code: int
    events: tuple[Mapping[str, object], ...]
    stderr: str

    @property
    def finished(self) -> Mapping[str, object]:
        """The last event."""
        assert self.events, f"no events; stderr: {self.stderr}"
        assert self.events[-1]["event"] == "finished", f"the last event is {self.events[-1]}; stderr: {self.stderr}"
        return self.events[-1]

    @property
    def outcome(self) -> object:
        return self.finished["outcome"]

    @property
    def error(self) -> str:
        return str(self.finished["error"])

    @property
    def left_behind(self) -> list[str]:
        """The tables that the run says it has left, the old table aside."""
        return [str(table) for event in self.of("left_behind") for table in cast("list[object]", event["tables"])]

    def of(self, name: str) -> list[Mapping[str, object]]:
        """The events of that name."""
        return [event for event in self.events if event["event"] == name]

    def __str__(self) -> str:
        return f"exit code {self.exit_code}, {self.events[-1] if self.events else 'no events'}, stderr: {self.stderr}"


def command(
    server: ServerUnderTest,
    database: str,
    table: str,
    alter: str,
    options: Sequence[str] = (),
    program: Sequence[str] = ("osc",),
) -> list[str]:
    """The command line of a migration by copy, unpaced, unless the options say otherwise.

    The tests' writers are not to be spared, and what the server could do itself is copied too.
    """
    login = ["--host", server.migrator.host, "--port", str(server.migrator.port), "--user", server.migrator.user]
    what = ["--database", database, "--table", table, "--alter", alter]
    pinned = [] if "--impact" in options else ["--impact", "max"]
    pinned += [] if "--strategy" in options else ["--strategy", "copy"]
    return [sys.executable, "-m", *program, "migrate", *login, *what, "--output", "json", "--yes", *pinned, *options]


def environment(server: ServerUnderTest) -> dict[str, str]:
    """The environment of a migration; the password is in it, as MySQL's own tools take it."""
    return {**os.environ, "MYSQL_PWD": server.migrator.password}


def migrate(
    server: ServerUnderTest, database: str, table: str, alter: str, *options: str, timeout_s: float = 240
) -> Run:
    """Run a migration to its end."""
    done = subprocess.run(
        command(server, database, table, alter, options),
        env=environment(server),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    return _run(done.returncode, done.stdout, done.stderr)


class RunningMigration:
    """A migration under way, in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._lines: list[str] = []

    def wait_for(self, event: str, **fields: object) -> Mapping[str, object]:
        """Read on until an event of that name, with those fields, comes."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.append(line)
            found: Mapping[str, object] = json.loads(line)
            if found["event"] == event and all(found.get(name) == value for name, value in fields.items()):
                return found
        raise AssertionError(f"it ended without {event} {fields}: {self.end()}")

    def end(self, timeout_s: float = 120) -> Run:
        """Wait for its end."""
        out, err = self.process.communicate(timeout=timeout_s)
        return _run(self.process.returncode, "".join(self._lines) + out, err)


@contextmanager
def migrating(
    server: ServerUnderTest,
    database: str,
    table: str,
    alter: str,
    *options: str,
    program: Sequence[str] = ("osc",),
) -> Iterator[RunningMigration]:
    """A migration that runs while the test goes on; killed at the end if it still does. `program`: what Python runs."""
    process = subprocess.Popen(
        command(server, database, table, alter, options, program),
        env=environment(server),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield RunningMigration(process)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@contextmanager
def copying_up_to(
    server: ServerUnderTest,
    database: str,
    alter: str,
    row: int,
    folder: Path,
    *options: str,
    program: Sequence[str] = ("osc",),
) -> Iterator[tuple[RunningMigration, Callable[[], None]]]:
    """A migration of table `t` that has copied rows and cannot get past the row with that `id`, and how to let it go on.

    Somebody holds a lock on that row in the ghost. Nothing is verified before the copy is complete, unless the options have
    `--nice-ratio 0`.
    """
    flag = folder / "not-yet"
    flag.touch()
    narrow = ("--workers", "1", "--chunk-size", "100", "--nice-ratio", "0.001", "--throttle-flag-file", str(flag))
    with (
        migrating(server, database, "t", alter, *narrow, *options, program=program) as running,
        closing(server.admin(database)) as holder,
        holder.cursor() as cursor,
    ):
        running.wait_for("throttled")
        cursor.execute("begin")
        cursor.execute(f"insert into _t_gho (id, k) values ({row}, 0)")
        flag.unlink()
        while running.wait_for("status")["rows_copied"] == 0:
            pass
        yield running, holder.rollback


@contextmanager
def postponed(
    server: ServerUnderTest, database: str, alter: str, folder: Path, *options: str, ready: bool = True
) -> Iterator[tuple[RunningMigration, Callable[[], None]]]:
    """A migration of table `t` that has verified everything and waits before its swap, and how to let it swap.

    Without `ready` it has only begun.
    """
    flag = folder / "postpone"
    flag.touch()
    with migrating(server, database, "t", alter, "--postpone-cut-over-flag-file", str(flag), *options) as running:
        if ready:
            running.wait_for("phase", phase="ready")
        yield running, lambda: flag.unlink(missing_ok=True)
    flag.unlink(missing_ok=True)


def tables_of(server: ServerUnderTest, database: str) -> set[str]:
    """The names of all tables in the database."""
    return {str(row[0]) for row in server.query("show tables", database=database)}


def _run(exit_code: int, stdout: str, stderr: str) -> Run:
    return Run(exit_code, tuple(json.loads(line) for line in stdout.splitlines()), stderr)
