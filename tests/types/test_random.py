"""Random tables under random changes become what a direct `ALTER` makes of them; a failure can be had again by a script."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import Phase

from osc.sandbox.provision import bin_folder
from tests.conftest import EVERYDAY_EXAMPLES
from tests.servers import ServerUnderTest
from tests.types.exploring import Exploration
from tests.types.scenarios import Scenario


def test_whatever_the_table_it_becomes_what_a_direct_alter_makes_of_it(
    server: ServerUnderTest, database: str, tmp_path: Path, examples: int
) -> None:
    exploration = Exploration(server, database, tmp_path / "postpone")
    # Making a failure smaller takes minutes, which a long run has.
    exploration.explore(examples, [Phase.generate, *([Phase.shrink] if examples > EVERYDAY_EXAMPLES else [])])
    # Or the tables are so odd that nothing is tried any more.
    tried = exploration.came_of_it
    assert tried["swapped"] * 2 >= tried.total(), tried.most_common(10)


@pytest.mark.everyday("mariadb-10.11", reason="the script is the same for all")
def test_the_script_of_a_failure_does_the_same_with_the_command_and_a_client(
    server: ServerUnderTest, server_name: str, tmp_path: Path
) -> None:
    scenario = Scenario(
        create=("create table t (id int primary key, `it's` varchar(20) character set latin1)",),
        rows=("insert into t values (1, 'ä'), (2, 'b'), (3, null)",),
        base_columns=("id", "it's"),
        alter="modify `it's` varchar(30) character set utf8mb4, add column n int not null default 7",
        changes=("update t set `it's` = 'changed' where id = 2", "insert into t values (4, 'ö')"),
        chunk_rows=10,
    )
    script = tmp_path / "reproduce.sh"
    script.write_text(scenario.script(), encoding="utf-8")
    programs = f"{bin_folder(server_name)}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    password = secrets.token_urlsafe(12)
    server.execute(f"create user script@'%' identified by '{password}'", "grant all on *.* to script@'%'")
    try:
        done = subprocess.run(
            ["bash", str(script), server.host, str(server.port), "script"],
            env={**os.environ, "PATH": programs, "MYSQL_PWD": password},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        server.execute("drop user script@'%'", "drop database if exists osc_repro")
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if "\t" in line and line[0].isdigit()]
    assert rows == 2 * ["1\tä\t7", "2\tchanged\t7", "3\tNULL\t7", "4\tö\t7"], done.stdout + done.stderr
