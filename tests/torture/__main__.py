"""`python -m tests.torture --duration 60m`: rounds on each server in turn until the time is up, and a report."""

from __future__ import annotations

import random
import sys
import time
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import click

from osc.sandbox.distributions import server_names
from osc.sandbox.servers import LocalServer
from tests.duration import seconds_of
from tests.servers import ServerUnderTest, of_local
from tests.torture.plan import plan_round
from tests.torture.report import Report
from tests.torture.rounds import Played, play

ROWS, MOST_FAULTS = 16_000, 8


@click.command()
@click.option("--duration", default="10m", help="How long new rounds are begun: 90s, 15m, 2h.", show_default=True)
@click.option("--servers", default=",".join(server_names()), help="On which, by name.", show_default=True)
@click.option("--seed", type=int, help="Of an earlier run, to have its rounds again.")
@click.option("--first-round", type=int, default=1, help="Where to begin in the seed's rounds.", show_default=True)
@click.option("--rows", type=int, default=ROWS, help="At most, in a table.", show_default=True)
@click.option("--faults", type=int, default=MOST_FAULTS, help="At most, in a round.", show_default=True)
@click.option("--output", type=click.Path(path_type=Path), help="Folder for the report and the logs.")
def main(
    duration: str, servers: str, seed: int | None, first_round: int, rows: int, faults: int, output: Path | None
) -> None:
    """Disturb migrations under writers in every way, and compare each table with what was committed.

    Ends with 1 when anything was found.
    """
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    names = tuple(name.strip() for name in servers.split(","))
    folder = output or Path("build") / "torture" / f"{datetime.now():%Y%m%d-%H%M%S}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    until = started + seconds_of(duration)
    rounds: list[Played] = []
    click.echo(f"seed {seed}, report in {folder}")
    with ExitStack() as stack:
        running: dict[str, ServerUnderTest] = {}
        number = first_round
        while time.monotonic() < until or not rounds:
            name = names[(number - 1) % len(names)]
            if name not in running:
                running[name] = of_local(stack.enter_context(LocalServer(name)))
            rounds.append(play(plan_round(seed, number, name, rows, faults), running[name], folder))
            _say(rounds[-1])
            # After every round: a run that is stopped half-way has its report as well.
            report = Report(seed, names, time.monotonic() - started, rounds, rows, faults)
            report.write(folder)
            number += 1
    click.echo(report.markdown())
    sys.exit(1 if report.findings else 0)


def _say(played: Played) -> None:
    hits = ", ".join(f"{hit.fault.kind} ({hit.phase})" for hit in played.hits)
    click.echo(
        f"round {played.round.number}: {played.round}, {played.seconds:.0f} s, {len(played.endings)} runs,"
        f" {played.resumes} resumed; {hits}"
    )
    for finding in played.findings:
        click.echo(f"  FOUND: {finding}", err=True)


if __name__ == "__main__":
    main()
