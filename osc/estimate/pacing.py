"""Playing the governor: how long paced work takes, when commits go on costing what the sample saw.

There is no level at which the governor would settle. It starts low, doubles, is thrown back by each dear commit, and climbs by
small steps; what comes of that depends on how the cost of commits scatters more than on any average. So the governor itself
is played, many times, each time against other commits.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from osc.estimate.measured import Load
from osc.throttle.governor import STEP_COMMITS, STEP_S, Governor
from osc.throttle.others import Look

PLAYS = 41
LONGEST_PLAY_S = 90.0
"""Of the time that is played: what goes on for longer goes on at the level of the later half."""
LOOKING_S = 0.1
"""Until it is known whether others are active."""
MEASURING_STEP_S = 0.02
MANY = 1_000_000
"""Statements of others: more than it takes to be active. What they feel besides commits is not played."""
STEP_TAKES_S = STEP_S + 0.1
"""A step ends with a commit."""

BESIDE_A_WORKER = 0.8
"""By that share of its usual cost a commit becomes dearer for each worker that is at work: it waits for their commits. What
was measured at levels from 0.1 to 1 on MySQL 9.7, and up to 0.5 on MariaDB 11.8; a sample tells how far a server
is from that."""
USUAL_STEPS = 10
"""So many steps of a sample have as much weight as what is usual."""
BESIDE_A_BUILD = 2.5
"""By that share more while indexes are built, which nobody paces."""
BUILD_LINGERS_S = 0.6
"""So long after the build its pages are still on their way to the disk."""
SCATTER = 0.25
"""Standard deviation of the logarithm, from step to step."""
STALLS, STALL_FACTOR = 0.08, 4.0
"""The share of the steps in which something else stalls the server's commits, and how much dearer they are then."""
UNSURE_OF_COST = 0.5
"""Standard deviation of the logarithm of what work adds, from run to run."""


@dataclass(frozen=True, slots=True)
class PacedWork:
    """Work that is done under the governor."""

    takes_s: Callable[[float], float]
    """How many seconds, all in all, at a level that is held."""
    build_s: float = 0.0
    """So long, from its beginning, indexes are built beside it."""


@dataclass(frozen=True, slots=True)
class Played:
    """How the plays ended."""

    level: float
    """On average over the time and the plays, 0 to 1."""
    seconds: tuple[tuple[float, ...], ...]
    """For each piece of work, how long it took in each play, in order of the plays."""


def play(load: Load, factor: float, workers: int, chunk_s: float, works: Sequence[PacedWork]) -> Played:
    """The works done one after the other under the governor. `load` must be active. The same input gives the same answer."""
    baseline_s = load.baseline_s or 0.001
    added = _added(load, baseline_s, workers)
    runs = [
        _one(random.Random(number), added, baseline_s, factor, workers, chunk_s, works, number)
        for number in range(PLAYS)
    ]
    return Played(
        statistics.mean(level for level, _ in runs),
        tuple(tuple(seconds[place] for _, seconds in runs) for place in range(len(works))),
    )


def at_work(level: float, workers: int) -> float:
    """How many workers are at work on average.

    Each rests after its own work, and whoever rests leaves its place to another. So where there are fewer places than
    workers, more is done than the level says.
    """
    places = max(1, math.ceil(level * workers - 1e-9))
    return min(places, workers * level * workers / places)


def _added(load: Load, baseline_s: float, workers: int) -> float:
    """How much dearer than usual the sample's work has made commits; 1 is what is usual."""
    seen = [
        (took_s / baseline_s - 1) / (BESIDE_A_WORKER * at_work(level, workers))
        for level, took_s in load.commits
        if level > 0
    ]
    # A stall is not what work costs.
    kept = [min(max(ratio, 0.0), 4.0) for ratio in seen]
    return (sum(kept) + USUAL_STEPS) / (len(kept) + USUAL_STEPS)


def _one(
    chance: random.Random,
    added: float,
    baseline_s: float,
    factor: float,
    workers: int,
    chunk_s: float,
    works: Sequence[PacedWork],
    number: int,
) -> tuple[float, list[float]]:
    """The average level, and how long each work took."""
    governor = Governor(factor, workers, chunk_s)
    governor.saw_others(Look(0.0, 0, 0, 0.0))
    now_s = LOOKING_S
    governor.saw_others(Look(now_s, MANY, MANY, 0.0))
    # The plays are spread evenly over what is likely.
    added *= math.exp(UNSURE_OF_COST * statistics.NormalDist().inv_cdf((number + 0.5) / PLAYS))
    seconds: list[float] = []
    levels: list[float] = []
    for work in works:
        began_s, left = (now_s if seconds else 0.0), 1.0
        build_until_s = now_s + work.build_s + (BUILD_LINGERS_S if work.build_s else 0.0)
        while left > 0:
            pace, all_s = governor.pace, work.takes_s(governor.pace.level)
            if not pace.workers:
                # It measures, and whoever works waits.
                now_s += MEASURING_STEP_S
                governor.saw_commit(now_s, baseline_s, True)
                continue
            if now_s > LONGEST_PLAY_S:
                now_s += left * work.takes_s(statistics.mean(levels[len(levels) // 2 :]))
                break
            beside = BESIDE_A_BUILD if now_s < build_until_s else 0.0
            cost = 1 + added * (BESIDE_A_WORKER * at_work(pace.level, workers) + beside)
            cost *= math.exp(SCATTER * chance.gauss(0, 1)) * (STALL_FACTOR if chance.random() < STALLS else 1.0)
            for commit in range(1, STEP_COMMITS + 1):
                governor.saw_commit(now_s + STEP_TAKES_S * commit / STEP_COMMITS, cost * baseline_s, False)
            levels.append(pace.level)
            now_s += min(STEP_TAKES_S, left * all_s)
            left -= STEP_TAKES_S / all_s if all_s else left
        seconds.append(now_s - began_s)
        governor.other_work()
    return statistics.mean(levels), seconds
