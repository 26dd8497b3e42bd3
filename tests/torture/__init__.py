"""The long randomised runs: migrations under writers while everything that can die, stall or misbehave does so.

`make torture DURATION=60m` plays rounds, on each server in turn, until the time is up. A round is one migration: planned by
the seed (`plan`), disturbed by faults (`faults`), started again until it ends, and compared with what the writers committed
(`rounds`). The report (`report`) says what was tried, how often, in which phase, and what was found.
"""
