"""`python -m tests.migration.small_pending`: the command, with room for two keys in the pending set."""

import osc.engine
from osc.cli.main import main

osc.engine.MOST_PENDING = 2
main()
