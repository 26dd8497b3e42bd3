"""The governor against a simulated server: it finds the pace at which commits cost what they may, and no less."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from osc.throttle.governor import (
    FIRST_MEASURE_S,
    IMPACTS,
    LEAST_LEVEL,
    LONGEST_MEASURE_S,
    MEASURE_EVERY_S,
    SECOND_MEASURE_AFTER_S,
    SMALL_BACKLOG,
    BacklogRest,
    Governor,
    Pace,
    impact_factor,
)
from osc.throttle.others import Look

WORKERS, CHUNK_S = 4, 0.08


@dataclass
class Simulated:
    """A server on which a commit costs `own_s`, and more the harder the migration works."""

    governor: Governor
    own_s: float = 0.002
    added_s: float = 0.02
    """What the migration at full speed adds."""
    noise: float = 0.2
    statements_s: float = 500.0
    at_s: float = 100.0
    others: float = 0.0
    statement_s: float = 0.002
    statement_added_s: float = 0.0
    """To each statement of others, by the migration at full speed."""
    long_statements: int = 0
    """That others have running all the time."""
    rng: random.Random = field(default_factory=lambda: random.Random(7))
    paces: list[Pace] = field(default_factory=list)

    def run(self, seconds: float) -> list[Pace]:
        """Feed the governor for so long; the paces that it set meanwhile, one each 50 ms."""
        began = len(self.paces)
        for _ in range(round(seconds / 0.05)):
            self.governor.saw_others(Look(self.at_s, int(self.others), int(self.others) + 2, self.under_way()))
            self.governor.saw_commit(self.at_s, self.commit_s(), at_rest=self.governor.pace.workers == 0)
            self.paces.append(self.governor.pace)
            self.at_s += 0.05
            self.others += 0.05 * self.statements_s
        return self.paces[began:]

    def load(self) -> float:
        pace = self.governor.pace
        return pace.workers / (1 + pace.rest) / WORKERS

    def commit_s(self) -> float:
        return (self.own_s + self.added_s * self.load()) * self.rng.lognormvariate(0, self.noise)

    def under_way(self) -> float:
        """Statements of others at a moment, by Little's law."""
        mean = self.statements_s * (self.statement_s + self.statement_added_s * self.load())
        return self.long_statements + float(sum(self.rng.random() < mean / 100 for _ in range(100)))

    def mean_ratio(self, paces: list[Pace]) -> float:
        """What a commit cost on average at those paces, in terms of what it costs without the migration."""
        loads = [pace.workers / (1 + pace.rest) / WORKERS for pace in paces]
        return 1 + self.added_s / self.own_s * sum(loads) / len(loads)


def simulated(impact: str = "low", added_s: float = 0.02, statements_s: float = 500.0) -> Simulated:
    governor = Governor(impact_factor(impact), WORKERS, CHUNK_S)
    return Simulated(governor, added_s=added_s, statements_s=statements_s)


@pytest.mark.parametrize("impact", ["low", "medium", "high", "1.5"])
def test_commits_settle_below_the_factor_and_the_work_goes_on(impact: str) -> None:
    server = simulated(impact, added_s=0.012)
    server.run(30)
    paces = server.run(60)
    factor = impact_factor(impact)
    assert factor is not None
    assert 1 + (factor - 1) * 0.4 < server.mean_ratio(paces) <= factor
    assert min(pace.level for pace in paces if pace.workers) > LEAST_LEVEL


def test_a_higher_impact_works_faster() -> None:
    def work(impact: str) -> float:
        paces = simulated(impact, added_s=0.03).run(60)
        return sum(pace.workers / (1 + pace.rest) for pace in paces)

    assert work("low") < work("medium") < work("high") < work("max")


def test_where_nobody_else_is_active_the_pace_is_full_from_the_second_look_on() -> None:
    server = simulated(statements_s=0.0, added_s=1.0)
    paces = server.run(30)
    assert paces[0].workers == 0
    assert all(pace.level == 1.0 and pace.workers == WORKERS and pace.rest == 0 for pace in paces[6:])
    assert server.governor.baseline_s is None


