"""Building the ghost's deferred indexes, when all rows are copied and while they are being verified.

The server builds them in place, beside reads and writes of the ghost, so reconciling goes on. The changes that come meanwhile
are kept in a log of the server's, which can overflow (`innodb_online_alter_log_max_size`); then it is done once more with
reconciling held.

A client that dies does not end the statement on the server. Whoever begins or resumes a build ends such a one first: finished
later, it would look like somebody else's change of the ghost.
"""

from __future__ import annotations

import logging
import threading
import time

import pymysql

from osc.control.stop import StopRequest
from osc.errors import Stalled
from osc.mysql.ending import kill, kill_query
from osc.mysql.session import Conn, Sessions, connection_id, error_code, error_text
from osc.mysql.steady import SteadySession
from osc.mysql.transactions import ask_for_sessions
from osc.reconcile.reconciler import Reconciler
from osc.table.deferred import DeferredIndexes, build_prefix, build_statement, ddl_variables
from osc.threads import OwnedThread

log = logging.getLogger(__name__)

ONLINE_LOG_TOO_BIG = 1799
ENDING_TIMEOUT_S = 60.0


class IndexBuilder:
    """Builds what is missing, on a thread of its own."""

    def __init__(
        self,
        sessions: Sessions,
        database: str,
        ghost: str,
        deferred: DeferredIndexes,
        reconciler: Reconciler,
        stop: StopRequest,
        attempts: int,
    ) -> None:
        self._sessions = sessions
        self._database = database
        self._ghost = ghost
        self._deferred = deferred
        self._reconciler = reconciler
        self._stop = stop
        variables = {"lock_wait_timeout": "60", **ddl_variables(sessions.server)}
        self._session = SteadySession(
            sessions, "build the indexes", stop, variables=variables, attempts=attempts, prepare=self._opened
        )
        self._building_id: int | None = None
        self._may_compare = threading.Event()
        self._may_compare.set()
        self.thread = OwnedThread("build-indexes", self._build)

    @property
    def what(self) -> str:
        """What is being built, for people."""
        names = self._deferred.names
        return f"the build of {len(names)} index{'es' if len(names) != 1 else ''}: {', '.join(names)}"

    def start(self) -> None:
        self.thread.start()

    def wait_while_held(self) -> None:
        """Return when reconciling goes on. Comparing rows while it is held would find nothing but what is not reconciled."""
        while not self._may_compare.wait(0.1):
            self._stop.check()
            self.thread.raise_if_dead()

    def _opened(self, connection: Conn) -> None:
        self._building_id = connection_id(connection)

    def _build(self) -> None:
        try:
            self._session.run(self._build_missing)
        except pymysql.err.MySQLError as error:
            if error_code(error) != ONLINE_LOG_TOO_BIG:
                raise
            self._build_held(error)
        finally:
            self._session.close()

    def _build_held(self, error: pymysql.err.MySQLError) -> None:
        log.info("the indexes are built once more with reconciling held: %s", error_text(error))
        self._may_compare.clear()
        with self._reconciler.paused():
            self._session.run(self._build_missing)
        self._may_compare.set()

    def _build_missing(self, connection: Conn) -> None:
        end_builds(connection, self._database, self._ghost)
        missing = self._deferred.missing(connection, self._database, self._ghost)
        if missing:
            with connection.cursor() as cursor:
                cursor.execute(build_statement(self._database, self._ghost, missing))

    def close(self) -> None:
        """End the build, done or not; what was half built is gone, and begun anew by a run that resumes."""
        if not self.thread.is_started:
            return
        if self.thread.is_alive and self._building_id is not None:
            kill_query(self._sessions, self._building_id, "the build of the indexes")
        self.thread.join(ENDING_TIMEOUT_S)


def end_builds(connection: Conn, database: str, ghost: str) -> None:
    """End every build that another session of this login still runs, and wait until it is gone. Raises Stalled."""
    pause = threading.Event()
    deadline = time.monotonic() + ENDING_TIMEOUT_S
    while found := _builds(connection, database, ghost):
        for session in found:
            kill(connection, "kill", session)
        if time.monotonic() > deadline:
            raise Stalled(
                f"connection {found[0]}, of an earlier run, still builds indexes of {ghost}, {ENDING_TIMEOUT_S:.0f} s after it "
                "was killed. The original is untouched. Wait until it is gone from the process list and run the command again"
            )
        pause.wait(0.2)  # nothing tells when another session ends


def _builds(connection: Conn, database: str, ghost: str) -> list[int]:
    rows = ask_for_sessions(
        connection,
        "select id, info from information_schema.processlist where user = substring_index(user(), '@', 1)"
        " and id <> connection_id() and info like 'alter table%%' and info like %s",
        ("%, algorithm=inplace, lock=none",),
    )
    prefix = build_prefix(database, ghost)
    return [int(str(session)) for session, statement in rows or () if str(statement).startswith(prefix)]
