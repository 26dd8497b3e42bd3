"""Plan files and runbooks: followed when things are as planned, and refused otherwise."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import CHECKOUT, environment, osc
from tests.migration.tables import make_table
from tests.report.planning import arguments, plan, tables
from tests.servers import ServerUnderTest

pytestmark = pytest.mark.everyday("mysql-9.7", reason="nothing in it differs by server")

ALTER = "modify k bigint"


def follow(server: ServerUnderTest, file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    login = server.migrator
    where = ("--host", login.host, "--port", str(login.port), "--user", login.user)
    return osc("migrate", *where, "--plan", str(file), "--yes", *options, MYSQL_PWD=login.password)


def test_a_plan_is_followed_while_the_table_is_as_planned(
    server: ServerUnderTest, database: str, tmp_path: Path
) -> None:
    make_table(server, database, 100)
    file = tmp_path / "plan.json"
    found = plan(server, database, ALTER, "--strategy", "copy", "--timestamp-old-table", "--out", str(file))
    assert json.loads(file.read_text()) == found.plan
    for options, words in (
        (("--alter", "modify k int unsigned"), "the statement was planned as modify k bigint, and now is modify k int"),
        (("--allow-lossy",), "--allow-lossy was planned as False, and now is True"),
        (("--table", "u"), "the table was planned as t, and now is u"),
    ):
        refused = follow(server, file, *options)
        assert refused.returncode == 2
        assert words in refused.stderr
    whole = file.read_text()
    file.write_text(re.sub(r'"p50_s": [\d.]+', '"p50_s": -1', whole))
    refused = follow(server, file)
    assert (refused.returncode, "is damaged" in refused.stderr) == (2, True), refused.stderr
    file.write_text(whole)
    server.execute("alter table t add column stranger int", database=database)
    refused = follow(server, file)
    assert refused.returncode == 2
    assert re.search(r"\+ +`stranger` int", refused.stderr), refused.stderr
    assert tables(server, database) == {"t"}
    server.execute("alter table t drop column stranger", database=database)
    events = tmp_path / "events.jsonl"
    done = follow(server, file, "--events-file", str(events))
    assert done.returncode == 0, done.stderr
    foretold = found.part("estimate")["total"]
    told = {event["event"]: event for event in map(json.loads, events.read_text().splitlines())}
    assert (told["started"]["planned"], told["finished"]["planned"]) == (foretold, foretold)
    assert "estimate: planned " in done.stdout
    assert [name for name in tables(server, database) if re.fullmatch(r"_t_\d{14}_del", name)], (
        "the options are followed"
    )


def test_a_plan_that_did_not_ask_the_server_is_followed_by_the_strategy_that_was_asked_for(
    server: ServerUnderTest, database: str, tmp_path: Path
) -> None:
    make_table(server, database, 10)
    file = tmp_path / "plan.json"
    alter = "add column z int"
    found = plan(server, database, alter, "--strategy", "instant", "--no-sample", "--out", str(file))
    assert found.plan["strategy"] == "unknown"
    done = follow(server, file)
    assert done.returncode == 0, done.stderr
    assert "altered" in done.stdout
    assert tables(server, database) == {"t"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is no plan"),
        ("[1]", "is no plan"),
        ('{"kind": "osc-plan", "schema_version": 99}', "is of schema version 99"),
        ('{"kind": "osc-plan", "schema_version": 1}', "is damaged"),
    ],
)
def test_what_is_no_plan_is_not_followed(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "plan.json"
    file.write_text(text)
    done = osc("migrate", "--plan", str(file), "--yes")
    assert done.returncode == 2
    assert words in done.stderr


def test_a_dry_run_is_a_plan(server: ServerUnderTest, database: str) -> None:
    make_table(server, database, 100)
    done = osc(
        "migrate",
        *arguments(server, database, ALTER, "--strategy", "copy", "--dry-run", "--output", "json"),
        MYSQL_PWD=server.migrator.password,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["kind"], found["strategy"]) == ("osc-plan", "copy")
    assert found["estimate"]["total"]["p50_s"] > 0
    assert tables(server, database) == {"t"}


def test_the_commands_of_a_runbook_run_as_they_stand(server: ServerUnderTest, database: str, tmp_path: Path) -> None:
    make_table(server, database, 100)
    file, book = tmp_path / "plan.json", tmp_path / "runbook.md"
    done = osc(
        "plan",
        *arguments(server, database, ALTER, "--strategy", "copy", "--sample-seconds", "0.5", "--format", "markdown"),
        *("--out", str(file)),
        MYSQL_PWD=server.migrator.password,
    )
    assert done.returncode == 0, done.stderr
    book.write_text(done.stdout)
    steps = blocks(done.stdout)
    shell(server, *steps["Before", "sh"])
    server.query(*steps["Before", "sql"])
    (start,) = steps["Start", "sh"]
    pause, go_on, give_up = steps["During", "sh"]
    (release,) = steps["Swap", "sh"]
    running = subprocess.Popen(
        ["/bin/sh", "-ec", start], cwd=tmp_path, env=shell_environment(server), stdout=subprocess.PIPE, text=True
    )
    try:
        assert running.stdout is not None
        shell(server, pause, go_on)
        for line in running.stdout:
            if "ready:" in line:
                break
        shell(server, release)
        assert running.wait(60) == 0
    finally:
        running.kill()
        running.communicate()
    assert "_t_del" in tables(server, database)
    server.query(*steps["Verify", "sql"])
    assert "bigint" in str(server.query("show create table t", database=database))
    server.execute(*steps["Roll back", "sql"])
    assert "bigint" not in str(server.query("show create table t", database=database))
    assert tables(server, database) == {"t", "_t_new"}
    shell(server, *steps["Clean up", "sh"])
    path = re.fullmatch(r"touch (\S+)", give_up)
    assert path is not None
    assert not Path(path[1]).exists()


def blocks(markdown: str) -> dict[tuple[str, str], list[str]]:
    """The fenced blocks, by the section and the language."""
    found: dict[tuple[str, str], list[str]] = {}
    for section in re.split(r"^## ", markdown, flags=re.MULTILINE)[1:]:
        title = section.split("\n", 1)[0]
        for language, text in re.findall(r"^```(sh|sql)\n(.*?)\n```$", section, re.MULTILINE | re.DOTALL):
            found.setdefault((title, language), []).append(text)
    return found


def shell_environment(server: ServerUnderTest) -> dict[str, str]:
    """With `osc` on the path, as it is installed."""
    variables = environment(MYSQL_PWD=server.migrator.password)
    return {**variables, "PATH": f"{Path(sys.executable).parent}:{variables['PATH']}"}


def shell(server: ServerUnderTest, *commands: str) -> None:
    for command in commands:
        done = subprocess.run(
            ["/bin/sh", "-ec", command],
            cwd=CHECKOUT,
            env=shell_environment(server),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
