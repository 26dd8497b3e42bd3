"""Where to connect and as whom: what overrules what, and what `localhost` means."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from osc.errors import ConnectionRefused, UsageError
from osc.mysql.options import Given, Resolved, resolve
from osc.mysql.session import ConnectionSettings, connect
from tests.servers import ServerUnderTest


def never(login: str) -> str:
    raise AssertionError(f"asked for the password of {login}")


def option_file(folder: Path, text: str) -> Path:
    path = folder / "my.cnf"
    path.write_text(text)
    path.chmod(0o600)
    return path


def resolved(
    given: Given | None = None,
    environment: Mapping[str, str] | None = None,
    files: tuple[Path, ...] = (),
    sockets: tuple[str, ...] = (),
) -> Resolved:
    return resolve(given or Given(), never, environment or {}, files, sockets)


def settings(
    given: Given | None = None, environment: Mapping[str, str] | None = None, files: tuple[Path, ...] = ()
) -> ConnectionSettings:
    return resolved(given, environment, files).settings


ENVIRONMENT = {"MYSQL_HOST": "env", "MYSQL_TCP_PORT": "3303", "MYSQL_PWD": "env-password"}


def test_the_command_line_overrules_files_and_files_overrule_the_environment(tmp_path: Path) -> None:
    path = option_file(tmp_path, "[client]\nhost=file\nport=3302\nuser=file-user\npassword=file-password\n")
    found = settings(environment=ENVIRONMENT)
    assert (found.host, found.port, found.password) == ("env", 3303, "env-password")
    found = settings(environment=ENVIRONMENT, files=(path,))
    assert (found.host, found.port, found.user, found.password) == ("file", 3302, "file-user", "file-password")
    given = Given(host="given", port=3301, user="given-user", password="given-password")
    found = settings(given, ENVIRONMENT, (path,))
    assert (found.host, found.port, found.user, found.password) == ("given", 3301, "given-user", "given-password")


def test_an_empty_password_is_a_password(tmp_path: Path) -> None:
    path = option_file(tmp_path, "[client]\npassword=from-file\n")
    assert settings(Given(password=""), ENVIRONMENT, (path,)).password == ""
    path = option_file(tmp_path, "[client]\nskip-password\n")
    assert settings(None, ENVIRONMENT, (path,)).password == ""


def test_a_defaults_file_is_the_only_one_read(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    other = option_file(tmp_path / "a", "[client]\nuser=other\nport=3302\n")
    path = option_file(tmp_path, "[client]\nuser=ada\n")
    found = settings(Given(defaults_file=path), files=(other,))
    assert (found.user, found.port) == ("ada", 3306)


def test_the_default_user_is_who_runs_it() -> None:
    assert settings().user == pwd.getpwuid(os.geteuid()).pw_name


def test_a_password_is_asked_for_with_the_login_when_told_so(tmp_path: Path) -> None:
    asked: list[str] = []

    def answer(login: str) -> str:
        asked.append(login)
        return "typed"

    found = resolve(Given(host="db1", user="ada", ask_password=True), answer, ENVIRONMENT, (), ())
    assert found.settings.password == "typed"
    bare = option_file(tmp_path, "[client]\nhost=db2\nuser=bob\npassword\n")
    found = resolve(Given(), answer, ENVIRONMENT, (bare,), ())
    assert found.settings.password == "typed"
    assert asked == ["ada@db1:3303", "bob@db2:3303"]


def test_localhost_means_the_socket_unless_a_port_is_given(tmp_path: Path) -> None:
    path = str(tmp_path / "server.sock")
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(path)
        sockets = ("/nowhere.sock", path)
        assert resolved(sockets=sockets).settings.socket == path
        assert resolved(Given(host="localhost"), sockets=sockets).settings.socket == path
        assert resolved(environment={"MYSQL_TCP_PORT": "3307"}, sockets=sockets).settings.socket == path
        by_port = resolved(Given(host="localhost", port=3307), sockets=sockets).settings
        assert (by_port.socket, by_port.host, by_port.port) == (None, "localhost", 3307)
        assert resolved(Given(host="127.0.0.1"), sockets=sockets).settings.socket is None


def test_a_named_socket_comes_before_the_usual_ones(tmp_path: Path) -> None:
    path = option_file(tmp_path, "[client]\nsocket=/from/file.sock\n")
    environment = {"MYSQL_UNIX_PORT": "/from/env.sock"}
    assert settings(None, environment).socket == "/from/env.sock"
    assert settings(None, environment, (path,)).socket == "/from/file.sock"
    assert settings(Given(socket="/given.sock"), environment, (path,)).socket == "/given.sock"
    assert settings(Given(host="db1"), environment, (path,)).socket is None


def test_without_any_socket_localhost_is_reached_over_tcp() -> None:
    found = settings()
    assert (found.socket, found.host, found.port) == (None, "127.0.0.1", 3306)


def test_a_socket_on_the_command_line_overrules_a_host_in_a_file(tmp_path: Path) -> None:
    path = option_file(tmp_path, "[client]\nhost=db1\n")
    assert settings(Given(socket="/given.sock"), files=(path,)).socket == "/given.sock"


def test_protocol_tcp_in_a_file_keeps_localhost_off_the_socket(tmp_path: Path) -> None:
    path = option_file(tmp_path, "[client]\nhost=localhost\nprotocol=tcp\nsocket=/a.sock\n")
    assert settings(files=(path,)).socket is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Given(password="a", ask_password=True), "--ask-pass"),
        (Given(socket="/a", port=1), "--socket and --port"),
        (Given(socket="/a", host="db1"), "--socket and --host db1"),
        (Given(ssl_key="/a"), "belong together"),
        (Given(ssl_ca="/no/such/ca.pem"), r"/no/such/ca.pem \(--ssl-ca\)"),
    ],
)
def test_contradictions_are_refused(given: Given, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        settings(given)


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("", "PREFERRED"),
        ("ssl-mode=verify_identity", "VERIFY_IDENTITY"),
        ("ssl", "REQUIRED"),
        ("ssl=0", "DISABLED"),
        ("skip-ssl", "DISABLED"),
        ("ssl\nssl-verify-server-cert", "VERIFY_IDENTITY"),
        ("ssl-verify-server-cert\ndisable-ssl-verify-server-cert", "PREFERRED"),
        ("ssl-verify-server-cert=off", "PREFERRED"),
        ("ssl-ca=/etc/hostname", "VERIFY_CA"),
        ("ssl-ca=/etc/hostname\nssl-mode=REQUIRED", "REQUIRED"),
    ],
)
def test_tls_is_said_in_the_words_of_either_server(tmp_path: Path, text: str, mode: str) -> None:
    assert settings(files=(option_file(tmp_path, f"[client]\n{text}\n"),)).ssl_mode == mode


@pytest.mark.parametrize("line", ["port=70000", "port=x", "ssl-mode=MAYBE", "ssl=perhaps"])
def test_a_value_that_makes_no_sense_is_named_with_file_and_line(tmp_path: Path, line: str) -> None:
    path = option_file(tmp_path, f"[client]\n{line}\n")
    with pytest.raises(UsageError, match=f"{path}:2: "):
        settings(files=(path,))


def test_an_unknown_option_is_a_slip_in_our_group_only(tmp_path: Path) -> None:
    path = option_file(tmp_path, "[client]\ndefault-character-set=utf8mb4\n[osc]\nhots=db1\n")
    assert resolved(files=(path,)).warnings == (f"{path}:4: [osc] knows no option hots",)


def test_no_repr_shows_the_password(tmp_path: Path) -> None:
    path = option_file(tmp_path, "[client]\npassword=s3cret\n")
    assert "s3cret" not in repr(resolved(files=(path,)))
    assert "s3cret" not in repr(Given(password="s3cret"))


def test_an_option_file_is_all_it_takes_to_log_in(server: ServerUnderTest, tmp_path: Path) -> None:
    login = server.migrator
    path = option_file(
        tmp_path,
        f'[client]\nhost={login.host}\nport={login.port}\nuser={login.user}\npassword="{login.password}"\n',
    )
    with closing(connect(settings(Given(defaults_file=path)))) as connection, connection.cursor() as cursor:
        cursor.execute("select substring_index(current_user(), '@', 1)")
        assert cursor.fetchone() == (login.user,)


def test_a_password_beyond_latin_1_logs_in(server: ServerUnderTest) -> None:
    user, password = "osc_unicode", "pä ß€#\\'"
    server.execute(f"drop user if exists {user}@'%'")
    with closing(server.admin()) as admin, admin.cursor() as cursor:
        cursor.execute("create user %s@'%%' identified by %s", (user, password))
    try:
        given = Given(host=server.host, port=server.port, user=user, password=password)
        connect(settings(given)).close()
        with pytest.raises(ConnectionRefused, match="refused the login of 'osc_unicode'") as caught:
            connect(settings(Given(host=server.host, port=server.port, user=user, password="s3cret")))
        assert "s3cret" not in str(caught.value)
    finally:
        server.execute(f"drop user {user}@'%'")
