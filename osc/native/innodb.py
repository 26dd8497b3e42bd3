"""What InnoDB's own dictionary says of a table: its identity, its indexes, and what earlier instant changes left in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from osc.mysql.server import Server
from osc.mysql.session import Conn
from osc.plan.checks.ask import ask_if_allowed


@dataclass(frozen=True, slots=True)
class InnodbTable:
    """A table, with all its partitions, in InnoDB's dictionary."""

    table_ids: frozenset[int]
    """New ones after every rebuild."""
    indexes: frozenset[tuple[int, str]]
    """Ids and names; an id is new when the index was built."""
    columns: int
    """Hidden ones included: InnoDB's own three, and `FTS_DOC_ID` once there has been a FULLTEXT index."""
    row_format: str
    row_versions: int | None
    """Of the partition that has most; None where the server does not count them."""


def counts_row_versions(server: Server) -> bool:
    """Whether instant changes are counted (MySQL 8.0.29 and later, WL#15058)."""
    return not server.is_mariadb and server.version >= (8, 0, 29)


def row_version_limit(server: Server) -> int:
    """How many instant changes a table takes before it has to be rebuilt (MySQL: 64, from 9.1 on 255)."""
    return 255 if server.version >= (9, 1, 0) else 64


def read_innodb(
    connection: Conn, server: Server, database: str, tables: Iterable[str]
) -> Mapping[str, InnodbTable] | None:
    """InnoDB's view of those of the tables that it knows; None when the login may not see it (PROCESS)."""
    prefix = "innodb_sys_" if server.is_mariadb else "innodb_"
    versions = "total_row_versions" if counts_row_versions(server) else "null"
    wanted = {name: _file_name_pattern(server, database, name) for name in tables}
    rows = ask_if_allowed(
        connection,
        f"select table_id, name, n_cols, row_format, {versions} from information_schema.{prefix}tables"
        " where name regexp %s",
        ("|".join(pattern.pattern for pattern in wanted.values()),),
    )
    if rows is None:
        return None
    found: dict[str, InnodbTable] = {}
    for name, pattern in wanted.items():
        mine = [row for row in rows if pattern.search(_text(row[1]))]
        if mine:
            ids = frozenset(int(str(row[0])) for row in mine)
            marks = ", ".join(["%s"] * len(ids))
            indexes = ask_if_allowed(
                connection,
                f"select index_id, name from information_schema.{prefix}indexes where table_id in ({marks})",
                tuple(ids),
            )
            found[name] = InnodbTable(
                table_ids=ids,
                indexes=frozenset((int(str(row[0])), _text(row[1])) for row in indexes or ()),
                columns=max(int(str(row[2])) for row in mine),
                row_format=_text(mine[0][3]).upper(),
                row_versions=max((int(str(row[4])) for row in mine if row[4] is not None), default=None),
            )
    return found


def _file_name_pattern(server: Server, database: str, table: str) -> re.Pattern[str]:
    """What the table is called in InnoDB's dictionary: in the character set of file names, with its partitions.

    MySQL lets nobody convert to that set. A character beyond ASCII is two or four characters there, so names that differ
    in such characters alone are taken for one another: then more is seen as changed, or as used up, than is.
    """
    folds = server.variable("lower_case_table_names", "0") != "0"
    name = "/".join("".join(map(_file_name_character, part)) for part in (database, table))
    return re.compile(f"^{name}(#[pP]#.*)?$", re.IGNORECASE if folds else 0)


def _file_name_character(char: str) -> str:
    if re.fullmatch(r"[0-9A-Za-z_]", char):
        return char
    return f"@{ord(char):04x}" if ord(char) < 128 else "@([0-9a-zA-Z]{2}|[0-9a-f]{4})"


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
