"""A server and the runs of the engine on it, moved by actions: anything that may happen next, in any order.

A list of actions is an interleaving. It can be made at random, replayed, and shrunk. An action that makes no sense when its
turn comes does nothing. After the last one everything goes on fairly until the tables are swapped; then they must be equal.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from tests.model.core import Core
from tests.model.run import Failure, Run, Stopped, Violation
from tests.model.server import PLACES, UNIQUE_VALUES, GhostTransaction, Kind, Op, Server, Settings

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
        changes = ", ".join(
            f"deletes {place}" if op == "delete" else f"puts {place}" + (f" with u={unique}" if unique else "")
            for op, place, unique in self.ops
        )
        match self.kind:
            case "commit":
                return f"a transaction {changes} and is in the binlog"
            case "prepare":
                return f"an XA transaction {self.who} {changes} and is prepared"
            case "xa commit" | "xa rollback":
                return f"{self.kind} {self.who} is in the binlog"
            case "xa visible":
                return f"the decision on {self.who} becomes visible"
            case "visible":
                return f"{self.number or 1} in the binlog become visible"
            case "deliver":
                return f"the tail reads {self.number} events"
            case "reconnect":
                return "the tail connects again"
            case "step":
                return f"{self.who}: a step" + (f", with {self.number} events read in its midst" if self.number else "")
            case "run":
                return f"{self.who}: {self.number} steps, on a server that answers at once"
            case "fail":
                return f"{self.who}: its statement fails"
            case "crash":
                return "the process dies, and a new run begins"
            case "orphan":
                return f"a dead client's transaction is {'committed' if self.number % 2 else 'rolled back'}"
        return "everybody: a step"


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
            "run": self._run_on,
            "round": self._round,
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
        for _ in range(min(action.number or 1, len(self.server.pipeline))):
            self.server.make_visible()

    def _deliver(self, action: Action) -> None:
        if self.run.tail is not None:
            self.run.tail.deliver(action.number)

    def _reconnect(self, action: Action) -> None:
        if self.run.tail is not None:
            self.run.tail.reconnect()

    def _step(self, action: Action) -> None:
        self.run.interference = action.number
        if action.who in self.run.actors and self.run.is_ready(action.who):
            self.run.step(action.who)

    def _run_on(self, action: Action) -> None:
        """One actor goes on for some steps, on a server that answers at once, while all others stall."""
        for _ in range(action.number):
            while action.who in self.run.actors and not self.run.is_ready(action.who) and self.server.pipeline:
                self.server.make_visible()
            self._step(replace(action, number=LONGEST_FINISH))

    def _fail(self, action: Action) -> None:
        if action.who in self.run.can_fail:
            self.run.step(action.who, Failure())

    def _crash(self, action: Action) -> None:
        """The process dies; its transactions live on in the server, and a new run begins."""
        self._orphans = [transaction for transaction in self.server.open if transaction.commit_sent is None]
        self.server.is_locked = False
        self.run = Run(self.server, self._core)

    def _advance_orphan(self, action: Action) -> None:
        """What is left of a dead client goes on: its statement to the end, then a commit that was under way, or none."""
        if not self._orphans:
            return
        orphan = self._orphans[action.number // 2 % len(self._orphans)]
        if action.number % 2 == 0:
            orphan.rollback()
            self._orphans.remove(orphan)
        elif orphan.statement is None or (self._core.autocommits and orphan.can_go_on):
            orphan.go_on()
            orphan.commit()
            self._orphans.remove(orphan)

    def _round(self, action: Action) -> None:
        """Everything that can go on does, once: what is logged becomes visible and is delivered, each actor steps."""
        for kind in ("visible", "deliver"):
            self.do(Action(kind, number=LONGEST_FINISH))
        for name in [name for name in self.run.actors if name != "saver"]:
            self.do(Action("step", name))

    # --- the end --------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Let everything go on until the tables are swapped. Raises Violation."""
        for _ in range(LONGEST_FINISH):
            if self.has_ended:
                return
            self.do(Action("orphan", number=1 if self._core.autocommits else 0))
            for xid in XIDS:
                self.do(Action("xa commit", xid))
                self.do(Action("xa visible", xid))
            if not self.server.pipeline and not any(
                self.run.is_ready(name) for name in self.run.actors if name != "saver"
            ):
                # A deadlock of the ghost's transactions: the server fails one of them.
                self.do(Action("fail", min(self.run.can_fail, default="")))
            self.do(Action("round"))
        raise Violation("the migration never comes to its end")


# --- interleavings ----------------------------------------------------------------------------------------------------

WEIGHTS = {
    "round": 5,
    "run": 10,
    "step": 30,
    "visible": 12,
    "deliver": 12,
    "commit": 12,
    "prepare": 2,
    "xa commit": 2,
    "xa rollback": 1,
    "xa visible": 2,
    "fail": 2,
    "crash": 1,
    "orphan": 1,
    "reconnect": 0.5,
}
NEW_MIXTURE = 1 / 15
BURST = 1 / 10
ACTORS = {"main": 4, "reconciler": 5, "worker 1": 3, "worker 2": 3, "saver": 2, "ahead": 2, "time": 1}


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
        mark_every=chance.choice((1, 1, 3)),
    )


