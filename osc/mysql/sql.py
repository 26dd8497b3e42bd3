"""How identifiers and literal values are written in SQL, independent of the session's character set and `sql_mode`."""

from __future__ import annotations

from collections.abc import Iterable


def quote(name: str) -> str:
    """The identifier in backticks, inner backticks doubled. Raises ValueError for a name that no server accepts."""
    if not name or "\0" in name:
        raise ValueError(f"not an identifier: {name!r}")
    return "`" + name.replace("`", "``") + "`"


def qualified(database: str, table: str) -> str:
    """`database`.`table`, both quoted."""
    return f"{quote(database)}.{quote(table)}"


def columns_list(names: Iterable[str], prefix: str = "") -> str:
    """The names quoted and joined with commas, each behind `prefix` (an alias with its dot), as in `t.`."""
    return ", ".join(prefix + quote(name) for name in names)


def bytes_literal(value: bytes, charset: str = "binary") -> str:
    """Bytes that are text in `charset`, as a literal of that character set."""
    return f"_{charset} X'{value.hex()}'"
