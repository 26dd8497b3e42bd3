"""The report of a run: Markdown for people, JSON for scripts, from the same facts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

from osc.progress.report import PHASES
from tests.torture.plan import FaultKind, Round
from tests.torture.rounds import Played


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that a run of torture did and found."""

    seed: int
    servers: tuple[str, ...]
    seconds: float
    rounds: Sequence[Played]
    most_rows: int
    most_faults: int

    def again(self, planned: Round) -> str:
        """The command that plays this round again, alone."""
        which = f"--seed {self.seed} --first-round {planned.number} --servers {planned.server}"
        return f"python -m tests.torture {which} --rows {self.most_rows} --faults {self.most_faults} --duration 0"

    @property
    def findings(self) -> list[str]:
        return [
            f"round {played.round.number} ({played.round}): {each}; again: {self.again(played.round)}"
            for played in self.rounds
            for each in played.findings
        ]

    def write(self, folder: Path) -> None:
        """Both forms, as `report.md` and `report.json`."""
        (folder / "report.md").write_text(self.markdown(), encoding="utf-8")
        (folder / "report.json").write_text(json.dumps(self.to_json(), indent=1, ensure_ascii=False), encoding="utf-8")

    def to_json(self) -> dict[str, object]:
        return {
            "seed": self.seed,
            "servers": self.servers,
            "seconds": round(self.seconds),
            "findings": self.findings,
            "rounds": [asdict(played) for played in self.rounds],
        }

    def markdown(self) -> str:
        lines = [
            "# Torture",
            "",
            f"Seed {self.seed}, {self.seconds / 60:.1f} minutes, on {', '.join(self.servers)}.",
            "",
            *self._summary(),
            "",
            "## Found",
            "",
            *(
                [f"- {finding}" for finding in self.findings]
                or ["Nothing: every table was what its writers had committed."]
            ),
            "",
            "## Faults, by the phase that they hit",
            "",
            *self._faults(),
            "",
            "## How runs ended",
            "",
            *self._endings(),
            "",
            "## Rounds",
            "",
            "| round | server | migration | faults | runs | resumed | transactions | s | |",
            "| ---: | --- | --- | ---: | ---: | ---: | ---: | ---: | --- |",
            *(
                f"| {played.round.number} | {played.round.server} | {played.round.alter_name}, {played.round.rows} rows,"
                f" {played.round.key} key | {len(played.hits)} | {len(played.endings)} | {played.resumes}"
                f" | {played.transactions} | {played.seconds:.0f} | {'**found**' if played.findings else 'right'} |"
                for played in self.rounds
            ),
        ]
        return "\n".join(lines) + "\n"

    def _summary(self) -> list[str]:
        lines = [
            "| server | migrations | faults | runs | resumed | transactions of the application | rows compared | found |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        ]
        for name in (*self.servers, "all"):
            those = [played for played in self.rounds if name in (played.round.server, "all")]
            cells = (
                len(those),
                sum(len(played.hits) for played in those),
                sum(len(played.endings) for played in those),
                sum(played.resumes for played in those),
                sum(played.transactions for played in those),
                sum(played.rows for played in those),
                sum(len(played.findings) for played in those),
            )
            lines.append(f"| {name} | {' | '.join(f'{cell:,}' for cell in cells)} |")
        return lines

    def _faults(self) -> list[str]:
        hits = Counter((hit.fault.kind, hit.phase) for played in self.rounds for hit in played.hits if hit.was_hit)
        missed = Counter(hit.fault.kind for played in self.rounds for hit in played.hits if not hit.was_hit)
        phases = [phase for phase in ("start", *PHASES) if any(where == phase for _, where in hits)]
        lines = [f"| fault | {' | '.join(phases)} | all | missed |", f"| --- |{' ---: |' * (len(phases) + 2)}"]
        for kind in get_args(FaultKind):
            cells = [hits[kind, phase] for phase in phases]
            lines.append(f"| {kind} | {' | '.join(map(str, [*cells, sum(cells), missed[kind]]))} |")
        return lines

    def _endings(self) -> list[str]:
        endings = Counter((ending.exit_code, ending.outcome) for played in self.rounds for ending in played.endings)
        return [
            "| exit code | outcome | runs |",
            "| ---: | --- | ---: |",
            *(f"| {code} | {outcome} | {count} |" for (code, outcome), count in sorted(endings.items())),
        ]
