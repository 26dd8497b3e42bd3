"""The engine's core keeps every row, and verification never cries wolf, whatever the order in which things happen."""

from __future__ import annotations

import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.model.core import Core
from tests.model.server import PLACES, UNIQUE_VALUES, Op
from tests.model.world import ACTORS, XIDS, Action, World, interleave, random_settings


@pytest.mark.timeout(0)
def test_in_no_interleaving_is_a_row_lost_or_a_difference_false(interleavings: int, model_seed: int) -> None:
    core = Core()
    for seed in range(model_seed, model_seed + interleavings):
        found, violation = interleave(seed, core)
        assert violation is None, f"{violation}\n{found.shrunk(core)}"


OPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, PLACES - 1), st.sampled_from((0, *UNIQUE_VALUES))),
        st.tuples(st.just("delete"), st.integers(0, PLACES - 1), st.just(0)),
    ),
    min_size=1,
    max_size=3,
).map(tuple)
WHO = st.sampled_from(sorted(ACTORS))


class Migration(RuleBasedStateMachine):
    """The application, the server and the engine, each of which may do something next."""

    @initialize(seed=st.integers(0, 2**16))
    def begin(self, seed: int) -> None:
        self.world = World(random_settings(random.Random(seed)), Core())

    @rule(ops=OPS)
    def commit(self, ops: tuple[Op, ...]) -> None:
        self.world.do(Action("commit", ops=ops))

    @rule(xid=st.sampled_from(XIDS), ops=OPS)
    def prepare(self, xid: str, ops: tuple[Op, ...]) -> None:
        self.world.do(Action("prepare", xid, ops=ops))

    @precondition(lambda self: self.world.server.prepared)
    @rule(xid=st.sampled_from(XIDS), kind=st.sampled_from(("xa commit", "xa rollback", "xa visible")))
    def decide(self, xid: str, kind: str) -> None:
        self.world.do(Action(kind, xid))

    @rule(number=st.integers(1, 9))
    def make_visible(self, number: int) -> None:
        self.world.do(Action("visible", number=number))

    @rule(number=st.integers(1, 30))
    def deliver(self, number: int) -> None:
        self.world.do(Action("deliver", number=number))

    @rule(who=WHO, number=st.integers(0, 3))
    def step(self, who: str, number: int) -> None:
        self.world.do(Action("step", who, number))

    @rule(who=WHO, number=st.integers(1, 12))
    def run_on(self, who: str, number: int) -> None:
        self.world.do(Action("run", who, number))

    @rule(who=WHO)
    def fail(self, who: str) -> None:
        self.world.do(Action("fail", who))

    @rule(number=st.integers(0, 3), kind=st.sampled_from(("crash", "orphan", "reconnect", "round")))
    def disaster(self, number: int, kind: str) -> None:
        self.world.do(Action(kind, number=number))

    @invariant()
    def what_is_pending_is_accounted_for(self) -> None:
        """A checkpoint never lies behind a transaction with a key that is not settled."""
        run = self.world.run
        if run.tail is not None and run.pending.oldest() is None:
            assert len(run.pending) == 0

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.finish()


TestMigration = Migration.TestCase
TestMigration.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
