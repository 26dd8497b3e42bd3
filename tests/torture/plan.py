"""What a round will be, drawn from the seed and the round's number alone: the same seed makes the same plan."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from osc.sandbox.orders import ALTERS, KeyKind

FaultKind = Literal[
    "kill -9 the tool",
    "Ctrl-C",
    "cut the network",
    "freeze the network",
    "half-open network",
    "cut a connection",
    "half-open connection",
    "KILL a connection",
    "KILL QUERY",
    "kill -9 the server",
    "rotate the binlog",
    "lock rows of the ghost",
    "lock the state table's rows",
    "deadlocks on the ghost",
    "a long reader of the table",
]
PlannedPhase = Literal["prepare", "copy", "verify", "ready", "cut-over"]

_WEIGHTS: Mapping[FaultKind, int] = {
    "kill -9 the tool": 6,
    "Ctrl-C": 3,
    "cut the network": 3,
    "half-open network": 2,
    "KILL a connection": 4,
    "kill -9 the server": 2,
    "deadlocks on the ghost": 2,
}
"""How often each comes, where it is not once in so many."""

_PHASE_WEIGHTS: Mapping[PlannedPhase, int] = {"prepare": 1, "copy": 6, "verify": 4, "ready": 2, "cut-over": 5}

_ANY_KEY = frozenset({"add columns", "drop columns", "modify a column", "add a generated column", "rebuild"})
"""Alters that leave the key alone and suit a table with any."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong."""

    kind: FaultKind
    phase: PlannedPhase
    """Not before the migration has come so far."""
    delay_s: float
    """After that phase has begun."""
    lasts_s: float
    """How long, where the kind has a duration."""
    choice: float
    """In [0, 1): which connection, which rows."""


@dataclass(frozen=True, slots=True)
class Round:
    """One migration and what happens to it."""

    number: int
    server: str
    alter_name: str
    alter: str
    key: KeyKind
    secondary_unique: bool
    rows: int
    writers: int
    workers: int
    chunk_size: int
    faults: tuple[Fault, ...]

    def __str__(self) -> str:
        unique = ", a unique slot" if self.secondary_unique else ""
        return f"{self.alter_name} on {self.server}: {self.rows} rows, {self.key} key{unique}, {self.workers} worker(s)"


def plan_round(seed: int, number: int, server: str, rows: int, most_faults: int) -> Round:
    """The round of that number; `rows` and `most_faults` are upper bounds."""
    rng = random.Random(f"{seed} {number} {server}")
    alter_name = rng.choice(list(ALTERS))
    key: KeyKind = rng.choice(get_args(KeyKind)) if alter_name in _ANY_KEY and rng.random() < 0.4 else "int"
    faults = [_fault(rng) for _ in range(rng.randint(min(3, most_faults), most_faults))]
    phases = get_args(PlannedPhase)
    return Round(
        number=number,
        server=server,
        alter_name=alter_name,
        alter=ALTERS[alter_name],
        key=key,
        secondary_unique=rng.random() < 0.3,
        rows=rng.randint(rows // 2, rows),
        writers=rng.randint(2, 4),
        workers=rng.randint(1, 3),
        chunk_size=rng.choice((20, 50, 100)),
        faults=tuple(sorted(faults, key=lambda fault: phases.index(fault.phase))),
    )


def _fault(rng: random.Random) -> Fault:
    kinds = get_args(FaultKind)
    phase = rng.choices(list(_PHASE_WEIGHTS), list(_PHASE_WEIGHTS.values()))[0]
    # A swap is over in a few hundredths of a second.
    longest_s = {"cut-over": 0.08, "prepare": 0.3}.get(phase, 2.0)
    return Fault(
        kind=rng.choices(kinds, [_WEIGHTS.get(kind, 1) for kind in kinds])[0],
        phase=phase,
        delay_s=round(rng.uniform(0, longest_s), 3),
        lasts_s=round(rng.uniform(0.5, 6), 1),
        choice=rng.random(),
    )
