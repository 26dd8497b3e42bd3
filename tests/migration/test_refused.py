"""Bad input: a clear message and exit code, the table as it was, and nothing left behind."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from tests.conftest import StartServer
from tests.migration.migrating import ROOT, environment, migrate, tables_of
from tests.migration.tables import make_table
from tests.servers import ServerUnderTest


@pytest.mark.in_turn(reason="refused before the server has a say")
@pytest.mark.parametrize(
    ("alter", "said"),
    [
        ("add column x int frobnicate", "at line 1"),
        ("add column x int default 'abc'", "Invalid default value"),
        ("drop column nowhere", "nowhere"),
        ("rename to u", "RENAME"),
        ("add foreign key (k) references t (id)", "FOREIGN KEY"),
        ("discard tablespace", "TABLESPACE"),
        ("engine=MyISAM", "InnoDB"),
        ("drop primary key, drop column id", "no key"),
        ("alter table other add column x int", "other"),
        ("add column x int; drop table t", "second statement"),
        ("", "empty"),
    ],
)
def test_an_alter_that_cannot_be_done_is_refused(server: ServerUnderTest, database: str, alter: str, said: str) -> None:
    make_table(server, database, 10)
    before = server.query("show create table t", database=database)
    run = migrate(server, database, "t", alter)
    assert (run.exit_code, run.outcome) == (2, "refused"), str(run)
    assert said.lower() in run.error.lower()
    assert server.query("show create table t", database=database) == before
    assert tables_of(server, database) == {"t"}


def test_all_reasons_are_told_at_once(server: ServerUnderTest, database: str) -> None:
    server.execute(
        "create table parent (id int primary key)",
        "create table t (id int primary key, p int, foreign key (p) references parent (id))",
        "create trigger noted before insert on t for each row set @x = 1",
        "create table _t_del (id int primary key)",
        database=database,
    )
    run = migrate(server, database, "t", "rename to u")
    assert run.exit_code == 2, str(run)
    for said in ("noted", "foreign key", "_t_del", "RENAME"):
        assert said.lower() in run.error.lower()
    assert tables_of(server, database) == {"parent", "t", "_t_del"}


@pytest.mark.in_turn(reason="refused by facts that every server tells alike")
@pytest.mark.parametrize(
    ("statement", "table", "said"),
    [
        ("create table t (id int primary key)", "nowhere", "nowhere"),
        ("create view v as select 1 as one", "v", "view"),
        ("create table t (a int, key (a))", "t", "key"),
        ("create table t (a int unique)", "t", "NULL"),
        ("create table t (id int primary key) engine=MyISAM", "t", "InnoDB"),
    ],
)
def test_a_table_that_cannot_be_migrated_is_refused(
    server: ServerUnderTest, database: str, statement: str, table: str, said: str
) -> None:
    server.execute(statement, database=database)
    run = migrate(server, database, table, "add column x int")
    assert (run.exit_code, run.outcome) == (2, "refused"), str(run)
    assert said.lower() in run.error.lower()


def test_a_missing_grant_is_named_with_the_statement_that_gives_it(server: ServerUnderTest, database: str) -> None:
    make_table(server, database, 10)
    account = f"'{server.migrator.user}'@'%'"
    server.execute(f"revoke alter on `{database.replace('_', chr(92) + '_')}`.* from {account}")
    run = migrate(server, database, "t", "add column x int")
    assert run.exit_code == 2, str(run)
    assert "GRANT ALTER" in run.error


def test_a_wrong_password_is_told_without_showing_it(server: ServerUnderTest, database: str) -> None:
    make_table(server, database, 10)
    wrong = replace(server, migrator=replace(server.migrator, password="not-the-s3cret"))
    run = migrate(wrong, database, "t", "add column x int")
    assert (run.exit_code, run.outcome) == (2, "refused"), str(run)
    assert "refused the login" in run.error
    assert "s3cret" not in run.stderr + str(run.events)


def test_a_host_that_is_not_there_is_told(server: ServerUnderTest, database: str) -> None:
    nobody = replace(server, migrator=replace(server.migrator, port=1))
    run = migrate(nobody, database, "t", "add column x int")
    assert (run.exit_code, run.outcome) == (2, "refused"), str(run)
    assert "cannot reach 127.0.0.1:1" in run.error


def test_a_password_on_the_command_line_is_not_to_be_seen_in_the_process_list(
    server: ServerUnderTest, database: str
) -> None:
    make_table(server, database, 10)
    postpone = ROOT / ".postpone-for-test"
    postpone.touch()
    try:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "osc", "migrate", "--host", server.host, "--port", str(server.port)),
                *("--user", server.migrator.user, f"--password={server.migrator.password}", "--output", "json"),
                *("--table", f"{database}.t", "--alter", "engine=InnoDB", "--strategy", "copy", "--yes"),
                *("--postpone-cut-over-flag-file", str(postpone)),
            ],
            cwd=ROOT,
            env={name: value for name, value in environment(server).items() if name != "MYSQL_PWD"},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert any('"ready"' in line for line in process.stdout)
        shown = subprocess.run(
            ["ps", "-ww", "-o", "args=", str(process.pid)], capture_output=True, text=True, check=True
        )
        assert "osc migrate" in shown.stdout
        assert server.migrator.password not in shown.stdout
    finally:
        postpone.unlink()
    process.communicate(timeout=60)
    assert process.returncode == 0


@pytest.mark.parametrize("option", ["binlog_format=STATEMENT", "log_bin=OFF"])
def test_a_server_whose_binlog_does_not_name_rows_is_refused(start_server: StartServer, option: str) -> None:
    name, _, value = option.partition("=")
    options = {"skip_log_bin": ""} if name == "log_bin" else {name: value}
    server = start_server(options)
    with server.fresh_database() as database:
        make_table(server, database, 10)
        run = migrate(server, database, "t", "add column x int")
    assert (run.exit_code, run.outcome) == (2, "refused"), str(run)
    assert name in run.error
