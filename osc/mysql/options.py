"""Where to connect and as whom: the command line over option files over the environment over the defaults.

The result is what the servers' own tools would make of the same words, so that whoever can run `mysql` can run `osc`.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import get_args

from osc.errors import UsageError
from osc.mysql.optionfiles import FileOption, FilesRead, default_files, read_option_files
from osc.mysql.session import ConnectionSettings, SslMode

SSL_MODES: tuple[SslMode, ...] = get_args(SslMode)

COMMON_SOCKETS = (
    "/run/mysqld/mysqld.sock",
    "/var/run/mysqld/mysqld.sock",
    "/var/lib/mysql/mysql.sock",
    "/tmp/mysql.sock",
)
"""Where distributions put a local server's socket: Debian, Red Hat, upstream."""

_LOCALHOST = "localhost"
_YES = frozenset({"", "1", "on", "true", "yes"})
_NO = frozenset({"0", "off", "false", "no"})


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line says; None where it says nothing. The password is kept out of `repr`."""

    host: str | None = None
    port: int | None = None
    socket: str | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ask_password: bool = False
    defaults_file: Path | None = None
    ssl_mode: SslMode | None = None
    ssl_ca: str | None = None
    ssl_cert: str | None = None
    ssl_key: str | None = None


@dataclass(frozen=True, slots=True)
class Resolved:
    """The settings, and what was odd about the files that they came from."""

    settings: ConnectionSettings
    warnings: tuple[str, ...]


def resolve(
    given: Given,
    ask_password: Callable[[str], str],
    environment: Mapping[str, str] = os.environ,
    files: Sequence[Path] | None = None,
    sockets: Sequence[str] = COMMON_SOCKETS,
) -> Resolved:
    """The settings to connect with. `ask_password` is called with the login (`ada@db1:3306`) when one is to be typed.

    Raises UsageError for what contradicts itself and for an option file that can't be used.
    """
    _check_contradictions(given)
    if given.defaults_file is not None:
        read = read_option_files([given.defaults_file], required=True)
    else:
        read = read_option_files(default_files(environment) if files is None else files)
    said = _FileSettings(read)
    address = _address(given, said, environment, sockets)
    ssl_mode, ssl_ca = _tls(given, said)
    settings = ConnectionSettings(
        host=address.host,
        port=address.port,
        socket=address.socket,
        user=given.user or said.text("user") or _login_name(environment),
        ssl_mode=ssl_mode,
        ssl_ca=ssl_ca,
        ssl_cert=given.ssl_cert or said.text("ssl-cert"),
        ssl_key=given.ssl_key or said.text("ssl-key"),
    )
    if (settings.ssl_cert is None) != (settings.ssl_key is None):
        raise UsageError("--ssl-cert and --ssl-key belong together: one of them is missing")
    for name, path in (("ca", settings.ssl_ca), ("cert", settings.ssl_cert), ("key", settings.ssl_key)):
        if path is not None and not os.access(path, os.R_OK):
            raise UsageError(f"the file {path} (--ssl-{name}) does not exist or cannot be read")
    password = _password(given, said, environment)
    if password is None:
        password = ask_password(f"{settings.user}@{settings.place}")
    return Resolved(replace(settings, password=password), (*read.warnings, *said.warnings))


class _FileSettings:
    """The last word of the option files on each option that matters here."""

    _KNOWN = frozenset(
        {
            *("host", "port", "socket", "user", "password", "protocol"),
            *("ssl-mode", "ssl-ca", "ssl-cert", "ssl-key", "ssl", "ssl-verify-server-cert"),
        }
    )
    _NEGATIONS = ("skip-", "disable-")

    def __init__(self, read: FilesRead) -> None:
        self._options: dict[str, FileOption] = {}
        self._negated: set[str] = set()
        self.warnings: list[str] = []
        for option in read.options:
            self._take(option)

    def _take(self, option: FileOption) -> None:
        name = option.name
        for prefix in self._NEGATIONS:
            if name.startswith(prefix) and name.removeprefix(prefix) in self._KNOWN:
                name = name.removeprefix(prefix)
                self._negated.add(name)
                self._options[name] = option
                return
        if name.removeprefix("enable-") in self._KNOWN:
            name = name.removeprefix("enable-")
            self._negated.discard(name)
            self._options[name] = option
        elif option.group == "osc":
            # In the groups that all tools share, most options are other tools' business; in ours, it is a slip.
            self.warnings.append(f"{option.where}: [osc] knows no option {option.name}")

    def text(self, name: str) -> str | None:
        """The value; None when nothing or nothing much is said."""
        option = self._options.get(name)
        return None if option is None or name in self._negated else option.value or None

    @property
    def password(self) -> str | None:
        """The password; empty when the files say that there is none."""
        if "password" in self._negated:
            return ""
        option = self._options.get("password")
        return None if option is None else option.value

    @property
    def asks_password(self) -> bool:
        """Whether a bare `password` line asks for it to be typed."""
        option = self._options.get("password")
        return option is not None and option.value is None and "password" not in self._negated

    def flag(self, name: str) -> bool | None:
        option = self._options.get(name)
        if option is None:
            return None
        if name in self._negated:
            return False
        value = (option.value or "").lower()
        if value in _YES or value in _NO:
            return value in _YES
        raise UsageError(f"{option.where}: {name} is on or off, not {option.value!r}")

    def port(self) -> int | None:
        value = self.text("port")
        return None if value is None else _port(value, self._options["port"].where)

    def ssl_mode(self) -> SslMode | None:
        value = self.text("ssl-mode")
        if value is None:
            return None
        mode = value.upper().replace("-", "_")
        if mode not in SSL_MODES:
            raise UsageError(f"{self._options['ssl-mode'].where}: ssl-mode is one of {', '.join(SSL_MODES)}")
        return mode


@dataclass(frozen=True, slots=True)
class _Address:
    host: str
    port: int
    socket: str | None = None


def _address(given: Given, said: _FileSettings, environment: Mapping[str, str], sockets: Sequence[str]) -> _Address:
    host = given.host or said.text("host") or environment.get("MYSQL_HOST") or _LOCALHOST
    port = given.port or said.port() or _environment_port(environment) or 3306
    protocol = (said.text("protocol") or "").lower()
    if given.socket is not None:
        return _Address(_LOCALHOST, port, given.socket)
    # To MySQL's tools "localhost" means the socket, whatever port an option file names; a port on the command line
    # means TCP, as in MariaDB's (MDEV-14974).
    if host != _LOCALHOST or given.port is not None or (protocol == "tcp" and given.host is None):
        return _Address(host, port)
    named = said.text("socket") or environment.get("MYSQL_UNIX_PORT")
    found = named or next((path for path in sockets if _is_socket(path)), None)
    return _Address(host, port, found) if found else _Address("127.0.0.1", port)


def _tls(given: Given, said: _FileSettings) -> tuple[SslMode, str | None]:
    ssl_ca = given.ssl_ca or said.text("ssl-ca")
    mode = given.ssl_mode or said.ssl_mode()
    if mode is None:
        # MariaDB's words for it, then what MySQL's tools take a CA without a mode to mean.
        if said.flag("ssl") is False:
            mode = "DISABLED"
        elif said.flag("ssl-verify-server-cert"):
            mode = "VERIFY_IDENTITY"
        elif ssl_ca is not None:
            mode = "VERIFY_CA"
        elif said.flag("ssl"):
            mode = "REQUIRED"
        else:
            mode = "PREFERRED"
    return mode, ssl_ca


def _password(given: Given, said: _FileSettings, environment: Mapping[str, str]) -> str | None:
    """The password, or None when it is to be typed."""
    if given.password is not None:
        return given.password
    if given.ask_password or said.asks_password:
        return None
    in_file = said.password
    return environment.get("MYSQL_PWD", "") if in_file is None else in_file


def _check_contradictions(given: Given) -> None:
    if given.password is not None and given.ask_password:
        raise UsageError("--password with a value and --ask-pass contradict each other: give one of them")
    if given.socket is not None and given.port is not None:
        raise UsageError("--socket and --port contradict each other: a socket has no port")
    if given.socket is not None and given.host not in (None, _LOCALHOST):
        raise UsageError(f"--socket and --host {given.host} contradict each other: a socket is on this machine")


def _port(value: str, where: str) -> int:
    if not value.isdecimal() or not 0 < int(value) < 65536:
        raise UsageError(f"{where}: a port is a number from 1 to 65535, not {value!r}")
    return int(value)


def _environment_port(environment: Mapping[str, str]) -> int | None:
    value = environment.get("MYSQL_TCP_PORT")
    return _port(value, "MYSQL_TCP_PORT") if value else None


def _login_name(environment: Mapping[str, str]) -> str:
    """Who runs this, as the C client finds it out: root is root, even by way of `su`."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return environment.get("USER") or environment.get("LOGNAME") or ""


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False
