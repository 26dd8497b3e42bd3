"""Column types with values that reach their corners: as key columns, and as neighbours that must be passed over."""

from __future__ import annotations

from dataclasses import dataclass

from tests.servers import ServerUnderTest


@dataclass(frozen=True)
class ColumnType:
    """A column definition and SQL expressions of distinct values for it."""

    definition: str
    values: tuple[str, ...]

    @property
    def name(self) -> str:
        """For the name of a test."""
        return self.definition if len(self.definition) < 45 else self.definition[:42] + "..."


def _integers(name: str, bits: int) -> list[ColumnType]:
    half = 1 << (bits - 1)
    return [
        ColumnType(name, (str(-half), "-1", "0", "1", str(half - 1))),
        ColumnType(f"{name} unsigned", ("0", "1", str(half - 1), str(half), str(2 * half - 1))),
    ]


def _texts(charset: str, *definitions: str) -> list[ColumnType]:
    values = ("''", "'a'", "'zz top'", "repeat('m', 9)", "'12345'", "'b  b'")
    return [ColumnType(f"{definition} character set {charset}", values) for definition in definitions]


_TIMES = ("'00:00:00'", "'-00:00:01.5'", "'-838:59:58.999999'", "'838:59:58.999999'", "'12:34:56.123456'", "'-1:00:00'")
_DATETIMES = (
    "'0000-00-00'",
    "'2024-02-29 23:59:58.123456'",
    "'1000-01-01'",
    "'9999-12-31 23:59:59'",
    "'2025-00-00'",
    "'2001-10-28 01:30:00.5'",
)
_TIMESTAMPS = (
    "'0000-00-00'",
    "'1970-01-01 00:00:01'",
    "'2038-01-19 03:14:06.99'",
    "'2024-10-27 00:30:00'",
    "'2024-10-27 01:30:00.654321'",
)

KEY_TYPES: tuple[ColumnType, ...] = (
    *_integers("tinyint", 8),
    *_integers("smallint", 16),
    *_integers("mediumint", 24),
    *_integers("int", 32),
    *_integers("bigint", 64),
    ColumnType("int unsigned zerofill", ("0", "7", "4294967295")),
    ColumnType("bit(1)", ("b'0'", "b'1'")),
    ColumnType("bit(13)", ("b'0'", "b'1'", "b'1000000000001'", "b'1111111111111'")),
    ColumnType("bit(64)", ("0", "1", "9223372036854775808", "18446744073709551615")),
    ColumnType("year", ("0", "1901", "2024", "2155")),
    ColumnType("binary(5)", ("''", "'a'", r"'a\0b'", r"'\0\0\0\0\1'", "'12345'", "X'FFFFFFFFFF'")),
    ColumnType("binary(255)", ("''", "'a'", "repeat('x', 255)")),
    ColumnType("varbinary(10)", ("''", "'a'", r"'a\0'", r"'a\0\0'", "X'FF'")),
    ColumnType("varbinary(300)", ("''", "'a'", "repeat('x', 300)", "repeat('x', 256)")),
    ColumnType("date", ("'0000-00-00'", "'2024-02-29'", "'1000-01-01'", "'9999-12-31'", "'2025-00-00'")),
    *(ColumnType(f"datetime({digits})", _DATETIMES) for digits in (0, 1, 2, 3, 6)),
    *(ColumnType(f"timestamp({digits}) default '2001-01-01'", _TIMESTAMPS) for digits in (0, 1, 4, 6)),
    *(ColumnType(f"time({digits})", _TIMES) for digits in (0, 1, 2, 3, 6)),
    ColumnType("decimal(5,2)", ("0", "-0.01", "999.99", "-999.99", "1.5", "10")),
    ColumnType("decimal(4,4)", ("0", "0.1234", "-0.0001")),
    ColumnType("decimal(9,0)", ("0", "-1", "999999999", "100000000")),
    ColumnType("decimal(20,0) unsigned", ("0", "1", "99999999999999999999", "12345678901234567890")),
    ColumnType("decimal(65,30)", ("0", "-1", "12345678901234567890.000000000000000000000000000001", f"-{'9' * 35}.{'9' * 30}")),
    *_texts("latin1", "char(10)", "varchar(20)", "varchar(300)"),
    *_texts("utf8mb4", "char(60)", "char(100)", "varchar(20)", "varchar(100)"),
    ColumnType("char(150) character set utf8mb4", ("'ä'", "repeat('🙂', 150)", "'a\u00a0'")),
    *_texts("utf16", "char(10)", "char(100)", "varchar(20)"),
    *_texts("ucs2", "char(10)", "varchar(20)"),
    *_texts("utf16le", "char(10)"),
    *_texts("utf32", "char(10)", "varchar(20)"),
    *_texts("sjis", "char(10)", "varchar(20)"),
    ColumnType("varchar(20) character set utf16", ("'ā '", "'丠'", "'a'")),
    ColumnType("char(20) character set utf16", ("'ā'", "'丠'", "'a丠'")),
    ColumnType("enum('a', 'b', 'c')", ("'a'", "'b'", "'c'")),
    ColumnType("enum(" + ", ".join(f"'v{number}'" for number in range(300)) + ")", ("'v0'", "'v255'", "'v299'")),
    ColumnType("set('a', 'b', 'c')", ("''", "'a'", "'a,c'", "'a,b,c'")),
    ColumnType("set(" + ", ".join(f"'v{number}'" for number in range(20)) + ")", ("''", "'v0'", "'v19'", "'v0,v9,v19'")),
    ColumnType("set(" + ", ".join(f"'v{number}'" for number in range(63)) + ")", ("''", "'v0'", "'v62'", "'v0,v30,v62'")),
)  # fmt: skip


