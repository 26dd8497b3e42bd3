"""Which of preflight's findings are the copy's business alone: the server's own change neither reads the binlog nor swaps."""

from __future__ import annotations

from collections.abc import Iterable

from osc.plan.findings import Finding

COPY_ONLY = frozenset(
    {
        # The login: where a privilege is missing, the server says so itself.
        "missing-grants",
        # The server
        "log-writer-threads", "max-write-lock-count", "unsortable-name",
        # The binlog, and where it is read
        "binlog-filter", "binlog-format", "binlog-off", "binlog-order-commits", "binlog-retention", "binlog-row-image",
        "binlog-server-delayed", "binlog-server-filter", "binlog-server-kind", "binlog-server-logs-nothing",
        "binlog-server-order", "binlog-server-other-source", "binlog-server-stopped", "gtid-rollout", "server-id-taken",
        "session-binlog-settings", "updates-not-logged",
        # The table: everything that belongs to it stays with it
        "data-directory", "foreign-keys", "no-usable-key", "referenced-by-foreign-keys", "triggers",
        # What goes on: who holds the table's own lock is named when the time has come
        "old-transactions", "prepared-xa",
        # Names that nothing is made under
        "cut-off-swap", "earlier-run", "ghost-name-taken", "left-over-state", "old-name-taken", "swap-name-taken",
    }
)  # fmt: skip
"""Codes of those findings. A code that is not listed counts for every change."""


def for_native(findings: Iterable[Finding]) -> list[Finding]:
    """The findings that count when the server makes the change itself."""
    return [finding for finding in findings if finding.code not in COPY_ONLY]
