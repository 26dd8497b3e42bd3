"""The panel at a terminal, as the text that a person would see."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console, RenderableType

from osc.progress.live import LiveReporter, packed
from osc.progress.report import PHASES, Status
from tests.progress.reports import COPYING, INTERRUPTED, READY, SWAPPED, VERIFYING, Stream


def shown(renderable: RenderableType, width: int = 100) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, color_system=None).print(renderable)
    return stream.getvalue()


def panel(status: Status, width: int = 100, encoding: str = "utf-8") -> str:
    to = LiveReporter(Stream(is_terminal=True, encoding=encoding).output, width=width)
    to.event("started", database="shop", table="orders")
    return shown(to.panel(status), width)


def test_the_panel_shows_phases_progress_and_what_an_operator_watches() -> None:
    text = panel(COPYING)
    for expected in (
        "osc shop.orders",
        "✓ preflight   ✓ prepare   ● copy   ○ verify   ○ ready   ○ cut-over",
        "62%",
        "186,000 of about 300,000 rows copied, 24,310 rows/s",
        "about 5 s left ",
        "chunks of 2,400 rows in 71 ms · 4 workers · 128 keys pending, 9,201 reconciled",
        "tail 12 ms behind",
        "1 m 23 s",
    ):
        assert expected in text
    assert "throttled" not in text


def test_the_panel_says_why_it_is_throttled_and_what_it_waits_for() -> None:
    held = panel(replace(COPYING, throttled_by="replica lag 12 s"))
    assert "throttled: replica lag 12 s" in held
    assert "about 5 s left once it may go on" in held
    assert "waiting for /tmp/postpone to be removed" in panel(READY)
    assert "verified 12 s ago" in panel(READY)


def test_every_phase_has_a_panel_whose_lines_fit_the_terminal() -> None:
    for width in (40, 80, 100, 200):
        for phase in PHASES:
            lines = panel(replace(VERIFYING, phase=phase), width).splitlines()
            assert max(len(line) for line in lines) <= min(width, 100)


def test_a_terminal_without_unicode_gets_a_panel_in_ascii() -> None:
    text = panel(COPYING, encoding="ascii")
    assert "x prepare   > copy   - verify" in text
    assert " | 4 workers | " in text


def test_a_name_with_markup_and_escapes_is_shown_as_it_is() -> None:
    to = LiveReporter(Stream(is_terminal=True).output, width=100)
    to.event("started", database="[red]", table="a\x1b[31mb")
    assert "[red].a\\x1b[31mb" in shown(to.panel(COPYING))


def test_the_end_takes_the_panel_away_and_leaves_a_summary() -> None:
    stream = Stream(is_terminal=True)
    to = LiveReporter(stream.output, width=100)
    to.event("started", database="shop", table="orders")
    to.status(COPYING)
    to.finished(SWAPPED)
    to.close()
    text = stream.getvalue()
    assert "swapped: shop.orders has its new schema" in text
    assert "kept as shop._orders_del" in text
    summary = text[text.index("swapped: ") :]
    assert "╭" not in summary


def test_the_summary_of_a_failure_says_why() -> None:
    stream = Stream(is_terminal=True)
    to = LiveReporter(stream.output, width=120)
    to.event("started", database="shop", table="orders")
    to.finished(INTERRUPTED)
    assert "stopped by SIGTERM" in stream.getvalue()
    assert "--table orders" in stream.getvalue()


def test_a_paused_display_stays_away_until_it_is_resumed() -> None:
    stream = Stream(is_terminal=True)
    to = LiveReporter(stream.output, width=100)
    to.pause()
    to.status(COPYING)
    assert "╭" not in stream.getvalue()
    to.resume()
    to.status(COPYING)
    to.close()
    assert "╭" in stream.getvalue()


def test_a_terminal_that_hangs_up_does_not_end_the_run() -> None:
    stream = Stream(is_terminal=True)
    output = stream.output
    to = LiveReporter(output, width=100)
    to.status(COPYING)
    stream.is_broken = True
    to.warning("something")
    to.finished(SWAPPED)
    to.close()
    assert output.is_lost


def test_facts_are_packed_into_lines_and_none_is_broken() -> None:
    assert packed(["aaaa", "bbbb", "cccc"], " · ", 11) == ["aaaa · bbbb", "cccc"]
    assert packed([], " · ", 11) == []
    assert packed(["a fact that is too long"], " · ", 11) == ["a fact that is too long"]
