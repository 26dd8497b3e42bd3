"""A migration within the test's own process, so that its constants can be made small and its parts be got at."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace

from osc.control.stop import StopRequest
from osc.migration import migrate
from osc.mysql.session import Sessions
from osc.options import MigrationOptions
from osc.progress.report import JsonValue, Result, Status
from tests.servers import ServerUnderTest


class Recorder:
    """A reporter that remembers, and can be waited for."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Mapping[str, object]]] = []
        self._changed = threading.Condition()

    def event(self, name: str, **fields: JsonValue) -> None:
        with self._changed:
            self.events.append((name, fields))
            self._changed.notify_all()

    def status(self, status: Status) -> None:
        self.event("status", **asdict(status))

    def warning(self, text: str) -> None:
        self.event("warning", text=text)

    def finished(self, result: Result) -> None:
        self.event("finished", **asdict(result))

    def close(self) -> None:
        pass

    def wait_for(self, name: str, count: int = 1, **fields: object) -> Mapping[str, object]:
        """The `count`th event of that name with those fields, from the beginning on. Fails when the run ends without it."""

        def found() -> list[Mapping[str, object]]:
            return [each for event, each in self.events if event == name and fields.items() <= each.items()]

        with self._changed:
            assert self._changed.wait_for(lambda: len(found()) >= count or self._has_ended(), timeout=120)
            assert len(found()) >= count, f"it ended without {name} {fields}: {self.events[-3:]}"
            return found()[count - 1]

    def of(self, name: str) -> list[Mapping[str, object]]:
        """All events of that name so far."""
        with self._changed:
            return [fields for event, fields in self.events if event == name]

    def end(self, result: Result | None) -> None:
        """The run has ended."""
        self.event("ended", outcome=None if result is None else result.outcome)

    def _has_ended(self) -> bool:
        return any(event == "ended" for event, _ in self.events)


class Inside:
    """A migration by copy on a thread."""

    def __init__(self, server: ServerUnderTest, options: MigrationOptions) -> None:
        self.recorder = Recorder()
        self.stop = StopRequest()
        self._result: Result | None = None
        self._thread = threading.Thread(target=self._run, args=(server, options))

    def _run(self, server: ServerUnderTest, options: MigrationOptions) -> None:
        try:
            self._result = migrate(
                Sessions(server.migrator), None, replace(options, strategy="copy"), self.recorder, None, self.stop
            )
        finally:
            self.recorder.end(self._result)

    def end(self) -> Result:
        """How it ended."""
        self._thread.join(120)
        assert self._result is not None
        return self._result


@contextmanager
def migrating_inside(server: ServerUnderTest, options: MigrationOptions) -> Iterator[Inside]:
    """A migration that runs while the test goes on; asked to stop at the end if it still does."""
    inside = Inside(server, options)
    inside._thread.start()
    try:
        yield inside
    finally:
        inside.stop.request("the test has ended")
        inside._thread.join(120)
