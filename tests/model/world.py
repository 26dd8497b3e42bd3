"""A server and the runs of the engine on it, moved by actions: anything that may happen next, in any order.

A list of actions is an interleaving. It can be made at random, replayed, and shrunk. An action that makes no sense when its
turn comes does nothing. After the last one everything goes on fairly until the tables are swapped; then they must be equal.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.model.run import Core, Failure, Run, Stopped, Violation
from tests.model.server import PLACES, UNIQUE_VALUES, GhostTransaction, Op, Server, Settings

XIDS = ("x", "y")
LONGEST_FINISH = 400


@dataclass(frozen=True, slots=True)
class Action:
    """Something that happens."""

    kind: str
    who: str = ""
    """An actor of the run, or an xid."""
    number: int = 0
    ops: tuple[Op, ...] = ()

    def __str__(self) -> str:
        ops = ", ".join(f"{op} {place}" + (f" (u={unique})" if unique else "") for op, place, unique in self.ops)
        return " ".join(filter(None, [self.kind, self.who, str(self.number or ""), ops]))


class World:
    """Raises Violation from `do` or `finish` when a rule of the engine's is wrong."""

    def __init__(self, settings: Settings, core: Core) -> None:
        self.server = Server(settings)
        self._core = core
        self._orphans: list[GhostTransaction] = []
        self._actions: dict[str, Callable[[Action], None]] = {
            "commit": self._commit,
            "prepare": self._prepare,
            "xa commit": self._decide,
            "xa rollback": self._decide,
            "xa visible": self._finish_xa,
            "visible": self._make_visible,
            "deliver": self._deliver,
            "reconnect": self._reconnect,
            "step": self._step,
            "fail": self._fail,
            "crash": self._crash,
            "orphan": self._advance_orphan,
        }
        self.has_ended = False
        self.run = Run(self.server, core)

    def do(self, action: Action) -> None:
        """Let it happen, if it can. Raises Violation."""
        if self.has_ended:
            return
        try:
            self._actions[action.kind](action)
        except Stopped:
            self.has_ended = True
        except (AssertionError, LookupError, ValueError) as error:
            raise Violation(f"the core refused to go on: {type(error).__name__} {error}") from error
        if self.run.has_swapped and not self.has_ended:
            self.has_ended = True
            self._compare()

    def _compare(self) -> None:
        """The tables have changed places: whatever the application committed must be in the new one."""
        server = self.server
        lost = [place for place in range(PLACES) if server.source.get(place) != server.ghost.get(place)]
        if lost:
            told = ", ".join(f"{server.source.get(p)} became {server.ghost.get(p)}" for p in lost)
            raise Violation(f"after the swap, {told}")
        if server.prepared or any(commit.holds_table for commit in server.pipeline):
            raise Violation("a transaction wrote the original and becomes visible after the swap")

    # --- what may happen ------------------------------------------------------------------------------------------

    def _commit(self, action: Action) -> None:
        change = self.server.change(action.ops)
        if change is not None:
            self.server.commit(change)

    def _prepare(self, action: Action) -> None:
        change = self.server.change(action.ops) if action.who not in self.server.xids else None
        if change is not None:
            self.server.prepare_xa(action.who, change)

    def _decide(self, action: Action) -> None:
        if action.who in self.server.prepared and action.who not in self.server.deciding:
            self.server.decide_xa(action.who, action.kind == "xa commit")

    def _finish_xa(self, action: Action) -> None:
        if self.server.settings.is_mariadb and action.who in self.server.deciding:
            self.server.finish_xa(action.who)

    def _make_visible(self, action: Action) -> None:
        if self.server.pipeline:
            self.server.make_visible()

    def _deliver(self, action: Action) -> None:
        if self.run.tail is not None:
            self.run.tail.deliver(action.number)

    def _reconnect(self, action: Action) -> None:
        if self.run.tail is not None:
            self.run.tail.reconnect()

    def _step(self, action: Action) -> None:
        if action.who in self.run.actors and self.run.is_ready(action.who):
            self.run.interference = action.number
            self.run.step(action.who)

    def _fail(self, action: Action) -> None:
        if action.who in self.run.can_fail:
            self.run.step(action.who, Failure())

    def _crash(self, action: Action) -> None:
        """The process dies; its transactions live on in the server, and a new run begins."""
        self._orphans = [transaction for transaction in self.server.open if transaction.commit_sent is None]
        self.server.is_locked = False
        self.run = Run(self.server, self._core)

    def _advance_orphan(self, action: Action) -> None:
        """What is left of a dead client goes on: the statement to its end, and then without a commit."""
        if not self._orphans:
            return
        orphan = self._orphans[action.number % len(self._orphans)]
        if self._core.autocommits and orphan.can_go_on:
            orphan.go_on()
            orphan.commit()
            self._orphans.remove(orphan)
        elif not self._core.autocommits:
            orphan.rollback()
            self._orphans.remove(orphan)

    # --- the end --------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Let everything go on until the tables are swapped. Raises Violation."""
        for _ in range(LONGEST_FINISH):
            if self.has_ended:
                return
            for kind in ("orphan", "visible", "deliver"):
                self.do(Action(kind, number=PLACES))
            for xid in XIDS:
                self.do(Action("xa commit", xid))
                self.do(Action("xa visible", xid))
            steps = [Action("step", name) for name in list(self.run.actors) if name != "saver"]
            ready = [step for step in steps if step.who in self.run.actors and self.run.is_ready(step.who)]
            if not ready and not self.server.pipeline:
                # A deadlock of the ghost's transactions: the server fails one of them.
                ready = [Action("fail", name) for name in sorted(self.run.can_fail)[:1]]
            for step in ready:
                self.do(step)
        raise Violation("the migration never comes to its end")


