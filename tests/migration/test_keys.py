"""Every kind of migration key: rows are found again by it, whatever its type, character set and collation."""

from __future__ import annotations

import contextlib
import threading
from contextlib import closing
from pathlib import Path

import pymysql
import pytest

from osc.sandbox.oracle import compare_tables
from tests.migration.migrating import migrating
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
    "unique key where there is no primary key": ("a int not null, b int not null", "i, -i", "unique key (b, a)"),
}


def change_rows(server: ServerUnderTest, database: str, columns: str, keys: str, done: threading.Event) -> None:
    """Insert, update and delete rows here and there, until `done`."""
    number = 0
    with closing(server.admin(database)) as connection, connection.cursor() as cursor:
        while not done.is_set():
            number = (number + 389) % ROWS
            cursor.execute(f"update t set v = v + 1, w = concat('u', v) where seq = {number}")
            cursor.execute(f"delete from t where seq = {(number + 5) % ROWS}")
            with contextlib.suppress(pymysql.err.IntegrityError):  # the row may still be there
                cursor.execute(
                    f"insert into t ({columns}, seq, v, w) select {keys}, i, -1, 'again'"
                    f" from (select {(number + 1500 - 389 + 5) % ROWS} as i) as n"
                )


@pytest.mark.parametrize("kind", KEYS)
def test_rows_are_found_again_by_their_key(server: ServerUnderTest, database: str, tmp_path: Path, kind: str) -> None:
    definition, keys, index = KEYS[kind]
    columns = ", ".join(part.split()[0] for part in definition.split(", ") if part.split()[0] in ("a", "b"))
    server.execute(
        f"create table t ({definition}, seq int not null, v int not null, w varchar(20), {index}, key (seq))",
        "set time_zone = '+00:00'",
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
        "create table expected like _t_del",
        "insert into expected select * from _t_del",
        f"alter table expected {alter}",
        database=database,
    )
    with closing(server.admin(database)) as connection:
        verdict = compare_tables(connection, database, "expected", "t")
    assert verdict.equal, str(verdict)
