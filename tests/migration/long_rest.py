"""`python -m tests.migration.long_rest`: the command, in which a hot key rests until it is told that it may rest no more."""

import math

import osc.reconcile.rest
from osc.cli.main import main

osc.reconcile.rest.REST_S = math.inf
main()
