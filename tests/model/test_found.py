"""What the model has found in the engine, as the shortest sequences that showed it."""

from __future__ import annotations

import pytest

from tests.model.core import Core
from tests.model.mutants import XA_LISTED_FIRST, XA_RELEASED_BY_XID, Mutant
from tests.model.server import Settings
from tests.model.world import Action, Interleaving

STEP = Action("step", "main")

WHILE_IT_IS_PREPARED = Interleaving(
    Settings(verifies=False),
    (
        *(STEP,) * 3,
        Action("visible"),
        STEP,
        Action("prepare", "x", ops=(("put", 1, 0),)),
        Action("run", "main", 12),
        Action("run", "worker 1", 12),
        Action("run", "worker 2", 12),
    ),
)
"""The transaction is in the binlog before the coordinate, and the server does not list it yet."""


USED_AGAIN = Interleaving(
    Settings(unique="same", is_mariadb=True, rows=((0, 0), (2, 3), (3, 0)), range_rows=2, mark_every=3),
    (
        Action("run", "main", 8),
        Action("prepare", "x", ops=(("put", 2, 2), ("put", 0, 3))),
        Action("visible"),
        Action("xa commit", "x"),
        Action("xa visible", "x"),
        Action("prepare", "x", ops=(("put", 2, 2), ("put", 0, 3))),
        Action("deliver", number=10),
        Action("run", "reconciler", 7),
    ),
)
"""The first transaction of that xid is committed and no longer listed; the second is prepared, and is not listed yet."""


@pytest.mark.parametrize(
    ("found", "mutant"),
    [(WHILE_IT_IS_PREPARED, XA_LISTED_FIRST), (USED_AGAIN, XA_RELEASED_BY_XID)],
    ids=["a transaction that is being prepared when the coordinate is taken", "an xid that is used again at once"],
)
def test_the_engine_no_longer_loses_rows_to(found: Interleaving, mutant: Mutant) -> None:
    assert found.violation(mutant.core) is not None
    assert found.violation(Core()) is None
