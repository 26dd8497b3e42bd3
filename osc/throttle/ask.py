"""Signals that the operator's own systems give: the answer to a query, the answer of a web server."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException

import pymysql

from osc.errors import ServerLost
from osc.mysql.session import Conn, Sessions, error_text
from osc.throttle.watched import Unreadable

QUERY_EVERY_S = 1.0
QUERY_TIMEOUT_S = 5.0
HTTP_EVERY_S = 0.25
HTTP_TIMEOUT_S = 1.0


class ThrottleQuery:
    """`--throttle-query`: held back while it answers with a number above 0. Used by one thread."""

    def __init__(self, sessions: Sessions, query: str) -> None:
        self._sessions = sessions
        self._query = query
        self._connection: Conn | None = None

    def read(self) -> str | None:
        """Why to hold back, or None. Raises Unreadable."""
        try:
            if self._connection is None:
                self._connection = self._sessions.open("ask --throttle-query", read_timeout_s=QUERY_TIMEOUT_S)
            with self._connection.cursor() as cursor:
                cursor.execute(self._query)
                row = cursor.fetchone()
            answer = None if row is None else row[0]
            number = float(answer)  # type: ignore[arg-type]
        except (pymysql.err.MySQLError, ServerLost, OSError) as error:
            self.close()
            raise Unreadable(error_text(error)) from error
        except (TypeError, ValueError) as error:
            raise Unreadable(f"it answers with {answer!r}, not with a number") from error
        return f"--throttle-query answers with {number:g}" if number > 0 else None

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and connection.open:
            connection.close()


def throttle_http(url: str) -> Callable[[], str | None]:
    """`--throttle-http`: held back unless a HEAD request is answered with 200. The result raises Unreadable."""

    def read() -> str | None:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=HTTP_TIMEOUT_S) as answer:
                code = answer.status
        except urllib.error.HTTPError as error:
            code = error.code
            error.close()
        except (OSError, HTTPException, ValueError) as error:
            raise Unreadable(str(error)) from error
        return None if code == 200 else f"{url} answers with {code}"

    return read
