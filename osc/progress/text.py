"""The words in which a person reads a migration, shared by the live display and the plain lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from humanize import intcomma

from osc.progress.report import JsonValue, Result, Status

QUIET_EVENTS = frozenset({"phase", "checkpoint", "status", "finished"})
"""Events that the human renderers do not turn into a line: shown otherwise, or only of use to a program."""

WORTH_TELLING_S = 0.5
TOLD_AT = (0.1, 0.5, 0.9)
"""The parts of the way whose estimates the summary tells; the JSON has all of them."""

_SUMMARIES = {
    "swapped": "swapped: {table} has its new schema",
    "altered": "altered: {table} has its new schema; the server did it itself, no copy was needed",
    "failed": "failed: {table} is as it was",
    "refused": "refused: nothing was touched",
    "aborted": "aborted: {table} is as it was",
    "differences": "differences found: {table} is as it was, and the copy was not swapped in",
    "interrupted": "stopped: {table} is as it was",
}


def printable(text: str) -> str:
    """The text with control characters shown rather than obeyed: a table's name must not drive a terminal."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\n" else f"\\x{ord(char):02x}" for char in text)


def number(value: float) -> str:
    """`1,234,567`."""
    return str(intcomma(round(value)))


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 m 05 s`, `2 h 04 m`, `3 d 02 h`."""
    if seconds < 9.95:
        return f"{max(seconds, 0.0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} m {whole % 60:02} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} m"
    return f"{whole // 86400} d {whole % 86400 // 3600:02} h"


def milliseconds(value: float) -> str:
    """`4.2 ms`, `71 ms`, `1,250 ms`."""
    return f"{value:.1f} ms" if value < 9.95 else f"{number(value)} ms"


def percent(status: Status) -> float | None:
    """How much of the phase at hand is done, 0 to 100; None where it has no measure.

    While rows are being copied it stays under 100: the total is the server's estimate, and may be too low.
    """
    if status.phase == "copy" and status.rows_estimated is not None:
        return min(100.0 * status.rows_copied / max(status.rows_estimated, 1), 99.0)
    if status.phase == "verify" and status.verify_total is not None:
        return min(100.0 * status.rows_verified / max(status.verify_total, 1), 100.0)
    if status.phase in ("ready", "cut-over", "done"):
        return 100.0
    return None


def rows(status: Status) -> str:
    """`186,000 of about 300,000 rows copied`, for the phase at hand."""
    if status.phase == "copy":
        if status.rows_estimated is None or status.rows_copied > status.rows_estimated:
            return f"{number(status.rows_copied)} rows copied"
        return f"{number(status.rows_copied)} of about {number(status.rows_estimated)} rows copied"
    if status.phase == "verify":
        total = "" if status.verify_total is None else f" of {number(status.verify_total)}"
        return f"{number(status.rows_verified)}{total} rows verified"
    if status.phase in ("ready", "cut-over") or (status.phase == "done" and status.rows_estimated is not None):
        return f"{number(status.rows_copied)} rows copied, {number(status.rows_verified)} verified"
    return ""


def speed(status: Status) -> str:
    """`24,310 rows/s`; empty where nothing is being counted."""
    if status.phase not in ("copy", "verify") or not status.rate_rows_s:
        return ""
    return f"{number(status.rate_rows_s)} rows/s"


def left(status: Status) -> str:
    """`about 12 m left`, until everything is done; empty while nothing sensible can be said."""
    if status.eta_s is None or status.phase == "done":
        return ""
    if status.phase in ("ready", "cut-over"):
        return "only the swap is left"
    text = "less than a second left" if status.eta_s < 1 else f"about {about(status.eta_s)} left"
    return f"{text} once it may go on" if status.is_held else text


def about(seconds: float) -> str:
    """`7 s`, `45 s`, `3 m 20 s`, `12 m`, `2 h 05 m`: as exact as a forecast can be, so that it does not flicker."""
    for below_s, step_s in ((20, 1), (60, 5), (600, 10), (3600, 60)):
        rounded_s = round(seconds / step_s) * step_s
        if rounded_s < below_s:
            break
    else:
        rounded_s = round(seconds / 300) * 300
    return f"{rounded_s} s" if rounded_s < 60 else duration(rounded_s).removesuffix(" 00 s").removesuffix(" 00 m")


def details(status: Status) -> list[str]:
    """What else an operator watches: chunks, workers, the pending set, the tail."""
    found = []
    if status.phase == "copy" and status.chunk_rows and status.chunk_ms:
        found.append(f"chunks of {number(status.chunk_rows)} rows in {milliseconds(status.chunk_ms)}")
    if status.phase in ("copy", "verify") and status.workers:
        found.append(f"{status.workers} worker{'s' if status.workers != 1 else ''}")
    if status.phase not in ("preflight", "prepare", "alter", "done"):
        found.append(f"{number(status.pending_keys)} keys pending, {number(status.keys_reconciled)} reconciled")
    if status.phase in ("copy", "verify") and status.pace is not None and status.pace_reason:
        found.append(f"pace {status.pace:.0%}: {printable(status.pace_reason)}")
    if status.tail_lag_s is not None and status.phase != "done":
        lag = milliseconds(status.tail_lag_s * 1000) if status.tail_lag_s < 1 else duration(status.tail_lag_s)
        found.append(f"tail {lag} behind")
    if status.proof_age_s is not None and status.phase in ("ready", "cut-over"):
        found.append(f"verified {duration(status.proof_age_s)} ago")
    return found


def obstacles(status: Status) -> list[str]:
    """Why it does not go on, or not at full speed."""
    found = []
    if status.throttled_by:
        found.append(f"throttled: {printable(status.throttled_by)}")
    if status.waiting_for:
        found.append(f"waiting for {printable(status.waiting_for)}")
    return found


def status_line(status: Status) -> str:
    """All of it in one line."""
    share = percent(status)
    done = "" if share is None or status.phase not in ("copy", "verify") else f"{share:.0f}%"
    parts = [part for part in (done, rows(status), speed(status), left(status)) if part]
    return f"[{duration(status.elapsed_s)}] {status.phase}: " + "; ".join(
        [", ".join(parts) or "under way", *details(status), *obstacles(status)]
    )


def event_lines(name: str, fields: Mapping[str, JsonValue]) -> list[str]:
    """What a person reads of an event; nothing for those that are shown otherwise."""
    if name in QUIET_EVENTS:
        return []
    match name:
        case "started":
            verb = "going on with" if fields.get("resumed") else "altering"
            server = f" on {fields['server']}" if fields.get("server") else ""
            key = f", by its key {_listed(fields['key'])}" if fields.get("key") else ""
            lines = [f"{verb} {fields.get('database')}.{fields.get('table')}{server}{key}"]
            lines += [f"alter: {fields['alter']}"] if fields.get("alter") else []
            deferred = fields.get("deferred_indexes")
            lines += [f"the server does it itself: {fields['statement']}"] if fields.get("statement") else []
            lines += ["there will be no old table"] if fields.get("statement") else []
            lines += [f"indexes built after the copy: {_listed(deferred)}"] if deferred else []
            planned = fields.get("planned")
            lines += [f"planned to take {_spread(planned)}"] if isinstance(planned, Mapping) else []
        case "estimate":
            whole, share = fields.get("total_s"), fields.get("done")
            assert isinstance(whole, int | float)
            assert isinstance(share, int | float)
            lines = [f"estimated at {share:.0%}: {duration(whole)} in all"]
        case "preflight":
            findings = fields.get("findings")
            listed = findings if isinstance(findings, Sequence) and not isinstance(findings, str) else []
            # The others are told otherwise: warnings as such, reasons not to start by the error that they end in.
            lines = [
                f"note: {_with_detail(finding)}"
                for finding in listed
                if isinstance(finding, Mapping) and finding.get("level") == "note"
            ]
        case "throttled":
            lines = [f"throttled: {fields.get('reason')}"]
        case "unthrottled":
            reason = f" ({fields['reason']} is over)" if fields.get("reason") else ""
            lines = [f"no longer throttled{reason}"]
        case "range_differs":
            lines = [f"a range differs and is looked into: {_pairs(fields)}"]
        case "cut_over_attempt":
            stall = fields.get("stall_ms")
            held = f", writers waited at most {milliseconds(stall)}" if isinstance(stall, int | float) else ""
            why = f": {fields['reason']}" if fields.get("reason") else ""
            lines = [f"cut-over attempt {fields.get('number')} {fields.get('outcome')}{held}{why}"]
        case "alter_attempt":
            took = fields.get("duration_ms")
            after = f" after {milliseconds(took)}" if isinstance(took, int | float) else ""
            why = f": {fields['reason']}" if fields.get("reason") else ""
            lines = [f"attempt {fields.get('number')} {fields.get('outcome')}{after}{why}"]
        case _:
            pairs = _pairs(fields)
            lines = [f"{name}: {pairs}" if pairs else name]
    return [printable(line) for line in lines]


def summary_lines(result: Result, database: str | None, table: str | None) -> list[tuple[str, str]]:
    """The end of it as pairs of a label and a text; the first one, without a label, is the headline."""
    whole_name = f"{database}.{table}" if database and table else "the table"
    lines = [("", _SUMMARIES[result.outcome].format(table=whole_name))]
    if result.rows_copied or result.rows_verified:
        moved = f"{number(result.rows_copied)} copied, {number(result.rows_verified)} verified"
        lines.append(("rows", f"{moved}, {number(result.keys_reconciled)} changed keys reconciled"))
    if result.rows_changed_by_conversion is not None:
        lines.append(("conversion", f"{number(result.rows_changed_by_conversion)} rows lost something of their values"))
    if result.duration_s and result.outcome != "refused":
        parts = (("copy", result.copy_s), ("verify", result.verify_s))
        phases = [f"{label} {duration(value)}" for label, value in parts if value]
        waited = f", {duration(result.waited_s)} of it waiting" if result.waited_s >= WORTH_TELLING_S else ""
        lines.append(("time", duration(result.duration_s) + (f" ({', '.join(phases)})" if phases else "") + waited))
        lines += _estimate_lines(result)
    if result.alter_ms is not None:
        lines.append(("statement", f"took {milliseconds(result.alter_ms)}; there is no old table"))
    lines += _swap_lines(result)
    if result.old_table:
        where = f"{database}.{result.old_table}" if database else result.old_table
        lines.append(("old table", f"kept as {where}; drop it when nothing needs it any more"))
    if result.left_behind:
        prefix = f"{database}." if database else ""
        lines.append(("left behind", ", ".join(prefix + name for name in result.left_behind)))
    steps = next_steps(result, database, table)
    lines += [("" if index else "next", step) for index, step in enumerate(steps)]
    return [(label, printable(text)) for label, text in lines]


def next_steps(result: Result, database: str | None, table: str | None) -> list[str]:
    """What the operator can do now, as commands where there is one."""
    steps = []
    if result.resumable:
        steps.append("run the same command again to go on from the checkpoint")
    if result.left_behind:
        target = f" --database {database} --table {table}" if database and table else ""
        steps.append(f"{'or ' if steps else ''}osc cleanup{target} --execute to remove what was left behind")
    return steps


def _estimate_lines(result: Result) -> list[tuple[str, str]]:
    """What was foretold, to be held against the time less what was waited."""
    planned = [] if result.planned is None else [f"planned {_spread(asdict(result.planned))}"]
    course = {point.done: point for point in result.eta_course}
    shown = dict.fromkeys([*list(course)[:1], *(done for done in TOLD_AT if done in course)])
    learned = [f"at {done:.0%} {duration(course[done].total_s)}" for done in shown]
    return [("estimate", ", ".join([*planned, *learned]))] if planned or learned else []


def _spread(planned: Mapping[str, JsonValue]) -> str:
    """`1 m 20 s (1 m 05 s to 1 m 50 s)`."""
    low, middle, high = (duration(float(str(planned[name]))) for name in ("p10_s", "p50_s", "p90_s"))
    return f"{middle} ({low} to {high})"


def _swap_lines(result: Result) -> list[tuple[str, str]]:
    lines = []
    attempts = len(result.cut_over_attempts)
    if result.cut_over_stall_ms is not None:
        tries = f", at attempt {attempts}" if attempts > 1 else ""
        lines.append(("swap", f"writers waited at most {milliseconds(result.cut_over_stall_ms)}{tries}"))
    for attempt in result.cut_over_attempts:
        if attempt.outcome == "failed":
            why = f": {attempt.reason}" if attempt.reason else ""
            lines.append(("", f"attempt {attempt.number} gave up after {milliseconds(attempt.stall_ms)}{why}"))
    return lines


def _listed(value: JsonValue) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(str(item) for item in value)
    return str(value)


def _pairs(fields: Mapping[str, JsonValue]) -> str:
    return ", ".join(f"{name} {_listed(value)}" for name, value in fields.items() if value is not None)


def _with_detail(finding: Mapping[str, JsonValue]) -> str:
    detail = f". {finding['detail']}" if finding.get("detail") else ""
    return f"{finding.get('title')}{detail}"
