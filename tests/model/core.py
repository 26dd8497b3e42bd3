"""The pieces of the real core that a run of the model is made of."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator
from dataclasses import dataclass

from osc.copy.ranges import RangeCutter
from osc.cutover.conditions import LastLook, LastStep, last_steps
from osc.reconcile.cycle import CycleStep, cycle, opening
from osc.reconcile.pending import PendingSet
from osc.reconcile.strictly import FindOwner, Rewrite, rewrite_strictly
from osc.reconcile.watermarks import Watermarks
from osc.state.checkpoint import resume_coordinate
from osc.steps import AskPrepared, Barrier
from osc.table.key import Key
from osc.tail.coordinate import Coordinate
from osc.verify.judgement import Examined, ExamineStep, examine


@dataclass(frozen=True)
class Core:
    """A mutant replaces one of them."""

    pending: Callable[..., PendingSet] = PendingSet
    watermarks: Callable[[bool, bool, Key | None, Key | None], Watermarks] = lambda compares, may_drop, low, guard: (
        Watermarks(compares=compares, may_drop=may_drop, low=low, guard=guard)
    )
    cutter: Callable[[Watermarks], RangeCutter] = RangeCutter
    opening: Callable[[], Generator[AskPrepared | Barrier, None, None]] = opening
    cycle: Callable[[PendingSet, Watermarks], Generator[CycleStep, None, int]] = cycle
    rewrite_strictly: Callable[[Collection[Key]], Generator[Rewrite | FindOwner, None, list[Key] | None]] = (
        lambda keys: rewrite_strictly(list(keys))
    )
    displaces: bool = False
    """Whether rows are displaced where the ghost is stricter."""
    resume_coordinate: Callable[
        [Callable[[], Coordinate], Callable[[], int | None], Callable[[int], Coordinate]], Coordinate
    ] = resume_coordinate
    examine: Callable[[PendingSet, Collection[Key] | None], Generator[ExamineStep, None, Examined]] = examine
    copied_below: Callable[[Watermarks], Key | None] = lambda watermarks: watermarks.low
    """Up to where rows may be verified while others are being copied."""
    last_steps: Callable[[PendingSet, Collection[Key]], Generator[LastStep, None, LastLook]] = last_steps
    has_epoch: bool = True
    autocommits: bool = False
    """Whether the ghost is written without a transaction around it."""
