"""What a migration takes besides time: disk, binlog, room for sorting, replicas that fall behind."""

from __future__ import annotations

from osc.estimate.measured import Measured
from osc.estimate.model import Estimate
from osc.mysql.server import Server
from osc.plan.findings import Finding, note, warning
from osc.report.plan import Costs
from osc.table.facts import Table

BINLOG_SHARE = 0.9
"""Of a row's length in the table, which has InnoDB's own bytes and room to grow: about what it takes in the binlog."""


def costs_of(
    source: Table,
    server: Server,
    measured: Measured | None,
    estimate: Estimate | None,
    has_deferred: bool,
    chunk_s: float,
) -> Costs:
    """From the sample where there is one, else from the original's size."""
    rows = source.estimated_rows
    data, index = source.data_bytes, source.index_bytes
    is_measured = measured is not None and measured.data_bytes_per_row is not None
    if measured is not None and measured.data_bytes_per_row is not None:
        data, index = int(measured.data_bytes_per_row * rows), int((measured.index_bytes_per_row or 0) * rows)
    binlog = int(source.data_bytes * BINLOG_SHARE)
    if measured is not None and measured.binlog_bytes_per_row is not None:
        binlog = int(measured.binlog_bytes_per_row * rows)
    delay_s: float | None = chunk_s
    if has_deferred:
        delay_s = None if estimate is None else _build_s(estimate)
    return Costs(
        ghost_data_bytes=data,
        ghost_index_bytes=index,
        is_measured=is_measured,
        binlog_bytes=binlog,
        temporary_bytes=index if has_deferred else 0,
        replica_delay_s=delay_s,
        replica_delay_why="the build of the indexes is one statement, which a replica replays in one piece"
        if has_deferred
        else "each chunk is one transaction",
        binlog_retention_s=binlog_retention_s(server),
    )


def _build_s(estimate: Estimate) -> float:
    return sum(spread.p50_s for name, spread in estimate.chosen.phases if name in ("verify", "indexes"))


def binlog_retention_s(server: Server) -> float | None:
    """For how long the server keeps its binlog, in seconds; None: for ever."""
    if not server.is_on("binlog_expire_logs_auto_purge", True):
        return None
    seconds = float(server.variable("binlog_expire_logs_seconds", "0") or 0)
    return seconds or float(server.variable("expire_logs_days", "0") or 0) * 86_400 or None


def check_costs(costs: Costs, estimate: Estimate | None) -> list[Finding]:
    """What to be warned of."""
    findings = []
    if estimate is not None and costs.binlog_retention_s is not None:
        longest_s = estimate.chosen.total.p90_s
        if longest_s > costs.binlog_retention_s / 2:
            hours = costs.binlog_retention_s / 3600
            findings.append(
                warning(
                    "binlog-retention-short",
                    f"binlogs are purged after {hours:.1f} hours, and the migration may take {longest_s / 3600:.1f}",
                    "A run that is interrupted late could not be resumed, for want of the binlog since.",
                    f"SET GLOBAL binlog_expire_logs_seconds = {int(4 * longest_s) + 86_400};",
                )
            )
    if estimate is not None and estimate.reconciling_share >= 1:
        findings.append(
            warning(
                "writes-too-fast",
                "the table is written faster than changes can be reconciled",
                "Measured over the seconds of the sample. At that rate the migration would copy, and then not come to an end.",
                "choose a quieter time",
            )
        )
    if costs.disk_bytes:
        findings.append(
            note(
                "disk-unseen",
                "free disk space cannot be seen over SQL",
                "The new table, the binlog and, until it is dropped, the old table lie beside each other.",
                "df -h   # on the server, its data folder and that of its binlog",
            )
        )
    return findings