def test_a_few_statements_of_a_monitoring_agent_are_nobody() -> None:
    server = simulated(statements_s=1.0)
    assert server.run(60)[-1].reason == "nobody else is active"


def test_others_that_begin_are_measured_without_the_migration_and_then_spared() -> None:
    server = simulated(statements_s=0.0, added_s=0.03)
    server.run(10)
    server.statements_s = 300.0
    server.run(FIRST_MEASURE_S + 3)
    assert server.governor.baseline_s == pytest.approx(server.own_s, rel=0.3)
    assert any(pace.workers == 0 for pace in server.paces[-80:])
    server.run(20)
    assert server.mean_ratio(server.run(20)) <= 2.2


def test_when_the_others_are_gone_the_pace_is_full_again() -> None:
    server = simulated(added_s=0.1)
    assert server.run(30)[-1].level < 1
    server.statements_s = 0.0
    assert server.run(4)[-1].level == 1


def test_a_server_that_feels_nothing_is_worked_at_full_speed() -> None:
    server = simulated(added_s=0.000_1)
    assert server.run(30)[-1].level == 1


def test_after_a_bad_spell_the_pace_recovers() -> None:
    server = simulated(added_s=0.004)
    before = server.run(40)[-1].level
    server.added_s = 1.0
    assert server.run(8)[-1].level < before / 4
    server.added_s = 0.004
    assert max(pace.level for pace in server.run(20)) > before * 0.8


def test_latency_alone_never_stops_progress() -> None:
    server = simulated(added_s=50.0)
    paces = server.run(100)
    working = [pace for pace in paces if pace.workers]
    assert min(pace.level for pace in working) == LEAST_LEVEL
    assert all(pace.rest < 1 / LEAST_LEVEL for pace in working)
    assert len(working) > 0.8 * len(paces)


def test_a_day_that_becomes_busier_is_a_new_baseline() -> None:
    server = simulated(added_s=0.02)
    server.run(40)
    server.own_s *= 5
    server.run(MEASURE_EVERY_S * 3)
    assert server.governor.baseline_s == pytest.approx(server.own_s, rel=0.5)
    assert server.run(10)[-1].level > LEAST_LEVEL


def test_what_is_dear_while_the_application_catches_up_is_no_baseline() -> None:
    server = simulated(added_s=0.02)
    server.run(FIRST_MEASURE_S + 1)
    before = server.governor.baseline_s
    assert before is not None
    server.own_s *= 3
    server.run(SECOND_MEASURE_AFTER_S + LONGEST_MEASURE_S)
    assert server.governor.baseline_s is not None
    assert server.governor.baseline_s < 1.4 * before
    assert server.governor.pace.level == LEAST_LEVEL


def test_what_statements_cost_without_a_moment_of_rest_is_no_baseline() -> None:
    server = simulated(added_s=0.000_1)
    server.run(FIRST_MEASURE_S + 1)
    # Indexes are built: commits are as cheap as ever, statements of others are not.
    for _ in range(round(MEASURE_EVERY_S * 4 / 0.05)):
        server.governor.saw_others(Look(server.at_s, int(server.others), int(server.others), 20.0))
        server.governor.saw_commit(server.at_s, server.own_s, at_rest=False)
        server.at_s += 0.05
        server.others += 25
    assert server.governor.pace.level == LEAST_LEVEL


def test_an_application_that_stands_still_has_not_gone() -> None:
    server = simulated(added_s=0.02)
    server.run(20)
    server.statements_s, server.long_statements = 0.0, 10
    assert all(pace.reason != "nobody else is active" for pace in server.run(10))
    server.long_statements = 0
    assert server.run(10)[-1].reason == "nobody else is active"


