"""A password on the command line is out of `ps` before anything else happens, and never comes back."""

from __future__ import annotations

import socket
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from osc.cli.secrets import password_spans
from tests.cli.running import CHECKOUT, COMMAND, TIMEOUT_S, environment, osc

SECRET = "s3cret-of-ada"


@pytest.mark.parametrize(
    ("arguments", "hidden"),
    [
        ([b"osc", b"--password=abc", b"--host", b"x"], [b"abc"]),
        ([b"osc", b"--password", b"abc", b"--host", b"x"], [b"abc"]),
        ([b"osc", b"--password", b"--host", b"x"], []),
        ([b"osc", b"--password=", b"x"], []),
        ([b"osc", b"--password"], []),
        ([b"osc", b"--password=a", b"--password", b"bc", b""], [b"a", b"bc"]),
        ([b"osc", b"--alter", b"add password int"], []),
    ],
)
def test_the_places_of_passwords_among_the_arguments(arguments: list[bytes], hidden: list[bytes]) -> None:
    line = b"\0".join(arguments)
    assert [line[offset : offset + length] for offset, length in password_spans(arguments)] == hidden


@pytest.mark.parametrize("given", [[f"--password={SECRET}"], ["--password", SECRET]])
def test_a_running_command_shows_no_password_in_its_arguments(given: list[str]) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        listener.settimeout(TIMEOUT_S)
        port = listener.getsockname()[1]
        arguments = ["migrate", "--host", "127.0.0.1", "--port", str(port), *given]
        with subprocess.Popen(
            [*COMMAND, *arguments, "--table", "a.b", "--alter", "engine=InnoDB"],
            cwd=CHECKOUT,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            # Once it connects, it is past everything that happens at the start; then it waits for a greeting.
            connection, _ = listener.accept()
            shown = Path(f"/proc/{process.pid}/cmdline").read_bytes()
            surroundings = Path(f"/proc/{process.pid}/environ").read_bytes()
            connection.close()
            output, errors = process.communicate(timeout=TIMEOUT_S)
    assert SECRET.encode() not in shown
    assert b"--password" in shown
    assert b"x" * len(SECRET) in shown
    assert SECRET.encode() not in surroundings
    assert SECRET.encode() not in output + errors


def test_debugging_shows_no_password_either() -> None:
    arguments = ["--host", "127.0.0.1", "--port", "1", f"--password={SECRET}", "--table", "a.b", "--alter", "x int"]
    done = osc("--debug", "migrate", *arguments)
    assert done.returncode == 2
    assert SECRET not in done.stdout + done.stderr
