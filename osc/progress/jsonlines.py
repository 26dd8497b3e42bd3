"""For programs: one JSON object a line on stdout, each an event, the last of them `finished`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from osc.progress.output import Output
from osc.progress.report import JsonValue, Phase, Result, Status

STATUS_INTERVAL_S = 1.0


def utc_now() -> datetime:
    return datetime.now(UTC)


class JsonReporter:
    """A status at most once a second, and at every change of phase; everything else as it comes."""

    def __init__(
        self,
        output: Output,
        errors: Output,
        now: Callable[[], datetime] = utc_now,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._output = output
        self._errors = errors
        self._now = now
        self._clock = clock
        self._last_status: tuple[Phase, float] | None = None

    def event(self, name: str, **fields: JsonValue) -> None:
        record: dict[str, JsonValue] = {
            "event": name,
            "time": self._now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            **{key: _rounded(value) for key, value in fields.items()},
        }
        self._output.line(json.dumps(record, ensure_ascii=False, allow_nan=False))

    def status(self, status: Status) -> None:
        now = self._clock()
        if self._last_status is not None:
            phase, at = self._last_status
            if phase == status.phase and now - at < STATUS_INTERVAL_S:
                return
        self._last_status = (status.phase, now)
        self.event("status", **asdict(status))

    def warning(self, text: str) -> None:
        self.event("warning", text=text)

    def finished(self, result: Result) -> None:
        fields = asdict(result)
        left_behind = fields.pop("left_behind")
        if left_behind:
            self.event("left_behind", tables=left_behind)
        self.event("finished", **fields)
        if result.error:
            self._errors.line(f"osc: {result.error}")

    def close(self) -> None:
        self._output.flush()


def _rounded(value: JsonValue) -> JsonValue:
    """Floats to three digits: microseconds of a wait, or fractions of a row a second, are noise."""
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, Mapping):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_rounded(inner) for inner in value]
    return value
