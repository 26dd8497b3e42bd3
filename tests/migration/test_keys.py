"""Every kind of migration key: rows are found again by it, whatever its type, character set and collation."""

from __future__ import annotations

import contextlib
import threading
from contextlib import closing
from pathlib import Path

import pymysql
import pytest

from osc.sandbox.oracle import compare_tables
from tests.migration.migrating import migrate, migrating
from tests.servers import ServerUnderTest

ROWS = 1_500

# Columns of the key, the expressions that make row i's key, and the key's definition.
KEYS = {
    "tinyint unsigned and tinyint": ("a tinyint unsigned, b tinyint", "i % 256, i div 256 - 3", "primary key (a, b)"),
    "smallint": ("a smallint", "i * 40 - 32768", "primary key (a)"),
    "mediumint unsigned": ("a mediumint unsigned", "16777215 - i * 9", "primary key (a)"),
    "bigint unsigned": ("a bigint unsigned", "18446744073709551615 - i", "primary key (a)"),
    "bigint": ("a bigint", "cast(i as signed) * 1000 - 9223372036854775807 - 1", "primary key (a)"),
    "char latin1": ("a char(12) character set latin1", "concat('Ä', i, 'ß')", "primary key (a)"),
    "varchar utf8mb4 case-insensitive": (
        "a varchar(40) character set utf8mb4 collate utf8mb4_unicode_ci",
        "concat('Straße ', i, '''\\\\ 🍷 ')",
        "primary key (a)",
    ),
    "varchar utf8mb4 binary": (
        "a varchar(40) character set utf8mb4 collate utf8mb4_bin",
        "concat(char(65 + i % 57), i)",
        "primary key (a)",
    ),
    "varchar gbk": (
        "a varchar(20) character set gbk",
        "concat(convert(_utf8mb4'中文' using gbk), i)",
        "primary key (a)",
    ),
    "binary": ("a binary(8)", "unhex(rpad(lpad(hex(i), 4, '0'), 16, '0'))", "primary key (a)"),
    "varbinary": ("a varbinary(20)", "concat(unhex('00ff27'), i, unhex('00'))", "primary key (a)"),
    "date": ("a date", "date'1000-01-01' + interval i * 200 day", "primary key (a)"),
    "datetime(3)": (
        "a datetime(3)",
        "timestamp'2020-02-29 23:59:59.5' + interval i * 1001000 microsecond",
        "primary key (a)",
    ),
    "timestamp(6)": ("a timestamp(6)", "timestamp'2024-10-26 20:00:00' + interval i * 37 second", "primary key (a)"),
    "time": ("a time(2)", "sec_to_time(i * 3 - 2000)", "primary key (a)"),
    "decimal": ("a decimal(20,6)", "(i - 700) * 1.000001", "primary key (a)"),
    "enum and int": ("a enum('z', 'it''s', 'ä', 'b') not null, b int", "1 + i % 4, i div 4", "primary key (a, b)"),
    "year and varchar": ("a year, b varchar(10)", "1901 + i % 200, concat('r', i)", "primary key (a, b)"),
    "datetime that no calendar has": (
        "a datetime, b int",
        "elt(1 + i % 3, '0000-00-00', '2025-02-30 10:00:00', '2024-00-01'), i",
        "primary key (a, b)",
    ),
    "decimal zerofill": ("a decimal(9,2) zerofill", "i * 1.25", "primary key (a)"),
    "set of 63 and int": (
        "a set(" + ", ".join(f"'m{number}'" for number in range(63)) + "), b int",
        "elt(1 + i % 4, '', 'm62', 'm0,m62', 'm5'), i div 4",
        "primary key (a, b)",
    ),
    "bit(64)": ("a bit(64)", "18446744073709551615 - i", "primary key (a)"),
    "varchar sjis": ("a varchar(20) character set sjis", "concat(_sjis X'955C', i)", "primary key (a)"),
    "unique key where there is no primary key": ("a int not null, b int not null", "i, -i", "unique key (b, a)"),
}

MARIADB_KEYS = {
    "uuid": (
        "a uuid",
        "concat(lpad(hex(i), 8, '7'), '-e89b-', 1 + i % 7, '2d3-a456-4266554400', lpad(hex(i % 5), 2, '0'))",
        "primary key (a)",
    ),
    "inet6": ("a inet6", "concat('fe80::', hex(i), ':', hex(i * 7))", "primary key (a)"),
    "inet4 and int": ("a inet4, b int", "concat('10.0.', i % 256, '.0'), i", "primary key (a, b)"),
}


