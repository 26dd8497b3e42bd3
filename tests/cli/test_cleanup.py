"""`osc cleanup`: it finds what earlier runs left, and takes nothing that may be somebody's data."""

from __future__ import annotations

import subprocess

import pytest

from osc.state.table import STATE_COMMENT
from osc.table.names import names_for
from tests.cli.running import login_arguments, osc, osc_at_terminal
from tests.servers import ServerUnderTest


def cleanup(server: ServerUnderTest, *arguments: str) -> subprocess.CompletedProcess[str]:
    login = server.migrator
    done = osc("cleanup", *login_arguments(login.host, login.port, login.user), *arguments, MYSQL_PWD=login.password)
    assert "Traceback" not in done.stderr
    return done


def tables(server: ServerUnderTest, database: str) -> set[object]:
    return {row[0] for row in server.query(f"show tables from {database}")}


def leave(server: ServerUnderTest, database: str, table: str, *, marked: bool = True, original: bool = True) -> None:
    """What an interrupted run leaves, and the old table of an earlier one."""
    names = names_for(database, table)
    comment = STATE_COMMENT if marked else "of another tool"
    server.execute(
        *([f"create table `{table}` (id int primary key)"] if original else []),
        f"create table `{names.ghost}` (id int primary key)",
        f"create table `{names.state}` (id int primary key) comment='{comment}'",
        f"create table `{names.old}` (id int primary key)",
        database=database,
    )


def test_without_being_told_it_only_lists(server: ServerUnderTest, database: str) -> None:
    leave(server, database, "t")
    before = tables(server, database)
    done = cleanup(server, "--database", database)
    assert done.returncode == 0, done.stderr
    assert f"`{database}`.`_t_gho`: ghost table of {database}.t" in done.stdout
    assert f"`{database}`.`_t_ghc`: state table of {database}.t" in done.stdout
    assert f"`{database}`.`_t_del`: old table of {database}.t" in done.stdout
    assert "nothing was removed" in done.stdout
    assert tables(server, database) == before


def test_execute_removes_ghost_and_state_and_never_the_old_table(server: ServerUnderTest, database: str) -> None:
    leave(server, database, "t")
    done = cleanup(server, "--database", database, "--execute")
    assert done.returncode == 0, done.stderr
    assert tables(server, database) == {"t", "_t_del"}


def test_old_tables_go_when_asked_for_one_table_only(server: ServerUnderTest, database: str) -> None:
    for table in ("t", "u"):
        leave(server, database, table)
    server.execute("create table _t_20260101120000_del (id int)", database=database)
    done = cleanup(server, "--database", database, "--execute", "--ok-to-drop-table")
    assert done.returncode == 2
    assert "--ok-to-drop-table needs --table" in done.stderr
    done = cleanup(server, "--table", f"{database}.t", "--execute", "--ok-to-drop-table")
    assert done.returncode == 0, done.stderr
    assert tables(server, database) == {"t", "u", "_u_gho", "_u_ghc", "_u_del"}


def test_tables_of_another_tool_stay(server: ServerUnderTest, database: str) -> None:
    leave(server, database, "t", marked=False)
    before = tables(server, database)
    done = cleanup(server, "--database", database, "--execute")
    assert done.returncode == 0, done.stderr
    assert "carries no mark of this engine" in done.stdout
    assert tables(server, database) == before


def test_what_may_be_the_only_copy_of_the_rows_stays(server: ServerUnderTest, database: str) -> None:
    leave(server, database, "t", original=False)
    before = tables(server, database)
    for table in ("t", None):
        where = ["--database", database] if table is None else ["--table", f"{database}.{table}", "--ok-to-drop-table"]
        done = cleanup(server, *where, "--execute")
        assert done.returncode == 0, done.stderr
        assert "may be the only copy" in done.stdout
        assert tables(server, database) == before


def test_a_table_whose_migration_runs_is_left_alone(server: ServerUnderTest, database: str) -> None:
    leave(server, database, "t")
    from osc.mysql.advisory import AdvisoryLock
    from osc.mysql.session import Sessions

    lock = AdvisoryLock(Sessions(server.migrator), database, "t")
    lock.take()
    try:
        before = tables(server, database)
        done = cleanup(server, "--database", database, "--execute")
        assert done.returncode == 2
        assert "another osc is at work" in done.stderr
        assert tables(server, database) == before
    finally:
        lock.release()


def test_shortened_names_are_found(server: ServerUnderTest, database: str) -> None:
    table = "t" * 64
    leave(server, database, table)
    done = cleanup(server, "--database", database, "--execute")
    assert done.returncode == 0, done.stderr
    assert tables(server, database) == {table, names_for(database, table).old}


def test_a_clean_database_has_nothing_to_tell(server: ServerUnderTest, database: str) -> None:
    done = cleanup(server, "--database", database)
    assert (done.returncode, done.stdout) == (0, "nothing is left of earlier runs\n")


@pytest.mark.parametrize(("answer", "left"), [("y", {"t", "_t_del"}), ("n", {"t", "_t_del", "_t_gho", "_t_ghc"})])
def test_at_a_terminal_it_asks(server: ServerUnderTest, database: str, answer: str, left: set[object]) -> None:
    leave(server, database, "t")
    login = server.migrator
    done = osc_at_terminal(
        "cleanup",
        *login_arguments(login.host, login.port, login.user),
        "--database",
        database,
        answers={"Remove 2 tables? [y/N]": f"{answer}\n"},
        variables={"MYSQL_PWD": login.password},
    )
    assert done.exit_code == 0, done.shown
    assert tables(server, database) == left
