"""Reading `information_schema.innodb_trx` and `processlist`, which MySQL cannot always show.

Both are filled with the text of every running statement, in utf8mb3: while any session runs one with a character beyond
the basic plane (an emoji in a value will do), every query of them fails with error 3854, whatever it selects. Seen on MySQL
9.7; MariaDB shows a question mark.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import pymysql

from osc.mysql.session import Conn, error_code

CANNOT_CONVERT_STRING = 3854
PATIENCE_S = 2.0
_PAUSE_S = 0.15
"""InnoDB keeps what it shows in `innodb_trx` until nobody has read it for 0.1 s: who asks more often sees the past."""


def ask_for_sessions(connection: Conn, query: str, values: Sequence[str | int] = ()) -> list[tuple[object, ...]] | None:
    """The rows; None when a statement that goes on for longer than two seconds hides them all."""
    deadline = time.monotonic() + PATIENCE_S
    pause = threading.Event()
    while True:
        try:
            with connection.cursor() as cursor:
                cursor.execute(query, tuple(values) or None)
                return [tuple(row) for row in cursor.fetchall()]
        except pymysql.err.MySQLError as error:
            if error_code(error) != CANNOT_CONVERT_STRING:
                raise
        if time.monotonic() > deadline:
            return None
        # Nothing tells when a statement of another session ends.
        pause.wait(_PAUSE_S)
