"""One type becomes another: the value is the one that a direct `ALTER` makes, which an insert would not always make."""

from __future__ import annotations

from contextlib import closing

from tests.migration.migrating import migrate
from tests.servers import ServerUnderTest
from tests.types.comparing import compare_exactly

CONVERSIONS = (
    ("int unsigned zerofill", ("0", "7"), "varchar(20)"),
    ("int", ("1", "7"), "enum('7', '1', 'x', 'a', 'b', 'c', 'd')"),
    ("int", ("1", "2"), "set('2', '1', 'x')"),
    ("int", ("20240229", "19991231"), "date"),
    ("int", ("101112", "0"), "time"),
    ("bigint", ("20240229101112", "19991231235959"), "datetime"),
    ("tinyint", ("1", "-1"), "json"),
    ("decimal(8,3) unsigned zerofill", ("1.5", "0"), "varchar(20)"),
    ("decimal(5,2)", ("1", "2"), "enum('2.00', '1.00')"),
    ("decimal(5,2)", ("1.5", "2.49"), "int"),
    ("decimal(20,3)", ("20240229101112.125", "19991231235959.5"), "datetime(3)"),
    ("float", ("0.1", "16777217"), "varchar(40)"),
    ("float", ("0.1", "1234567.9"), "varbinary(40)"),
    ("float(7,2)", ("1234.57", "0"), "char(20)"),
    ("float(7,2)", ("1234.57", "3.5"), "bit(64)"),
    ("float", ("0.1", "-1.5"), "decimal(10,3)"),
    ("double", ("0.1", "1e22"), "varchar(40)"),
    ("double", ("101112.5", "-1"), "time(3)"),
    ("year", ("0", "2024"), "char(4)"),
    ("year", ("1901", "2024"), "varchar(9) character set utf16"),
    ("bit(13)", ("b'1000000000001'", "5"), "double"),
    ("bit(16)", ("b'100000101000010'", "16705"), "varchar(9)"),
    ("enum('x', '7')", ("'7'", "'x'"), "int"),
    ("set('x', '7')", ("'7'", "'x,7'"), "int"),
    ("time(3)", ("'-10:11:12.5'", "'838:59:59'"), "varchar(30)"),
    ("time", ("'10:11:12'", "'-1:00:00'"), "int"),
    ("date", ("'2024-02-29'", "'1000-01-01'"), "bigint"),
    ("date", ("'2024-02-29'", "'1000-01-01'"), "datetime(3)"),
    ("datetime(6)", ("'2024-02-29 23:59:59.999999'", "'1000-01-01'"), "datetime"),
    ("datetime(6)", ("'2024-02-29 23:59:59.499999'", "'1000-01-01'"), "bigint"),
    ("datetime(3)", ("'2024-02-29 10:00:00.5'", "'1999-01-01'"), "timestamp(1) null"),
    ("timestamp(6) null", ("'2024-02-29 23:59:59.999999'", "'1999-01-01'"), "datetime(2)"),
    ("timestamp null", ("'2024-10-27 00:30:00'", "'1999-01-01'"), "varchar(30)"),
    ("varchar(20)", ("'007'", "'-1'"), "int"),
    ("varchar(20)", ("'1e3'", "'0.1'"), "double"),
    ("varchar(20)", ("'2024-02-29'", "'20240301'"), "date"),
    ("varchar(20)", ("'b'", "'a'"), "enum('a', 'b')"),
    ("varchar(60)", ("'{\"a\": 1.0}'", "'[]'"), "json"),
    ("varbinary(20)", ("'ab'", "X'C3A4'"), "varchar(20) character set utf8mb4"),
    ("varchar(20) character set latin1", ("X'E4'", "'a '"), "varbinary(20)"),
)


def test_values_are_converted_as_a_direct_alter_converts_them(server: ServerUnderTest, database: str) -> None:
    """All conversions in one table."""
    columns = ", ".join(f"c{number} {old} not null" for number, (old, _, _) in enumerate(CONVERSIONS))
    rows = [", ".join(values[row] for _, values, _ in CONVERSIONS) for row in (0, 1)]
    alter = ", ".join(f"modify column c{number} {new}" for number, (_, _, new) in enumerate(CONVERSIONS))
    server.execute(
        "set time_zone = @@global.time_zone, sql_mode = 'STRICT_ALL_TABLES'",
        f"create table t (id int primary key, {columns})",
        *(f"insert into t values ({number}, {values})" for number, values in enumerate(rows)),
        "create table expected like t",
        "insert into expected select * from t",
        f"alter table expected {alter}",
        database=database,
    )
    run = migrate(server, database, "t", alter)
    assert run.exit_code == 0, str(run)
    with closing(server.admin(database)) as connection:
        verdict = compare_exactly(connection, database, "expected", "t")
    assert verdict.equal, str(verdict)
