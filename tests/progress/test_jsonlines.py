"""The JSON lines that programs read."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import UTC, datetime

from osc.progress.jsonlines import JsonReporter
from osc.progress.report import Result, Status
from tests.progress.reports import COPYING, INTERRUPTED, SWAPPED, VERIFYING, Stream

FINISHED_FIELDS = {
    *(
        "event",
        "time",
        "outcome",
        "exit_code",
        "strategy",
        "resumable",
        "rows_copied",
        "keys_reconciled",
        "rows_verified",
    ),
    *(
        "rows_changed_by_conversion",
        "duration_s",
        "waited_s",
        "planned",
        "eta_course",
        "copy_s",
        "verify_s",
        "cut_over_stall_ms",
        "alter_ms",
        "cut_over_attempts",
        "old_table",
        "error",
    ),
}


class HeldClock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def reporter(out: Stream, errors: Stream | None = None, clock: HeldClock | None = None) -> JsonReporter:
    moment = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
    return JsonReporter(out.output, (errors or Stream()).output, lambda: moment, clock or HeldClock())


def test_every_line_is_an_object_with_its_event_and_its_time() -> None:
    out = Stream()
    to = reporter(out)
    to.event("started", database="shop", table="ordérs\n", key=["id"])
    to.warning("look out")
    to.status(COPYING)
    to.finished(SWAPPED)
    records = [json.loads(line) for line in out.lines]
    assert [record["event"] for record in records] == ["started", "warning", "status", "finished"]
    assert {record["time"] for record in records} == {"2026-03-01T12:00:00.250Z"}
    assert records[0]["table"] == "ordérs\n"
    assert records[1]["text"] == "look out"


def test_a_status_has_all_the_fields_of_a_status() -> None:
    out = Stream()
    reporter(out).status(COPYING)
    record = json.loads(out.lines[0])
    assert set(record) == {"event", "time", *(field.name for field in fields(Status))}
    assert record["phase"] == "copy"
    assert record["eta_s"] == 4.7


def test_the_last_line_has_exactly_the_documented_fields() -> None:
    out = Stream()
    reporter(out).finished(SWAPPED)
    record = json.loads(out.lines[-1])
    assert set(record) == FINISHED_FIELDS
    assert record["cut_over_attempts"] == [
        {"number": 1, "stall_ms": 3003.2, "outcome": "failed", "reason": "lock wait timeout"},
        {"number": 2, "stall_ms": 8.1, "outcome": "swapped", "reason": None},
    ]
    assert record["planned"] == {"p10_s": 61.0, "p50_s": 80.0, "p90_s": 110.0}
    assert record["eta_course"][0] == {"done": 0.1, "elapsed_s": 9.1, "eta_s": 78.2, "total_s": 87.3}
    assert set(record) - {"event", "time"} == {field.name for field in fields(Result)} - {"left_behind"}


def test_what_is_left_behind_is_told_before_the_end_and_the_error_on_stderr_as_well() -> None:
    out, errors = Stream(), Stream()
    reporter(out, errors).finished(INTERRUPTED)
    records = [json.loads(line) for line in out.lines]
    assert [record["event"] for record in records] == ["left_behind", "finished"]
    assert records[0]["tables"] == ["_orders_gho", "_orders_ghc"]
    assert records[1]["error"] == "stopped by SIGTERM"
    assert errors.lines == ["osc: stopped by SIGTERM"]


def test_statuses_come_once_a_second_and_at_every_change_of_phase() -> None:
    out, clock = Stream(), HeldClock()
    to = reporter(out, clock=clock)
    for step in range(9):
        clock.now = step * 0.25
        to.status(replace(COPYING, elapsed_s=clock.now))
    to.status(VERIFYING)
    records = [json.loads(line) for line in out.lines]
    assert [(record["phase"], record["elapsed_s"]) for record in records] == [
        ("copy", 0.0),
        ("copy", 1.0),
        ("copy", 2.0),
        ("verify", VERIFYING.elapsed_s),
    ]
