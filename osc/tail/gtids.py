"""Sets of global transaction ids, of MySQL and of MariaDB, to which a reader adds one transaction after another."""

from __future__ import annotations

from bisect import bisect_right
from typing import Protocol, Self


class GtidSet(Protocol):
    """The transactions that a reader has seen, in the notation of its server."""

    @property
    def text(self) -> str:
        """As the server writes it and reads it."""


class MysqlGtids:
    """MySQL's set: intervals of transaction numbers for each `uuid` or `uuid:tag`."""

    def __init__(self) -> None:
        self._intervals: dict[str, list[list[int]]] = {}

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `uuid:1-5:9,uuid:tag:1-3`; white space is allowed. Raises ValueError."""
        gtids = cls()
        for part in "".join(text.split()).split(","):
            if not part:
                continue
            uuid, *pieces = part.lower().split(":")
            if not pieces:
                raise ValueError(f"not a GTID set: {text!r}")
            source = uuid
            for piece in pieces:
                if not piece[:1].isdigit():
                    source = f"{uuid}:{piece}"
                    continue
                first, _, last = piece.partition("-")
                gtids._add_interval(source, int(first), int(last or first))
        return gtids

    def add(self, source: str, number: int) -> None:
        """Add transaction `number` of `source` (`uuid` or `uuid:tag`)."""
        intervals = self._intervals.get(source)
        if intervals and intervals[-1][1] == number - 1:
            intervals[-1][1] = number
        else:
            self._add_interval(source, number, number)

    def _add_interval(self, source: str, first: int, last: int) -> None:
        intervals = self._intervals.setdefault(source, [])
        index = bisect_right(intervals, [first])
        if index and intervals[index - 1][1] >= first - 1:
            index -= 1
            first = intervals[index][0]
        behind = index
        while behind < len(intervals) and intervals[behind][0] <= last + 1:
            last = max(last, intervals[behind][1])
            behind += 1
        intervals[index:behind] = [[first, last]]

    @property
    def has_tags(self) -> bool:
        """Whether it holds tagged ids (MySQL 8.3), which are sent in an encoding of their own."""
        return any(":" in source for source in self._intervals)

    @property
    def text(self) -> str:
        return ",".join(
            f"{source}:" + ":".join(str(first) if first == last else f"{first}-{last}" for first, last in intervals)
            for source, intervals in sorted(self._intervals.items())
        )


class MariadbGtids:
    """MariaDB's position: the last transaction of each domain, as `gtid_binlog_pos` has it."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[int, int]] = {}

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `0-1-100,5-2-7`. Raises ValueError."""
        gtids = cls()
        for part in "".join(text.split()).split(","):
            if part:
                domain, server, number = part.split("-")
                gtids.add(int(domain), int(server), int(number))
        return gtids

    def add(self, domain: int, server: int, number: int) -> None:
        """Make this transaction the last one of its domain."""
        self._last[domain] = (server, number)

    @property
    def text(self) -> str:
        return ",".join(f"{domain}-{server}-{number}" for domain, (server, number) in sorted(self._last.items()))

    def includes(self, other: MariadbGtids) -> bool:
        """Whether a server that is here has been where `other` is: as far, or further, in each of its domains."""
        return all(domain in self._last and self._last[domain][1] >= last[1] for domain, last in other._last.items())
