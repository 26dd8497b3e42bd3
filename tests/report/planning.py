"""Running `osc plan` as an operator does, and looking at what it left."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from tests.cli.running import CHECKOUT, COMMAND, environment, login_arguments, osc
from tests.servers import ServerUnderTest

SHORT = ("--sample-seconds", "1")


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan in its JSON form, as it came out of the command."""

    exit_code: int
    plan: Mapping[str, object]
    stderr: str

    def finding(self, code: str) -> Mapping[str, str]:
        """The first finding of that code."""
        findings = cast("list[Mapping[str, str]]", self.plan["findings"])
        return next(finding for finding in findings if finding["code"] == code)

    @property
    def codes(self) -> set[str]:
        return {finding["code"] for finding in cast("list[Mapping[str, str]]", self.plan["findings"])}

    def part(self, name: str) -> Mapping[str, object]:
        """One of its objects."""
        found = self.plan[name]
        assert isinstance(found, dict), f"{name} is {found!r}"
        return found


def arguments(server: ServerUnderTest, database: str, alter: str, *options: str, table: str = "t") -> list[str]:
    login = login_arguments(server.migrator.host, server.migrator.port, server.migrator.user)
    return [*login, "--database", database, "--table", table, "--alter", alter, *options]


def plan(server: ServerUnderTest, database: str, alter: str, *options: str) -> Planned:
    """The plan of that ALTER of table `t`."""
    done = osc(
        "plan",
        *arguments(server, database, alter, *SHORT, "--format", "json", *options),
        MYSQL_PWD=server.migrator.password,
    )
    assert done.stdout, f"exit code {done.returncode}, {done.stderr}"
    return Planned(done.returncode, json.loads(done.stdout), done.stderr)


def start_plan(server: ServerUnderTest, database: str, alter: str, *options: str) -> subprocess.Popen[bytes]:
    """The command under way; the caller ends it."""
    return subprocess.Popen(
        [*COMMAND, "plan", *arguments(server, database, alter, *options)],
        cwd=CHECKOUT,
        env=environment(MYSQL_PWD=server.migrator.password),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def tables(server: ServerUnderTest, database: str) -> set[str]:
    return {str(row[0]) for row in server.query("show tables", database=database)}
