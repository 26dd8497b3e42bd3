"""Which table a command is about: from `--database`, `--table`, and what the `ALTER` itself names."""

from __future__ import annotations

import re

from osc.errors import AlterSyntaxError, UsageError
from osc.mysql.names import folded
from osc.plan.alter import AlterStatement, parse_alter


def target(database: str | None, table: str | None, alter: str) -> tuple[str, str]:
    """Database and table from the options and from a whole `ALTER TABLE`. Raises UsageError when they disagree."""
    if table is not None and database is None:
        database, table = split_name(table)
    statement = _read(alter, needed=database is None or table is None)
    named_database = statement.database if statement else None
    named_table = statement.table if statement else None
    for option_name, asked, named in (("--database", database, named_database), ("--table", table, named_table)):
        if asked is not None and named is not None and folded(asked) != folded(named):
            raise UsageError(f"{option_name} is {asked}, but the ALTER names {named}: which of them is it?")
    database, table = database or named_database, table or named_table
    if table is None:
        raise UsageError("which table? Give --table, or a whole statement with --alter 'ALTER TABLE db.t ...'")
    if database is None:
        raise UsageError(f"in which database is the table {table}? Give --database, or --table database.{table}")
    return database, table


def split_name(name: str) -> tuple[str | None, str]:
    """Database and table of `t`, `db.t` or `` `db`.`t` ``; a name in backticks may hold dots. Raises UsageError."""
    part = r"(`(?:[^`]|``)+`|[^`.]+)"
    match = re.fullmatch(rf"\s*(?:{part}\.)?{part}\s*", name)
    if match is None:
        raise UsageError(f"--table {name!r} is no name: give table, database.table or `database`.`table`")
    database, table = (None if text is None else _unquoted(text) for text in match.groups())
    assert table is not None
    return database, table


def _unquoted(name: str) -> str:
    return name[1:-1].replace("``", "`") if name.startswith("`") else name


def _read(alter: str, needed: bool) -> AlterStatement | None:
    """The statement as far as its names go; None when the engine, which knows the server's mode, is to judge it."""
    try:
        return parse_alter(alter)
    except AlterSyntaxError:
        if needed:
            raise
        return None
