"""What the pure core asks its shell to do.

A decision that spans I/O (a reconcile cycle, the last reconciling under the swap's lock, the judgement on a difference) is
written as a generator of steps. It has no socket, thread or clock; the shell does each step and puts the answer into it.
So the order of things stands in one place, and a test can let anything happen between two steps.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TypeVar

from osc.table.key import Key

S = TypeVar("S")
R = TypeVar("R")


@dataclass(slots=True)
class Barrier:
    """Commit a heartbeat; done when the commit has returned."""

    beat: int = 0
    """Answer: its counter."""


@dataclass(slots=True)
class MeetTail:
    """Wait until the tail has met that heartbeat."""

    beat: int


@dataclass(slots=True)
class AskPrepared:
    """Ask the server which XA transactions are prepared."""

    waited_for: frozenset[str] = frozenset()
    """Those that must end before anything else is done: pause before asking again."""
    listed: frozenset[str] = frozenset()
    """Answer: their xids."""


@dataclass(slots=True)
class AwaitRanges:
    """Wait until none of these ranges is in flight."""

    numbers: frozenset[int]


@dataclass(slots=True)
class Apply:
    """Reconcile the keys: make the ghost's rows what a fresh read of the original gives. Done when all is committed."""

    keys: Sequence[Key]


@dataclass(slots=True)
class Compare:
    """Read these keys in both tables, the original first; None: every key of the range that is being verified."""

    keys: Collection[Key] | None
    differing: set[Key] = field(default_factory=set)
    """Answer: those that differ, or are in one table only."""


@dataclass(slots=True)
class CheckEpoch:
    """Make sure, in the open transaction, that no later run has begun."""


def carry_out(steps: Generator[S, None, R], do: Callable[[S], None]) -> R:
    """Do one step after the other; what the generator returns. When a step fails, the generator is ended, then it raises."""
    with closing(steps):
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                result: R = end.value
                return result
            do(step)
