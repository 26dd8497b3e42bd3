"""`python -m tests.model.launch RULE migrate ...`: the whole command, with the piece of its core that holds a rule replaced.

For the tests that show on real servers what the model says of a rule that is left out.
"""

from __future__ import annotations

import sys
from unittest.mock import patch

from osc.cli.main import main
from tests.model import mutants

REPLACED = {
    "barrier": ("osc.reconcile.reconciler.cycle", mutants.no_barrier),
    "unique": ("osc.engine.Watermarks", mutants.always_drops),
    "hold": ("osc.engine.Watermarks", mutants.NoHold),
}

if __name__ == "__main__":
    rule = sys.argv.pop(1)
    if rule == "nothing":
        main()
    else:
        with patch(*REPLACED[rule]):
            main()
