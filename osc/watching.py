"""What the tail of a migration of this table has to look for: the table, its key, and the migration's own tables beside it."""

from __future__ import annotations

from osc.cutover.names import SwapNames
from osc.mysql.session import Sessions
from osc.table.facts import Table
from osc.table.names import Names
from osc.table.projection import MigrationKey, key_defaults
from osc.tail.coordinate import Coordinate
from osc.tail.watch import Watch, fraction_digits


def watch_for(
    names: Names, source: Table, key: MigrationKey, sessions: Sessions, ghosts_made_by: Coordinate | None
) -> Watch:
    """`ghosts_made_by`: up to there, definitions of the migration's own tables are an earlier run's, if there was one."""
    ghosts, old_names = {names.ghost}, {names.old}
    if not sessions.server.renames_under_lock:
        swap = SwapNames.of(names)
        ghosts.add(swap.ghost)
        old_names.add(swap.old)
    return Watch(
        database=names.database,
        table=names.table,
        key=key.columns,
        ghosts=tuple(ghosts),
        ghosts_made_by=ghosts_made_by,
        old_names=tuple(old_names),
        server_id=int(sessions.server.variable("server_id", "0")),
        defaults=key_defaults(source, key),
        fraction_digits=fraction_digits(source),
        state_table=names.state,
        own_connection_ids=lambda: sessions.connection_ids,
        lower_case_table_names=int(sessions.server.variable("lower_case_table_names", "0")),
    )
