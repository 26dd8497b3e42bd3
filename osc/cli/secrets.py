"""Taking a password out of what `ps` shows, as the servers' own tools do.

The kernel shows a process's arguments from the process's own memory, so overwriting them there is enough; Linux offers
that memory as a file.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

log = logging.getLogger(__name__)

PASSWORD_OPTION = b"--password"

_PROCESS = Path("/proc/self")
_ARGUMENTS_START = 48
"""The place of `arg_start` among the fields of `/proc/PID/stat`, counted from 1 (proc_pid_stat(5))."""


def hide_passwords() -> None:
    """Overwrite every `--password` value in this process's own arguments; logs a warning where that can't be done."""
    try:
        spans = password_spans((_PROCESS / "cmdline").read_bytes().split(b"\0"))
        if not spans:
            return
        # The command's name, in parentheses, may hold spaces and parentheses itself.
        fields = (_PROCESS / "stat").read_bytes().rpartition(b")")[2].split()
        start = int(fields[_ARGUMENTS_START - 3])
        with (_PROCESS / "mem").open("r+b", buffering=0) as memory:
            for offset, length in spans:
                memory.seek(start + offset)
                memory.write(b"x" * length)
        if not _is_hidden(spans):
            raise OSError("the arguments are still there")
    except OSError as error:
        log.warning(
            "the password on the command line may show in ps (%s): use --ask-pass or an option file instead", error
        )


def password_spans(arguments: Sequence[bytes]) -> list[tuple[int, int]]:
    """Offset and length of each password in the arguments, which lie one after the other, a zero byte between them."""
    spans = []
    offset = 0
    is_value = False
    for argument in arguments:
        if is_value and not argument.startswith(b"-"):
            spans.append((offset, len(argument)))
        elif argument.startswith(PASSWORD_OPTION + b"="):
            skipped = len(PASSWORD_OPTION) + 1
            spans.append((offset + skipped, len(argument) - skipped))
        is_value = argument == PASSWORD_OPTION
        offset += len(argument) + 1
    return [span for span in spans if span[1]]


def _is_hidden(spans: Sequence[tuple[int, int]]) -> bool:
    shown = (_PROCESS / "cmdline").read_bytes()
    return all(shown[offset : offset + length] == b"x" * length for offset, length in spans)
