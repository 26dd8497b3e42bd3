"""Words of the commands' arguments."""

from __future__ import annotations

import argparse


def positive(text: str) -> int:
    """A number above 0. Raises what argparse tells of."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number