class Chooser:
    """Makes actions up. For a while some things happen often and others never: so an actor stalls while others go on."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._burst: list[Action] = []
        self._begin()
        self._mix()

    def _begin(self) -> None:
        """Mostly past the opening, where nothing is copied yet; sometimes with something in the midst of it."""
        chance = self._chance
        if chance.random() < 0.7:
            self._burst = [Action("run", "main", 12)]
        elif chance.random() < 0.7:
            step, ops = Action("step", "main"), tuple(self._op() for _ in range(2))
            change = chance.choice((Action("commit", ops=ops), Action("prepare", XIDS[0], ops=ops)))
            up_to_it = [step, step, step, Action("visible", number=9), *[step] * chance.randint(0, 2)]
            self._burst = [
                *up_to_it,
                change,
                *[step] * chance.randint(1, 3),
                Action("run", "main", chance.randint(1, 12)),
            ]
            self._burst.reverse()

    def _mix(self) -> None:
        self._kinds = self._mixed(WEIGHTS)
        self._actors = self._mixed(ACTORS)

    def _mixed(self, weights: Mapping[str, float]) -> dict[str, float]:
        return {name: weight * self._chance.choice((0.03, 1, 1, 6)) for name, weight in weights.items()}

    def _one_of(self, weights: Mapping[str, float]) -> str:
        return self._chance.choices(list(weights), list(weights.values()))[0]

    def action(self, world: World) -> Action:
        """What happens next."""
        chance = self._chance
        if self._burst:
            return self._burst.pop()
        if chance.random() < BURST:
            whole = self._bursts(world)
            self._burst = [action for action in reversed(chance.choice(whole)) if chance.random() < 0.9]
        if chance.random() < NEW_MIXTURE:
            self._mix()
        kind = self._one_of(self._kinds)
        match kind:
            case "run":
                return Action(kind, self._one_of({n: self._actors[n] for n in world.run.actors}), chance.randint(2, 12))
            case "step":
                ready = [name for name in world.run.actors if world.run.is_ready(name)]
                if not ready:
                    return Action("visible")
                return Action(
                    kind, self._one_of({name: self._actors[name] for name in ready}), chance.choice((0, 1, 3, 30))
                )
            case "fail":
                return Action(kind, chance.choice(sorted(world.run.can_fail) or [""]))
            case "commit":
                return Action(kind, ops=self._ops(world))
            case "prepare":
                return Action(kind, chance.choice(XIDS), ops=self._ops(world))
            case "xa commit" | "xa rollback" | "xa visible":
                return Action(kind, chance.choice(XIDS))
            case "deliver":
                return Action(kind, number=chance.choice((1, 3, 30)))
            case "orphan":
                return Action(kind, number=chance.randrange(4))
        return Action(kind)

    def _bursts(self, world: World) -> list[list[Action]]:
        """What must come about while everybody else stands still, and hardly would by itself."""
        chance = self._chance
        change, visible, reads = (
            Action("commit", ops=self._ops(world)),
            Action("visible", number=9),
            Action("deliver", number=30),
        )
        takes, copies = (
            Action("run", "reconciler", chance.randint(2, 12)),
            Action("run", "worker 1", chance.randint(1, 12)),
        )
        saves = [Action("run", "saver", chance.randint(3, 6))]
        dies, resumes = Action("crash"), Action("run", "main", 12)
        xid = chance.choice(XIDS)
        prepare = [Action("prepare", xid, ops=self._ops(world)), visible, reads]
        decide = [Action("xa commit", xid), Action("xa visible", xid), visible, reads]
        return [
            [change, visible, reads, takes],
            [change, reads, takes],
            [change, visible, reads, takes, copies],
            [copies, change, visible, reads, takes],
            [visible, reads, takes, change, *saves, dies, resumes],
            [*saves, dies, resumes],
            [copies, change, dies, resumes, reads, takes, Action("orphan", number=chance.choice((1, 1, 2, 3)))],
            [*prepare, *decide, Action("run", "reconciler", chance.randint(1, 3)), *prepare, takes],
        ]

    def _ops(self, world: World) -> tuple[Op, ...]:
        chance = self._chance
        owners = {place: row.unique for place, row in world.server.source.items() if row.unique}
        if owners and world.server.settings.unique != "none" and chance.random() < 0.3:
            # A value moves from one row to another.
            place = chance.choice(list(owners))
            heir = chance.randrange(PLACES)
            return (("put", place, chance.choice((0, *UNIQUE_VALUES))), ("put", heir, owners[place]))
        return tuple(self._op() for _ in range(chance.choice((1, 1, 2, 3))))

    def _op(self) -> Op:
        chance = self._chance
        place = chance.randrange(PLACES)
        return ("delete", place, 0) if chance.random() < 0.3 else ("put", place, chance.choice((0, 0, *UNIQUE_VALUES)))


ANY_KIND = Kind()


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
                return shortest._with_small_numbers(core)
            size = max(1, size // 2)

    def _with_small_numbers(self, core: Core) -> Interleaving:
        smallest = self
        for at, action in enumerate(self.actions):
            for number in range(action.number):
                actions = (*smallest.actions[:at], replace(action, number=number), *smallest.actions[at + 1 :])
                if replace(smallest, actions=actions).violation(core) is not None:
                    smallest = replace(smallest, actions=actions)
                    break
        return smallest

    def __str__(self) -> str:
        return "\n".join(
            [
                f"seed {self.seed}, {self.settings}",
                *(f"{number}. {action}" for number, action in enumerate(self.actions, 1)),
            ]
        )


def interleave(seed: int, core: Core, length: int = 100, kind: Kind = ANY_KIND) -> tuple[Interleaving, str | None]:
    """Make up an interleaving of at most `length` actions, and play it; what rule was broken, if one was.

    `kind`: settings that are not left to chance.
    """
    chance = random.Random(seed)
    world = World(kind.of(random_settings(chance)), core)
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