def change_rows(server: ServerUnderTest, database: str, columns: str, keys: str, done: threading.Event) -> None:
    """Insert, update and delete rows here and there, until `done`."""
    number = 0
    with closing(server.admin(database)) as connection, connection.cursor() as cursor:
        cursor.execute("set sql_mode = 'STRICT_ALL_TABLES,ALLOW_INVALID_DATES'")
        while not done.is_set():
            number = (number + 389) % ROWS
            cursor.execute(f"update t set v = v + 1, w = concat('u', v) where seq = {number}")
            cursor.execute(f"delete from t where seq = {(number + 5) % ROWS}")
            with contextlib.suppress(pymysql.err.IntegrityError):  # the row may still be there
                cursor.execute(
                    f"insert into t ({columns}, seq, v, w) select {keys}, i, -1, 'again'"
                    f" from (select {(number + 1500 - 389 + 5) % ROWS} as i) as n"
                )


@pytest.mark.parametrize("type_", ["float", "set(" + ", ".join(f"'m{number}'" for number in range(64)) + ")"])
def test_a_key_that_names_no_row_exactly_is_refused(server: ServerUnderTest, database: str, type_: str) -> None:
    server.execute(f"create table t (f {type_} primary key, v int)", database=database)
    run = migrate(server, database, "t", "add column x int")
    assert (run.exit_code, run.outcome) == (2, "refused"), str(run)
    assert "PRIMARY: column f is of type" in run.error


@pytest.mark.in_turn(reason="tests/tail/test_rowimage.py tells every kind of key on every server")
@pytest.mark.parametrize("kind", KEYS)
def test_rows_are_found_again_by_their_key(server: ServerUnderTest, database: str, tmp_path: Path, kind: str) -> None:
    migrate_by_key(server, database, tmp_path, *KEYS[kind])


@pytest.mark.only("mariadb", reason="types of MariaDB")
@pytest.mark.parametrize("kind", MARIADB_KEYS)
def test_rows_are_found_again_by_keys_of_mariadbs_own_types(
    server: ServerUnderTest, database: str, tmp_path: Path, kind: str
) -> None:
    migrate_by_key(server, database, tmp_path, *MARIADB_KEYS[kind])


def migrate_by_key(
    server: ServerUnderTest, database: str, tmp_path: Path, definition: str, keys: str, index: str
) -> None:
    """A migration while rows come, change and go; the new table is what a direct `ALTER` makes of the old one."""
    columns = ", ".join(part.split()[0] for part in definition.split(", ") if part.split()[0] in ("a", "b"))
    server.execute(
        f"create table t ({definition}, seq int not null, v int not null, w varchar(20), {index}, key (seq))",
        "set time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,ALLOW_INVALID_DATES'",
        f"insert into t ({columns}, seq, v, w) with recursive n (i) as"
        f" (select 0 union all select i + 1 from n where i < {min(ROWS, 900)}) select {keys}, i, 0, 'first' from n",
        f"insert into t ({columns}, seq, v, w) with recursive n (i) as"
        f" (select 901 union all select i + 1 from n where i < {ROWS}) select {keys}, i, 0, 'first' from n",
        database=database,
    )
    postpone, done = tmp_path / "postpone", threading.Event()
    postpone.touch()
    alter = "add column z int not null default 9, modify column w varchar(30), drop index seq"
    if "primary" not in index:
        alter += ", add primary key (seq)"
    options = ("--chunk-size", "40", "--postpone-cut-over-flag-file", str(postpone))
    writer = threading.Thread(target=change_rows, args=(server, database, columns, keys, done))
    with migrating(server, database, "t", alter, *options) as running:
        writer.start()
        try:
            running.wait_for("phase", phase="ready")
        finally:
            done.set()
            writer.join()
        postpone.unlink()
        run = running.end()
    assert run.exit_code == 0, str(run)
    assert run.finished["keys_reconciled"] != 0
    server.execute(
        "set sql_mode = 'STRICT_ALL_TABLES,ALLOW_INVALID_DATES'",
        "create table expected like _t_del",
        "insert into expected select * from _t_del",
        f"alter table expected {alter}",
        database=database,
    )
    with closing(server.admin(database)) as connection:
        verdict = compare_tables(connection, database, "expected", "t")
    assert verdict.equal, str(verdict)
