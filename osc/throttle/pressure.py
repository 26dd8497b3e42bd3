"""What the server suffers from before commits become slow: a redo log that fills up, a history that is not purged."""

from __future__ import annotations

from collections.abc import Mapping

from osc.mysql.server import Server
from osc.mysql.session import Conn

FULL_REDO = 0.7
"""Of the redo log's capacity, on MySQL: at 7/8 of what can be used, InnoDB flushes at the cost of everybody."""
FULL_REDO_MARIADB = 0.95
"""On MariaDB, which writes pages out from 7/8 on, in the background, and hardly before: under any load its log is about as
full as that, for good. Held back at 70%, a migration took 1.4 to 4 times as long at 200 to 1,000 transactions a second, one or
two runs each, and the load's p99 at 1,000 was 13 instead of 28 ms."""
LONG_HISTORY = 1_000_000
"""Row versions that wait to be purged."""
GROWN_HISTORY = 2.0
"""Times what it was at the start: a history that somebody else's old snapshot keeps does not become shorter by waiting."""

_MARIADB_CAPACITY = "innodb_checkpoint_max_age"
_HISTORY = "innodb_history_list_length"


class Pressure:
    """Judges the status of one server."""

    variables = (
        "Innodb_checkpoint_age",
        "Innodb_checkpoint_max_age",
        "Innodb_history_list_length",
        "Innodb_redo_log_checkpoint_lsn",
        "Innodb_redo_log_current_lsn",
        "Innodb_redo_log_capacity_resized",
    )
    """What either server calls them."""

    def __init__(self) -> None:
        self._first_history: int | None = None

    def judge(self, status: Mapping[str, str]) -> str | None:
        """What there is to spare the server for, or None."""
        share = redo_share(status)
        if share is not None and share >= full_redo(status):
            return f"the redo log is {share:.0%} full"
        history = int(status.get(_HISTORY, "0"))
        if self._first_history is None:
            self._first_history = history
        if history > max(LONG_HISTORY, GROWN_HISTORY * self._first_history):
            return f"{history:,} old row versions wait to be purged"
        return None


def full_redo(status: Mapping[str, str]) -> float:
    """From which share on the redo log counts as full, on the server whose status that is."""
    return FULL_REDO_MARIADB if _MARIADB_CAPACITY in status else FULL_REDO


def redo_share(status: Mapping[str, str]) -> float | None:
    """How full the redo log is, 0 to 1; None where the server does not say (MySQL before 8.0.30)."""
    if _MARIADB_CAPACITY in status:
        return int(status["innodb_checkpoint_age"]) / max(1, int(status[_MARIADB_CAPACITY]))
    if "innodb_redo_log_capacity_resized" not in status:
        return None
    age = int(status["innodb_redo_log_current_lsn"]) - int(status["innodb_redo_log_checkpoint_lsn"])
    return age / max(1, int(status["innodb_redo_log_capacity_resized"]))


def read_status(connection: Conn, server: Server, names: tuple[str, ...]) -> dict[str, str]:
    """The global status variables of those names, in lower case, as far as the server has them.

    MySQL has the history's length elsewhere, for which it wants PROCESS.
    """
    with connection.cursor() as cursor:
        cursor.execute("show global status where variable_name in %s", (names,))
        status = {str(name).lower(): str(value) for name, value in cursor.fetchall()}
        if not server.is_mariadb:
            cursor.execute("select count from information_schema.innodb_metrics where name = 'trx_rseg_history_len'")
            row = cursor.fetchone()
            if row is not None:
                status[_HISTORY] = str(row[0])
    return status
