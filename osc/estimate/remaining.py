"""How long a running migration will still take, all of it: what is left to copy, then verification, indexes, the swap.

Rows left times what a row takes. A plan's estimate, where one is followed, says what a row takes until a tenth of the rows is
done, and what comes after the copy in proportion to it; without a plan the usual proportions do. What was measured takes
over little by little. Time in which the migration may not go on (a signal, the operator, others) is no work; where such pauses
come back again and again, what is left is drawn out by as much as they have drawn out what was done.

A plain calculation: whoever looks at the engine says what it saw and when.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from osc.estimate.learned import SecondsARow
from osc.estimate.model import NOTHING, SWAP_S, PhaseName, Spread
from osc.estimate.pauses import Pauses
from osc.estimate.rows_left import RowsLeft
from osc.progress.report import Phase
from osc.verify.ahead import FRESH_S

LEARNED_AT = 0.1
"""Of a phase's rows: from here on only what was measured counts."""
VERIFY_SHARE = 0.3
"""What verifying a row usually takes, of what copying it takes where the ghost has no secondary index yet."""
BUILD_SHARE = 0.4
"""Likewise of building an index afterwards, for a row of the table."""
KEEP_SHARE = 0.55
"""Likewise of keeping an index up to date during the copy."""
BESIDE = 0.4
"""How much of the shorter one is added where verification and the build of the indexes slow each other."""
BUILD_BEGINS_S = 1.0
OVERRUN = 0.1
"""A build that takes longer than expected is said to take so much more of what it has taken."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What a plan says of a migration's duration."""

    rows: int
    """The table's, by the server."""
    total: Spread
    phases: Mapping[str, Spread]
    """By the names of `osc.estimate.model.PhaseName`."""

    @property
    def copy_row_s(self) -> float:
        return self._s("copy") / max(1, self.rows)

    def share_of_copy(self, *phases: PhaseName) -> float | None:
        """How long those phases take, compared with the copy; None where the copy takes no time."""
        copy_s = self._s("copy")
        return sum(self._s(phase) for phase in phases) / copy_s if copy_s else None

    def _s(self, phase: PhaseName) -> float:
        return self.phases.get(phase, NOTHING).p50_s


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of the engine at one moment."""

    at_s: float
    """By a clock that never goes back."""
    phase: Phase
    rows_copied: int = 0
    rows_verified: int = 0
    """Both with those of an earlier run, where this one resumes it."""
    key_share: float | None = None
    """What share of the migration key's values, 0 to 1, the copy has passed; None where that cannot be told."""
    is_held: bool = False
    """Whether it may not go on."""
    is_building: bool = False
    """Whether deferred indexes are being built."""


