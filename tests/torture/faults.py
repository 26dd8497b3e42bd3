"""The faults: how each is brought about, and undone when its time is over."""

from __future__ import annotations

import random
import signal
import threading
from collections.abc import Callable
from contextlib import closing

import pymysql

from osc.mysql.session import Conn, error_text
from osc.mysql.sql import qualified
from osc.sandbox.proxy import Link, Proxy
from osc.table.names import Names
from tests.servers import MIGRATOR, ServerUnderTest
from tests.torture.plan import Fault, FaultKind
from tests.torture.tool import Tool


class Faults:
    """Brings faults about on one server, its network and one run of the tool."""

    def __init__(self, server: ServerUnderTest, proxy: Proxy, names: Names, key_column: str) -> None:
        self._server = server
        self._proxy = proxy
        self._ghost = qualified(names.database, names.ghost)
        self._state = qualified(names.database, names.state)
        self._table = qualified(names.database, names.table)
        self._key = f"`{key_column}`"
        self._pause = threading.Event()
        self._kinds: dict[FaultKind, Callable[[Fault, Tool], str]] = {
            "kill -9 the tool": self._kill_tool,
            "Ctrl-C": self._interrupt_tool,
            "cut the network": self._cut_network,
            "freeze the network": self._freeze_network,
            "half-open network": self._hold_network,
            "cut a connection": self._cut_link,
            "half-open connection": self._hold_link,
            "KILL a connection": self._kill_connection,
            "KILL QUERY": self._kill_query,
            "kill -9 the server": self._kill_server,
            "rotate the binlog": self._rotate,
            "lock rows of the ghost": self._lock_ghost_rows,
            "lock the state table's rows": self._lock_state_rows,
            "deadlocks on the ghost": self._deadlocks,
            "a long reader of the table": self._long_reader,
        }

    def apply(self, fault: Fault, tool: Tool) -> str:
        """Let it happen and, where it lasts, end it; returns what was done, for the report."""
        try:
            return self._kinds[fault.kind](fault, tool)
        except pymysql.err.MySQLError as error:
            # The tables that it aims at are gone, or another fault's work: nothing was hit.
            return f"missed: {error_text(error)}"

    def _wait(self, seconds: float) -> None:
        self._pause.wait(seconds)

    # --- the tool -------------------------------------------------------------------------------------------------

    def _kill_tool(self, fault: Fault, tool: Tool) -> str:
        tool.send(signal.SIGKILL)
        return "killed"

    def _interrupt_tool(self, fault: Fault, tool: Tool) -> str:
        tool.send(signal.SIGINT)
        return "interrupted"

    # --- the network ----------------------------------------------------------------------------------------------

    def _cut_network(self, fault: Fault, tool: Tool) -> str:
        links = self._proxy.links
        self._proxy.cut(links)
        return f"{len(links)} connections"

    def _freeze_network(self, fault: Fault, tool: Tool) -> str:
        self._proxy.freeze()
        self._wait(fault.lasts_s)
        self._proxy.heal()
        return f"for {fault.lasts_s} s"

    def _hold_network(self, fault: Fault, tool: Tool) -> str:
        links = self._proxy.links
        self._proxy.hold()
        self._wait(fault.lasts_s)
        self._proxy.heal()
        return f"{len(links)} connections, new ones for {fault.lasts_s} s"

    def _one_link(self, fault: Fault) -> Link | None:
        links = self._proxy.links
        return links[int(fault.choice * len(links))] if links else None

    def _cut_link(self, fault: Fault, tool: Tool) -> str:
        if (link := self._one_link(fault)) is None:
            return "missed: no connection"
        self._proxy.cut([link])
        return "one connection"

    def _hold_link(self, fault: Fault, tool: Tool) -> str:
        if (link := self._one_link(fault)) is None:
            return "missed: no connection"
        self._proxy.hold([link])
        return "one connection"

    # --- the server -----------------------------------------------------------------------------------------------

    def _kill_connection(self, fault: Fault, tool: Tool) -> str:
        return self._kill(fault, "kill")

    def _kill_query(self, fault: Fault, tool: Tool) -> str:
        return self._kill(fault, "kill query")

    def _kill(self, fault: Fault, statement: str) -> str:
        with closing(self._server.admin()) as admin, admin.cursor() as cursor:
            # Not from the information schema, which a statement with an emoji hides (error 3854). In full, since otherwise a
            # statement may be cut off in the middle of a character.
            cursor.execute("show full processlist")
            sessions = [row for row in cursor.fetchall() if row[1] == MIGRATOR]
            if not sessions:
                return "missed: no connection"
            session = sessions[int(fault.choice * len(sessions))]
            cursor.execute(f"{statement} {int(session[0])}")
        return f"{session[4]}: {str(session[7] or 'idle')[:80]}"

    def _kill_server(self, fault: Fault, tool: Tool) -> str:
        self._server.process.kill()
        self._wait(fault.lasts_s / 2)
        self._server.process.start()
        return f"down for {fault.lasts_s / 2:.1f} s and its recovery"

    def _rotate(self, fault: Fault, tool: Tool) -> str:
        self._server.execute("flush binary logs")
        return "rotated"

    # --- other sessions -------------------------------------------------------------------------------------------

    def _lock_ghost_rows(self, fault: Fault, tool: Tool) -> str:
        with closing(self._other_session()) as connection, connection.cursor() as cursor:
            cursor.execute(f"select count(*) from (select * from {self._ghost} limit 500 for update) as some")
            self._wait(fault.lasts_s)
            connection.rollback()
        return f"up to 500 rows for {fault.lasts_s} s"

    def _lock_state_rows(self, fault: Fault, tool: Tool) -> str:
        row = 1 + int(fault.choice * 3)
        with closing(self._other_session()) as connection, connection.cursor() as cursor:
            cursor.execute(f"select counter from {self._state} where id = {row} for update")
            self._wait(fault.lasts_s)
            connection.rollback()
        return f"row {row} for {fault.lasts_s} s"

    def _deadlocks(self, fault: Fault, tool: Tool) -> str:
        """Rows of the ghost locked one by one, against the order in which the engine takes them."""
        rng = random.Random(fault.choice)
        rounds = deadlocks = 0
        until = threading.Timer(fault.lasts_s, lambda: None)
        until.start()
        with closing(self._other_session()) as connection, connection.cursor() as cursor:
            while until.is_alive():
                rounds += 1
                cursor.execute(f"select {self._key} from {self._ghost} order by {self._key} desc limit 2000")
                keys = [row[0] for row in cursor.fetchall()]
                try:
                    for key in sorted(rng.sample(keys, min(len(keys), 40)), reverse=True):
                        cursor.execute(f"select 1 from {self._ghost} where {self._key} = %s for update", (key,))
                        cursor.fetchall()
                except pymysql.err.OperationalError:
                    deadlocks += 1
                connection.rollback()
        return f"{rounds} rounds of row locks, {deadlocks} times the loser itself"

    def _long_reader(self, fault: Fault, tool: Tool) -> str:
        with closing(self._other_session()) as connection, connection.cursor() as cursor:
            cursor.execute(f"select 1 from {self._table} limit 1")
            cursor.fetchall()
            self._wait(fault.lasts_s)
            connection.rollback()
        return f"for {fault.lasts_s} s"

    def _other_session(self) -> Conn:
        connection = self._server.admin()
        with connection.cursor() as cursor:
            cursor.execute(
                "set session autocommit = 0, session innodb_lock_wait_timeout = 2, session lock_wait_timeout = 2"
            )
        return connection
