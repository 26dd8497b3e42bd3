"""`osc cleanup`: lists the tables that earlier runs left, and removes them when told to."""

from __future__ import annotations

from collections.abc import Sequence

import click

from osc.cli.connection import connection_options, settings_for
from osc.cli.help import SectionedCommand, option
from osc.cli.main import debug_option
from osc.cli.target import split_name
from osc.cli.terminal import ask, is_terminal, say_warning
from osc.control.stop import StopRequest, stop_on_signals
from osc.errors import Aborted, Interrupted, UsageError
from osc.mysql.options import Given
from osc.mysql.session import Sessions
from osc.progress.text import number, printable
from osc.state.cleanup import Leftover, find_leftovers, remove_leftovers

_WHICH = "What to clean up"


@click.command("cleanup", cls=SectionedCommand)
@option(_WHICH, "--database", metavar="NAME", help="Only in this database.  [default: all]")
@option(_WHICH, "--table", metavar="NAME", help="Only what belongs to this table; database.table will do.")
@option(
    _WHICH,
    "--ok-to-drop-table",
    "--drop-old-table",
    "drop_old",
    is_flag=True,
    help="Old tables as well; needs --table.",
)
@option(_WHICH, "--execute", "--yes", "execute", is_flag=True, help="Remove them; without it they are only listed.")
@connection_options
@debug_option
def cleanup(given: Given, /, database: str | None, table: str | None, drop_old: bool, execute: bool) -> int:
    """List the tables that earlier runs left, and remove them.

    Lists only, unless --execute is given or, at a terminal, the question is answered with yes. An old table is the
    original as it was before a swap: it is never removed unless --ok-to-drop-table says so.
    """
    if table is not None and database is None:
        database, table = split_name(table)
        if database is None:
            raise UsageError(f"in which database is the table {table}? Give --database, or --table database.{table}")
    if drop_old and table is None:
        raise UsageError("--ok-to-drop-table needs --table: which table's old ones may go?")
    resolved = settings_for(given)
    for warning in resolved.warnings:
        say_warning(warning)
    sessions = Sessions(resolved.settings)
    connection = sessions.open("look for tables of earlier runs")
    try:
        found = find_leftovers(connection, database, table)
    finally:
        connection.close()
    for line in listing(found, drop_old):
        click.echo(line)
    going = [item for item in found if item.is_removable(drop_old)]
    if going and (execute or _is_wanted(going)):
        for line in remove_leftovers(sessions, going, drop_old):
            click.echo(printable(line))
    return 0


def listing(found: Sequence[Leftover], drops_old: bool) -> list[str]:
    """A line for each table: what it is, and whether it goes or why it stays."""
    if not found:
        return ["nothing is left of earlier runs"]
    return [
        printable(
            f"{item.sql_name}: {item.kind} table of {item.database}.{item.original}, about {number(item.rows)} rows; "
            + ("to be removed" if item.is_removable(drops_old) else f"stays: {_why_kept(item)}")
        )
        for item in found
    ]


def _why_kept(item: Leftover) -> str:
    if not item.original_exists:
        return f"{item.database}.{item.original} does not exist, so this may be the only copy of its rows"
    if item.kind == "old":
        return "it holds the rows from before the swap; --ok-to-drop-table removes it"
    return "it carries no mark of this engine, another tool may have made it"


def _is_wanted(going: Sequence[Leftover]) -> bool:
    if not is_terminal():
        click.echo("nothing was removed; --execute removes what is listed as such")
        return False
    stop = StopRequest()
    with stop_on_signals(stop, say_warning):
        try:
            return ask([], f"Remove {len(going)} table{'s' if len(going) != 1 else ''}?", stop)
        except Interrupted as error:
            raise Aborted(f"{error}; nothing was removed") from error