def test_lucky_moments_are_no_baseline() -> None:
    server = simulated(added_s=0.0)
    server.noise = 0.7
    server.run(FIRST_MEASURE_S + 2)
    for _ in range(round(MEASURE_EVERY_S / 0.05)):
        server.governor.saw_others(Look(server.at_s, int(server.others), int(server.others) + 2, 1.0))
        server.governor.saw_commit(server.at_s, server.commit_s(), at_rest=True)
        server.at_s += 0.05
        server.others += 25
    # The mean of a lognormal is more than its median, and the slowest tenth does not count.
    assert server.governor.baseline_s == pytest.approx(server.own_s, rel=0.25)


def test_pressure_slows_down_whatever_commits_cost() -> None:
    server = simulated(added_s=0.000_1)
    server.run(20)
    server.governor.pressure = "the redo log is 90% full"
    paces = server.run(5)
    assert paces[-1].level < 0.1
    assert paces[-1].reason == "the redo log is 90% full"


def test_statements_that_take_longer_count_where_commits_do_not() -> None:
    server = simulated(added_s=0.000_1)
    server.statement_s, server.statement_added_s = 0.01, 0.1
    server.run(20)
    paces = server.run(20)
    loads = [pace.workers / (1 + pace.rest) / WORKERS for pace in paces]
    assert 0.03 < sum(loads) / len(loads) < 0.12
    assert "statements of others are under way" in str(paces[-1].reason)


def test_one_long_statement_of_somebody_is_not_minded() -> None:
    server = simulated(added_s=0.000_1, statements_s=50.0)
    server.run(10)
    server.long_statements = 1
    assert server.run(20)[-1].level == 1


def test_impact_max_is_never_paced() -> None:
    server = simulated("max", added_s=50.0)
    assert {(pace.level, pace.workers, pace.rest) for pace in server.run(30)} == {(1.0, WORKERS, 0.0)}


def test_chunks_become_shorter_before_work_makes_way_for_rest() -> None:
    server = simulated(added_s=0.5)
    for pace in server.run(60):
        assert 0.005 <= pace.chunk_s <= CHUNK_S
        if pace.workers == WORKERS and pace.level < 1:
            assert pace.chunk_s < CHUNK_S


def test_reconciling_rests_only_while_the_backlog_shrinks() -> None:
    backlog, slow, full = BacklogRest(), Pace(0.1, 1, 0.005, 5.0), Pace(1.0, WORKERS, CHUNK_S, 0.0)
    assert backlog.rest(1.0, SMALL_BACKLOG, slow) > 0
    assert backlog.rest(1.0, SMALL_BACKLOG, full) == 0
    assert backlog.rest(2.5, 10 * SMALL_BACKLOG, slow) == 0
    assert backlog.rest(4.0, 11 * SMALL_BACKLOG, slow) == 0
    assert backlog.rest(5.5, 9 * SMALL_BACKLOG, slow) > 0


@pytest.mark.parametrize("text", ["", "lowest", "1", "0.5", "nan", "inf", "-3"])
def test_an_impact_that_is_neither_a_name_nor_above_one_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=text or None):
        impact_factor(text)


def test_the_named_impacts_are_in_order() -> None:
    factors = [factor for factor in IMPACTS.values() if factor is not None]
    assert factors == sorted(factors)


def test_without_a_moment_of_rest_the_baseline_stays() -> None:
    server = simulated(added_s=0.02)
    server.run(10)
    before = server.governor.baseline_s
    at_work, ticks = 0, round(MEASURE_EVERY_S * 2 / 0.05)
    for tick in range(ticks):
        if tick % 5 == 0:
            server.governor.saw_others(Look(server.at_s, int(server.others), int(server.others), 1.0))
        # Something else of the migration's is always at work, as while indexes are built.
        server.governor.saw_commit(server.at_s, 0.05, at_rest=False)
        server.at_s += 0.05
        server.others += 25
        at_work += server.governor.pace.workers > 0
    assert server.governor.baseline_s == before
    assert at_work > 0.9 * ticks


def test_a_factor_of_next_to_nothing_on_a_fast_disk_does_not_forbid_work() -> None:
    server = simulated("1.5", added_s=0.001)
    server.own_s = 0.000_1
    server.run(20)
    assert server.mean_ratio(server.run(30)) > 2
