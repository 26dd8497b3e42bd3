"""How fast to work, so that the application's commits cost no more than a set factor of what they did.

Fed with what a commit costs right now and with how many statements others send, it answers with a pace: additive up,
multiplicative down, never to a standstill. Where nobody else is active there is nobody to spare, and the pace is full. No
clock, no thread, no socket: whoever feeds it says what time it is.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from osc.throttle.felt import (
    NEVER_MINDED_STATEMENTS,
    Baseline,
    Felt,
    commit_limit_s,
    felt_by_others,
    learned,
    most_under_way,
    usual,
)
from osc.throttle.others import Look

IMPACTS: Mapping[str, float | None] = {"low": 2.0, "medium": 4.0, "high": 8.0, "max": None}
"""By how much the cost of a commit may grow; None for no pacing at all."""
DEFAULT_IMPACT = "low"

LEAST_LEVEL = 0.05
"""Latency alone never stops progress altogether. What others change has to be reconciled at any pace, for as long as the
migration lasts: below some pace it only lasts longer, and spares nobody."""
FIRST_LEVEL = 0.05
LEAST_CHUNK_S = 0.005
"""Below, a chunk is mostly round trips and its own commit."""

CHUNKS_ALONE = 2
"""Where nobody else is active, chunks may take so many times as long. A million rows took 7 s instead of 7.5 s."""

SLOW_START = 0.25
"""By so much faster with each step, before commits have been too dear for the first time: what a pace costs the application is
only known when it has lasted."""
STEP_S = 0.5
STEP_COMMITS = 5
LEVEL_UP = 0.05
"""Where commits cost next to nothing more than they did; less where the limit is near."""
STRONGEST_CUT = 0.4
UNDER_PRESSURE = 2.0
"""As dear as this counts what the server suffers from otherwise."""
WORTH_A_RISE = 0.9
"""Of the limit: commits that cost less leave room."""
MOSTLY_REST = 0.1
"""At this level and below, what commits cost between two chunks is what they cost anyway."""
FAR_CHEAPER = 1.3
"""Times cheaper than the baseline: less is chance."""
DRIFT = 0.2
"""The share of each step's that goes into the baseline there."""
WEIGHT_OF_A_MEASUREMENT = 0.5
"""A measurement is short: the one before has a say, too."""
WEIGHT_WHERE_WORSE = 0.1
"""Of one that found the server far from what it was though the migration rested: as long as the application catches up with
what it could not do beside the migration, that is no baseline. After some minutes it is."""
STILL_WORSE = 1.3
"""Times the baseline: a measurement waits for what is dearer to become cheaper, for as long as one may take."""

FELT_OVER_S = 1.0
"""So long ago begins what others feel now."""

FIRST_MEASURE_S, MEASURE_S, LONGEST_MEASURE_S = 1.0, 0.4, 3.0
MEASURED_COMMITS = 10
SECOND_MEASURE_AFTER_S, MEASURE_EVERY_S = 4.0, 60.0
"""The first measurement is taken while the tool itself is only just starting, which costs commits something where both share
a machine: the next one follows soon, and each takes four times as long to come as the one before, up to a minute."""

WINDOW_S = 2.0
SHORTEST_WINDOW_S = 0.08
ACTIVE_STATEMENTS_S = 5.0
ACTIVE_STATEMENTS = 10
"""Others are active with so many statements a second, and so many in the window: some of the engine's own may be under way
to a busy server, and be counted there later than here."""

REST_OF_RECONCILING = 1.0
SMALL_BACKLOG = 1_000
BACKLOG_LOOK_S = 1.0
SHRINKS = 0.95
"""Of what it was at the last look: a backlog that is smaller shrinks."""

