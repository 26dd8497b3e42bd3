"""The plan for a person at a terminal: the answer first, the details below."""

from __future__ import annotations

from collections.abc import Iterable
from io import StringIO

from humanize import naturalsize
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from osc.estimate.model import Estimate, PhaseName, Spread
from osc.plan.findings import render_findings
from osc.progress.text import duration, number, printable
from osc.report.finish import clock
from osc.report.plan import Changes, ColumnChange, Costs, How, Plan

WIDTH = 100

PHASES: dict[PhaseName, str] = {
    "prepare": "prepare and start",
    "copy": "copy all rows",
    "verify": "verify all rows",
    "indexes": "build indexes, beyond that",
    "swap": "swap",
}
STRATEGIES = {
    "unknown": "not known; if nothing else is possible, by a copy, verified and swapped in",
    "copy": "a copy, verified and swapped in",
    "instant": "instantly, by the server itself (ALGORITHM=INSTANT)",
    "inplace-metadata": "by the server itself, in place; no row is read",
    "inplace-build": "by the server itself, in place: indexes are built from all rows",
    "inplace-rebuild": "by the server itself, in place: the table is rebuilt",
}


def render_text(plan: Plan, is_terminal: bool = False) -> str:
    """The plan as text; with colours for a terminal."""
    out = StringIO()
    console = Console(file=out, width=WIDTH, force_terminal=is_terminal, highlight=False, soft_wrap=False)
    _answer(console, plan)
    _findings(console, plan)
    _what(console, plan.changes)
    _how(console, plan)
    if plan.estimate is not None:
        _how_long(console, plan, plan.estimate)
    if plan.costs is not None:
        _costs(console, plan.costs)
    _blockers(console, plan)
    _unknown(console, plan)
    return out.getvalue()


def size(bytes_: float) -> str:
    """`1.2 GiB`."""
    return str(naturalsize(bytes_, binary=True))


def spread(value: Spread) -> str:
    """`3 m 05 s (2 m 40 s to 4 m 10 s)`."""
    return f"{duration(value.p50_s)} ({duration(value.p10_s)} to {duration(value.p90_s)})"


def column_line(change: ColumnChange) -> str:
    """One column's change in one line."""
    name = f"{change.name}, from now on {change.new_name}" if change.new_name else change.name
    types = " -> ".join(part for part in (change.before, change.after) if part)
    types = change.after if change.before == change.after else types
    details = ": ".join(part for part in (types, change.conversion) if part)
    return f"{name}: {details}" if details else name


# --- the parts ----------------------------------------------------------------------------------------------------


def _answer(console: Console, plan: Plan) -> None:
    table = plan.table
    facts = f"about {number(table.rows)} rows, {size(table.data_bytes + table.index_bytes)}"
    grid = _grid()
    grid.add_row("table", _safe(f"{table.database}.{table.name}, {facts}"))
    grid.add_row("server", _safe(f"{plan.server.title} at {plan.server.place}"))
    grid.add_row("alter", _safe(plan.alter))
    grid.add_row("how", _safe(STRATEGIES.get(plan.how.strategy, plan.how.strategy)))
    grid.add_row("time", _safe(_time(plan)))
    if plan.costs is not None:
        costs = f"{size(plan.costs.disk_bytes)} of disk, {size(plan.costs.binlog_bytes)} of binlog"
        grid.add_row("takes", _safe(costs))
    grid.add_row("verdict", _verdict(plan))
    console.print(grid)


def _time(plan: Plan) -> str:
    if plan.estimate is None:
        if plan.how.strategy in ("instant", "inplace-metadata"):
            return "well below a second, once it has the table's metadata lock"
        return "not known, see below"
    chosen = plan.estimate.chosen
    until = f"until {clock(plan, chosen.total.p50_s)} if started now"
    thin = "; it rests on too little, see below" if plan.estimate.is_thin else ""
    return f"{spread(chosen.total)}, {until}; mostly to {PHASES[chosen.dominated_by]}{thin}"


def _verdict(plan: Plan) -> str:
    counts = {level: sum(1 for f in plan.findings if f.level == level) for level in ("blocking", "warning", "note")}
    rest = ", ".join(
        f"{count} {level}{'s' if count != 1 else ''}"
        for level, count in counts.items()
        if count and level != "blocking"
    )
    if counts["blocking"]:
        reasons = "one reason" if counts["blocking"] == 1 else f"{counts['blocking']} reasons"
        return f"[bold red]would be refused[/], for {reasons}" + (f"; {rest}" if rest else "")
    return "[bold green]can start[/]" + (f"; {rest}" if rest else "")


def _findings(console: Console, plan: Plan) -> None:
    if plan.findings:
        _head(console, "What could go wrong")
        console.print(_safe(render_findings(plan.findings)), soft_wrap=True)


def _what(console: Console, changes: Changes) -> None:
    _head(console, "What will happen")
    lines = [
        *(f"+ column {column_line(one)}" for one in changes.added),
        *(f"- column {column_line(one)}" for one in changes.dropped),
        *(f"~ column {column_line(one)}" for one in changes.changed),
        *(f"+ {line}" for line in changes.indexes_added),
        *(f"- {line}" for line in changes.indexes_dropped),
        *(f"~ table {before} -> {after}" for before, after in changes.options),
    ]
    if changes.indexes_deferred:
        lines.append(f"built after the copy, in one statement: {', '.join(changes.indexes_deferred)}")
    if changes.is_read_from_statement:
        lines.append("as the statement reads; the server was not asked")
    _lines(console, lines or ["the table is rebuilt as it is"])


