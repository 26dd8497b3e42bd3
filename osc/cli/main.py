"""The command `osc`: finds the subcommand, and turns whatever it dies of into a message and an exit code."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from io import TextIOWrapper
from typing import TypeVar, cast

import click

import osc
from osc.cli.secrets import hide_passwords
from osc.cli.terminal import bug_text, enable_debug, is_debug, say_error, set_up_logging
from osc.errors import EXIT_CODES, OscError

COMMANDS: Mapping[str, tuple[str, str]] = {
    "plan": ("osc.cli.plan:plan", "See what a migration would do, how long it would take and what it would cost."),
    "migrate": ("osc.cli.migrate:migrate", "Alter a table while applications go on writing to it."),
    "cleanup": ("osc.cli.cleanup:cleanup", "List and remove the tables that an earlier run left."),
    "demo": ("osc.cli.demo:demo", "See a migration of a busy table on a throwaway server."),
    "sandbox": ("osc.cli.sandbox:sandbox", "Get and start throwaway servers on this machine."),
}
"""Where each command is, and what it does: the help needs no command's module, a command only its own."""

F = TypeVar("F", bound=Callable[..., object])


class LazyGroup(click.Group):
    """A group that imports a command when it is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        return cast(click.Command, getattr(importlib.import_module(module), attribute))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


def _on_debug(_ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        enable_debug()


def debug_option(command: F) -> F:
    """Add `--debug`, which is taken before the command's name and behind it."""
    option = click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=_on_debug,
        help="Log everything, and show tracebacks.",
    )
    return option(command)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(osc.__version__, prog_name="osc")
@debug_option
def root() -> None:
    """Change the schema of a live MySQL or MariaDB table.

    The rows are copied into a ghost table while the binlog is followed, every one of them is verified, and the two
    tables are swapped in milliseconds.
    """


def run(arguments: list[str] | None = None) -> int:
    """Run the command line (that of the process by default); the exit code. Raises nothing."""
    try:
        result: object = root.main(args=arguments, prog_name="osc", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except OscError as error:
        if is_debug():
            traceback.print_exc()
        say_error(error.message)
        return EXIT_CODES[error.outcome]
    except (KeyboardInterrupt, click.Abort):
        say_error("stopped before anything was touched")
        return EXIT_CODES["aborted"]
    except Exception as error:
        if is_debug():
            traceback.print_exc()
        say_error(bug_text(error))
        return EXIT_CODES["failed"]


def main() -> None:
    """The entry point of the command."""
    set_up_logging()
    hide_passwords()
    # A table's name that the locale cannot show must not end a run.
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    code = run()
    try:
        sys.stdout.flush()
    except OSError:
        # Nobody reads any more. Python would try again at its own exit, and change the exit code.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)
