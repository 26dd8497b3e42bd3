"""Saying where to connect and as whom, on the command line and at a terminal."""

from __future__ import annotations

import pytest

from tests.cli.running import login_arguments, osc, osc_at_terminal
from tests.servers import ServerUnderTest


def test_an_unknown_host_is_told_without_a_traceback() -> None:
    done = osc("cleanup", "--host", "no-such-host.invalid")
    assert done.returncode == 2
    assert done.stderr.startswith("osc: cannot reach no-such-host.invalid:3306")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("asking", ["--ask-pass", "--password"])
def test_no_password_is_asked_for_where_there_is_no_terminal(asking: str) -> None:
    done = osc("cleanup", "--host", "127.0.0.1", "--port", "1", "--user", "ada", asking)
    assert done.returncode == 2
    assert "no terminal to ask for the password of ada@127.0.0.1:1" in done.stderr
    assert "--defaults-file" in done.stderr


@pytest.mark.parametrize("asking", ["--ask-pass", "--password"])
def test_a_password_typed_at_a_terminal_logs_in_and_is_not_shown(
    server: ServerUnderTest, database: str, asking: str
) -> None:
    login = server.migrator
    done = osc_at_terminal(
        "cleanup",
        *login_arguments(login.host, login.port, login.user),
        asking,
        "--database",
        database,
        answers={f"Password for {login.user}@{login.place}: ": f"{login.password}\n"},
    )
    assert done.exit_code == 0, done.shown
    assert "nothing is left of earlier runs" in done.shown
    assert login.password not in done.shown


def test_a_refused_login_says_who_was_refused(server: ServerUnderTest) -> None:
    login = server.migrator
    done = osc("cleanup", *login_arguments(login.host, login.port, login.user), "--password=wr0ng-one")
    assert done.returncode == 2
    assert f"refused the login of '{login.user}'" in done.stderr
    assert "wr0ng-one" not in done.stdout + done.stderr


def test_the_environment_is_read_as_by_the_servers_own_tools(server: ServerUnderTest, database: str) -> None:
    login = server.migrator
    done = osc(
        "cleanup",
        "--user",
        login.user,
        "--database",
        database,
        MYSQL_HOST=login.host,
        MYSQL_TCP_PORT=str(login.port),
        MYSQL_PWD=login.password,
    )
    assert done.returncode == 0, done.stderr


def test_a_socket_is_enough_on_the_same_machine(server: ServerUnderTest, database: str) -> None:
    login = server.root
    assert login.socket is not None
    done = osc(
        "cleanup", "--socket", login.socket, "--user", login.user, "--password", login.password, "--database", database
    )
    assert done.returncode == 0, done.stderr


def test_tls_that_is_asked_for_is_used(server: ServerUnderTest, database: str) -> None:
    login = server.migrator
    common = (*login_arguments(login.host, login.port, login.user), "--database", database)
    done = osc("cleanup", *common, "--ssl-mode=REQUIRED", MYSQL_PWD=login.password)
    offers_tls = server.query("show global variables like 'have_ssl'") != (("have_ssl", "DISABLED"),)
    if offers_tls:
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode == 2
        assert "SSL is required but the server doesn't support it" in done.stderr
    # Nobody has signed the server's own certificate.
    done = osc("cleanup", *common, "--ssl-mode=VERIFY_IDENTITY", MYSQL_PWD=login.password)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
