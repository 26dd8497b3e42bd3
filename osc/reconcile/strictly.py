"""Reconciling where the ghost is stricter than the original, as steps for the applier to do.

`replace` would displace a row for which no event will ever come. A duplicate therefore is an error here; the owner of the
value joins the batch. If both rows are in the original, no ghost can hold them.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from osc.table.key import Key

STRICT_TRIES = 5


@dataclass(slots=True)
class Rewrite:
    """Delete these keys' rows from the ghost, and insert those that the original has now."""

    keys: Sequence[Key]
    is_duplicate: bool = False
    """Answer: whether the insert met a value that another row has, and so inserted nothing."""


@dataclass(slots=True)
class FindOwner:
    """Look for a row of the ghost, not among these keys, that has a value of one of theirs in the original."""

    keys: Sequence[Key]
    owner: Key | None = None
    """Answer: its key."""


def rewrite_strictly(keys: Sequence[Key]) -> Generator[Rewrite | FindOwner, None, list[Key] | None]:
    """None when every row is written; else the batch in which two rows of the original have one value."""
    batch = list(keys)
    tries_left = STRICT_TRIES
    while True:
        rewrite = Rewrite(batch)
        yield rewrite
        if not rewrite.is_duplicate:
            return None
        search = FindOwner(batch)
        yield search
        if search.owner is not None:
            batch.append(search.owner)
            continue
        # Either two rows of the batch have the value, or a copy worker has just inserted one of these very rows.
        tries_left -= 1
        if not tries_left:
            return batch
