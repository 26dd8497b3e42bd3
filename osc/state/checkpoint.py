"""A checkpoint: from where a resumed run copies and tails, and for which migration that is true."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

from osc.plan.alter import AlterStatement
from osc.table.deferred import NO_DEFERRED, DeferredIndexes
from osc.table.key import Key, KeyValue
from osc.tail.coordinate import Coordinate

Stage = Literal["copy", "verify"]
"""`copy`: rows above `low` may be missing in the ghost; `verify`: every row has been copied."""

Json: TypeAlias = Mapping[str, object]

FORMAT = 2


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What must be the same for a checkpoint to be of use."""

    alter: str
    source: str
    ghost: str
    server: str
    conversion: str = ""
    """What the values depend on besides the ALTER: whether losses are allowed, the `sql_mode`, the time zone."""

    @staticmethod
    def digest(text: str) -> str:
        """A short digest of a statement or of a table's structure."""
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @classmethod
    def of_alter(cls, alter: AlterStatement) -> str:
        """What tells one ALTER from another."""
        return cls.digest(alter.clauses_sql.strip())


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Every event before `coordinate` is reconciled, every row below `low` is copied."""

    fingerprint: Fingerprint
    coordinate: Coordinate
    stage: Stage
    low: Key | None
    rows_copied: int
    copy_s: float = 0.0
    deferred: DeferredIndexes = NO_DEFERRED
    """The indexes that the ghost gets after the copy."""
    verified: Key | None = None
    """Every row below it was compared and is right, but for changes behind `coordinate`, which will be reconciled."""
    rows_verified: int = 0

    def to_json(self) -> dict[str, object]:
        """As a JSON object; `from_json` is its inverse."""
        return {
            "format": FORMAT,
            "fingerprint": {
                "alter": self.fingerprint.alter,
                "source": self.fingerprint.source,
                "ghost": self.fingerprint.ghost,
                "server": self.fingerprint.server,
                "conversion": self.fingerprint.conversion,
            },
            "coordinate": self.coordinate.to_json(),
            "stage": self.stage,
            "low": _key_to_json(self.low),
            "rows_copied": self.rows_copied,
            "copy_s": self.copy_s,
            "deferred": {"definitions": list(self.deferred.definitions), "bare": self.deferred.bare},
            "verified": _key_to_json(self.verified),
            "rows_verified": self.rows_verified,
        }

    @classmethod
    def from_json(cls, stored: Json) -> Checkpoint:
        """Raises ValueError for a checkpoint that another version of the engine wrote."""
        if stored.get("format") != FORMAT:
            raise ValueError(f"a checkpoint of format {stored.get('format')!r}, and this version reads {FORMAT}")
        marks = cast("Mapping[str, str]", stored["fingerprint"])
        deferred = cast("Mapping[str, object]", stored["deferred"])
        return cls(
            fingerprint=Fingerprint(
                marks["alter"], marks["source"], marks["ghost"], marks["server"], marks["conversion"]
            ),
            coordinate=Coordinate.from_json(cast("Mapping[str, object]", stored["coordinate"])),
            stage=cast("Stage", stored["stage"]),
            low=_key_from_json(stored["low"]),
            rows_copied=cast("int", stored["rows_copied"]),
            copy_s=cast("float", stored["copy_s"]),
            deferred=DeferredIndexes(tuple(cast("list[str]", deferred["definitions"])), cast("str", deferred["bare"])),
            verified=_key_from_json(stored["verified"]),
            rows_verified=cast("int", stored["rows_verified"]),
        )


def resume_coordinate(
    received: Callable[[], Coordinate], oldest: Callable[[], int | None], start_of: Callable[[int], Coordinate]
) -> Coordinate:
    """From where a resumed run must read the binlog.

    `received`: the end of the last transaction that the tail has read to its end. `oldest`: the first transaction with a key
    that is not settled, if there is one. `start_of`: a place at or before that transaction's beginning.

    The end of what was received is read before the pending set. The other way round, a key that arrives in between would
    lie before the coordinate and in no list.
    """
    end = received()
    first = oldest()
    return end if first is None else start_of(first)


def _key_to_json(key: Key | None) -> object:
    return None if key is None else [_value_to_json(value) for value in key]


def _key_from_json(stored: object) -> Key | None:
    return None if stored is None else tuple(_value_from_json(value) for value in cast("list[object]", stored))


def _value_to_json(value: KeyValue) -> object:
    return {"hex": value.hex()} if isinstance(value, bytes) else value


def _value_from_json(value: object) -> KeyValue:
    if isinstance(value, dict):
        return bytes.fromhex(value["hex"])
    assert isinstance(value, int | str)
    return value
