"""What a command writes to the terminal besides its results: log lines, errors, questions."""

from __future__ import annotations

import logging
import select
import sys
from collections.abc import Sequence

from osc.control.stop import StopRequest
from osc.progress.output import Output
from osc.progress.text import printable

_POLL_S = 0.2


class StderrHandler(logging.Handler):
    """Log records on whatever `sys.stderr` is at the moment: the live display takes it over while it is up."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            # In one piece: others write there as well, each from a thread of its own.
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except OSError:
            # There is nowhere left to tell it.
            self.setLevel(logging.CRITICAL + 1)


def set_up_logging() -> None:
    """Warnings of `osc` on stderr, until `--debug` asks for everything."""
    handler = StderrHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("osc")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.WARNING)
    logger.propagate = False


def enable_debug() -> None:
    logging.getLogger("osc").setLevel(logging.DEBUG)


def is_debug() -> bool:
    return logging.getLogger("osc").isEnabledFor(logging.DEBUG)


def say_error(text: str) -> None:
    """An error on stderr, told as from `osc`."""
    Output(sys.stderr, "stderr").line(f"osc: {printable(text)}")


def say_warning(text: str) -> None:
    """A warning on stderr."""
    Output(sys.stderr, "stderr").line(f"warning: {printable(text)}")


def bug_text(error: Exception) -> str:
    """What is said of an error that nobody foresaw."""
    hint = "" if is_debug() else "; run again with --debug"
    return f"{type(error).__name__}: {error} (this is a bug in osc{hint})"


def is_terminal() -> bool:
    """Whether a person is there to answer: both stdin and stdout are a terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def ask(lines: Sequence[str], question: str, stop: StopRequest, to_stderr: bool = False) -> bool:
    """Show the lines and ask yes or no at the terminal. Raises Interrupted when a stop is asked for meanwhile.

    A signal does not break off a read (PEP 475), and its handler here raises nothing: so the terminal is only read once
    there is a line to read.
    """
    stream = sys.stderr if to_stderr else sys.stdout
    for line in lines:
        print(printable(line), file=stream)
    while True:
        print(f"{question} [y/N] ", end="", file=stream, flush=True)
        while not select.select([sys.stdin], [], [], _POLL_S)[0]:
            if stop.is_requested:
                print(file=stream, flush=True)
                stop.check()
        answer = sys.stdin.readline().strip().lower()
        if answer in ("y", "yes"):
            return True
        if answer in ("", "n", "no"):
            return False
