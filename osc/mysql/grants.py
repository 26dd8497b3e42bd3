"""The privileges that a migration runs with: what the documentation lists, preflight asks for and the tests grant.

Each is needed for a statement that the engine sends; none is asked for in reserve.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from osc.mysql.server import Flavor, Server
from osc.mysql.session import Conn
from osc.mysql.sql import quote

Version = tuple[int, int, int]
Scope = Literal["global", "database", "performance_schema"]


@dataclass(frozen=True, slots=True)
class Privilege:
    """One privilege, under the name by which the server grants and lists it."""

    name: str
    scope: Scope
    purpose: str
    """What the engine does with it."""
    lost_without: str | None = None
    """For an optional privilege, what a migration does without; None for a required one."""
    on_binlog_server: bool = False
    """Whether a replica that the binlog is read from asks for it too."""
    implied_by: tuple[str, ...] = ()
    """Privileges with which this server does not ask for this one."""

    @property
    def is_required(self) -> bool:
        return self.lost_without is None

    @property
    def covers_tables_singly(self) -> bool:
        """Whether it may also be granted table by table."""
        return self.scope == "database" and self.name not in ("LOCK TABLES", "CREATE TEMPORARY TABLES")


_ON_DATABASE = (
    Privilege("SELECT", "database", "read the table and the ghost"),
    Privilege("INSERT", "database", "write the ghost, rename tables"),
    Privilege("UPDATE", "database", "leave copied rows alone, keep the state table"),
    Privilege("DELETE", "database", "reconcile keys in the ghost"),
    Privilege("CREATE", "database", "create the ghost and the state table"),
    Privilege("DROP", "database", "rename tables, drop the state table and what an earlier run left"),
    Privilege("ALTER", "database", "give the ghost its new schema, rename tables"),
    Privilege("LOCK TABLES", "database", "hold writers off for the moment of the swap"),
    Privilege("CREATE TEMPORARY TABLES", "database", "convert rows as the server does, to compare them"),
    Privilege("TRIGGER", "database", "see the table's triggers, which would vanish with it"),
)


def privileges(flavor: Flavor, version: Version) -> tuple[Privilege, ...]:
    """Everything that a migration on such a server can make use of, required and optional."""
    return (*_global_privileges(flavor, version), *_ON_DATABASE, *_optional_privileges(flavor))


def _global_privileges(flavor: Flavor, version: Version) -> tuple[Privilege, ...]:
    read_binlog = Privilege("REPLICATION SLAVE", "global", "read the binlog", on_binlog_server=True)
    see_others = Privilege(
        "PROCESS",
        "global",
        "see old transactions, foreign keys from other databases, and what instant changes have left",
    )
    if flavor == "mysql":
        return (
            read_binlog,
            Privilege(
                "REPLICATION CLIENT",
                "global",
                "ask for the binlog coordinate and the state of replication",
                on_binlog_server=True,
                implied_by=("SUPER",),
            ),
            see_others,
            Privilege("XA_RECOVER_ADMIN", "global", "list prepared XA transactions"),
        )
    # MariaDB took these two out of SUPER with 11.0 (seen: 10.11 names SUPER in its error, 11.8 does not).
    implied_by = ("SUPER",) if version < (11, 0, 0) else ()
    return (
        read_binlog,
        Privilege("BINLOG MONITOR", "global", "ask for the binlog coordinate", None, True, implied_by),
        Privilege("SLAVE MONITOR", "global", "ask for the state of replication", None, True, implied_by),
        see_others,
    )


def _optional_privileges(flavor: Flavor) -> tuple[Privilege, ...]:
    see_locks = Privilege(
        "SELECT",
        "performance_schema",
        "see who holds metadata locks and backup locks",
        "who is in the way of the swap is told from the process list and InnoDB's transactions alone; backup locks, "
        "and sessions that log statements or nothing, are not seen beforehand",
    )
    if flavor == "mysql":
        return (see_locks,)
    see_replicas = Privilege(
        "REPLICATION MASTER ADMIN",
        "global",
        "list the server ids under which replicas read the binlog",
        "the random server id of the reader is not checked against those of the replicas",
        on_binlog_server=True,
    )
    return (see_locks, see_replicas)


def required_grants(flavor: Flavor, version: Version, database: str, account: str = "'osc'@'%'") -> list[str]:
    """The `GRANT` statements without which a migration in `database` is refused. `account` is quoted already."""
    return grant_statements((one for one in privileges(flavor, version) if one.is_required), database, account)


def optional_grants(flavor: Flavor, version: Version, database: str, account: str = "'osc'@'%'") -> list[str]:
    """The `GRANT` statements that a migration makes use of, and can do without."""
    return grant_statements((one for one in privileges(flavor, version) if not one.is_required), database, account)


def grant_statements(
    wanted: Iterable[Privilege], database: str, account: str, literal_names: bool = False
) -> list[str]:
    """The `GRANT` statements that give `account` (quoted already) these privileges, one for each level.

    `literal_names`: the server takes `_` and `%` in a database's name as they are (MySQL with `partial_revokes=ON`).
    """
    levels = {
        "global": "*.*",
        "database": f"{quote(database if literal_names else escaped(database))}.*",
        "performance_schema": "`performance_schema`.*",
    }
    names: dict[str, list[str]] = {}
    for one in wanted:
        names.setdefault(levels[one.scope], []).append(one.name)
    return [f"GRANT {', '.join(listed)} ON {level} TO {account}" for level, listed in names.items()]


def escaped(database: str) -> str:
    """A database's name as `GRANT` wants it: `_` and `%` are wildcards there."""
    return re.sub(r"([_%\\])", r"\\\1", database)


