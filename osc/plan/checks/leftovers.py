"""Whether the names that a migration needs are free, and if not, whose tables they are and how to make room."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from osc.cutover.names import SwapNames
from osc.mysql.server import Server
from osc.mysql.session import Conn
from osc.mysql.sql import qualified
from osc.plan.checks.ask import ask, ask_if_allowed
from osc.plan.findings import Finding, blocking, note
from osc.state.table import SENTRY_COMMENT, STATE_COMMENT, StateTable
from osc.table.names import Names

LIVE_CHANGELOG_S = 30
"""gh-ost writes its changelog every tenth of a second; one that is younger than this has a writer."""

_CHANGELOG_COLUMNS = {"id", "last_update", "hint", "value"}


@dataclass(frozen=True, slots=True)
class RoomMaking:
    """What the operator allows to be removed at the start."""

    drops_ghost: bool = False
    """`--initially-drop-ghost-table`."""
    drops_old: bool = False
    """`--initially-drop-old-table`."""


def check_leftovers(connection: Conn, server: Server, names: Names, room: RoomMaking) -> list[Finding]:
    """Findings about tables that stand where the migration would put its own."""
    taken = _taken(connection, names.database, _wanted(server, names))
    ours = taken.get(names.state) == STATE_COMMENT
    lasting = (names.ghost, names.state, names.old)
    return [
        *_ghost_and_state(connection, names, taken, room),
        *_old(names, taken, room),
        *(_of_a_swap(names, name, comment, ours) for name, comment in taken.items() if name not in lasting),
    ]


def _wanted(server: Server, names: Names) -> list[str]:
    """The lasting names, and those that the sentry rename uses for a moment."""
    wanted = [names.ghost, names.state, names.old]
    if not server.renames_under_lock:
        # No such names is a finding of its own, with the server's settings.
        with contextlib.suppress(ValueError):
            swap = SwapNames.of(names)
            wanted += [swap.ghost, swap.old]
    return list(dict.fromkeys(wanted))


def _taken(connection: Conn, database: str, wanted: list[str]) -> dict[str, str]:
    """The comments of those of the wanted names that something stands under."""
    marks = ", ".join(["%s"] * len(wanted))
    rows = ask(
        connection,
        "select table_name, table_comment from information_schema.tables"
        f" where table_schema = %s and table_name in ({marks})",
        (database, *wanted),
    )
    found = {str(name).lower(): str(comment) for name, comment in rows}
    return {name: found[name.lower()] for name in wanted if name.lower() in found}


def _ghost_and_state(connection: Conn, names: Names, taken: dict[str, str], room: RoomMaking) -> list[Finding]:
    present = [name for name in (names.ghost, names.state) if name in taken]
    if not present:
        return []
    listed = " and ".join(qualified(names.database, name) for name in present)
    cleanup = f"osc cleanup --database {names.database} --table {names.table} --execute"
    if taken.get(names.state) == STATE_COMMENT:
        # A swap that was cut off may have left the ghost under another name.
        if names.ghost in taken or _has_swap_name(names, taken):
            return [
                note(
                    "earlier-run",
                    f"an earlier run left {listed}",
                    "The migration goes on from its checkpoint if that is for the same ALTER and the table has not "
                    "changed.",
                    f"{cleanup}   # to start afresh instead",
                )
            ]
        if StateTable(names.database, names.state).has_checkpoint(connection):
            return _unless(
                room.drops_ghost,
                "left-over-state",
                f"an earlier run left {listed}",
                "It has no ghost any more, so there is nothing to go on with.",
                cleanup,
            )
        # A run whose connection broke between making the two can drop neither.
        return [
            note(
                "left-over-state",
                f"an earlier run left {listed}",
                "It ended before it had made its ghost. It is dropped at the start.",
            )
        ]
    if names.state in taken and _is_live_changelog(connection, names):
        return [
            blocking(
                "gh-ost-runs",
                f"gh-ost is migrating {qualified(names.database, names.table)}",
                f"Its changelog {qualified(names.database, names.state)} was written to less than {LIVE_CHANGELOG_S} s ago.",
                "wait until it has ended, or stop it",
            )
        ]
    origin = "It looks like gh-ost's. " if names.state in taken and _is_changelog(connection, names) else ""
    return _unless(
        room.drops_ghost,
        "ghost-name-taken",
        f"the name is taken: {listed}",
        f"{origin}No run of this engine left its mark there. Drop it, by the option or by hand, if nobody needs it.",
        "\n".join(
            ["--initially-drop-ghost-table", *(f"DROP TABLE {qualified(names.database, name)};" for name in present)]
        ),
    )


def _has_swap_name(names: Names, taken: dict[str, str]) -> bool:
    lasting = (names.ghost, names.state, names.old)
    return any(name not in lasting and comment != SENTRY_COMMENT for name, comment in taken.items())


def _old(names: Names, taken: dict[str, str], room: RoomMaking) -> list[Finding]:
    if names.old not in taken:
        return []
    old = qualified(names.database, names.old)
    if taken[names.old] == SENTRY_COMMENT:
        return [_of_a_swap(names, names.old, SENTRY_COMMENT, True)]
    return _unless(
        room.drops_old,
        "old-name-taken",
        f"{old} exists already",
        "Most likely it is the original as it was before an earlier migration. It is never dropped unasked.",
        f"--initially-drop-old-table\n--timestamp-old-table\nDROP TABLE {old};",
    )


def _of_a_swap(names: Names, name: str, comment: str, ours: bool) -> Finding:
    """A table under a name that only the moment of the swap knows; `ours`: an earlier run has left its state table."""
    shown = qualified(names.database, name)
    if comment == SENTRY_COMMENT or ours:
        return note(
            "cut-off-swap",
            f"a swap that was cut off left {shown}",
            "An empty sentry is dropped, and a ghost or an old table gets its lasting name, before the migration goes "
            "on.",
        )
    return blocking(
        "swap-name-taken",
        f"{shown} exists already",
        "The swap needs that name for a moment. A swap that was cut off may have left the ghost or the original there: "
        "look before dropping it.",
        f"SHOW CREATE TABLE {shown};\nDROP TABLE {shown};",
    )


def _unless(allowed: bool, code: str, title: str, detail: str, fix: str) -> list[Finding]:
    """A blocking finding; or, where the operator has allowed the table to go, a note that it will."""
    if allowed:
        return [note(code, title, f"{detail} It is dropped at the start, as asked.")]
    return [blocking(code, title, detail, fix)]


def _is_changelog(connection: Conn, names: Names) -> bool:
    rows = ask(
        connection,
        "select column_name from information_schema.columns where table_schema = %s and table_name = %s",
        (names.database, names.state),
    )
    return {str(row[0]).lower() for row in rows} == _CHANGELOG_COLUMNS


def _is_live_changelog(connection: Conn, names: Names) -> bool:
    if not _is_changelog(connection, names):
        return False
    rows = ask_if_allowed(
        connection,
        f"select timestampdiff(second, max(last_update), now()) from {qualified(names.database, names.state)}",
    )
    age = rows[0][0] if rows else None
    return age is not None and int(str(age)) < LIVE_CHANGELOG_S
