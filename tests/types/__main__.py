"""`python -m tests.types --duration 8h`: random tables on each server in turn until the time is up."""

from __future__ import annotations

import random
import sys
import time
import traceback
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import click
from hypothesis import Phase

from osc.sandbox.distributions import server_names
from osc.sandbox.servers import LocalServer
from tests.duration import seconds_of
from tests.servers import ServerUnderTest, of_local
from tests.types.exploring import Exploration

EXAMPLES = 50


@click.command()
@click.option("--duration", default="10m", help="How long new rounds are begun: 90s, 15m, 2h.", show_default=True)
@click.option("--servers", default=",".join(server_names()), help="On which, by name.", show_default=True)
@click.option("--seed", type=int, help="Of the first round; each next one has the next.")
@click.option("--examples", default=EXAMPLES, help="Tables in a round.", show_default=True)
@click.option("--output", type=click.Path(path_type=Path), default=Path("build/tables"), help="Folder for scripts.")
def main(duration: str, servers: str, seed: int | None, examples: int, output: Path) -> None:
    """Migrate random tables under random changes, and compare each with what a direct `ALTER` makes of it.

    Ends with 1, and the script that reproduces it, when one is not the same.
    """
    first = random.SystemRandom().randrange(10**6) if seed is None else seed
    names = tuple(name.strip() for name in servers.split(","))
    output.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + seconds_of(duration)
    came_of_it: Counter[str] = Counter()
    with ExitStack() as stack:
        running: dict[str, ServerUnderTest] = {}
        number = first
        while time.monotonic() < until or number == first:
            name = names[(number - first) % len(names)]
            if name not in running:
                running[name] = of_local(stack.enter_context(LocalServer(name)))
            came_of_it += _round(running[name], number, examples, output)
            click.echo(f"round with seed {number} on {name}: {came_of_it.total():,} tables so far, nothing found")
            number += 1
    for outcome, count in came_of_it.most_common(10):
        click.echo(f"{count:8,}  {outcome}")


def _round(server: ServerUnderTest, seed: int, examples: int, output: Path) -> Counter[str]:
    """What came of the round; ends the program when something was found."""
    with server.fresh_database() as database:
        exploration = Exploration(server, database, output / f"{seed}.postpone")
        try:
            exploration.explore(examples, [Phase.generate, Phase.shrink], seed)
        except Exception:
            traceback.print_exc()
            if exploration.failed is not None:
                script = output / f"{seed}-{server.name}.sh"
                script.write_text(exploration.failed.script(), encoding="utf-8")
                click.echo(f"FOUND on {server.name}: {script}", err=True)
            again = f"--seed {seed} --servers {server.name} --examples {examples} --duration 0"
            click.echo(f"again: python -m tests.types {again}", err=True)
            sys.exit(1)
    server.execute("flush binary logs", "purge binary logs before now()")
    return exploration.came_of_it


if __name__ == "__main__":
    main()
