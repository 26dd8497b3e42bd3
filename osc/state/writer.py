"""Writing the ghost: every write is a transaction that first makes sure that its run is still the one in charge.

A killed client's statement lives on in the server. If it committed by itself, it could put a stale row into the ghost
after a resumed run has looked there. So nothing writes the ghost in autocommit: the commit is a round trip of its own,
which a dead client never sends, and each transaction holds a share lock on the run's epoch, which a resumed run raises
before it does anything else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from osc.mysql.session import Conn
from osc.mysql.steady import SteadySession
from osc.state.table import StateTable

T = TypeVar("T")


class GhostWriter:
    """Transactions on the ghost, of one run. Used by one thread at a time."""

    def __init__(self, session: SteadySession, state: StateTable, epoch: int) -> None:
        """The session must have `autocommit` off."""
        self._session = session
        self._state = state
        self._epoch = epoch
        self.worked_s = 0.0
        """How long the statements of the latest transaction took, its commit left out."""

    def transact(self, statements: Sequence[str]) -> list[int]:
        """Run the statements in one transaction and commit; returns the affected rows of each. Errors as in `run`."""

        def body(connection: Conn) -> list[int]:
            with connection.cursor() as cursor:
                return [cursor.execute(statement) for statement in statements]

        return self.run(body)

    def run(self, body: Callable[[Conn], T]) -> T:
        """`transact` for a body that does more than run statements. Errors as in `SteadySession.run`.

        MigrationFailed when a later run has taken over.
        """

        def transaction(connection: Conn) -> T:
            self._state.check_epoch(connection, self._epoch)
            began = time.monotonic()
            outcome = body(connection)
            self.worked_s = time.monotonic() - began
            connection.commit()
            return outcome

        return self._session.run(transaction)

    def close(self) -> None:
        self._session.close()
