"""Durations as the long runs take them on their command lines."""

from __future__ import annotations

import re

import click


def seconds_of(duration: str) -> float:
    """`90`, `90s`, `15m` or `2h` in seconds. Raises BadParameter."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", duration.strip())
    if match is None:
        raise click.BadParameter(f"{duration!r} is no duration: say 90s, 15m or 2h")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]