class Remaining:
    """Fed with looks, in order."""

    def __init__(
        self, estimated_rows: int, planned: Planned | None = None, deferred_indexes: int = 0, kept_indexes: int = 0
    ) -> None:
        """`estimated_rows`: of the table, by the server. The indexes: secondary ones, built after the copy or kept in it."""
        self._planned = planned
        self._deferred = deferred_indexes
        self._bare_share = 1 / (1 + KEEP_SHARE * kept_indexes)
        self._rows_left = RowsLeft(estimated_rows)
        self._first: Look | None = None
        self._last: Look | None = None
        self._worked_s = 0.0
        self._phase_began_s = 0.0
        """Both in time worked."""
        self._copy = SecondsARow()
        self._verify = SecondsARow()
        self._pauses = Pauses()
        self._to_verify = 0.0
        """Rows that were left to verify when verification proper began."""
        self._verify_row_s: float | None = None
        """What one of them was expected to take, and next the build of the indexes beside it."""
        self._build_s: float | None = None
        self._has_built = False

    def saw(self, look: Look) -> None:
        """Take in what was seen."""
        last = self._last
        if last is not None:
            # Where it was let go, or held, between the two, that was on average half-way.
            self._worked_s += (look.at_s - last.at_s) * (2 - last.is_held - look.is_held) / 2
        if last is None or last.phase != look.phase:
            self._begin(look)
        self._last = look
        if look.phase == "copy":
            self._pauses.saw(look.at_s, look.is_held)
            self._rows_left.saw(look.rows_copied, look.key_share)
            self._copy.saw(self._worked_s, look.rows_copied)
        elif look.phase == "verify":
            self._pauses.saw(look.at_s, look.is_held)
            self._verify.saw(self._worked_s, look.rows_verified)
            self._has_built = self._has_built or look.is_building

    @property
    def rows_total(self) -> int:
        """Rows of the table, as far as is known by now; never less than were copied."""
        if self._last is not None and self._last.phase not in ("preflight", "prepare", "copy"):
            return self._last.rows_copied
        return round(self._rows_left.total)

    @property
    def eta_s(self) -> float | None:
        """Seconds until all is done, the swap included, once it may go on; None while nothing can be said."""
        work_s = self.work_s
        if work_s is None or self._last is None:
            return None
        # Nothing holds back the build of indexes, and what a swap waits for is none of these pauses.
        is_drawn_out = self._last.phase == "copy" or (self._last.phase == "verify" and not self._still_builds)
        return work_s * self._pauses.stretch if is_drawn_out else work_s

    @property
    def work_s(self) -> float | None:
        """The same without the pauses that are to be expected."""
        look = self._last
        if look is None:
            return None
        match look.phase:
            case "copy":
                return self._from_copy()
            case "verify":
                return self._from_verify()
            case "ready" | "cut-over":
                return max(0.0, self._swap_s - (self._worked_s - self._phase_began_s))
            case "done":
                return 0.0
        return None

    # --- by phase -------------------------------------------------------------------------------------------------

    def _begin(self, look: Look) -> None:
        """A phase begins; what is expected of it is settled with what is known by now."""
        self._phase_began_s = self._worked_s
        if look.phase == "copy":
            self._first = look
        elif look.phase == "verify":
            row_s = self._copy_row_s
            self._to_verify = max(0.0, look.rows_copied - look.rows_verified)
            if row_s is not None:
                self._rows_left.saw(look.rows_copied, 1.0)
                verify_s, self._build_s = self._after_copy(row_s, self._to_verify)
                self._verify_row_s = verify_s / self._to_verify if self._to_verify else None

    def _from_copy(self) -> float | None:
        row_s = self._copy_row_s
        if row_s is None:
            return None
        left_s = self._rows_left.left * row_s
        verify_s, build_s = self._after_copy(row_s, self._rows_left.total * (1 - self._ahead(left_s)))
        return left_s + max(verify_s, build_s) + self._swap_s

    def _from_verify(self) -> float | None:
        assert self._last is not None
        left = max(0.0, self._last.rows_copied - self._last.rows_verified)
        row_s = self._learned(self._verify, self._verify_row_s, self._to_verify)
        if row_s is None:
            return None if left else self._swap_s
        if not self._still_builds:
            return left * row_s + self._swap_s
        # The build has no count of its own: only how long it was expected to take.
        spent_s = self._worked_s - self._phase_began_s
        build_s = max((self._build_s or 0.0) - spent_s, OVERRUN * spent_s)
        # Verification is slow beside it, and behind it as fast as it was expected to be.
        behind_s = max(0.0, left - build_s / row_s) * min(row_s, self._verify_row_s or row_s) if row_s else 0.0
        return build_s + behind_s + self._swap_s

    @property
    def _still_builds(self) -> bool:
        """Whether indexes are being built, or are about to be."""
        assert self._last is not None
        is_about_to = not self._has_built and self._worked_s - self._phase_began_s < BUILD_BEGINS_S
        return self._last.is_building or (self._deferred > 0 and is_about_to)

    def _after_copy(self, copy_row_s: float, to_verify: float) -> tuple[float, float]:
        """Seconds for verifying so many rows by itself, and for the build of the indexes beside that; 0 without one."""
        copy_s = copy_row_s * self._rows_left.total
        by_plan = self._planned.share_of_copy("verify") if self._planned else None
        verify_s = VERIFY_SHARE * self._bare_share * copy_row_s * to_verify if by_plan is None else by_plan * copy_s
        if not self._deferred:
            return verify_s, 0.0
        # A plan's phase is what the build takes beyond verification.
        with_build = self._planned.share_of_copy("verify", "indexes") if self._planned else None
        if with_build is not None:
            return verify_s, with_build * copy_s
        build_s = BUILD_SHARE * self._deferred * self._bare_share * copy_s
        return verify_s, build_s + BESIDE * min(verify_s, build_s)

    # --- what is learned ------------------------------------------------------------------------------------------

    @property
    def _copy_row_s(self) -> float | None:
        rows = self._rows_left.total - (self._first.rows_copied if self._first else 0)
        return self._learned(self._copy, self._planned.copy_row_s if self._planned else None, rows)

    @property
    def _swap_s(self) -> float:
        return self._planned.phases.get("swap", NOTHING).p50_s if self._planned else SWAP_S

    def _ahead(self, copy_left_s: float) -> float:
        """What share of the rows will be compared by the end of the copy, in this run and still count then."""
        assert self._last is not None
        assert self._first is not None
        if self._worked_s - self._phase_began_s + copy_left_s > FRESH_S:
            return 0.0
        copied = self._last.rows_copied - self._first.rows_copied
        return min(1.0, (self._last.rows_verified - self._first.rows_verified) / copied) if copied > 0 else 0.0

    @staticmethod
    def _learned(measured: SecondsARow, expected_s: float | None, rows: float) -> float | None:
        """What a row takes: as expected at first, as measured from a tenth of the rows on, and in between in between."""
        if measured.value is None:
            return expected_s
        if not expected_s or not rows:
            return measured.value
        weight = min(1.0, measured.rows / (LEARNED_AT * rows))
        return math.exp(weight * math.log(measured.value) + (1 - weight) * math.log(expected_s))
