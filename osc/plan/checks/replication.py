"""What replication means for a migration: on the server itself, and on a replica whose binlog is to be read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from osc.mysql.server import Server
from osc.mysql.session import Conn
from osc.plan.checks.ask import ask_for_titled_rows
from osc.plan.findings import Finding, blocking, warning
from osc.table.names import Names


@dataclass(frozen=True, slots=True)
class Channel:
    """One replication channel of a server, as it reports it."""

    name: str
    source_host: str
    source_port: str
    source_id: str
    """The source's `server_id`."""
    source_uuid: str
    """The source's `server_uuid`; MariaDB has none."""
    receives: bool
    applies: bool
    """Whether the applier runs."""
    delay_s: int
    """How far the applier stays behind on purpose."""
    filters: Mapping[str, str]
    """Replication filters that are set, by the title under which the server shows them."""

    @property
    def described(self) -> str:
        return f"{f'channel {self.name}, ' if self.name else ''}from {self.source_host}:{self.source_port}"


def read_channels(connection: Conn, server: Server) -> list[Channel] | None:
    """The server's replication channels; None when the login may not ask."""
    if server.is_mariadb:
        query = "show all slaves status"
    else:
        query = "show replica status" if server.version >= (8, 0, 22) else "show slave status"
    rows = ask_for_titled_rows(connection, query)
    return None if rows is None else [_channel(row) for row in rows]


def _channel(row: Mapping[str, str]) -> Channel:
    # MySQL 8.0.22 renamed master and slave in the titles; MariaDB has the old ones.
    facts = {title.replace("master", "source").replace("slave", "replica"): value for title, value in row.items()}
    return Channel(
        name=facts.get("channel_name") or facts.get("connection_name", ""),
        source_host=facts["source_host"],
        source_port=facts["source_port"],
        source_id=facts["source_server_id"],
        source_uuid=facts.get("source_uuid", ""),
        receives=facts["replica_io_running"] == "Yes",
        applies=facts["replica_sql_running"] == "Yes",
        delay_s=int(facts["sql_delay"] or 0),
        filters={title: value for title, value in facts.items() if title.startswith("replicate_") and value},
    )


def logs_updates(server: Server) -> bool:
    """Whether what a replication applier writes gets into the server's own binlog."""
    return server.is_on("log_replica_updates", server.is_on("log_slave_updates"))


def check_replication(connection: Conn, server: Server) -> list[Finding]:
    """Findings about a server that is a replica itself, while the migration writes to it."""
    findings = []
    for channel in read_channels(connection, server) or []:
        if logs_updates(server):
            findings.append(
                warning(
                    "is-a-replica",
                    f"the server is a replica itself ({channel.described})",
                    "The migration changes the table here and on the servers that replicate from here, not on its "
                    "source. Rows that arrive from there must fit the new schema.",
                )
            )
        elif channel.applies:
            findings.append(
                blocking(
                    "updates-not-logged",
                    f"the server applies changes that it does not log ({channel.described})",
                    "log_slave_updates is OFF: what replication writes to the table is not in this server's binlog.",
                    "migrate on the source, or restart this server with log_slave_updates=ON",
                )
            )
        else:
            findings.append(
                warning(
                    "updates-not-logged",
                    f"a replication channel is set up, and its changes would not be logged ({channel.described})",
                    "log_slave_updates is OFF. The channel is stopped now; started while the migration runs, its "
                    "changes would be missed.",
                    "RESET REPLICA ALL;   -- if the server is no replica any more",
                )
            )
    return findings


def check_binlog_server(connection: Conn, server: Server, primary: Server, names: Names) -> list[Finding]:
    """Findings about the replica whose binlog is to be read: are all of the primary's changes in it, in order?"""
    if server.flavor != primary.flavor:
        return [
            blocking(
                "binlog-server-kind",
                f"the binlog server is {server.title}, the primary {primary.title}",
                "The two write their binlogs differently.",
                "name a replica of the same kind with --binlog-host",
            )
        ]
    if server.identity == primary.identity:
        return []
    channels = read_channels(connection, server)
    if channels is None:
        return []  # the missing privilege is reported with the grants
    channel = next((one for one in channels if _is_from(one, primary)), None)
    if channel is None:
        listed = ", ".join(one.described for one in channels) or "it has no replication channel"
        return [
            blocking(
                "binlog-server-other-source",
                "the binlog server does not replicate from the primary",
                f"Seen on it: {listed}. A replica of a replica does not count: what stands between is not known.",
                "name a direct replica with --binlog-host, or leave --binlog-host out",
            )
        ]
    return [*_flow(channel, server), *_order(server, primary), *_hidden(channel, names)]


def _is_from(channel: Channel, primary: Server) -> bool:
    if channel.source_uuid:
        return channel.source_uuid == primary.variable("server_uuid")
    return channel.source_id == primary.variable("server_id")