def _how(console: Console, plan: Plan) -> None:
    _head(console, "How")
    how, table = plan.how, plan.table
    lines = [f"{STRATEGIES.get(how.strategy, how.strategy)}: {how.why}"]
    lines += how_details(how)
    if table.key:
        temporary = "; the new table has an index for it until the swap" if table.key_is_temporary else ""
        lines.append(f"migration key {table.key}{temporary}")
    marks = [mark for mark, has in (("partitioned", table.is_partitioned), ("encrypted", table.is_encrypted)) if has]
    lines.append(", ".join([f"{table.columns} columns, {table.indexes} indexes", *marks]))
    readers = plan.server.replicas
    lines.append("who reads the binlog is not known" if readers is None else f"{readers} session(s) read the binlog")
    lines.append(", ".join(f"{name}={value}" for name, value in plan.server.settings.items() if len(value) < 30))
    _lines(console, lines)


def how_details(how: How) -> list[str]:
    """What else there is to say of the way."""
    found = [f"statement: {how.statement}"] if how.statement else []
    if how.possible_inplace:
        found.append(
            f"--allow-inplace would let the server do it: {STRATEGIES.get(how.possible_inplace, how.possible_inplace)}"
        )
    if how.price:
        found.append(f"its price: {how.price}")
    found += [f"{algorithm}: {reason}" for algorithm, reason in how.refused]
    if how.row_versions:
        found.append(how.row_versions)
    return found


def _how_long(console: Console, plan: Plan, estimate: Estimate) -> None:
    _head(console, "How long")
    grid = Grid(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    grid.add_column("  --impact")
    for title in ("p10", "p50", "p90", "done by", "pace"):
        grid.add_column(title, justify="right")
    for one in estimate.at_impacts:
        mark = "> " if one.impact == estimate.chosen.impact else "  "
        times = [duration(seconds) for seconds in (one.total.p10_s, one.total.p50_s, one.total.p90_s)]
        grid.add_row(mark + one.impact, *times, clock(plan, one.total.p50_s), f"{one.level:.0%}")
    console.print(grid)
    _lines(console, [f"{PHASES[name]}: {spread(value)}" for name, value in estimate.chosen.phases])
    measured = plan.measured
    if measured is not None:
        others = "others are active" if measured.load.is_active else "nobody else is active"
        _lines(
            console,
            [
                f"measured: {number(measured.rows)} rows from {measured.regions} places in {duration(measured.took_s)}, "
                f"{others}; {number(estimate.rows_per_s)} rows/s expected",
                *traffic_lines(plan),
                *estimate.doubts,
            ],
        )


def traffic_lines(plan: Plan) -> list[str]:
    """What the application writes, if that is known."""
    traffic = None if plan.measured is None else plan.measured.traffic
    if traffic is None:
        return []
    return [
        f"the application changes {number(traffic.table_rows_s)} rows of the table a second "
        f"(seen over {duration(traffic.watched_s)} of the binlog)"
    ]


def cost_lines(costs: Costs) -> list[str]:
    """What it takes besides time, a line each."""
    basis = "by the sample" if costs.is_measured else "as large as the original"
    lines = [
        f"disk: {size(costs.ghost_data_bytes)} of rows and {size(costs.ghost_index_bytes)} of indexes for the new table, "
        f"{basis}; the old one stays until it is dropped",
        f"binlog: about {size(costs.binlog_bytes)}, besides what the application writes",
    ]
    if costs.temporary_bytes:
        lines.append(
            f"temporary space: up to {size(costs.temporary_bytes)}, to sort the indexes (innodb_tmpdir, tmpdir)"
        )
    delay = "" if costs.replica_delay_s is None else f"about {duration(costs.replica_delay_s)} behind; "
    lines.append(f"replicas: {delay}{costs.replica_delay_why}")
    kept = costs.binlog_retention_s
    lines.append("binlog kept until somebody purges it" if kept is None else f"binlog kept for {duration(kept)}")
    return lines


def blocker_lines(plan: Plan) -> list[str]:
    """Who is in the way right now, a line each."""
    return [
        f"connection {one.session} ({one.who}): {one.what}"
        + ("" if one.age_s is None else f", {one.age_s} s")
        + (f", running {one.statement}" if one.statement else ", idle")
        for one in plan.blockers
    ]


def _costs(console: Console, costs: Costs) -> None:
    _head(console, "What it costs")
    _lines(console, cost_lines(costs))


def _blockers(console: Console, plan: Plan) -> None:
    if plan.blockers:
        _head(console, "In the way of a swap right now")
        _lines(console, blocker_lines(plan))


def _unknown(console: Console, plan: Plan) -> None:
    if plan.unknown:
        _head(console, "What this plan does not know")
        _lines(console, plan.unknown)


def _grid() -> Grid:
    grid = Grid.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column()
    return grid


def _head(console: Console, title: str) -> None:
    console.print(f"\n[bold]{title}[/]")


def _lines(console: Console, lines: Iterable[str]) -> None:
    grid = Grid.grid()
    grid.add_column(width=2)
    grid.add_column()
    for line in lines:
        grid.add_row("", _safe(line))
    console.print(grid)


def _safe(text: str) -> str:
    return escape(printable(text))
