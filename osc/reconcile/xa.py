"""XA transactions: their rows are logged when they are prepared, and visible after the commit, or never.

Their keys are held from the prepare on. On MariaDB the barrier does not cover `XA COMMIT`: the event can arrive while the
rows are still invisible. So after the decision has been seen in the binlog, the keys stay held until the transaction has
left `XA RECOVER`.
"""

from __future__ import annotations

import re
import threading

from osc.mysql.session import Conn
from osc.mysql.steady import SteadySession
from osc.reconcile.pending import PendingSet


class DecidedTransactions:
    """Transactions whose decision was seen in the binlog and that may still be on the server's list. Thread-safe."""

    def __init__(self, pending: PendingSet, session: SteadySession, is_mariadb: bool) -> None:
        self._is_mariadb = is_mariadb
        self._pending = pending
        self._session = session
        self._lock = threading.Lock()
        self._noted: set[str] = set()

    def note(self, xid: str) -> None:
        """The binlog has the commit or the rollback of that transaction."""
        with self._lock:
            self._noted.add(xid)

    def release(self) -> None:
        """Let the keys of those that have left the server's list be reconciled. Called by the reconciler's thread."""
        with self._lock:
            noted = set(self._noted)
        if not noted:
            return
        gone = noted - self._session.run(lambda connection: prepared_xids(connection, self._is_mariadb))
        for xid in gone:
            self._pending.decide(xid)
        with self._lock:
            self._noted -= gone

    def close(self) -> None:
        self._session.close()


def prepared_xids(connection: Conn, is_mariadb: bool) -> set[str]:
    """The ids of the prepared transactions, spelt as the tail spells them: `X'6162',X'63',1`."""
    with connection.cursor() as cursor:
        cursor.execute("xa recover format='SQL'" if is_mariadb else "xa recover convert xid")
        return {_spelt(int(row[0]), int(row[1]), str(row[3])) for row in cursor.fetchall()}


def _spelt(format_id: int, gtrid_length: int, data: str) -> str:
    """`data` is as MySQL's `CONVERT XID` (`0x616263`) or MariaDB's `FORMAT='SQL'` has it, which may print text as text."""
    if not data.startswith("0x"):
        parts = re.findall(r"(X?)'((?:[^']|'')*)'", data)
        texts = [text.lower() if is_hex else text.replace("''", "'").encode().hex() for is_hex, text in parts]
        return f"X'{texts[0]}',X'{texts[1] if len(texts) > 1 else ''}',{format_id}"
    digits = data[2:].lower()
    return f"X'{digits[: gtrid_length * 2]}',X'{digits[gtrid_length * 2 :]}',{format_id}"