# --- interleavings ----------------------------------------------------------------------------------------------------

WEIGHTS = {
    "step": 50,
    "visible": 14,
    "deliver": 14,
    "commit": 14,
    "prepare": 2,
    "xa commit": 2,
    "xa rollback": 1,
    "xa visible": 2,
    "fail": 2,
    "crash": 1,
    "orphan": 2,
    "reconnect": 1,
}
ACTORS = {"main": 4, "reconciler": 5, "worker 1": 3, "worker 2": 3, "saver": 2}


def random_settings(chance: random.Random) -> Settings:
    """A kind of server and table."""
    uniques = list(UNIQUE_VALUES)
    chance.shuffle(uniques)
    places = sorted(chance.sample(range(PLACES), chance.randint(0, PLACES - 1)))
    return Settings(
        unique=chance.choice(("none", "none", "same", "stricter")),
        compares=chance.random() < 0.75,
        is_mariadb=chance.random() < 0.5,
        verifies=chance.random() < 0.4,
        rows=tuple((place, uniques.pop() if uniques and chance.random() < 0.6 else 0) for place in places),
        range_rows=chance.randint(1, 3),
    )


class Chooser:
    """Makes actions up. Each interleaving has its own mixture of them, since a rare one alone says nothing."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._kinds = self._mixed(WEIGHTS)
        self._actors = self._mixed(ACTORS)

    def _mixed(self, weights: dict[str, int]) -> tuple[list[str], list[float]]:
        return list(weights), [weight * self._chance.choice((0.2, 1, 1, 4)) for weight in weights.values()]

    def action(self, world: World) -> Action:
        """What happens next."""
        chance = self._chance
        kind = chance.choices(*self._kinds)[0]
        match kind:
            case "step" | "fail":
                return Action(kind, chance.choices(*self._actors)[0], chance.choice((0, 0, 1, 3)))
            case "commit":
                return Action(kind, ops=self._ops())
            case "prepare":
                return Action(kind, chance.choice(XIDS), ops=self._ops())
            case "xa commit" | "xa rollback" | "xa visible":
                return Action(kind, chance.choice(XIDS))
            case "deliver":
                return Action(kind, number=chance.choice((1, 3, 30)))
        return Action(kind)

    def _ops(self) -> tuple[Op, ...]:
        return tuple(self._op() for _ in range(self._chance.choice((1, 1, 2, 3))))

    def _op(self) -> Op:
        chance = self._chance
        place = chance.randrange(PLACES)
        return ("delete", place, 0) if chance.random() < 0.3 else ("put", place, chance.choice((0, 0, *UNIQUE_VALUES)))


@dataclass(frozen=True, slots=True)
class Interleaving:
    """What happened, to be replayed."""

    settings: Settings
    actions: tuple[Action, ...]
    seed: int = 0

    def violation(self, core: Core) -> str | None:
        """Replay it; what rule was broken."""
        world = World(self.settings, core)
        try:
            for action in self.actions:
                world.do(action)
            world.finish()
        except Violation as violation:
            return str(violation)
        return None

    def shrunk(self, core: Core) -> Interleaving:
        """A short interleaving that still breaks a rule: actions are left out as long as it does."""
        shortest = self
        size = max(1, len(self.actions) // 2)
        while True:
            start, has_shrunk = 0, False
            while start < len(shortest.actions):
                without = shortest.actions[:start] + shortest.actions[start + size :]
                shorter = replace(shortest, actions=without)
                if shorter.violation(core) is not None:
                    shortest, has_shrunk = shorter, True
                else:
                    start += size
            if size == 1 and not has_shrunk:
                return shortest
            size = max(1, size // 2)

    def __str__(self) -> str:
        return "\n".join(
            [str(self.settings), *(f"{number}. {action}" for number, action in enumerate(self.actions, 1))]
        )


def interleave(
    seed: int, core: Core, length: int = 120, settings: Settings | None = None
) -> tuple[Interleaving, str | None]:
    """Make up an interleaving of at most `length` actions, and play it; what rule was broken, if one was."""
    chance = random.Random(seed)
    world = World(settings or random_settings(chance), core)
    chooser = Chooser(chance)
    actions: list[Action] = []
    violation = None
    try:
        for _ in range(chance.randint(length // 3, length)):
            if world.has_ended:
                break
            actions.append(chooser.action(world))
            world.do(actions[-1])
        world.finish()
    except Violation as found:
        violation = str(found)
    return Interleaving(world.server.settings, tuple(actions), seed), violation
