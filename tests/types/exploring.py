"""Random tables under random changes, altered online: always what a direct `ALTER` would have made of the same rows."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import hypothesis
import pymysql
from hypothesis import HealthCheck, Phase, given, note, settings

from osc.control.stop import StopRequest
from osc.migration import migrate
from osc.mysql.session import Sessions
from osc.options import MigrationOptions
from osc.progress.report import JsonValue, Result, Status
from tests.servers import ServerUnderTest
from tests.types.catalogue import kinds
from tests.types.comparing import compare_exactly
from tests.types.scenarios import LOOSE, Scenario, scenarios


class Conductor:
    """Lets the changes happen while the migration is at work: a third of them before the copy, the others behind it.

    The swap waits, by its flag file, until the last of them is committed.
    """

    def __init__(self, server: ServerUnderTest, database: str, changes: tuple[str, ...], flag: Path) -> None:
        self._flag = flag
        self._server, self._database, self._changes = server, database, changes
        self._reached = {"prepare": threading.Event(), "copy": threading.Event(), "ready": threading.Event()}
        self._ended = threading.Event()
        self.thread = threading.Thread(target=self._write, name="changes")
        flag.touch()

    def _write(self) -> None:
        third = len(self._changes) // 3
        parts = (self._changes[:third], self._changes[third : 2 * third], self._changes[2 * third :])
        try:
            with closing(self._server.admin(self._database)) as connection, connection.cursor() as cursor:
                cursor.execute(LOOSE)
                for event, part in zip(self._reached.values(), parts, strict=True):
                    event.wait(60)
                    for statement in part:
                        # Its key may be taken by now, or its row's new value be refused: then nothing changes.
                        with contextlib.suppress(pymysql.err.MySQLError):
                            cursor.execute(statement)
        finally:
            self._flag.unlink()

    def event(self, name: str, **fields: JsonValue) -> None:
        if name == "phase" and (reached := self._reached.get(str(fields["phase"]))):
            reached.set()

    def status(self, status: Status) -> None: ...

    def warning(self, text: str) -> None: ...

    def finished(self, result: Result) -> None: ...

    def close(self) -> None:
        """The migration is over: whatever changes are left happen now."""
        for reached in self._reached.values():
            reached.set()
        self.thread.join()


def run(server: ServerUnderTest, database: str, scenario: Scenario, flag: Path) -> Result:
    """The scenario's changes and its migration side by side."""
    options = MigrationOptions(
        database=database,
        table="t",
        alter=scenario.alter,
        strategy="copy",
        chunk_size=scenario.chunk_rows,
        postpone_flag_file=flag,
    )
    conductor = Conductor(server, database, scenario.changes, flag)
    conductor.thread.start()
    try:
        return migrate(Sessions(server.migrator), None, options, conductor, None, StopRequest())
    finally:
        conductor.close()


def check(server: ServerUnderTest, database: str, scenario: Scenario, flag: Path) -> str:
    """Run it, and compare with a direct `ALTER` of the rows that there were in the end. What came of it."""
    server.execute("drop table if exists t, expected, _t_del, _t_gho, _t_ghc", database=database)
    try:
        server.execute(LOOSE, *scenario.create, *scenario.rows, database=database)
    except pymysql.err.MySQLError as error:
        return f"the server does not take this table: {error}"
    result = run(server, database, scenario, flag)
    if "has a TIMESTAMP, and what the ALTER does to other columns depends on the time zone" in (result.error or ""):
        return "one of the documented limits"
    if result.outcome != "swapped":
        # Then a direct ALTER must be refused as well.
        server.execute("rename table t to _t_del", database=database)
    refusal = refused_directly(server, database, scenario)
    swapped = result.outcome == "swapped"
    assert swapped == (refusal is None), f"a direct ALTER: {refusal or 'succeeds'}; osc: {result.error or 'succeeds'}"
    if not swapped:
        return f"refused, as by a direct ALTER: {refusal}"
    with closing(server.admin(database)) as connection:
        verdict = compare_exactly(connection, database, "expected", "t")
    assert verdict.equal, str(verdict)
    return "swapped"


def refused_directly(server: ServerUnderTest, database: str, scenario: Scenario) -> str | None:
    """Make `expected` of the old table by a direct `ALTER`; why the server does not want it, None when it does."""
    try:
        server.execute(*scenario.copied_directly, database=database)
    except pymysql.err.MySQLError as error:
        return str(error)
    return None


@dataclass(slots=True)
class Exploration:
    """Random tables on one server, and what came of them."""

    server: ServerUnderTest
    database: str
    flag: Path
    came_of_it: Counter[str] = field(default_factory=Counter)
    failed: Scenario | None = None
    """The latest that failed; after `explore` has raised, the smallest that it found."""

    def explore(self, examples: int, phases: Sequence[Phase], seed: int | None = None) -> None:
        """Try so many. Raises what the first failure raised, with the script that reproduces it."""

        @settings(
            max_examples=examples,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
            phases=phases,
            report_multiple_bugs=False,
            print_blob=True,
        )
        @given(scenarios(kinds(self.server), self.server.is_mariadb))
        def each(scenario: Scenario) -> None:
            try:
                self.came_of_it[check(self.server, self.database, scenario, self.flag)] += 1
            except BaseException:
                self.failed = scenario
                note(scenario.script())
                raise

        (each if seed is None else hypothesis.seed(seed)(each))()
