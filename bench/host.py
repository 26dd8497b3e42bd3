"""A throwaway server with one table, and the account that alters it."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from bench.tables import DATABASE, TABLE, BenchTable, recursion
from osc.mysql.grants import required_grants
from osc.mysql.server import Server, read_server
from osc.mysql.sql import quote
from osc.sandbox.servers import LocalServer

OPTIONS: Mapping[str, str] = {
    "sync_binlog": "1",
    "innodb_flush_log_at_trx_commit": "1",
}
SETTINGS: Mapping[str, Mapping[str, str]] = {
    "default": {},
    "log-writers": {"innodb_log_writer_threads": "ON"},
}
"""What the servers are started with; the second exists on MySQL only."""
_SETTLE_DEADLINE_S = 120.0
_FEW_DIRTY_PAGES = 100


class Host:
    """A running server, its table filled. `option_file` lets tools in."""

    def __init__(self, server: LocalServer, table: BenchTable, rows: int) -> None:
        self.server = server
        self.table = table
        self.rows = rows
        self.option_file = server.folder / "bench.cnf"
        with closing(server.admin()) as admin:
            self.facts: Server = read_server(admin)
        self._make_account()
        self.fill()

    def fill(self) -> None:
        """Make the table as it is at the beginning of every run, whatever is there now. Nothing of it is in the binlog."""
        limit = "max_recursive_iterations" if self.facts.is_mariadb else "cte_max_recursion_depth"
        self.execute(
            "set session sql_log_bin = 0",
            f"drop table if exists {TABLE}",
            self.table.create(),
            f"set session {limit} = {recursion()}",
            *self.table.fills(self.rows),
            f"analyze table {TABLE}",
        )

    def execute(self, *statements: str) -> None:
        """Run statements as root, on one connection."""
        with closing(self.server.admin(DATABASE)) as admin, admin.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def ask(self, query: str) -> int:
        """The number in the last column of the first row."""
        return int(float(str(self.rows_of(query)[0][-1])))

    def rows_of(self, query: str) -> tuple[tuple[object, ...], ...]:
        """All rows."""
        with closing(self.server.admin(DATABASE)) as admin, admin.cursor() as cursor:
            cursor.execute(query)
            return tuple(cursor.fetchall())

    @property
    def data_mib(self) -> float:
        """The table with its indexes, as the server estimates it."""
        size = "select data_length + index_length from information_schema.tables where table_name"
        return self.ask(f"{size} = '{TABLE}'") / 2**20

    def binlog_bytes(self) -> int:
        """The size of all binlogs."""
        return sum(file.stat().st_size for file in self._binlogs())

    def _binlogs(self) -> list[Path]:
        return list(self.server.data_directory.glob("binlog.[0-9]*"))

    def settle(self) -> None:
        """Remove what earlier runs left, see that the table is whole, wait until what they changed is in the data files."""
        tables = self.drop_others()
        if TABLE in tables:
            self.execute(self.table.delete_appended(self.rows))
        if TABLE not in tables or self.count_filled() != self.rows:
            self.fill()
        self.execute("flush binary logs")
        latest = max(file.name for file in self._binlogs() if file.suffix[1:].isdigit())
        self.execute(f"purge binary logs to '{latest}'")
        default = self.ask("select @@global.innodb_max_dirty_pages_pct")
        self.execute("set global innodb_max_dirty_pages_pct = 0")
        deadline = time.monotonic() + _SETTLE_DEADLINE_S
        while self.ask("show global status like 'Innodb_buffer_pool_pages_dirty'") > _FEW_DIRTY_PAGES:
            if time.monotonic() > deadline:
                print(f"still dirty pages after {_SETTLE_DEADLINE_S:.0f} s; going on", file=sys.stderr)
                break
            time.sleep(0.1)
        self.execute(f"set global innodb_max_dirty_pages_pct = {default or 90}")

    def drop_others(self) -> set[str]:
        """Drop every trigger and every table but the one; the tables that there were."""
        tables = {str(row[0]) for row in self.rows_of("show tables")}
        self.execute(
            *(f"drop trigger {quote(str(row[0]))}" for row in self.rows_of("show triggers")),
            *(f"drop table {quote(name)}" for name in sorted(tables - {TABLE})),
        )
        return tables

    def count_filled(self) -> int:
        """How many of the rows with which the table was filled are there."""
        return self.ask(
            f"select count(*) from {TABLE} where not ({self.table.beyond.replace('{rows}', str(self.rows))})"
        )

    def _make_account(self) -> None:
        password = secrets.token_urlsafe(12)
        with closing(self.server.admin()) as admin, admin.cursor() as cursor:
            cursor.execute(f"create database {DATABASE} character set utf8mb4")
            cursor.execute("create user 'bench'@'%%' identified by %s", (password,))
            for grant in required_grants(self.facts.flavor, self.facts.version, DATABASE, "'bench'@'%'"):
                cursor.execute(grant)
            # gh-ost starts with no less than this.
            cursor.execute("grant super, replication client, replication slave on *.* to 'bench'@'%'")
            cursor.execute(f"grant all on {DATABASE}.* to 'bench'@'%'")
            cursor.execute("grant select on performance_schema.* to 'bench'@'%'")
        self.option_file.touch(mode=0o600)
        self.option_file.write_text(
            f"[client]\nhost={self.server.host}\nport={self.server.port}\nuser=bench\npassword={password}\n",
            encoding="utf-8",
        )


@contextmanager
def started(server_name: str, setting: str, buffer_pool: str, table: BenchTable, rows: int) -> Iterator[Host]:
    """A server of that distribution and setting with the table, gone afterwards."""
    options = {"innodb_buffer_pool_size": buffer_pool, **OPTIONS, **SETTINGS[setting]}
    with LocalServer(server_name, options) as server:
        yield Host(server, table, rows)
