"""`python -m tests.model --duration 8h`: interleavings of the model until the time is up."""

from __future__ import annotations

import random
import sys
import time

import click

from tests.duration import seconds_of
from tests.model.core import Core
from tests.model.world import interleave

SAY_EVERY_S = 60.0


@click.command()
@click.option("--duration", default="10m", help="How long: 90s, 15m, 2h.", show_default=True)
@click.option("--seed", type=int, help="Of the first interleaving; each next one has the next.")
def main(duration: str, seed: int | None) -> None:
    """Play interleavings of the engine's core and the model of a server.

    Ends with 1, and the shortest sequence that shows it, when a row was lost or a difference was none.
    """
    first = random.SystemRandom().randrange(10**9) if seed is None else seed
    click.echo(f"the first seed is {first}")
    core = Core()
    started = said = time.monotonic()
    until = started + seconds_of(duration)
    number = first
    while time.monotonic() < until or number == first:
        found, violation = interleave(number, core)
        if violation is not None:
            click.echo(f"FOUND: {violation}\n{found.shrunk(core)}", err=True)
            click.echo(f"again: python -m tests.model --seed {number} --duration 0", err=True)
            sys.exit(1)
        number += 1
        if time.monotonic() - said > SAY_EVERY_S:
            said = time.monotonic()
            click.echo(f"{number - first:,} interleavings in {(said - started) / 60:.0f} minutes")
    click.echo(f"{number - first:,} interleavings, from seed {first} on: nothing found")


if __name__ == "__main__":
    main()
