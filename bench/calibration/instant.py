"""Changes that the server can do instantly: whether `osc migrate --strategy auto` finds each, and how long it takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

import pymysql

from bench.alters import ALTERS
from bench.child import run
from bench.contenders import json_event, osc_command
from bench.host import Host
from bench.tables import DATABASE, TABLE
from osc.mysql.session import error_code
from osc.native.strategy import NOT_THAT_WAY

_PROBE = "probe"
"""An empty copy of the table, for asking the server."""


@dataclass(frozen=True, slots=True)
class Changed:
    """What became of one kind of `ALTER` that the server takes with `ALGORITHM=INSTANT`."""

    server: str
    rows: int
    alter: str
    strategy: str | None
    """What osc chose; None when it failed."""
    alter_ms: float | None
    """The statement itself."""
    duration_s: float
    """The whole command."""
    problem: str | None


def change_instantly(host: Host, server: str, limit_s: float) -> Iterator[Changed]:
    """All kinds in turn. The table is filled anew where an earlier change has taken what a kind needs."""
    for alter in ALTERS:
        found = _asked(host, alter)
        if found == "does not apply":
            host.fill()
            found = _asked(host, alter)
        if found == "instant":
            yield _changed(host, server, alter, limit_s)


def _asked(host: Host, alter: str) -> Literal["instant", "otherwise", "does not apply"]:
    """What the server says, of the table as it is now."""
    host.execute(f"drop table if exists {_PROBE}", f"create table {_PROBE} like {TABLE}")
    try:
        with closing(host.server.admin(DATABASE)) as admin, admin.cursor() as cursor:
            cursor.execute(f"alter table {_PROBE} algorithm=instant, {alter}")
    except pymysql.err.MySQLError as error:
        return "otherwise" if error_code(error) in NOT_THAT_WAY else "does not apply"
    finally:
        host.execute(f"drop table {_PROBE}")
    return "instant"


def _changed(host: Host, server: str, alter: str, limit_s: float) -> Changed:
    command = osc_command("migrate", host, alter, "--strategy=auto", "--yes", "--output=json", "--resume=never")
    ran = run(command, limit_s)
    events = [event for _, line in ran.lines if (event := json_event(line))]
    finished = next((event for event in events if event["event"] == "finished"), None)
    # What was copied after all leaves its old table.
    host.drop_others()
    return Changed(
        server=server,
        rows=host.rows,
        alter=alter,
        strategy=None if finished is None else finished["strategy"],
        alter_ms=None if finished is None else finished["alter_ms"],
        duration_s=ran.ended - ran.began,
        problem=f"exit code {ran.exit_code}: {ran.last_line}" if ran.exit_code else None,
    )
