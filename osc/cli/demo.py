"""`osc demo`: shows a migration of a busy table on a throwaway server, and what its writers noticed of it."""

from __future__ import annotations

import math
import shlex

import click
from rich import box
from rich.console import Console
from rich.table import Table

from osc.control.stop import StopRequest, stop_on_signals
from osc.errors import EXIT_CODES
from osc.progress.text import milliseconds
from osc.sandbox.demo import DATABASE, DEFAULT_ALTER, TABLE, DemoOptions, DemoResult, run_demo
from osc.sandbox.distributions import server_names
from osc.sandbox.latency import LatencySummary
from osc.sandbox.servers import LocalServer


@click.command()
@click.option("--rows", type=click.IntRange(1), default=300_000, show_default=True, help="Rows of the table at first.")
@click.option("--writers", type=click.IntRange(1, 64), default=4, show_default=True, help="Processes that write to it.")
@click.option("--alter", default=DEFAULT_ALTER, show_default=True, metavar="SQL", help="What to change.")
@click.option("--server", type=click.Choice(server_names()), help="Which server.  [default: the quickest to get]")
@click.option(
    "--rate",
    type=click.FloatRange(0),
    default=40,
    show_default=True,
    help="Transactions a second of each writer; 0 is as many as it can.",
)
@click.option("--keep", is_flag=True, help="Keep the server at the end, to look around, until Ctrl-C.")
def demo(rows: int, writers: int, alter: str, server: str | None, rate: float, keep: bool) -> int:
    """See a migration of a busy table on a throwaway server.

    A server is started on this machine for the demo alone and removed at its end. Processes insert, update, delete and
    change keys while `osc migrate` alters their table. In the end the table is compared, row for row, with what they
    committed.
    """
    console = Console(highlight=False, soft_wrap=True)
    stop = StopRequest()
    options = DemoOptions(rows, writers, rate or None, alter, server)
    problems: tuple[str, ...] = ()

    def say(text: str) -> None:
        console.print(text, style="dim", markup=False)

    def at_end(local: LocalServer, result: DemoResult) -> None:
        nonlocal problems
        problems = result.problems
        show_result(console, result)
        if keep:
            client = [str(local.installed.bin / "mysql"), f"--socket={local.socket}", "--user=root", DATABASE]
            console.print(f"\nThe server is still there, until Ctrl-C:\n  {shlex.join(client)}", markup=False)
            stop.wait()

    with stop_on_signals(stop, lambda _: say("stopping the demo: its writers and its server end, nothing is left")):
        run_demo(options, say, stop, at_end)
    return EXIT_CODES["failed"] if problems else 0


def show_result(console: Console, result: DemoResult) -> None:
    """Everything that a person wants to know of a run."""
    console.print()
    console.print(_latency_table(result))
    facts = fact_lines(result)
    width = max(len(label) for label, _ in facts)
    for label, text in facts:
        console.print(f"{label:{width}}  {text}", markup=False)
    for problem in result.problems:
        console.print(f"\nWRONG: {problem}", style="bold red", markup=False)


def fact_lines(result: DemoResult) -> list[tuple[str, str]]:
    """The facts beside the latencies: a label and a text each."""
    migration, work = result.migration, result.work
    lines = [
        ("server", result.server),
        ("rows", f"{migration.rows_copied:,} copied, {migration.rows_verified:,} verified"),
        ("changed meanwhile", f"{migration.keys_reconciled:,} keys reconciled"),
        ("time", f"{migration.duration_s:.1f} s, from the command to its end"),
    ]
    if result.swap is not None:
        slowest, gap = milliseconds(result.swap.slowest_ms), milliseconds(result.swap.gap_ms)
        lines += [
            ("swap, by the tool", f"{milliseconds(result.swap.tool_stall_ms)} from asking for the lock to its release"),
            ("swap, by the writers", f"{slowest} the slowest transaction, {gap} without any that ended"),
        ]
    retried = sum(work.retryable.values())
    lines += [
        ("writers", f"{work.transactions:,} transactions committed, {work.rows_changed:,} rows changed"),
        (
            "their errors",
            f"{len(work.errors)}; besides, {retried} deadlocks and lock waits, as happen without a migration",
        ),
        ("final table", str(result.comparison) + (", byte for byte" if result.comparison.equal else "")),
    ]
    return lines


def _latency_table(result: DemoResult) -> Table:
    title = f"How long the transactions of the writers of {DATABASE}.{TABLE} took"
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for heading in ("", "number", "a second", "p50", "p95", "p99", "slowest"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    spans = [("before", result.before), ("during", result.during)]
    spans += [("at the swap", result.swap.writers)] if result.swap is not None else []
    for label, summary in [*spans, ("after", result.after)]:
        table.add_row(label, f"{summary.transactions:,}", *_cells(summary, rate=label != "at the swap"))
    return table


def _cells(summary: LatencySummary, rate: bool) -> list[str]:
    times = (summary.p50_ms, summary.p95_ms, summary.p99_ms, summary.worst_ms)
    per_second = f"{summary.per_second:,.0f}" if rate else ""
    return [per_second, *("-" if math.isnan(value) else milliseconds(value) for value in times)]