@dataclass(frozen=True, slots=True)
class Held:
    """What one line of `SHOW GRANTS` gives to one holder: the account, or a role that is active."""

    holder: str
    """As the server writes it: an account has a host behind an `@`, a role of MariaDB none."""
    database: str
    """A pattern as `GRANT` took it; `*` for all databases."""
    table: str
    """`*` for all tables."""
    names: frozenset[str]
    is_revoke: bool = False
    """A partial revoke (MySQL): taken out of what is held on all databases."""


@dataclass(frozen=True, slots=True)
class Grants:
    """What a login may do, its active roles included."""

    account: str
    """Quoted, as `GRANT` wants it."""
    held: tuple[Held, ...]
    idle_roles: tuple[str, ...] = ()
    """Roles that the account was given, as the server writes them, but that are not active in its sessions."""
    literal_names: bool = False
    """Whether `_` and `%` in a database's name stand for themselves (MySQL with `partial_revokes=ON`)."""

    def on_server(self) -> frozenset[str]:
        """What is held on all databases, partial revokes aside."""
        return _union(one.names for one in self.held if one.database == "*" and not one.is_revoke)

    def on_database(self, database: str) -> frozenset[str]:
        """What is held on every table of the database."""
        return _union(self._of_holder(holder, database) for holder in {one.holder for one in self.held})

    def on_table(self, database: str, table: str) -> frozenset[str]:
        """What is held on one table."""
        return self.on_database(database) | _union(
            one.names for one in self.held if one.database == database and one.table == table
        )

    def missing(self, wanted: Iterable[Privilege], database: str, tables: Iterable[str]) -> tuple[Privilege, ...]:
        """Those of the wanted privileges that the login does not have; `tables` are the ones that it would touch."""
        held: Mapping[Scope, frozenset[str]] = {
            "global": self.on_server(),
            "database": self.on_database(database),
            "performance_schema": self.on_database("performance_schema"),
        }
        on_each_table = frozenset.intersection(*(self.on_table(database, table) for table in tables))
        return tuple(
            one
            for one in wanted
            if not held[one.scope].intersection((one.name, *one.implied_by))
            and not (one.covers_tables_singly and one.name in on_each_table)
        )

    def fix(self, missing: Iterable[Privilege], database: str) -> list[str]:
        """The `GRANT` statements that give the account what is missing, and take nothing away.

        A new entry for exactly this database would hide the wider pattern that held until now (see `_in_effect`), so
        the statement repeats what that one gives.
        """
        lacking = list(missing)
        if any(one.scope == "database" for one in lacking):
            known = {one.name for one in lacking if one.scope == "database"}
            pattern = self._in_effect((one for one in self.held if "@" in one.holder), database)
            if pattern is not None and not self.literal_names and pattern.database != escaped(database):
                repeated = sorted(pattern.names - known - {"USAGE"})
                lacking += [Privilege(name, "database", "held already") for name in repeated]
        return grant_statements(lacking, database, self.account, self.literal_names)

    def _of_holder(self, holder: str, database: str) -> frozenset[str]:
        mine = [one for one in self.held if one.holder == holder and one.table == "*"]
        everywhere = _union(one.names for one in mine if one.database == "*" and not one.is_revoke)
        taken_out = _union(one.names for one in mine if one.is_revoke and one.database == database)
        here = self._in_effect(mine, database)
        return (everywhere - taken_out) | (here.names if here is not None else frozenset())

    def _in_effect(self, held: Iterable[Held], database: str) -> Held | None:
        r"""The entry for databases that counts: of all that match, the most specific one alone.

        Seen on both servers: with everything on `my%` and SELECT on `my\_db`, only SELECT is held on `my_db`.
        """
        matching = [
            one for one in held if one.table == "*" and not one.is_revoke and self._matches(one.database, database)
        ]
        return max(matching, key=lambda one: _literal_length(one.database), default=None)

    def _matches(self, pattern: str, database: str) -> bool:
        if pattern == "*":
            return False
        return pattern == database if self.literal_names else _as_regex(pattern).fullmatch(database) is not None


