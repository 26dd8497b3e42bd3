"""The command itself: its help, its exit codes, its errors."""

from __future__ import annotations

import subprocess
import sys

import pytest

import osc as package
from tests.cli.running import CHECKOUT, COMMAND, environment, osc


def test_the_help_names_every_command_and_imports_none_of_them() -> None:
    done = osc("--help")
    assert done.returncode == 0
    for name in ("migrate", "cleanup", "demo", "sandbox", "--debug", "--version"):
        assert name in done.stdout
    script = (
        "import sys; from osc.cli.main import run; run(['--help'])\n"
        "assert 'pymysql' not in sys.modules and 'osc.cli.migrate' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=CHECKOUT, check=True, capture_output=True)


@pytest.mark.parametrize("name", ["migrate", "cleanup", "demo", "sandbox"])
def test_every_command_has_a_help(name: str) -> None:
    done = osc(name, "--help")
    assert done.returncode == 0, done.stderr
    assert f"Usage: osc {name}" in done.stdout


def test_the_version_is_that_of_the_package() -> None:
    assert osc("--version").stdout == f"osc, version {package.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["explode"], "No such command 'explode'"),
        (["migrate", "--what"], "--what"),
        (["migrate"], "Missing option '--alter'"),
        (["migrate", "--alter", "x", "--workers", "0"], "0 is not in the range"),
        (["migrate", "--alter", "x", "--cut-over-lock-timeout-seconds", "11"], "11 is not in the range"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_is_wrong(arguments: list[str], words: str) -> None:
    done = osc(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def _with_a_bug(*arguments: str) -> subprocess.CompletedProcess[str]:
    script = (
        "import sys, click\n"
        "from osc.cli import cleanup\n"
        "from osc.cli.main import main, debug_option\n"
        "@click.command()\n"
        "@debug_option\n"
        "def broken(): raise ZeroDivisionError('by zero')\n"
        "cleanup.cleanup = broken\n"
        "main()\n"
    )
    return subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )


def test_a_bug_is_one_line_and_with_debug_a_traceback() -> None:
    done = _with_a_bug("cleanup")
    assert done.returncode == 1
    assert done.stderr == "osc: ZeroDivisionError: by zero (this is a bug in osc; run again with --debug)\n"
    for arguments in (("cleanup", "--debug"), ("--debug", "cleanup")):
        done = _with_a_bug(*arguments)
        assert done.returncode == 1
        assert "Traceback" in done.stderr
        assert "(this is a bug in osc)" in done.stderr


def test_a_reader_that_is_gone_changes_neither_the_exit_code_nor_the_errors() -> None:
    with subprocess.Popen(
        [*COMMAND, "cleanup", "--host", "127.0.0.1", "--port", "1"],
        cwd=CHECKOUT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read()
    assert process.returncode == 2
    assert errors.startswith("osc: cannot reach 127.0.0.1:1")
    assert "Exception ignored" not in errors