State = Literal["starting", "alone", "measuring", "paced"]


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast to work right now."""

    level: float
    """1 is full speed."""
    workers: int
    """How many may work at the same time; 0 while a measurement is taken."""
    chunk_s: float
    """How long one chunk should take."""
    rest: float
    """Seconds of pause for each second of work."""
    reason: str | None = None
    """Why not at full speed, or why at full speed where that was decided; None where nothing was decided yet."""


class Governor:
    """Decides the pace. Used by one thread, but for `pace`, which any thread may read."""

    def __init__(self, factor: float | None, workers: int, chunk_s: float) -> None:
        """`factor`: by how much commits may become dearer; None: never pace. `workers`, `chunk_s`: at full speed."""
        self._factor = factor
        self._workers = workers
        self._chunk_s = chunk_s
        self._state: State = "starting"
        self._level = FIRST_LEVEL
        self._slow_start = True
        self._looks: deque[Look] = deque()
        self._samples: list[float] = []
        self._rested: list[tuple[float, float]] = []
        self._rest_samples: list[float] = []
        self._since_s = 0.0
        self._measure_at_s = -math.inf
        self._measure_again_s = SECOND_MEASURE_AFTER_S
        self._measuring_for_s = FIRST_MEASURE_S
        self._why = ""
        self.pressure: str | None = None
        """What the server suffers from besides slow commits; each step slows down while there is something."""
        self._statement: Baseline | None = None
        """How long a statement of others took, on average, while the migration rested."""
        self._usually_under_way = 0.0
        """Of them, at the last measurement."""
        self._commit: Baseline | None = None
        self.commit_s: float | None = None
        """What a commit cost in the last step; None where nobody else is active."""
        self.pace = self._full("") if factor is None else self._resting("looking whether others are active")

    # --- what it is told ------------------------------------------------------------------------------------------

    def saw_others(self, look: Look) -> None:
        """What others are doing."""
        if self._factor is None:
            return
        self._looks.append(look)
        # The oldest one kept is the last at or before the window's start.
        while len(self._looks) > 2 and self._looks[1].at_s <= look.at_s - WINDOW_S:
            self._looks.popleft()
        active = self._others_are_active()
        if active is None:
            return
        if not active:
            self._state, self.commit_s = "alone", None
            self.pace = self._alone()
        elif self._state in ("starting", "alone"):
            self._begin_again(look.at_s)

    @property
    def baseline_s(self) -> float | None:
        """What a commit cost while the migration rested; None before that was measured."""
        return None if self._commit is None else self._commit.value_s

    def saw_commit(self, at_s: float, took_s: float, at_rest: bool) -> None:
        """A commit that took so long; `at_rest`: no chunk was under way."""
        if self._state == "measuring":
            self._measure(at_s, took_s, at_rest)
        elif self._state == "paced":
            self._samples.append(took_s)
            if at_rest:
                self._rest_samples.append(took_s)
            if at_s - self._since_s >= STEP_S and len(self._samples) >= STEP_COMMITS:
                self._step(at_s)

    def other_work(self) -> None:
        """The work is of another kind from now on, so its right pace has to be found anew."""
        self._slow_start = True

    @property
    def wants_commits(self) -> Literal["many", "some", "few"]:
        """How often the cost of a commit should be looked at: as often as can be, a few times a second, now and then."""
        return {"measuring": "many", "paced": "some"}.get(self._state, "few")  # type: ignore[return-value]

    # --- deciding -------------------------------------------------------------------------------------------------

    def _others_are_active(self) -> bool | None:
        first, last = self._looks[0], self._looks[-1]
        span_s = last.at_s - first.at_s
        if span_s < SHORTEST_WINDOW_S:
            return None
        statements = last.sent_at_least - first.sent_at_most
        if self._state in ("measuring", "paced"):
            if span_s < WINDOW_S / 2:
                return True
            # Who waits for what is under way sends nothing new.
            under_way = sum(look.under_way for look in self._looks) / len(self._looks)
            if under_way > self._usually_under_way + NEVER_MINDED_STATEMENTS:
                return True
        return statements >= ACTIVE_STATEMENTS and statements >= ACTIVE_STATEMENTS_S * span_s

    def _begin_again(self, at_s: float) -> None:
        """Others have become active: what a commit costs them by themselves has to be known, unless it is."""
        if at_s < self._measure_at_s:
            self._be_paced(at_s)
        else:
            self._level, self._slow_start = FIRST_LEVEL, True
            self._begin_measuring(at_s, FIRST_MEASURE_S if self.baseline_s is None else MEASURE_S)

    def _begin_measuring(self, at_s: float, for_s: float) -> None:
        self._state, self._since_s, self._measuring_for_s = "measuring", at_s, for_s
        self._rested = []
        self.pace = self._resting("measuring what a commit costs without the migration")

    def _measure(self, at_s: float, took_s: float, at_rest: bool) -> None:
        if at_rest:
            self._rested.append((at_s, took_s))
        elapsed_s = at_s - self._since_s
        if elapsed_s < self._measuring_for_s:
            return
        # The last ones: before, the application may still have caught up with what it could not do beside the migration.
        recent = sum(rested_at_s >= at_s - self._measuring_for_s for rested_at_s, _ in self._rested)
        counted = self._rested[-max(MEASURED_COMMITS, recent) :]
        last = [took_s for _, took_s in counted]
        # What others feel while something is always at work, as while indexes are built, is not what they feel without it.
        felt = felt_by_others(self._looks, counted[0][0]) if len(counted) >= MEASURED_COMMITS else None
        is_worse = len(last) >= MEASURED_COMMITS and self._is_worse(last, felt)
        if elapsed_s < LONGEST_MEASURE_S and (len(last) < MEASURED_COMMITS or is_worse):
            return
        weight = WEIGHT_WHERE_WORSE if is_worse else WEIGHT_OF_A_MEASUREMENT
        if last or self._commit is None:
            # Without a single commit at rest, one beside a chunk is better than no limit.
            self._commit = learned(self._commit, usual(last or [took_s]), weight)
        if felt is not None:
            self._statement = learned(self._statement, felt.statement_s, weight)
            if not is_worse:
                self._usually_under_way = felt.under_way
        if is_worse:
            # Either it still has not caught up, and needs more room for it, or it is slower by itself, as time will tell.
            self._level, self._slow_start = LEAST_LEVEL, False
            self._measure_again_s = SECOND_MEASURE_AFTER_S
        self._measure_at_s = at_s + self._measure_again_s
        self._measure_again_s = min(4 * self._measure_again_s, MEASURE_EVERY_S)
        self._be_paced(at_s)

    def _is_worse(self, last: Sequence[float], felt: Felt | None) -> bool:
        """Whether others feel worse than without the migration, though it rests."""
        commits = self._commit is not None and usual(last) > STILL_WORSE * self._commit.value_s
        if felt is None or self._statement is None:
            return commits
        usually_under_way = max(self._statement.value_s * felt.statements_a_second, self._usually_under_way)
        return commits or felt.under_way > STILL_WORSE * usually_under_way + NEVER_MINDED_STATEMENTS

    def _be_paced(self, at_s: float) -> None:
        self._state, self._since_s = "paced", at_s
        self._samples, self._rest_samples = [], []
        self._why = self._comparison(self.baseline_s)
        self.pace = self._paced()

    def _step(self, at_s: float) -> None:
        dearness = self._dearness(at_s)
        if dearness > WORTH_A_RISE:
            self._slow_start = False
        if dearness > 1.0:
            self._level *= max(STRONGEST_CUT, WORTH_A_RISE / dearness)
        elif dearness < WORTH_A_RISE:
            self._level += SLOW_START * self._level if self._slow_start else LEVEL_UP * (1.0 - dearness)
        self._level = min(1.0, max(LEAST_LEVEL, self._level))
        self.pace = self._paced()
        self._samples, self._rest_samples, self._since_s = [], [], at_s
        if at_s >= self._measure_at_s:
            self._begin_measuring(at_s, MEASURE_S)

    def _dearness(self, at_s: float) -> float:
        """What commits and statements cost in the last step: 1 is the most that they may. Says why."""
        assert self._commit is not None
        assert self._factor is not None
        self.commit_s = usual(self._samples)
        if len(self._rest_samples) >= STEP_COMMITS:
            rest_s = usual(self._rest_samples)
            if self._level <= MOSTLY_REST or rest_s * FAR_CHEAPER < self._commit.value_s:
                self._commit.drift(rest_s, DRIFT)
        dearness, self._why = (
            self.commit_s / commit_limit_s(self._commit.value_s, self._factor),
            self._comparison(self.commit_s),
        )
        felt = felt_by_others(self._looks, at_s - FELT_OVER_S)
        if felt is not None and self._statement is not None:
            most = most_under_way(
                self._statement.value_s, felt.statements_a_second, self._factor, self._usually_under_way
            )
            of_others = felt.under_way / most
            if of_others > dearness:
                dearness, self._why = of_others, self._comparison_of_others(felt)
        if self.pressure is not None:
            dearness, self._why = max(dearness, UNDER_PRESSURE), self.pressure
        return dearness

    # --- the pace -------------------------------------------------------------------------------------------------

    def _full(self, reason: str) -> Pace:
        return Pace(1.0, self._workers, self._chunk_s, 0.0, reason or None)

    def _alone(self) -> Pace:
        """There is nobody whose commits a long chunk would hold up, and fewer commits of our own take less time."""
        return Pace(1.0, self._workers, self._chunk_s * CHUNKS_ALONE, 0.0, "nobody else is active")

    def _resting(self, reason: str) -> Pace:
        return Pace(self._level, 0, chunk_s_at(self._level, self._chunk_s), 0.0, reason)

    def _paced(self) -> Pace:
        """First the chunks become shorter, since a commit waits behind another's long one; then work makes way for rest."""
        share = self._level * self._workers
        workers = max(1, math.ceil(share - 1e-9))
        return Pace(self._level, workers, chunk_s_at(self._level, self._chunk_s), workers / share - 1.0, self._why)

    def _comparison_of_others(self, felt: Felt) -> str:
        assert self._statement is not None
        return (
            f"{felt.under_way:.1f} statements of others are under way at a time, each for {felt.statement_s * 1000:.2f} ms, "
            f"{self._statement.value_s * 1000:.2f} ms without the migration"
        )

    def _comparison(self, commit_s: float | None) -> str:
        if commit_s is None or self.baseline_s is None or self._factor is None:
            return ""
        return (
            f"a commit takes {commit_s * 1000:.1f} ms, {self.baseline_s * 1000:.1f} ms without the migration, and may take "
            f"{commit_limit_s(self.baseline_s, self._factor) * 1000:.1f}"
        )


