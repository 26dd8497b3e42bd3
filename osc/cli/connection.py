"""The options with which every command says where to connect and as whom."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable
from functools import reduce, wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar, cast

import click

from osc.cli.help import option
from osc.errors import UsageError
from osc.mysql.options import SSL_MODES, Given, Resolved, resolve
from osc.mysql.session import SslMode

P = ParamSpec("P")
R = TypeVar("R")

_ASK = "\0ask"
"""What click gives for `--password` without a value; no password can hold a zero byte on a command line."""

_CONNECTING = "Connecting"
_FILE = click.Path(dir_okay=False, path_type=Path)
_PORT = click.IntRange(1, 65535)

_OPTIONS = (
    option(_CONNECTING, "--host", metavar="NAME", help="Server to connect to; localhost means its socket."),
    option(_CONNECTING, "--port", type=_PORT, metavar="N", help="TCP port.  [default: 3306]"),
    option(_CONNECTING, "--socket", metavar="PATH", help="Socket of a server on this machine."),
    option(_CONNECTING, "--user", metavar="NAME", help="Login.  [default: your own name]"),
    option(
        _CONNECTING,
        "--password",
        is_flag=False,
        flag_value=_ASK,
        metavar="[TEXT]",
        help="Its password; without a value it is asked for. Hidden from ps.",
    ),
    option(_CONNECTING, "--ask-pass", is_flag=True, help="Ask for the password."),
    option(_CONNECTING, "--defaults-file", type=_FILE, metavar="PATH", help="Read this option file and no other."),
    option(
        _CONNECTING,
        "--ssl-mode",
        type=click.Choice(SSL_MODES, case_sensitive=False),
        metavar="MODE",
        help=f"{', '.join(SSL_MODES)}, with MySQL's meanings.  [default: PREFERRED]",
    ),
    option(_CONNECTING, "--ssl-ca", metavar="PATH", help="Certificates that the server's must be signed with."),
    option(_CONNECTING, "--ssl-cert", metavar="PATH", help="Certificate to log in with."),
    option(_CONNECTING, "--ssl-key", metavar="PATH", help="Its key."),
)
OPTION_NAMES = (
    *("host", "port", "socket", "user", "password", "ask_pass"),
    *("defaults_file", "ssl_mode", "ssl_ca", "ssl_cert", "ssl_key"),
)
"""The parameters that the options fill, for a command that groups its help."""


def connection_options(command: Callable[Concatenate[Given, P], R]) -> Callable[P, R]:
    """Add the connection options to a command, which gets what was given as its first argument."""

    @wraps(command)
    def with_given(*args: P.args, **kwargs: P.kwargs) -> R:
        values = {name: kwargs.pop(name) for name in OPTION_NAMES}
        return command(_given(values), *args, **kwargs)

    decorated: Callable[P, R] = reduce(lambda inner, decorate: decorate(inner), reversed(_OPTIONS), with_given)
    return decorated


def settings_for(given: Given) -> Resolved:
    """The settings for what was given, the password asked for where need be. Raises UsageError."""
    return resolve(given, ask_password)


def ask_password(login: str) -> str:
    """The password as typed at the terminal. Raises UsageError where there is none."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            f"there is no terminal to ask for the password of {login} at: put it into an option file"
            " (--defaults-file or ~/.my.cnf) or into the environment variable MYSQL_PWD"
        )
    return getpass.getpass(f"Password for {login}: ")


def _given(values: dict[str, object]) -> Given:
    password = cast("str | None", values["password"])
    ssl_mode = cast("str | None", values["ssl_mode"])
    return Given(
        host=cast("str | None", values["host"]),
        port=cast("int | None", values["port"]),
        socket=cast("str | None", values["socket"]),
        user=cast("str | None", values["user"]),
        password=None if password == _ASK else password,
        ask_password=bool(values["ask_pass"]) or password == _ASK,
        defaults_file=cast("Path | None", values["defaults_file"]),
        ssl_mode=cast("SslMode | None", ssl_mode.upper() if ssl_mode else None),
        ssl_ca=cast("str | None", values["ssl_ca"]),
        ssl_cert=cast("str | None", values["ssl_cert"]),
        ssl_key=cast("str | None", values["ssl_key"]),
    )
