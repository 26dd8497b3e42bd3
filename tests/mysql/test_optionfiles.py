"""Option files, read by the rules of the servers' own tools."""

from __future__ import annotations

from pathlib import Path

import pytest

from osc.errors import UsageError
from osc.mysql.optionfiles import default_files, read_option_files


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def values(path: Path) -> dict[str, str | None]:
    return {option.name: option.value for option in read_option_files([path]).options}


def test_only_the_groups_of_clients_and_our_own_are_read(tmp_path: Path) -> None:
    path = write(
        tmp_path / "my.cnf",
        "[mysqld]\nport=1\n[client]\nhost=a\n[mysql]\nuser=b\n[client-server]\nsocket=c\n"
        "[client-mariadb]\nssl-ca=d\n[osc]\nuser=e\n[clientx]\nport=2\n",
    )
    assert values(path) == {"host": "a", "socket": "c", "ssl-ca": "d", "user": "e"}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("password=secret", "secret"),
        ("  password  =  secret  ", "secret"),
        ('password="se cret"', "se cret"),
        ("password='se cret'", "se cret"),
        ("password='it''", "it'"),
        ("password=se#cret", "se"),
        ("password='se#cret' # why", "se#cret"),
        ("password='se\\'#cret' # why", "se'#cret"),
        ('password="\'#" # why', "'#"),
        ("password=a;b", "a;b"),
        ("password=a=b", "a=b"),
        ("password=a\\sb\\tc\\nd\\\\e", "a b\tc\nd\\e"),
        ("password='\\s a \\s'", "  a  "),
        ("password=C:\\dir", "C:\\dir"),
        ("password=", ""),
        ("password=''", ""),
        ("password", None),
        ("loose-password=x", "x"),
        ("password=päß€", "päß€"),
    ],
)
def test_values_are_quoted_commented_and_escaped_as_by_the_tools(tmp_path: Path, line: str, value: str | None) -> None:
    assert values(write(tmp_path / "my.cnf", f"[client]\n{line}\n")) == {"password": value}


def test_comments_blank_lines_and_windows_line_ends_mean_nothing(tmp_path: Path) -> None:
    path = tmp_path / "my.cnf"
    path.write_bytes(b"# one\r\n; two\r\n\r\n[client]\r\n  # three\r\nuser=ada\r\n")
    assert values(path) == {"user": "ada"}


def test_underscores_are_dashes(tmp_path: Path) -> None:
    assert values(write(tmp_path / "my.cnf", "[client]\nssl_ca=/ca.pem\n")) == {"ssl-ca": "/ca.pem"}


def test_includes_are_read_where_they_stand_and_folders_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "conf.d"
    folder.mkdir()
    write(folder / "b.cnf", "[client]\nuser=from-b\n")
    write(folder / "a.cnf", "[client]\nuser=from-a\nhost=from-a\n")
    write(folder / "z.txt", "[client]\nuser=no\n")
    write(tmp_path / "more.cnf", "[client]\nport=33\n")
    path = write(
        tmp_path / "my.cnf",
        f"[client]\nuser=first\n!includedir {folder}\n!include {tmp_path}/more.cnf\nhost=last\n",
    )
    options = read_option_files([path]).options
    assert [(option.name, option.value) for option in options] == [
        ("user", "first"),
        ("user", "from-a"),
        ("host", "from-a"),
        ("user", "from-b"),
        ("port", "33"),
        ("host", "last"),
    ]
    assert options[-1].where == f"{path}:5"


def test_files_that_include_each_other_end(tmp_path: Path) -> None:
    path = tmp_path / "my.cnf"
    read = read_option_files([write(path, f"[client]\nuser=ada\n!include {path}\n")])
    assert {option.value for option in read.options} == {"ada"}
    assert "include each other" in read.warnings[0]


def test_a_file_that_everybody_may_write_is_ignored_with_a_warning(tmp_path: Path) -> None:
    path = write(tmp_path / "my.cnf", "[client]\nuser=mallory\n", mode=0o666)
    read = read_option_files([path], required=True)
    assert read.options == ()
    assert f"{path} is ignored, because everybody may write to it" in read.warnings[0]


def test_a_missing_file_is_passed_over_unless_it_was_asked_for(tmp_path: Path) -> None:
    missing = tmp_path / "none.cnf"
    assert read_option_files([missing]).options == ()
    with pytest.raises(UsageError, match="does not exist"):
        read_option_files([missing], required=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("user=ada\n", ":1: an option stands before"),
        ("[client\n", ":1: a group's name"),
        ("\n!x y\n", ":2: no such dir"),
    ],
)
def test_a_malformed_file_is_named_with_the_line(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path / "my.cnf", text)
    with pytest.raises(UsageError, match=f"my.cnf{message}"):
        read_option_files([path])


def test_the_default_files_end_with_that_of_the_user() -> None:
    assert [str(path) for path in default_files({"HOME": "/home/ada"})] == [
        "/etc/my.cnf",
        "/etc/mysql/my.cnf",
        "/home/ada/.my.cnf",
    ]


def test_no_repr_shows_a_value(tmp_path: Path) -> None:
    read = read_option_files([write(tmp_path / "my.cnf", "[client]\npassword=s3cret\n")])
    assert "s3cret" not in repr(read)