def neighbours(server: ServerUnderTest) -> tuple[ColumnType, ...]:
    """A column of every type that the server has, each with a short value, a long one and NULL."""
    common = (
        ColumnType("tinyint", ("1",)),
        ColumnType("smallint", ("1",)),
        ColumnType("mediumint", ("1",)),
        ColumnType("int", ("1",)),
        ColumnType("bigint", ("1",)),
        ColumnType("float", ("1.5",)),
        ColumnType("double", ("1.5",)),
        ColumnType("bit(9)", ("b'1'",)),
        ColumnType("bit(16)", ("b'1'",)),
        ColumnType("year", ("2024",)),
        ColumnType("date", ("'2024-01-01'",)),
        *(ColumnType(f"datetime({digits})", ("'2024-01-01 10:11:12.131415'",)) for digits in (0, 1, 4, 6)),
        *(ColumnType(f"timestamp({digits}) null", ("'2024-01-01 10:11:12.131415'",)) for digits in (0, 2, 3, 6)),
        *(ColumnType(f"time({digits})", ("'-10:11:12.131415'",)) for digits in (0, 1, 3, 6)),
        ColumnType("decimal(1,0)", ("1",)),
        ColumnType("decimal(65,30)", ("-1.25",)),
        ColumnType("char(3)", ("''", "'abc'")),
        ColumnType("char(100) character set utf8mb4", ("''", "repeat('ä', 100)")),
        ColumnType("varchar(10)", ("''", "'abc'")),
        ColumnType("varchar(1000)", ("''", "repeat('x', 999)")),
        ColumnType("binary(7)", ("''", "'abc'")),
        ColumnType("varbinary(255)", ("''", "repeat('x', 255)")),
        ColumnType("tinytext", ("''", "repeat('x', 255)")),
        ColumnType("text", ("''", "repeat('x', 10000)")),
        ColumnType("mediumtext", ("''", "repeat('x', 70000)")),
        ColumnType("longblob", ("''", "repeat('x', 70000)")),
        ColumnType("blob", ("''", "repeat('x', 300)")),
        ColumnType("json", ("'[]'", '\'{"a": [1, 2, {"b": null}]}\'')),
        ColumnType("enum('a', 'b')", ("'a'",)),
        ColumnType("set('a', 'b')", ("'a,b'",)),
        ColumnType("point", ("point(1, 2)",)),
        ColumnType("geometry", ("linestring(point(1, 2), point(3, 4))",)),
    )
    if not server.is_mariadb:
        return (*common, ColumnType("vector(3)", ("to_vector('[1,2,3]')",)))
    own = (
        ColumnType("inet6", ("'::1'", "'fe80::1'")),
        ColumnType("inet4", ("'127.0.0.1'",)),
        ColumnType("uuid", ("'123e4567-e89b-12d3-a456-426655440000'",)),
        ColumnType("varchar(200) compressed", ("''", "repeat('x', 200)")),
        ColumnType("blob compressed", ("''", "repeat('x', 2000)")),
        ColumnType("text compressed", ("'a'", "repeat('x', 2000)")),
    )
    vector = (ColumnType("vector(3)", ("vec_fromtext('[1,2,3]')",)),) if server.version >= (11, 7, 0) else ()
    return (*common, *own, *vector)
