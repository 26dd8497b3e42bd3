"""The plan as a runbook, to be attached to a change request: each step with the command or the statement as it is typed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from shlex import quote

from osc.mysql.sql import qualified
from osc.plan.findings import Finding
from osc.progress.text import duration, number, printable
from osc.report.command import (
    PANIC,
    PAUSE,
    POSTPONE,
    aside_name,
    cleanup_command,
    command,
    flag_file,
    rollback_statement,
    start_command,
)
from osc.report.finish import clock
from osc.report.plan import Changes, Plan
from osc.report.text import (
    PHASES,
    STRATEGIES,
    blocker_lines,
    column_line,
    cost_lines,
    how_details,
    size,
    spread,
    traffic_lines,
)


def render_markdown(plan: Plan) -> str:
    """The runbook, with a final line break."""
    sections = [
        _summary(plan),
        _what(plan.changes),
        _how_long(plan),
        _risk(plan),
        _before(plan),
        *(_native_steps(plan) if plan.how.is_native else _copy_steps(plan)),
        _sign_off(),
    ]
    return printable("\n\n".join(section for section in sections if section) + "\n")


# --- what is decided ----------------------------------------------------------------------------------------------


def _summary(plan: Plan) -> str:
    table = plan.table
    time = "not estimated"
    if plan.estimate is not None:
        total = plan.estimate.chosen.total
        time = f"{spread(total)}, at impact {plan.estimate.chosen.impact}"
    elif plan.how.strategy in ("instant", "inplace-metadata"):
        time = "well below a second, once it has the table's metadata lock"
    rows = [
        (
            "Table",
            f"`{table.database}.{table.name}`, about {number(table.rows)} rows, {size(table.data_bytes + table.index_bytes)}",
        ),
        ("Server", f"{plan.server.title} at `{plan.server.place}`"),
        ("Change", _code(plan.alter)),
        ("How", f"{STRATEGIES.get(plan.how.strategy, plan.how.strategy)}: {plan.how.why}"),
        *(("", line) for line in how_details(plan.how)),
        ("Time", time),
        ("Application", _application(plan)),
        ("Verdict", "**would be refused**, see Risk" if plan.is_blocked else "can start"),
        ("Planned", f"{plan.made_at:%Y-%m-%d %H:%M %Z}, osc {plan.osc_version}"),
    ]
    return f"# Runbook: alter {_code(f'{table.database}.{table.name}')}\n\n" + _table(("", ""), rows)


def _application(plan: Plan) -> str:
    if not plan.how.is_native:
        return "goes on reading and writing; writers wait for milliseconds at the swap"
    return "goes on reading and writing, but for a moment in which the table's metadata lock is taken"


def _what(changes: Changes) -> str:
    lines = [
        *(f"added: {_code(column_line(one))}" for one in changes.added),
        *(f"dropped: {_code(column_line(one))}" for one in changes.dropped),
        *(f"changed: {_code(column_line(one))}" for one in changes.changed),
        *(f"index added: {_code(line)}" for line in changes.indexes_added),
        *(f"index dropped: {_code(line)}" for line in changes.indexes_dropped),
        *(f"table options: {_code(before)} becomes {_code(after)}" for before, after in changes.options),
    ]
    if changes.indexes_deferred:
        lines.append(f"built after the copy, in one statement: {_code(', '.join(changes.indexes_deferred))}")
    return "## What changes\n\n" + _list(lines or ["nothing but that the table is rebuilt"])


def _how_long(plan: Plan) -> str:
    if plan.estimate is None:
        return ""
    estimate = plan.estimate
    rows = [
        (
            f"**{one.impact}**" if one is estimate.chosen else one.impact,
            *(duration(seconds) for seconds in (one.total.p10_s, one.total.p50_s, one.total.p90_s)),
            clock(plan, one.total.p50_s),
        )
        for one in estimate.at_impacts
    ]
    phases = [(PHASES[name], spread(value)) for name, value in estimate.chosen.phases]
    notes = [*traffic_lines(plan), *estimate.doubts, *(cost_lines(plan.costs) if plan.costs is not None else ())]
    return "\n\n".join(
        (
            "## How long, at what cost",
            _table(("`--impact`", "p10", "p50", "p90", "done by, if started when planned"), rows),
            _table(("phase", "p50 (p10 to p90)"), phases),
            _list(notes),
        )
    )


def _risk(plan: Plan) -> str:
    parts = ["## Risk"]
    if plan.findings:
        parts += [_finding(finding) for finding in plan.findings]
    else:
        parts.append("Nothing was found.")
    if plan.blockers:
        parts += ["In the way of a swap when this was planned:", _list(blocker_lines(plan))]
    if plan.unknown:
        parts += ["Not known:", _list(plan.unknown)]
    return "\n\n".join(parts)


def _finding(finding: Finding) -> str:
    text = f"- **{finding.level}: {_plain(finding.title)}** (`{finding.code}`)"
    if finding.detail:
        text += "\n" + "\n".join(f"  {_plain(line)}" for line in finding.detail.splitlines())
    if finding.fix:
        text += "\n\n" + _indented(_block("", finding.fix))
    return text


# --- the steps ----------------------------------------------------------------------------------------------------


def _before(plan: Plan) -> str:
    table = qualified(plan.table.database, plan.table.name)
    boxes = [
        "[ ] This runbook was read by a second person",
        "[ ] A backup exists that was restored at least once",
        "[ ] Nobody else changes the schema of the table, and no backup takes locks, until the end",
    ]
    if plan.costs is not None:
        boxes.append(
            f"[ ] {size(plan.costs.disk_bytes)} of disk for the new table and {size(plan.costs.binlog_bytes)} for "
            "the binlog are "
            "free on the server, and on each replica"
        )
    boxes += [f"[ ] {finding.level}: {_plain(finding.title)}" for finding in plan.findings if finding.level != "note"]
    return "\n\n".join(
        (
            "## Before",
            _list(boxes),
            "The password is not in the commands: put it into `~/.my.cnf` or into `MYSQL_PWD`. Plan again on the "
            "day; it must end"
            " with exit code 0:",
            _block("sh", command(plan, "plan")),
            "Keep what the table looked like:",
            _block("sql", f"SHOW CREATE TABLE {table};"),
        )
    )


def _copy_steps(plan: Plan) -> list[str]:
    steps = (_start(plan), _during(plan), _swap(plan), _after(plan), _roll_back(plan), _clean_up(plan))
    return ["\n\n".join(parts) for parts in steps]


def _start(plan: Plan) -> list[str]:
    return [
        "## Start",
        "With the swap held back until somebody releases it:",
        _block("sh", f"touch {quote(flag_file(plan, POSTPONE))}\n{start_command(plan)}"),
        "Run it in `screen` or `tmux`. Without a terminal it prints a line every few seconds.",
    ]


def _during(plan: Plan) -> list[str]:
    pause, panic = (flag_file(plan, option) for option in (PAUSE, PANIC))
    return [
        "## During",
        "It shows the phase, rows a second, the pace and why, the keys that wait to be reconciled, the replicas' lag. Look at:",
        _list(
            [
                "the application's latency, and errors 1205 and 1213: `--impact` bounds what commits may cost",
                "`throttled` and `waiting for` in the display: why it does not go on",
                "keys pending that only grow: rows are written faster than they can be reconciled",
                "free disk space on the server and its replicas; the replicas' lag",
            ]
        ),
        "Pause, and go on:",
        _block("sh", f"touch {quote(pause)}"),
        _block("sh", f"rm -f {quote(pause)}"),
        "Stop for now: Ctrl-C, or `kill` with the process's id. The checkpoint stays, and the command of Start "
        "goes on from it.",
        "Give up and remove what was made; the table is as it was:",
        _block("sh", f"touch {quote(panic)}"),
        f"Remove `{panic}` before the next start.",
    ]


def _swap(plan: Plan) -> list[str]:
    return [
        "## Swap",
        "When the display says that it is ready and waits for the file, all rows are copied and verified. Look for "
        "transactions that have been open for long, then release the swap:",
        _block("sh", f"rm -f {quote(flag_file(plan, POSTPONE))}"),
        "The run ends with `swapped` and exit code 0. With exit code 5 the same command goes on; with any other, "
        "stop and read.",
    ]


def _after(plan: Plan) -> list[str]:
    return [
        "## Verify",
        "Every row was compared before the swap. Look at the new schema, and at the application:",
        _block("sql", f"SHOW CREATE TABLE {qualified(plan.table.database, plan.table.name)};"),
    ]


def _drops_the_old_table(plan: Plan) -> bool:
    return bool(plan.options.get("--ok-to-drop-table"))


def _roll_back(plan: Plan) -> list[str]:
    lines = ["## Roll back", "Before the swap: give up, as above. The table was never touched."]
    if _drops_the_old_table(plan):
        return [*lines, "After the swap: not with this plan, since `--ok-to-drop-table` drops the old table."]
    if plan.options.get("--timestamp-old-table"):
        lines.append("The old table's name carries the time of the start; the end of the run tells it.")
    old, aside = (qualified(plan.table.database, name) for name in (plan.names["old"], aside_name(plan)))
    return [
        *lines,
        f"After the swap: **rows written since the swap are in the new table alone.** {old} has the rows as they were at the "
        "swap; whoever rolls back loses the later writes, unless they are carried over by hand. Stop the application's "
        "writes first, then:",
        _block("sql", rollback_statement(plan)),
        f"The new table is then {aside}. Keep it until its writes are carried over.",
    ]


def _clean_up(plan: Plan) -> list[str]:
    lines = [
        "## Clean up",
        "List what is left of this migration and of earlier plans:",
        _block("sh", cleanup_command(plan)),
    ]
    if not _drops_the_old_table(plan):
        lines += [
            "When nobody will roll back any more, drop the old table:",
            _block("sh", cleanup_command(plan, "--ok-to-drop-table", "--execute")),
        ]
    return lines


def _native_steps(plan: Plan) -> list[str]:
    table = qualified(plan.table.database, plan.table.name)
    start = [
        "## Start",
        "The server changes the table itself. **There will be no old table.** It waits for the table's metadata "
        "lock a short time, and tries again: transactions that use the table keep it waiting.",
        _block("sh", command(plan, "migrate", "--yes")),
    ]
    after = ["## Verify", _block("sql", f"SHOW CREATE TABLE {table};")]
    back = [
        "## Roll back",
        "There is no old table to go back to. Rows written since then have the new schema: a column that was dropped is "
        "gone, and what was added is lost by the opposite `ALTER`, which is a change of its own and needs a plan of its own.",
    ]
    return ["\n\n".join(part) for part in (start, after, back)]


def _sign_off() -> str:
    people = ("Planned by", "Reviewed by", "Carried out by", "Verified by")
    return "## Sign-off\n\n" + _table(("", "name", "date and time"), [(who, "", "") for who in people])


# --- Markdown -----------------------------------------------------------------------------------------------------


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_plain(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {_plain(line)}" for line in lines)


def _block(language: str, text: str) -> str:
    """A fenced block, whatever the text has of backticks at the start of its lines."""
    fence = "````" if "```" in text else "```"
    return f"{fence}{language}\n{text}\n{fence}"


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _code(text: str) -> str:
    """The text as code within a line, whatever backticks it has."""
    text = _plain(text)
    fence = "``" if "`" in text else "`"
    return f"{fence} {text} {fence}" if "`" in text else f"`{text}`"


def _plain(text: str) -> str:
    return " ".join(text.split())
