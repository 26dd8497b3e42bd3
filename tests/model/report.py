"""`python -m tests.model.report`: every seeded mistake, how soon it is found, and the shortest sequence that shows it.

A table in Markdown; with `--sequences`, the sequences step by step below it.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from tests.model.mutants import MUTANTS, Mutant
from tests.model.world import Interleaving, interleave

MOST_EXAMPLES = 6_000
"""Interleavings that a mutant may survive."""


@dataclass(frozen=True, slots=True)
class Caught:
    """A mutant that was found out."""

    mutant: Mutant
    examples: int
    shortest: Interleaving
    violation: str

    def __str__(self) -> str:
        after = f"caught after {self.examples} interleavings"
        return f"{self.mutant.name}: {after}; shortest:\n{self.shortest}\n=> {self.violation}"


def catch(mutant: Mutant, first_seed: int = 0, most: int = MOST_EXAMPLES) -> Caught | None:
    """Play interleavings with the mutant until a rule is broken, then make that one short. None when it survives."""
    for seed in range(first_seed, first_seed + most):
        found, violation = interleave(seed, mutant.core, kind=mutant.kind)
        if violation is not None:
            shortest = found.shrunk(mutant.core)
            return Caught(mutant, seed - first_seed + 1, shortest, shortest.violation(mutant.core) or violation)
    return None


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0, help="the first seed (default: 0)")
    parser.add_argument("--sequences", action="store_true", help="print the shortest sequences step by step")
    options = parser.parse_args()
    results = [(mutant, catch(mutant, options.seed)) for mutant in MUTANTS]
    print("| mutant | seed | found after | shortest sequence | what it ends in |\n| --- | --- | --- | --- | --- |")
    for mutant, caught in results:
        if caught is None:
            print(f"| {mutant.name} | | **not found in {MOST_EXAMPLES}** | | |")
            continue
        steps = "<br>".join(f"{number}. {action}" for number, action in enumerate(caught.shortest.actions, 1))
        shown = steps if options.sequences else f"{len(caught.shortest.actions)} actions"
        print(f"| {mutant.name} | {caught.shortest.seed} | {caught.examples} | {shown} | {caught.violation} |")


if __name__ == "__main__":
    main()