def read_grants(connection: Conn, server: Server) -> Grants:
    """What the session's account may do there. Needs no privilege."""
    with connection.cursor() as cursor:
        cursor.execute("select current_user(), current_role()")
        found = cursor.fetchone()
        assert found is not None
        # Without USING or FOR, this has the active roles in it: MySQL adds theirs to the account's, MariaDB lists each.
        cursor.execute("show grants")
        lines = [str(row[0]) for row in cursor.fetchall()]
    user, _, host = str(found[0]).rpartition("@")
    held = tuple(one for line in lines if (one := _parse(line)) is not None)
    active = {*re.findall(_HOLDER, str(found[1] or "")), *(one.holder for one in held)}
    given = [role for line in lines if (match := _ROLES.match(line)) for role in re.findall(_HOLDER, match[1])]
    return Grants(
        account=f"{_string(user)}@{_string(host)}",
        held=held,
        idle_roles=tuple(role for role in given if role not in active),
        literal_names=server.is_on("partial_revokes"),
    )


_NAME = r"(?:`(?:[^`]|``)*`|\"(?:[^\"]|\"\")*\")"
_HOLDER = rf"(?:{_NAME}@{_NAME}|{_NAME}|PUBLIC)"
_HELD = re.compile(rf"(GRANT|REVOKE) (.+?) ON (\*|{_NAME})\.(\*|{_NAME}) (?:TO|FROM) ({_HOLDER})")
_ROLES = re.compile(rf"GRANT ({_HOLDER}(?:,{_HOLDER})*) TO ")

_ALL = frozenset(one.name for one in (*privileges("mysql", (8, 0, 13)), *privileges("mariadb", (10, 6, 0)))).union(
    {"SUPER"}
)
"""What `ALL PRIVILEGES` stands for, as far as anybody asks here."""


def _parse(line: str) -> Held | None:
    """One line of `SHOW GRANTS`; None for one about roles, routines or proxies."""
    match = _HELD.match(line)
    if match is None:
        return None
    verb, listed, database, table, holder = match.groups()
    # A privilege on some columns is of no use here.
    on_all_columns = re.sub(r"[A-Z ]+\([^)]*\)", "", listed)
    names = frozenset(name.strip() for name in on_all_columns.split(",")) - {""}
    return Held(
        holder, _unquoted(database), _unquoted(table), _ALL if "ALL PRIVILEGES" in names else names, verb == "REVOKE"
    )


def _unquoted(name: str) -> str:
    return name if name == "*" else name[1:-1].replace(name[0] * 2, name[0])


def _string(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def _as_regex(pattern: str) -> re.Pattern[str]:
    """The pattern of a `GRANT`: `%` any text, `_` any character, a backslash takes the meaning from the next."""
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    return re.compile("".join(wild.get(part) or re.escape(part[-1]) for part in parts), re.DOTALL)


def _literal_length(pattern: str) -> tuple[bool, int]:
    """Greater for a pattern that the servers look at earlier: one without wildcards, then by where the first one is."""
    wildcard = re.search(r"(?<!\\)[_%]", pattern)
    return (True, len(pattern)) if wildcard is None else (False, wildcard.start())


def _union(sets: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*sets)
