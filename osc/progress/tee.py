"""Two renderers for one migration: what a person watches, and the same events in a file for a program."""

from __future__ import annotations

from osc.progress.report import JsonValue, Reporter, Result, Status


class TeeReporter:
    """Hands every report to both."""

    def __init__(self, first: Reporter, second: Reporter) -> None:
        self._both = (first, second)

    def event(self, name: str, **fields: JsonValue) -> None:
        for reporter in self._both:
            reporter.event(name, **fields)

    def status(self, status: Status) -> None:
        for reporter in self._both:
            reporter.status(status)

    def warning(self, text: str) -> None:
        for reporter in self._both:
            reporter.warning(text)

    def finished(self, result: Result) -> None:
        for reporter in self._both:
            reporter.finished(result)

    def close(self) -> None:
        for reporter in self._both:
            reporter.close()
