"""For a person at a terminal: a small panel that stays in place, with events and warnings scrolling above it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from typing import TextIO, cast

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from osc.progress.output import Output
from osc.progress.report import NATIVE_PHASES, PHASES, JsonValue, Result, Status
from osc.progress.text import (
    details,
    duration,
    event_lines,
    left,
    obstacles,
    percent,
    printable,
    rows,
    speed,
    summary_lines,
)

MAX_WIDTH = 100
REFRESHES_PER_S = 4

_GOOD = ("swapped", "altered")


class LiveReporter:
    """The panel appears with the first status and is gone at the end, when a summary takes its place."""

    def __init__(self, output: Output, width: int | None = None) -> None:
        # The console only ever calls what Output has: write, flush, isatty, fileno, encoding.
        self._console = Console(file=cast(TextIO, output), width=width, highlight=False, soft_wrap=False)
        self._is_unicode = output.encoding.lower().replace("-", "").startswith("utf")
        self._lock = threading.RLock()
        self._live: Live | None = None
        self._is_paused = False
        self._status: Status | None = None
        self._database: str | None = None
        self._table: str | None = None
        self._is_native = False

    def event(self, name: str, **fields: JsonValue) -> None:
        if name == "started":
            self._database, self._table = str(fields["database"]), str(fields["table"])
        for line in event_lines(name, fields):
            self._print(Text(line, style="dim" if name != "cut_over_attempt" else ""))

    def status(self, status: Status) -> None:
        with self._lock:
            self._status = status
            if self._live is None and not self._is_paused:
                self._start()

    def warning(self, text: str) -> None:
        self._print(Text.assemble(("warning: ", "bold yellow"), printable(text)))

    def finished(self, result: Result) -> None:
        self.close()
        self._console.print(self._summary(result))

    def pause(self) -> None:
        """Take the panel away, so that something can be asked; `resume` brings it back with the next status."""
        with self._lock:
            self._is_paused = True
            self._stop()

    def resume(self) -> None:
        with self._lock:
            self._is_paused = False

    def close(self) -> None:
        with self._lock:
            self._is_paused = True
            self._stop()

    def __rich__(self) -> RenderableType:
        """The panel as it is now; rich asks for it at every refresh."""
        status = self._status
        return self.panel(status) if status is not None else Text("")

    def panel(self, status: Status) -> RenderableType:
        """The panel for that status."""
        name = f"{self._database}.{self._table}" if self._table else ""
        body: list[RenderableType] = [self._phases(status), Text("")]
        if status.phase not in ("preflight", "prepare"):
            done = ", ".join(part for part in (rows(status), speed(status)) if part)
            body += [self._bar(status), _pair(done, left(status)), Text("")]
        facts = details(status)
        if facts:
            body += [Text(line, style="dim") for line in packed(facts, self._dot, self._width - 6)]
        body += [Text(line, style="yellow") for line in obstacles(status)]
        while isinstance(body[-1], Text) and not body[-1].plain:
            body.pop()
        return Panel(
            Group(*body),
            title=Text(printable(f"osc {name}".strip()), style="bold"),
            title_align="left",
            subtitle=Text(duration(status.elapsed_s), style="dim"),
            subtitle_align="right",
            border_style="yellow" if obstacles(status) else "cyan",
            padding=(0, 2),
            width=self._width,
        )

    @property
    def _width(self) -> int:
        # The terminal echoes a Ctrl-C as "^C" behind the panel's last line; where that wraps, the panel cannot be erased.
        return min(self._console.width - 4, MAX_WIDTH)

    @property
    def _dot(self) -> str:
        return " · " if self._is_unicode else " | "

    def _start(self) -> None:
        if not self._console.is_terminal:
            return
        # Refreshed by rich's own thread, so that the elapsed time and the panel stay alive between two statuses. Log
        # lines on stderr must scroll above it too, when they go to the same terminal.
        self._live = Live(
            get_renderable=self.__rich__,
            console=self._console,
            refresh_per_second=REFRESHES_PER_S,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=_is_stderr_terminal(),
        )
        self._live.start()

    def _stop(self) -> None:
        if self._live is not None:
            live, self._live = self._live, None
            live.stop()

    def _print(self, text: Text) -> None:
        self._console.print(text)

    def _phases(self, status: Status) -> Text:
        done, here, ahead = ("✓", "●", "○") if self._is_unicode else ("x", ">", "-")
        if status.phase in ("alter", "prepare"):
            self._is_native = status.phase == "alter"
        listed = NATIVE_PHASES if self._is_native else PHASES
        current = listed.index(status.phase)
        line = Text()
        for index, phase in enumerate(listed[:-1]):
            if index:
                line.append("   ")
            if index < current:
                line.append(f"{done} {phase}", style="green")
            elif index == current:
                line.append(f"{here} {phase}", style="bold cyan")
            else:
                line.append(f"{ahead} {phase}", style="dim")
        return line

    def _bar(self, status: Status) -> RenderableType:
        share = percent(status)
        grid = Table.grid(expand=True, padding=(0, 1))
        grid.add_column(ratio=1)
        grid.add_column(justify="right", width=4)
        grid.add_row(
            ProgressBar(
                total=100.0 if share is not None else None,
                completed=share or 0.0,
                pulse=share is None,
                complete_style="cyan",
                finished_style="green",
            ),
            Text("" if share is None else f"{share:.0f}%", style="bold"),
        )
        return grid

    def _summary(self, result: Result) -> RenderableType:
        is_good = result.outcome in _GOOD
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim", justify="right")
        grid.add_column(overflow="fold")
        lines = summary_lines(result, self._database, self._table)
        if result.error:
            lines.insert(1, ("why", printable(result.error)))
        for label, text in lines[1:]:
            grid.add_row(label, Text(text))
        mark = ("✓" if is_good else "✗") if self._is_unicode else ("ok" if is_good else "!!")
        headline = Text(f"{mark} {lines[0][1]}", style="bold green" if is_good else "bold red")
        return Group(Text(""), headline, grid) if lines[1:] else Group(Text(""), headline)


def packed(facts: Sequence[str], separator: str, width: int) -> list[str]:
    """The facts in as few lines of that width as hold them, none of them broken if it fits."""
    lines: list[str] = []
    for fact in facts:
        if lines and len(lines[-1]) + len(separator) + len(fact) <= width:
            lines[-1] += separator + fact
        else:
            lines.append(fact)
    return lines


def _pair(first: str, second: str) -> RenderableType:
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.add_column()
    grid.add_column(justify="right")
    grid.add_row(Text(first), Text(second, style="bold"))
    return grid


def _is_stderr_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()
