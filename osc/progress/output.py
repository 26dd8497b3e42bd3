"""A stream that outlives its reader.

A terminal that hangs up or a pager that is closed must not end a migration that has run for hours: from the first
failed write on, the rest is thrown away, and the loss is logged once.
"""

from __future__ import annotations

import logging
from typing import TextIO

log = logging.getLogger(__name__)


class Output:
    """As much of a text stream as the renderers and rich's console use."""

    def __init__(self, stream: TextIO, name: str = "stdout") -> None:
        self._stream = stream
        self._name = name
        self._lost = False

    @property
    def is_lost(self) -> bool:
        """Whether a write failed, and nothing is written any more."""
        return self._lost

    @property
    def encoding(self) -> str:
        return self._stream.encoding or "utf-8"

    @property
    def errors(self) -> str | None:
        return self._stream.errors

    def write(self, text: str) -> int:
        """Always takes the whole text."""
        if not self._lost:
            try:
                self._stream.write(text)
            except OSError as error:
                self._give_up(error)
        return len(text)

    def flush(self) -> None:
        if not self._lost:
            try:
                self._stream.flush()
            except OSError as error:
                self._give_up(error)

    def line(self, text: str) -> None:
        """Write a line, at once."""
        self.write(text + "\n")
        self.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    def _give_up(self, error: OSError) -> None:
        self._lost = True
        log.warning("%s is gone (%s): the run goes on without it", self._name, error)