class BacklogRest:
    """The rest that reconciling may take: it is governed as the copy is, but the backlog must be small, or shrink.

    Any thread may ask: the worst that comes of two at once is a look more.
    """

    def __init__(self) -> None:
        self._looked = (-math.inf, 0)
        self._may_rest = True

    def rest(self, at_s: float, pending_keys: int, pace: Pace) -> float:
        """Seconds of pause for each second of reconciling, with so many keys pending at that time."""
        looked_at_s, before = self._looked
        if at_s - looked_at_s >= BACKLOG_LOOK_S:
            self._may_rest = pending_keys <= max(SMALL_BACKLOG, before * SHRINKS)
            self._looked = (at_s, pending_keys)
        return min(pace.rest, REST_OF_RECONCILING) if self._may_rest else 0.0


def chunk_s_at(level: float, full_s: float) -> float:
    """How long a chunk should take at that level, when it may take `full_s` at full speed."""
    return max(min(LEAST_CHUNK_S, full_s), full_s * level**2)


def impact_factor(impact: str) -> float | None:
    """What `--impact` means: a name of `IMPACTS`, or a number above 1. Raises ValueError."""
    if impact in IMPACTS:
        return IMPACTS[impact]
    factor = float(impact)
    if not 1.0 < factor < math.inf:
        raise ValueError(impact)
    return factor
