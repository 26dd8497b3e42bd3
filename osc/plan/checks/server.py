"""Whether a migration can run on this server at all: its version, whether it takes writes, what cluster it is in."""

from __future__ import annotations

from osc.mysql.server import Flavor, Server
from osc.plan.findings import Finding, blocking, note, warning
from osc.table.names import Names, sorting_after

MINIMUM_VERSIONS: dict[Flavor, tuple[int, int, int]] = {"mysql": (8, 0, 13), "mariadb": (10, 6, 0)}
"""The oldest servers that a migration starts on.

MySQL 8.0.13 is the first that renames a table which the session itself has write-locked (WL#9826), and so swaps in one
statement. MariaDB 10.6 is the first whose `RENAME TABLE` survives a crash of the server (MDEV-17567).
"""

LOW_WRITE_LOCK_COUNT = 1_000_000


def check_version(server: Server) -> list[Finding]:
    """Whether the server is new enough; when it is not, the other checks may not be understood by it."""
    minimum = MINIMUM_VERSIONS[server.flavor]
    if server.version >= minimum:
        return []
    return [
        blocking(
            "server-too-old",
            f"{server.title} is too old",
            f"The oldest server of its kind that a migration starts on is {'.'.join(map(str, minimum))}: with earlier "
            "ones a crash in the swap can leave no table under the original's name.",
            "upgrade the server",
        )
    ]


def check_server(server: Server, names: Names) -> list[Finding]:
    """Findings about the server's settings, apart from its binlog and its replication."""
    return [
        *_writable(server),
        *_cluster(server),
        *_swap(server, names),
        *_case_of_names(server),
        *_log_writer(server),
    ]


def _writable(server: Server) -> list[Finding]:
    if server.variable("innodb_force_recovery", "0") != "0":
        return [
            blocking(
                "innodb-force-recovery",
                f"innodb_force_recovery is {server.variable('innodb_force_recovery')}",
                "InnoDB runs in a mode for rescuing data, not for writing it.",
                "restart the server without innodb_force_recovery once its data is safe",
            )
        ]
    # MariaDB 12 has more values than ON and OFF.
    reasons = [
        name
        for name in ("super_read_only", "read_only", "innodb_read_only")
        if server.variable(name, "OFF").upper() not in ("OFF", "0")
    ]
    if not reasons:
        return []
    return [
        blocking(
            "read-only",
            f"the server is read-only ({', '.join(reasons)})",
            "A migration writes, and has to run where the applications write. A read-only server is most often a "
            "replica.",
            "connect to the primary with --host; to read the binlog from this server, name it with --binlog-host",
        )
    ]


def _cluster(server: Server) -> list[Finding]:
    if server.is_on("wsrep_on"):
        return [
            blocking(
                "galera",
                "the server is a Galera node (wsrep_on)",
                "Nodes commit in each other's place, and table locks hold on one node only: the swap could lose rows "
                "that are written through another node.",
                "alter the table with the cluster's own means (wsrep_OSU_method)",
            )
        ]
    if server.variable("group_replication_group_name") and not server.is_on(
        "group_replication_single_primary_mode", True
    ):
        return [
            blocking(
                "multi-primary",
                "the server is set up for group replication with several primaries",
                "Rows written through another member are certified without regard to the table lock of the swap.",
                "SELECT group_replication_switch_to_single_primary_mode();",
            )
        ]
    return []


def _swap(server: Server, names: Names) -> list[Finding]:
    """What the sentry rename asks for, where the server refuses a rename in the locking session."""
    if server.renames_under_lock:
        return []
    findings = []
    count = server.variable("max_write_lock_count")
    if count and int(count) < LOW_WRITE_LOCK_COUNT:
        findings.append(
            blocking(
                "max-write-lock-count",
                f"max_write_lock_count is {count}",
                "After so many locks for writing the server lets waiting readers and writers go first, in the swap "
                "before the rename: their rows would be written to the table that is renamed away.",
                "SET GLOBAL max_write_lock_count = 4294967295;",
            )
        )
    try:
        sorting_after(names.table, "_gho")
    except ValueError:
        findings.append(
            blocking(
                "unsortable-name",
                f"no usable name sorts after {names.table!r}",
                "This server takes the locks of a RENAME in the order of the names, and the swap is safe only while "
                "the ghost's and the old table's names sort after the original's.",
                "rename the table so that its name starts with an ordinary character",
            )
        )
    return findings


def _case_of_names(server: Server) -> list[Finding]:
    if server.variable("lower_case_table_names") != "2":
        return []
    return [
        warning(
            "case-of-names",
            "lower_case_table_names is 2",
            "The file system ignores the case of names and the server keeps it: statements in the binlog may name the "
            "table differently from the catalogue. Such servers are not tested.",
        )
    ]


def _log_writer(server: Server) -> list[Finding]:
    if server.is_on("innodb_log_writer_threads", True):
        return []
    return [
        note(
            "log-writer-threads",
            "innodb_log_writer_threads is OFF (the default below 32 CPUs)",
            "Commits then wait while any session that writes much holds the writer of the redo log: beside a migration "
            "the slowest commits of the applications take some 100 ms instead of 10 to 20.",
            "SET GLOBAL innodb_log_writer_threads = ON;",
        )
    ]
