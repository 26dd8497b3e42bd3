"""The privileges: what is granted suffices, what is missing is named, and the fix for it fixes it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import pymysql
import pytest

from osc.mysql.grants import Grants, Privilege, escaped, optional_grants, privileges, read_grants, required_grants
from osc.mysql.server import read_server
from osc.mysql.session import ConnectionSettings, connect
from osc.mysql.sql import quote
from osc.plan.checks.ask import ask_for_titled_rows
from tests.servers import ServerUnderTest


@pytest.fixture
def login(server: ServerUnderTest) -> Iterator[ConnectionSettings]:
    """An account that has no privileges yet."""
    user, password = f"osc_{secrets.token_hex(4)}", secrets.token_urlsafe(12)
    server.execute(f"CREATE USER '{user}'@'%' IDENTIFIED BY '{password}'")
    yield replace(server.root, socket=None, user=user, password=password, ssl_mode="DISABLED")
    server.execute(f"DROP USER '{user}'@'%'")


def account_of(login: ConnectionSettings) -> str:
    return f"'{login.user}'@'%'"


def read(login: ConnectionSettings) -> Grants:
    with closing(connect(login)) as connection:
        return read_grants(connection, read_server(connection))


def required(server: ServerUnderTest) -> list[Privilege]:
    return [one for one in privileges(server.flavor, server.version) if one.is_required]


def missing(login: ConnectionSettings, server: ServerUnderTest, database: str, *tables: str) -> list[str]:
    return [one.name for one in read(login).missing(required(server), database, tables or ("t", "_t_gho"))]


def grant_required(server: ServerUnderTest, database: str, login: ConnectionSettings) -> None:
    server.execute(*required_grants(server.flavor, server.version, database, account_of(login)))


@contextmanager
def role_of(server: ServerUnderTest) -> Iterator[str]:
    name = f"osc_role_{secrets.token_hex(4)}"
    server.execute(f"CREATE ROLE {name}")
    try:
        yield name
    finally:
        server.execute(f"DROP ROLE {name}")


def test_the_documented_grants_are_what_is_required(
    server: ServerUnderTest, database: str, login: ConnectionSettings
) -> None:
    assert missing(login, server, database) == [one.name for one in required(server)]
    grant_required(server, database, login)
    assert missing(login, server, database) == []


def test_each_privilege_that_is_taken_away_is_missed_and_given_back_by_the_fix(
    server: ServerUnderTest, database: str, login: ConnectionSettings
) -> None:
    grant_required(server, database, login)
    with closing(server.admin()) as admin, admin.cursor() as root, closing(connect(login)) as connection:
        facts = read_server(connection)
        for one in required(server):
            level = "*.*" if one.scope == "global" else f"{quote(escaped(database))}.*"
            root.execute(f"REVOKE {one.name} ON {level} FROM {account_of(login)}")
            grants = read_grants(connection, facts)
            lacking = grants.missing(required(server), database, ("t",))
            assert lacking == (one,)
            fix = grants.fix(lacking, database)
            assert fix == [f"GRANT {one.name} ON {level} TO '{login.user}'@'%'"]
            root.execute(fix[0])
            assert read_grants(connection, facts).missing(required(server), database, ("t",)) == ()


def test_all_privileges_are_enough(server: ServerUnderTest, database: str, login: ConnectionSettings) -> None:
    server.execute(f"GRANT ALL PRIVILEGES ON *.* TO {account_of(login)}")
    grants = read(login)
    assert grants.missing(privileges(server.flavor, server.version), database, ("t",)) == ()


def test_optional_grants_are_told_from_required_ones(
    server: ServerUnderTest, database: str, login: ConnectionSettings
) -> None:
    grant_required(server, database, login)
    lacking = read(login).missing(privileges(server.flavor, server.version), database, ("t",))
    assert lacking
    assert all(one.lost_without for one in lacking)
    server.execute(*optional_grants(server.flavor, server.version, database, account_of(login)))
    assert read(login).missing(privileges(server.flavor, server.version), database, ("t",)) == ()


def test_the_privileges_of_an_active_role_count_and_those_of_an_idle_one_do_not(
    server: ServerUnderTest, database: str, login: ConnectionSettings
) -> None:
    with role_of(server) as role:
        server.execute(*required_grants(server.flavor, server.version, database, role))
        server.execute(f"GRANT {role} TO {account_of(login)}")
        grants = read(login)
        assert len(grants.missing(required(server), database, ("t",))) == len(required(server))
        assert [role in one for one in grants.idle_roles] == [True]
        server.execute(f"SET DEFAULT ROLE {role} {'FOR' if server.is_mariadb else 'TO'} {account_of(login)}")
        assert missing(login, server, database) == []
        assert read(login).idle_roles == ()


def test_a_name_with_wildcards_covers_the_databases_that_it_matches(
    server: ServerUnderTest, database: str, login: ConnectionSettings
) -> None:
    grant_required(server, "osc_test%", login)  # escaped: only the database of exactly that name
    assert "SELECT" in missing(login, server, database)
    server.execute(f"GRANT ALL PRIVILEGES ON `osc\\_test\\_%`.* TO {account_of(login)}")
    assert missing(login, server, database) == []


def test_only_the_most_specific_name_counts_as_the_server_has_it(
    server: ServerUnderTest, database: str, login: ConnectionSettings
) -> None:
    grant_required(server, database, login)
    server.execute(
        f"REVOKE ALL PRIVILEGES ON {quote(escaped(database))}.* FROM {account_of(login)}",
        f"GRANT ALL PRIVILEGES ON `osc%`.* TO {account_of(login)}",
        f"GRANT SELECT ON {quote(escaped(database))}.* TO {account_of(login)}",
        f"CREATE TABLE {quote(database)}.t (id INT PRIMARY KEY)",
    )
    with (
        closing(connect(login)) as connection,
        connection.cursor() as cursor,
        pytest.raises(pymysql.err.OperationalError, match="INSERT command denied"),
    ):
        cursor.execute(f"INSERT INTO {quote(database)}.t VALUES (1)")
    assert "INSERT" in missing(login, server, database)


def test_the_fix_does_not_hide_what_a_wildcard_gives(
    server: ServerUnderTest, database: str, login: ConnectionSettings
) -> None:
    grant_required(server, database, login)
    server.execute(
        f"REVOKE ALL PRIVILEGES ON {quote(escaped(database))}.* FROM {account_of(login)}",
        f"GRANT SELECT, INSERT, EXECUTE ON `osc%`.* TO {account_of(login)}",
    )
    grants = read(login)
    server.execute(*grants.fix(grants.missing(required(server), database, ("t",)), database))
    assert missing(login, server, database) == []
    assert "EXECUTE" in read(login).on_database(database)


def test_grants_on_each_table_count_and_on_columns_do_not(
    server: ServerUnderTest, database: str, login: ConnectionSettings
) -> None:
    server.execute(
        f"CREATE TABLE {quote(database)}.t (id INT PRIMARY KEY)",
        f"GRANT SELECT (id), INSERT ON {quote(database)}.t TO {account_of(login)}",
        f"GRANT INSERT, CREATE ON {quote(database)}._t_gho TO {account_of(login)}",
        f"GRANT CREATE ON {quote(database)}.t TO {account_of(login)}",
    )
    lacking = missing(login, server, database, "t", "_t_gho")
    assert "INSERT" not in lacking
    assert "SELECT" in lacking
    assert "INSERT" in missing(login, server, database, "t", "_t_gho", "_t_ghc")


@pytest.mark.only("mysql", reason="only MySQL has partial revokes")
def test_a_partial_revoke_is_missed_and_undone_by_the_fix(
    server: ServerUnderTest, database: str, login: ConnectionSettings
) -> None:
    server.execute("SET GLOBAL partial_revokes = ON")
    try:
        server.execute(
            f"GRANT ALL PRIVILEGES ON *.* TO {account_of(login)}",
            f"REVOKE INSERT, DROP ON {quote(database)}.* FROM {account_of(login)}",
        )
        grants = read(login)
        lacking = grants.missing(required(server), database, ("t",))
        assert [one.name for one in lacking] == ["INSERT", "DROP"]
        server.execute(*grants.fix(lacking, database))
        assert missing(login, server, database) == []
    finally:
        server.execute(f"REVOKE ALL PRIVILEGES ON *.* FROM {account_of(login)}", "SET GLOBAL partial_revokes = OFF")


@pytest.mark.only("mariadb", reason="only MariaDB took privileges out of SUPER")
def test_super_counts_for_what_this_server_lets_it_do(
    server: ServerUnderTest, database: str, login: ConnectionSettings
) -> None:
    grant_required(server, database, login)
    server.execute(
        f"REVOKE BINLOG MONITOR, SLAVE MONITOR ON *.* FROM {account_of(login)}",
        f"GRANT SUPER ON *.* TO {account_of(login)}",
    )
    questions = {"BINLOG MONITOR": "SHOW MASTER STATUS", "SLAVE MONITOR": "SHOW ALL SLAVES STATUS"}
    with closing(connect(login)) as connection:
        denied = [name for name, question in questions.items() if ask_for_titled_rows(connection, question) is None]
    assert missing(login, server, database) == denied


def test_names_that_need_quoting_are_read_and_written(server: ServerUnderTest) -> None:
    database = "odd ` ON %_'\"name"
    user = "o'dd \\ user"
    account = "'o''dd \\\\ user'@'%'"
    server.execute(f"CREATE USER {account} IDENTIFIED BY 'Secret-1'", f"CREATE DATABASE {quote(database)}")
    try:
        login = replace(server.root, socket=None, user=user, password="Secret-1")
        grants = read(login)
        assert grants.account == account
        server.execute(*grants.fix(grants.missing(required(server), database, ("t",)), database))
        assert missing(login, server, database) == []
        assert "SELECT" in missing(login, server, "odd")
    finally:
        server.execute(f"DROP USER {account}", f"DROP DATABASE {quote(database)}")
