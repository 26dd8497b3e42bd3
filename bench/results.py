"""What a whole run of the benchmark found, and the figures that are made of it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from bench.measure import Run
from bench.tail import TailRate


@dataclass(frozen=True, slots=True)
class Cell:
    """One scenario with one setting of the server."""

    scenario: str
    setting: str
    table: str
    rows: int
    data_mib: float
    load: str
    runs: tuple[Run, ...]
    absent: tuple[str, ...]
    """Contenders whose program is not there."""

    @property
    def contenders(self) -> list[str]:
        """Those that took part, in their order."""
        return list(dict.fromkeys(run.contender for run in self.runs))

    def of(self, contender: str) -> list[Run]:
        """The contender's runs, in their order."""
        return [run for run in self.runs if run.contender == contender]

    def median(self, contender: str, figure: Callable[[Run], float | None]) -> float | None:
        """The median over the contender's finished runs of what `figure` gives; None where there is none."""
        return median(figure(run) for run in self.of(contender) if run.finished)

    def wall_s(self, contender: str) -> float | None:
        """The median time; None when it did not finish every time, since a median of the rest would flatter it."""
        runs = self.of(contender)
        return self.median(contender, lambda run: run.wall_s) if runs and all(run.finished for run in runs) else None

    def ratio(self, contender: str) -> float | None:
        """How many times as long as the first contender it took."""
        first, other = self.wall_s(self.contenders[0]), self.wall_s(contender)
        return other / first if first and other else None

    def span(self, contender: str, span: str, figure: str) -> float | None:
        """The median over all runs of what the load felt, as `span("osc", "during", "p99_ms")`."""
        found = (
            getattr(run.felt.spans[span], figure) for run in self.of(contender) if run.felt and span in run.felt.spans
        )
        return median(found)


@dataclass(frozen=True, slots=True)
class Results:
    """Everything that was measured in one go."""

    taken_at: str
    preset: str
    server: str
    machine: str
    cpus: int
    load_average: float
    """Of the machine over the minute before; a benchmark wants to be alone."""
    versions: Mapping[str, str]
    server_settings: Mapping[str, Mapping[str, str]]
    """By setting, the variables that matter here."""
    cells: tuple[Cell, ...]
    tail: tuple[TailRate, ...] = ()
    """How fast the binlog is read, by itself; empty where that was not measured."""

    def cell(self, scenario: str, setting: str | None = None) -> Cell | None:
        """The scenario's cell; without a setting the first there is."""
        return next(
            (cell for cell in self.cells if cell.scenario == scenario and setting in (None, cell.setting)), None
        )


def median(values: Iterable[float | None]) -> float | None:
    """The median of those that are numbers; None where there is none."""
    there = [value for value in values if value is not None and not math.isnan(value)]
    return statistics.median(there) if there else None
