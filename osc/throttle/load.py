"""`--max-load` and `--critical-load`: limits on the server's status variables, and what follows when they are passed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from osc.errors import CriticalLoadMet

STALE_S = 5.0
"""A status that is older says nothing of now."""


@dataclass(frozen=True, slots=True)
class Limit:
    """The most that a status variable may be."""

    variable: str
    most: float

    def __str__(self) -> str:
        return f"{self.variable}={self.most:g}"


def limits(text: str) -> tuple[Limit, ...]:
    """The limits of `Threads_running=25,Innodb_row_lock_current_waits=10`. Raises ValueError."""
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        variable, sign, most = part.partition("=")
        if not sign or not variable.strip():
            raise ValueError(f"{part!r} is not of the form Variable=number")
        if not math.isfinite(float(most)):
            raise ValueError(f"{part!r} is not a limit")
        found.append(Limit(variable.strip(), float(most)))
    return tuple(found)


def passed(wanted: Sequence[Limit], status: Mapping[str, str]) -> str | None:
    """The first limit that is passed, or that cannot be judged, in words; None when all are kept."""
    for limit in wanted:
        value = status.get(limit.variable.lower())
        if value is None:
            return f"{limit.variable} cannot be read: the server has no status variable of that name"
        try:
            is_passed = float(value) >= limit.most
        except ValueError:
            return f"{limit.variable} cannot be judged: its value is {value!r}"
        if is_passed:
            return f"{limit.variable} is {value}, and is to stay below {limit.most:g}"
    return None


class LoadLimits:
    """Judges each status that is read. `note` is called by one thread, `signal` by any."""

    def __init__(
        self,
        most: Sequence[Limit],
        critical: Sequence[Limit] = (),
        critical_interval_s: float = 0.0,
        hibernate_s: float = 0.0,
    ) -> None:
        """`critical_interval_s`: critical is what is so at two looks that far apart; 0: at one.

        `hibernate_s`: hold back for as long on a critical load, instead of giving up; 0: give up.
        """
        self._most = tuple(most)
        self._critical = tuple(critical)
        self._critical_interval_s = critical_interval_s
        self._hibernate_s = hibernate_s
        self._critical_since_s: float | None = None
        self._hibernates_until_s = 0.0
        self._read_at_s: float | None = None
        self._reason: str | None = None
        self.variables = tuple(sorted({limit.variable for limit in (*most, *critical)}))

    def note(self, at_s: float, status: Mapping[str, str]) -> None:
        """The server's status at that time. Raises CriticalLoadMet."""
        self._reason = self._judge_critical(at_s, status) or passed(self._most, status)
        self._read_at_s = at_s

    def _judge_critical(self, at_s: float, status: Mapping[str, str]) -> str | None:
        if at_s < self._hibernates_until_s:
            return f"hibernating for another {self._hibernates_until_s - at_s:.0f} s after a critical load"
        reason = passed(self._critical, status)
        if reason is None:
            self._critical_since_s = None
            return None
        if self._hibernate_s:
            self._hibernates_until_s = at_s + self._hibernate_s
            return f"critical load: {reason}. Hibernating for {self._hibernate_s:g} s"
        if self._critical_since_s is None:
            self._critical_since_s = at_s
        if at_s - self._critical_since_s >= self._critical_interval_s:
            raise CriticalLoadMet(
                f"given up because of --critical-load: {reason}. The original is in place and complete. Run the same command "
                "again at a quieter time; it goes on from the checkpoint, if it had come to the first"
            )
        return f"critical load: {reason}"

    def signal(self, now_s: float) -> str | None:
        """Why to hold back, or None. A status that was not read lately counts as bad."""
        if not self.variables:
            return None
        if self._read_at_s is None:
            return f"{', '.join(self.variables)} was not read yet"
        if now_s - self._read_at_s > STALE_S:
            return f"{', '.join(self.variables)} could not be read for {now_s - self._read_at_s:.0f} s"
        return self._reason