def _flow(channel: Channel, server: Server) -> list[Finding]:
    findings = []
    if not (channel.receives and channel.applies):
        findings.append(
            blocking(
                "binlog-server-stopped",
                f"replication on the binlog server does not run ({channel.described})",
                f"Receiver {_runs(channel.receives)}, applier {_runs(channel.applies)}.",
                "START REPLICA;",
            )
        )
    if not logs_updates(server):
        findings.append(
            blocking(
                "binlog-server-logs-nothing",
                "the binlog server does not log what it replicates",
                "log_slave_updates is OFF there, so its binlog has none of the primary's changes.",
                "restart the replica with log_slave_updates=ON, or leave --binlog-host out",
            )
        )
    if channel.delay_s:
        findings.append(
            blocking(
                "binlog-server-delayed",
                f"the binlog server stays {channel.delay_s} s behind on purpose",
                "The swap waits until everything has arrived, while writers wait.",
                "name a replica without a delay, or leave --binlog-host out",
            )
        )
    return findings


def _runs(it_does: bool) -> str:
    return "runs" if it_does else "is stopped"


def _order(server: Server, primary: Server) -> list[Finding]:
    """Whether the replica commits in the primary's order: a heartbeat that has arrived says that all before it has."""
    if server.is_mariadb:
        # In-order within a domain, in every parallel mode; across domains only without parallel threads.
        domains = {part.split("-")[0] for part in primary.variable("gtid_binlog_pos").split(",") if part.strip()}
        if len(domains) < 2 or server.variable("slave_parallel_threads", "0") == "0":
            return []
        return [
            blocking(
                "binlog-server-order",
                "the binlog server applies GTID domains independently of each other",
                f"The primary writes in domains {', '.join(sorted(domains))}; what has arrived from one says nothing "
                "of the others.",
                "STOP SLAVE SQL_THREAD; SET GLOBAL slave_parallel_threads = 0; START SLAVE SQL_THREAD;   -- on the "
                "replica",
            )
        ]
    workers = server.variable("replica_parallel_workers") or server.variable("slave_parallel_workers", "0")
    preserves = server.is_on("replica_preserve_commit_order", server.is_on("slave_preserve_commit_order"))
    if preserves or workers in ("0", "1"):
        return []
    return [
        blocking(
            "binlog-server-order",
            "the binlog server may commit in another order than the primary",
            f"It applies with {workers} workers and replica_preserve_commit_order=OFF, so a heartbeat can overtake a "
            "row.",
            "STOP REPLICA SQL_THREAD; SET GLOBAL replica_preserve_commit_order = ON; START REPLICA SQL_THREAD;"
            "   -- on the replica",
        )
    ]


def _hidden(channel: Channel, names: Names) -> list[Finding]:
    tables = (names.table, names.ghost, names.state, names.old)
    hidden = [table for table in tables if hides(channel.filters, names.database, table)]
    if not hidden:
        return []
    listed = "; ".join(f"{title}={value}" for title, value in channel.filters.items())
    return [
        blocking(
            "binlog-server-filter",
            f"replication filters of the binlog server hide {', '.join(hidden)}",
            f"Set there: {listed}. The table, the state table and the swap itself have to arrive.",
            "remove the filters, or leave --binlog-host out",
        )
    ]


def hides(filters: Mapping[str, str], database: str, table: str) -> bool:
    """Whether replication filters leave row events of that table out (both servers' manuals on filter evaluation)."""

    def listed(title: str) -> list[str]:
        return [item.strip() for item in filters.get(title, "").split(",") if item.strip()]

    full = f"{database}.{table}"
    if listed("replicate_do_db") and database not in listed("replicate_do_db"):
        return True
    if database in listed("replicate_ignore_db"):
        return True
    if re.search(rf"\(\s*{re.escape(database)}\s*,|\b{re.escape(database)}->", filters.get("replicate_rewrite_db", "")):
        return True
    if full in listed("replicate_do_table"):
        return False
    if full in listed("replicate_ignore_table"):
        return True
    if _any_wild(listed("replicate_wild_do_table"), full):
        return False
    if _any_wild(listed("replicate_wild_ignore_table"), full):
        return True
    return bool(listed("replicate_do_table") or listed("replicate_wild_do_table"))


def _any_wild(patterns: Iterable[str], text: str) -> bool:
    return any(_as_regex(pattern).fullmatch(text) for pattern in patterns)


def _as_regex(pattern: str) -> re.Pattern[str]:
    wild = {"%": ".*", "_": "."}
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    return re.compile("".join(wild.get(part) or re.escape(part[-1]) for part in parts), re.DOTALL)


def check_reader_id(connection: Conn, server: Server, reader_id: int) -> list[Finding]:
    """A finding when another reader of the server's binlog, or the server, has the id that ours is to have.

    The server disconnects a reader when another comes with its id. Empty where the login may not list the readers.
    """
    renamed = not server.is_mariadb and server.version >= (8, 0, 22)
    readers = ask_for_titled_rows(connection, "show replicas" if renamed else "show slave hosts") or []
    taken = {reader["server_id"] for reader in readers} | {server.variable("server_id")}
    if str(reader_id) not in taken:
        return []
    return [
        blocking(
            "server-id-taken",
            f"server id {reader_id} is taken",
            f"In use on {server.title}: {', '.join(sorted(taken, key=int))}. The server would disconnect one of the "
            "two readers, again and again.",
            "give another --replica-server-id, or leave it out for a random one",
        )
    ]
