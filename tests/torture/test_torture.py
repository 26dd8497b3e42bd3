"""A small size of the long randomised runs."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import StartServer
from tests.torture.plan import plan_round
from tests.torture.report import Report
from tests.torture.rounds import play

SEED = 20
ROWS, FULL_ROWS = 4_000, 16_000
ROUNDS, FULL_ROUNDS = 1, 20
FAULTS, FULL_FAULTS = 5, 8


def test_nothing_is_lost_whatever_goes_wrong(start_server: StartServer, tmp_path: Path, is_full_size: bool) -> None:
    server = start_server()
    rows, faults = (FULL_ROWS, FULL_FAULTS) if is_full_size else (ROWS, FAULTS)
    rounds = range(1, (FULL_ROUNDS if is_full_size else ROUNDS) + 1)
    played = [play(plan_round(SEED, number, server.name, rows, faults), server, tmp_path) for number in rounds]
    report = Report(SEED, (server.name,), sum(each.seconds for each in played), played, rows, faults)
    assert not report.findings, report.markdown()
    assert all(each.hits for each in played), report.markdown()


def test_a_seed_makes_the_same_plan_and_another_one_another() -> None:
    assert plan_round(1, 2, "a server", 100, 5) == plan_round(1, 2, "a server", 100, 5)
    assert plan_round(1, 2, "a server", 100, 5) != plan_round(2, 2, "a server", 100, 5)
