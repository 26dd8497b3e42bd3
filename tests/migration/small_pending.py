"""`python -m tests.migration.small_pending`: the command, with room for two keys in the pending set."""

import osc.throttle.throttle
from osc.cli.main import main

osc.throttle.throttle.MOST_PENDING = 2
main()
