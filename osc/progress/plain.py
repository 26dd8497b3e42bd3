"""For a pipe or a log file: a line for each event and one line of status every few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable

from osc.progress.output import Output
from osc.progress.report import JsonValue, Phase, Result, Status
from osc.progress.text import event_lines, printable, status_line, summary_lines

STATUS_INTERVAL_S = 5.0


class PlainReporter:
    """Lines on stdout; warnings and the final error on stderr, where a script that drops stdout still sees them."""

    def __init__(self, output: Output, errors: Output, clock: Callable[[], float] = time.monotonic) -> None:
        self._output = output
        self._errors = errors
        self._clock = clock
        self._database: str | None = None
        self._table: str | None = None
        self._last_status: tuple[Phase, float] | None = None

    def event(self, name: str, **fields: JsonValue) -> None:
        if name == "started":
            self._database, self._table = str(fields["database"]), str(fields["table"])
        for line in event_lines(name, fields):
            self._output.line(line)

    def status(self, status: Status) -> None:
        now = self._clock()
        if self._last_status is not None:
            phase, at = self._last_status
            if phase == status.phase and now - at < STATUS_INTERVAL_S:
                return
        self._last_status = (status.phase, now)
        self._output.line(status_line(status))

    def warning(self, text: str) -> None:
        self._errors.line(f"warning: {printable(text)}")

    def finished(self, result: Result) -> None:
        if result.error:
            self._errors.line(f"osc: {printable(result.error)}")
        for label, text in summary_lines(result, self._database, self._table):
            self._output.line(f"{label}: {text}" if label else text)

    def close(self) -> None:
        self._output.flush()
