"""How the servers compare the names of columns, indexes and constraints."""

from __future__ import annotations


def folded(name: str) -> str:
    """Equal for names that are the same to a server: case does not count, accents do.

    The servers fold character by character (no `ß` to `ss`) and differ in rare ones: to MariaDB 11.8 `ς` is `σ` and `ı`
    is `i`, to the others not. Here whatever any of them takes for the same is the same, so names that differ here
    differ everywhere, and two of one table that are the same here have to be refused.
    """
    return "".join(_folded(char) for char in name)


def _folded(char: str) -> str:
    lower = char.lower()[0]
    upper = lower.upper()
    return upper.lower()[0] if len(upper) == 1 else lower
