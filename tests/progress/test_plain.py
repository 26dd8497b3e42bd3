"""The lines of a run whose output is a pipe or a file."""

from __future__ import annotations

from dataclasses import replace

import pytest

from osc.progress.plain import PlainReporter
from osc.progress.report import Result
from tests.progress.reports import COPYING, INTERRUPTED, READY, SWAPPED, VERIFYING, Stream


class HeldClock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_status_line_tells_all_that_an_operator_watches() -> None:
    out = Stream()
    PlainReporter(out.output, Stream().output).status(replace(COPYING, throttled_by="replica lag 12 s"))
    assert out.lines == [
        "[1 m 23 s] copy: 62%, 186,000 of about 300,000 rows copied, 24,310 rows/s, about 5 s left once it "
        "may go on; "
        "chunks of 2,400 rows in 71 ms; 4 workers; 128 keys pending, 9,201 reconciled; tail 12 ms behind; "
        "throttled: replica lag 12 s"
    ]


def test_a_status_line_tells_the_pace_and_why() -> None:
    out = Stream()
    paced = replace(COPYING, pace=0.35, pace_reason="a commit takes 3.1 ms", commit_ms=3.1, baseline_ms=1.2)
    PlainReporter(out.output, Stream().output).status(paced)
    assert "; pace 35%: a commit takes 3.1 ms; " in out.lines[0]


@pytest.mark.parametrize(
    ("eta_s", "words"),
    [
        (None, "24,310 rows/s; "),
        (0.4, "less than a second left"),
        (7.3, "about 7 s left"),
        (19.7, "about 20 s left"),
        (43.1, "about 45 s left"),
        (58.4, "about 1 m left"),
        (203.0, "about 3 m 20 s left"),
        (598.0, "about 10 m left"),
        (742.0, "about 12 m left"),
        (3_590.0, "about 1 h left"),
        (7_480.0, "about 2 h 05 m left"),
        (200_000.0, "about 2 d 07 h left"),
    ],
)
def test_the_time_left_is_told_as_exactly_as_a_forecast_can_be(eta_s: float | None, words: str) -> None:
    out = Stream()
    PlainReporter(out.output, Stream().output).status(replace(COPYING, eta_s=eta_s))
    assert words in out.lines[0]


def test_what_is_waited_for_says_that_the_time_left_does_not_run_until_then() -> None:
    out, clock = Stream(), HeldClock()
    to = PlainReporter(out.output, Stream().output, clock)
    for status in (
        replace(COPYING, eta_s=742.0, throttled_by="/tmp/pause is there"),
        replace(VERIFYING, eta_s=742.0, waiting_for="the build of 1 index: k"),
        replace(READY, eta_s=0.2),
    ):
        to.status(status)
        clock.now += 60
    assert ", about 12 m left once it may go on; " in out.lines[0]
    assert ", about 12 m left; " in out.lines[1], "building is work"
    assert ", only the swap is left; " in out.lines[2]


def test_a_line_comes_every_five_seconds_and_at_every_change_of_phase() -> None:
    out, clock = Stream(), HeldClock()
    to = PlainReporter(out.output, Stream().output, clock)
    for step in range(45):
        clock.now = step * 0.25
        to.status(replace(COPYING, elapsed_s=clock.now))
    to.status(VERIFYING)
    assert [line.split("]")[0] for line in out.lines] == ["[0.0 s", "[5.0 s", "[10 s", "[1 m 23 s"]
    assert "] verify: 50%, 155,000 of 310,000 rows verified" in out.lines[-1]


def test_a_postponed_swap_says_what_it_waits_for_and_how_old_the_proof_is() -> None:
    out = Stream()
    PlainReporter(out.output, Stream().output).status(READY)
    assert "waiting for /tmp/postpone to be removed" in out.lines[0]
    assert "verified 12 s ago" in out.lines[0]


def test_more_rows_than_the_server_guessed_is_never_shown_as_all_done() -> None:
    out = Stream()
    PlainReporter(out.output, Stream().output).status(replace(COPYING, rows_copied=400_000))
    assert "copy: 99%, 400,000 rows copied" in out.lines[0]


def test_the_summary_of_a_swap_says_what_how_long_and_where_the_old_table_is() -> None:
    out = Stream()
    to = PlainReporter(out.output, Stream().output)
    to.event("started", database="shop", table="orders")
    to.finished(SWAPPED)
    assert out.lines[1:] == [
        "swapped: shop.orders has its new schema",
        "rows: 310,000 copied, 310,000 verified, 93,211 changed keys reconciled",
        "time: 1 m 28 s (copy 1 m 10 s, verify 9.3 s), 2.1 s of it waiting",
        "estimate: planned 1 m 20 s (1 m 01 s to 1 m 50 s), at 10% 1 m 27 s, at 50% 1 m 26 s",
        "swap: writers waited at most 8.1 ms, at attempt 2",
        "attempt 1 gave up after 3,003 ms: lock wait timeout",
        "old table: kept as shop._orders_del; drop it when nothing needs it any more",
    ]


def test_the_plan_and_the_first_estimate_are_told_when_they_are_known() -> None:
    out = Stream()
    to = PlainReporter(out.output, Stream().output)
    to.event("started", database="shop", table="orders", planned={"p10_s": 61.0, "p50_s": 80.0, "p90_s": 110.0})
    to.event("estimate", done=0.1, elapsed_s=9.1, eta_s=78.2, total_s=87.3)
    assert out.lines[1:] == ["planned to take 1 m 20 s (1 m 01 s to 1 m 50 s)", "estimated at 10%: 1 m 27 s in all"]


def test_the_summary_of_an_interruption_names_what_is_left_and_both_ways_on() -> None:
    out, errors = Stream(), Stream()
    to = PlainReporter(out.output, errors.output)
    to.event("started", database="shop", table="orders")
    to.finished(INTERRUPTED)
    text = out.getvalue()
    assert "stopped: shop.orders is as it was" in text
    assert "left behind: shop._orders_gho, shop._orders_ghc" in text
    assert "next: run the same command again to go on from the checkpoint" in text
    assert "\nor osc cleanup --database shop --table orders --execute to remove what was left behind" in text
    assert errors.lines == ["osc: stopped by SIGTERM"]


def test_a_refusal_before_the_start_says_so_without_a_table() -> None:
    out, errors = Stream(), Stream()
    PlainReporter(out.output, errors.output).finished(Result("refused", 2, error="no such host"))
    assert out.lines == ["refused: nothing was touched"]
    assert errors.lines == ["osc: no such host"]


def test_warnings_go_to_stderr() -> None:
    out, errors = Stream(), Stream()
    PlainReporter(out.output, errors.output).warning("the drop failed")
    assert out.lines == []
    assert errors.lines == ["warning: the drop failed"]


def test_control_characters_in_names_are_shown_and_not_obeyed() -> None:
    out, errors = Stream(), Stream()
    to = PlainReporter(out.output, errors.output)
    to.warning("table \x1b]0;owned\x07 is odd")
    to.event("throttled", reason="\x1b[2J")
    assert errors.lines == ["warning: table \\x1b]0;owned\\x07 is odd"]
    assert out.lines == ["throttled: \\x1b[2J"]


def test_a_reader_that_goes_away_does_not_end_the_run() -> None:
    out = Stream()
    output = out.output
    to = PlainReporter(output, Stream().output)
    out.is_broken = True
    to.status(COPYING)
    assert output.is_lost
    out.is_broken = False
    to.finished(SWAPPED)
    assert out.lines == []
