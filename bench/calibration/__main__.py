"""Plan and migrate tables of several shapes, idle and under loads, and write a report of how well the plans foretold it.

It wants a machine with nothing else to do.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from bench.arguments import positive
from bench.calibration.estimates import Calibrated, calibrate
from bench.calibration.instant import Changed, change_instantly
from bench.calibration.report import Found, line, read, write
from bench.calibration.scenarios import INSTANT, INSTANT_TABLE, SCENARIOS, SPARING
from bench.calibration.sparing import Spared, spare
from bench.host import Host, started
from bench.loads import LoadFailed
from bench.measure import Timing
from bench.sysbench import ensure_sysbench
from bench.tables import TABLES
from osc.errors import OscError
from osc.sandbox.provision import ensure
from osc.sandbox.servers import server_names

REPORT = Path(__file__).parents[1] / "report"
BUFFER_POOL = "2G"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be calibrated."""

    servers: tuple[str, ...]
    scenarios: tuple[str, ...]
    """Names of `SCENARIOS`, and `SPARING`, `INSTANT`."""
    rows: int
    """Of the first table; the others in proportion."""
    rounds: int
    timing: Timing
    sysbench: str | None


def main(arguments: Sequence[str] | None = None) -> None:
    """The command. Ends with exit code 1 when something could not be run."""
    wanted, output, adds = _parse(arguments)
    kept = read(output) if adds else Found()
    found, report = Found(), ""
    try:
        for one in run(wanted, lambda text: print(text, flush=True)):
            found = found.with_one(one)
            report = write(found.added_to(kept), output)
    except (OscError, LoadFailed) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("interrupted")
    print(f"\n{report}\nwritten to {output}")


def run(wanted: Wanted, say: Callable[[str], None]) -> Iterator[Calibrated | Spared | Changed]:
    """Everything in turn. Raises SandboxError, LoadFailed."""
    names = wanted.scenarios
    chosen = [SCENARIOS[name] for name in names if name in SCENARIOS]
    sysbench = None
    if SPARING in names or any(scenario.load != "none" for scenario in chosen):
        sysbench = wanted.sysbench or ensure_sysbench(say)
    rounds = range(1, wanted.rounds + 1)
    for server in wanted.servers:
        ensure(server, say)
        # Neighbours share their table.
        for (table, factor), scenarios in itertools.groupby(chosen, lambda each: (each.table, each.rows_factor)):
            with _host(server, table, wanted.rows * factor, say) as host:
                for scenario, number in itertools.product(scenarios, rounds):
                    one = calibrate(host, server, scenario.name, scenario.load, number, wanted.timing, sysbench)
                    say(f"  {scenario.name}, round {number}: {line(one)}")
                    yield one
        if SPARING in names:
            with _host(server, "sysbench", wanted.rows, say) as host:
                for number in rounds:
                    say(f"  {SPARING}, round {number}")
                    yield spare(host, server, number, wanted.timing, sysbench)
        if INSTANT in names:
            with _host(server, INSTANT_TABLE, wanted.rows, say) as host:
                for change in change_instantly(host, server, wanted.timing.limit_s):
                    say(f"  {change.alter}: {change.strategy}, {change.alter_ms} ms of {change.duration_s:.2f} s")
                    yield change


def _host(server: str, name: str, base: float, say: Callable[[str], None]) -> AbstractContextManager[Host]:
    table = TABLES[name]
    rows = table.rows(max(1, int(base)))
    say(f"{server}, {rows:,} rows, {table.title}")
    return started(server, "default", BUFFER_POOL, table, rows)


def _parse(arguments: Sequence[str] | None) -> tuple[Wanted, Path, bool]:
    parser = argparse.ArgumentParser(prog="python -m bench.calibration", description=__doc__)
    known = (*SCENARIOS, SPARING, INSTANT)
    parser.add_argument("--server", action="append", choices=(*server_names(), "all"), help="(default: mysql-9.7)")
    parser.add_argument("--scenario", action="append", choices=known, help="these only; may be given again")
    parser.add_argument("--rows", type=positive, default=1_000_000, help="of the first table (default: %(default)s)")
    parser.add_argument("--rounds", type=positive, default=1, help="(default: %(default)s)")
    parser.add_argument(
        "--limit", type=positive, default=120, metavar="SECONDS", help="the most that a migration may take"
    )
    parser.add_argument("--sysbench", metavar="PATH", help="(default: the one on the PATH, else it is fetched)")
    parser.add_argument("--output", type=Path, default=REPORT, help="folder of the report (default: bench/report)")
    parser.add_argument("--add", action="store_true", help="to what is in that folder's report already")
    given = parser.parse_args(arguments)
    servers = given.server or ["mysql-9.7"]
    wanted = Wanted(
        servers=tuple(server_names() if "all" in servers else dict.fromkeys(servers)),
        scenarios=tuple(given.scenario or known),
        rows=given.rows,
        rounds=given.rounds,
        timing=Timing(before_s=3, after_s=0.5, limit_s=given.limit),
        sysbench=given.sysbench,
    )
    return wanted, given.output, given.add


if __name__ == "__main__":
    main()
