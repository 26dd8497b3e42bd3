"""The types that a column can have, with values at their limits, and what a column may become without a value being refused.

Values are SQL expressions, to be stored under a loose `sql_mode`: some of them no strict server takes.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.servers import ServerUnderTest


@dataclass(frozen=True, slots=True)
class Kind:
    """A column's type, values for it and other types that hold each of them (with more or fewer bytes, other digits)."""

    definition: str
    values: tuple[str, ...]
    becomes: tuple[str, ...] = ()
    can_be_key: bool = True
    """Whether a migration can go by a key of it."""


def _integers(name: str, bits: int, wider: str) -> list[Kind]:
    half = 1 << (bits - 1)
    signed = (str(-half), str(1 - half), "-1", "0", "1", "100", str(half - 1))
    unsigned = ("0", "1", "100", str(half - 1), str(half), str(2 * half - 1))
    texts = ("decimal(30, 2)", "varchar(30)", "longtext")
    return [
        Kind(name, signed, (wider, *texts, "char(25) character set ascii")),
        Kind(f"{name} unsigned", unsigned, (f"{wider} unsigned", *texts, "varbinary(30)")),
    ]


_LATIN = ("''", "' '", "'a'", "'A'", "'zz  top '", "X'E4DF'", "X'80FF'", "repeat('m', 9)", "'it''s'", r"'back\\slash'")
_GBK = ("''", "'a '", "X'D6D0CEC4'", "X'815C'", "X'BF5C27'", "'A'")
_SJIS = ("''", "'a '", "X'955C'", "X'B1B2'", "X'835C835C'", "'A'")
_UTF8 = ("''", "'a'", "'A '", "X'C3A4'", "X'61CC88'", "X'E4B8AD'", r"'\t\n\0\Z%_'", "X'EFBFBD'", "X'C39F'")
_UTF8MB4 = (*_UTF8, "X'F09F8DB7'", "X'F09F98803132'", "X'F48FBFBF'")
_BYTES = ("''", "' '", "'a'", "X'00'", "X'FF00'", "X'6100'", "X'00FF275C'", "X'F09F8DB7'")
_SET64 = "set(" + ", ".join(f"'m{number}'" for number in range(64)) + ")"
_TIMES = ("'00:00:00'", "'-00:00:01.5'", "'-838:59:58.999999'", "'838:59:59'", "'12:34:56.123456'", "'-1:00:00'")
_DATETIMES = (
    "'0000-00-00'",
    "'2025-00-00 10:00:00'",
    "'2025-02-30 01:02:03'",
    "'2024-02-29 23:59:58.123456'",
    "'1000-01-01'",
    "'0001-01-01'",
    "'9999-12-31 23:59:59'",
    "'2001-10-28 01:30:00.5'",
)
_TIMESTAMPS = (
    "'0000-00-00'",
    "'1970-01-01 00:00:01'",
    "'2038-01-19 03:14:06.99'",
    "'2024-10-27 00:30:00'",
    "'2024-10-27 01:30:00.654321'",
)

_SHARED: tuple[Kind, ...] = (
    *_integers("tinyint", 8, "smallint"),
    *_integers("smallint", 16, "mediumint"),
    *_integers("mediumint", 24, "int"),
    *_integers("int", 32, "bigint"),
    *_integers("bigint", 64, "bigint"),
    Kind(
        "int unsigned zerofill", ("0", "7", "4294967295"), ("int unsigned", "bigint unsigned zerofill", "varchar(20)")
    ),
    Kind("tinyint(1)", ("0", "1", "-128", "127"), ("int",)),
    Kind("decimal(5,2)", ("0", "-0.01", "999.99", "-999.99", "1.5", "10"), ("decimal(12,4)", "varchar(20)", "double")),
    Kind("decimal(4,4)", ("0", "0.1234", "-0.0001", "0.9999"), ("decimal(20,10)",)),
    Kind("decimal(9,0)", ("0", "-1", "999999999", "100000000"), ("bigint", "decimal(18,9)")),
    Kind("decimal(8,3) unsigned zerofill", ("0", "1.5", "99999.999"), ("decimal(8,3)",)),
    Kind("decimal(20,0) unsigned", ("0", "1", "99999999999999999999", "12345678901234567890"), ("decimal(65,0)",)),
    Kind(
        "decimal(65,30)", ("0", "-1", "12345678901234567890.000000000000000000000000000001", f"-{'9' * 35}.{'9' * 30}")
    ),
    Kind(
        "float",
        ("0", "-0e0", "0.1", "16777217", "3.4028234e38", "-1.1754944e-38", "1.4e-45", "1234567.9", "1e-7"),
        ("double",),
        can_be_key=False,
    ),
    Kind("float(7,2)", ("0", "1234.57", "-99999.99", "0.01"), ("double", "float"), can_be_key=False),
    Kind("float unsigned", ("0", "0.3", "3e38"), ("double unsigned",), can_be_key=False),
    Kind(
        "double",
        ("0", "-0e0", "0.1", "1.7976931348623157e308", "2.2250738585072014e-308", "5e-324", "9007199254740993", "1e22"),
        (),
        can_be_key=False,
    ),
    Kind("double(15,4)", ("0", "12345678901.2345", "-0.0001"), ("double",), can_be_key=False),
    Kind("bit(1)", ("b'0'", "b'1'"), ("bit(9)",)),
    Kind("bit(13)", ("b'0'", "b'1'", "b'1000000000001'", "b'1111111111111'"), ("bit(20)", "int unsigned")),
    Kind("bit(64)", ("0", "1", "9223372036854775808", "18446744073709551615"), ("bigint unsigned",)),
    Kind("year", ("0", "1901", "2024", "2155"), ("smallint", "char(4)")),
    Kind(
        "date",
        ("'0000-00-00'", "'2025-00-00'", "'2025-02-30'", "'2024-02-29'", "'1000-01-01'", "'9999-12-31'"),
        ("varchar(20)",),
    ),
    *(Kind(f"time({digits})", _TIMES, ("time(6)", "varchar(30)")) for digits in (0, 1, 3, 6)),
    *(Kind(f"datetime({digits})", _DATETIMES, ("varchar(30)",)) for digits in (0, 1, 2, 3, 6)),
    *(Kind(f"timestamp({digits})", _TIMESTAMPS, ("timestamp(6)",)) for digits in (0, 1, 4, 6)),
    Kind(
        "char(10) character set latin1", _LATIN, ("varchar(20) character set latin1", "char(12) character set utf8mb4")
    ),
    Kind(
        "varchar(20) character set latin1", _LATIN, ("varchar(300) character set latin1", "text character set utf8mb4")
    ),
    Kind("varchar(300) character set latin1 collate latin1_bin", _LATIN, ("varchar(300) character set latin1",)),
    Kind("char(10) character set ascii", ("''", "' '", "'a'", r"'~\0'"), ("char(10) character set utf8mb4",)),
    Kind("char(10) character set gbk", _GBK, ("varchar(20) character set utf8mb4", "varchar(20) character set gbk")),
    Kind("varchar(20) character set gbk collate gbk_bin", _GBK, ("text character set gbk",)),
    Kind("char(10) character set sjis", _SJIS, ("varchar(20) character set utf8mb4",)),
    Kind("varchar(20) character set sjis", _SJIS, ("varchar(20) character set cp932",)),
    Kind("varchar(20) character set big5", ("''", "X'A45C'", "'a'"), ("varchar(20) character set utf8mb4",)),
    Kind("varchar(20) character set ujis", ("''", "X'A4A2'", "'a'"), ("varchar(20) character set utf8mb4",)),
    Kind("varchar(20) character set utf8mb3", _UTF8, ("varchar(20) character set utf8mb4",)),
    Kind("char(10) character set utf8mb3 collate utf8mb3_bin", _UTF8, ("varchar(20) character set utf8mb4",)),
    Kind("char(10) character set utf8mb4 collate utf8mb4_general_ci", _UTF8MB4, ("varchar(20) character set utf8mb4",)),
    Kind(
        "varchar(20) character set utf8mb4 collate utf8mb4_unicode_ci", _UTF8MB4, ("varchar(90) character set utf8mb4",)
    ),
    Kind("varchar(20) character set utf8mb4 collate utf8mb4_bin", _UTF8MB4, ("varchar(20) character set utf16",)),
    Kind(
        "varchar(20) character set utf16",
        ("''", "X'0061'", "X'01010020'", "X'4E20'", "X'D83CDF77'"),
        ("varchar(20) character set utf8mb4",),
    ),
    Kind(
        "char(10) character set ucs2", ("''", "X'0061'", "X'4E20'", "X'0020'"), ("varchar(20) character set utf8mb4",)
    ),
    Kind(
        "varchar(20) character set utf32", ("''", "X'00000061'", "X'0001F377'"), ("varchar(20) character set utf8mb4",)
    ),
    Kind("binary(5)", ("''", "'a'", "X'6100'", r"'\0\0\0\0\1'", "'12345'", "X'FFFFFFFFFF'"), ("varbinary(9)", "blob")),
    Kind("binary(255)", ("''", "'a'", "repeat('x', 255)"), ("varbinary(300)",)),
    Kind("varbinary(10)", _BYTES, ("varbinary(300)", "blob")),
    Kind("varbinary(300)", (*_BYTES, "repeat('x', 300)", "repeat('x', 256)"), ("mediumblob",)),
    Kind(
        "tinytext character set latin1",
        (*_LATIN, "repeat('x', 255)"),
        ("text character set utf8mb4",),
        can_be_key=False,
    ),
    Kind(
        "text character set utf8mb4",
        (*_UTF8MB4, "repeat('x', 10000)"),
        ("longtext character set utf8mb4",),
        can_be_key=False,
    ),
    Kind(
        "mediumtext character set gbk",
        (*_GBK, "repeat('x', 70000)"),
        ("longtext character set utf8mb4",),
        can_be_key=False,
    ),
    Kind(
        "longtext character set utf8mb4",
        (*_UTF8MB4, "repeat('x', 70000)"),
        ("mediumtext character set utf8mb4",),
        can_be_key=False,
    ),
    Kind("tinyblob", (*_BYTES, "repeat('x', 255)"), ("longblob",), can_be_key=False),
    Kind("blob", (*_BYTES, "repeat('x', 300)"), ("mediumblob",), can_be_key=False),
    Kind("longblob", (*_BYTES, "repeat('x', 70000)"), (), can_be_key=False),
    Kind(
        "enum('z', 'it''s', '', 'b', 'B ', 'a,b') character set latin1 collate latin1_bin",
        ("'z'", "'it''s'", "''", "'b'", "'a,b'", "'no such label'"),
        ("varchar(20) character set latin1",),
    ),
    Kind(
        "enum(" + ", ".join(f"'v{number}'" for number in range(300)) + ")",
        ("'v0'", "'v255'", "'v299'"),
        ("varchar(20)", "enum(" + ", ".join(f"'v{number}'" for number in range(299, -1, -1)) + ")"),
    ),
    Kind("set('a', 'b', 'c')", ("''", "'a'", "'a,c'", "'a,b,c'"), ("varchar(20)", "set('c', 'b', 'a', 'd')")),
    Kind(_SET64, ("''", "'m0'", "'m63'", "'m0,m30,m63'", "18446744073709551615"), ("text",), can_be_key=False),
    Kind(
        "json",
        (
            "'[]'",
            '\'{"a": [1, 2.50, 1e100, {"b": null}], "ä": "🍷"}\'',
            "'null'",
            "'\"x\"'",
            "'0.1'",
            "'18446744073709551615'",
        ),
        ("longtext character set utf8mb4",),
        can_be_key=False,
    ),
    Kind("point", ("point(1, 2)", "point(-0.1, 1e300)"), ("geometry",), can_be_key=False),
    Kind(
        "geometry",
        (
            "linestring(point(1, 2), point(3, 4))",
            "st_geomfromtext('POLYGON((0 0,0 9,9 9,9 0,0 0))')",
            "st_geomfromtext('GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))')",
            "st_geomfromtext('POINT(10 20)', 4326)",
        ),
        (),
        can_be_key=False,
    ),
)

_MYSQL: tuple[Kind, ...] = (
    Kind(
        "varchar(20) character set utf8mb4 collate utf8mb4_0900_ai_ci", _UTF8MB4, ("varchar(60) character set utf8mb4",)
    ),
    Kind("char(10) character set utf8mb4 collate utf8mb4_0900_bin", _UTF8MB4, ("varchar(60) character set utf8mb4",)),
    Kind("varchar(20) character set gb18030", _GBK, ("varchar(20) character set utf8mb4",)),
    Kind("point srid 4326", ("st_geomfromtext('POINT(10 20)', 4326)",), (), can_be_key=False),
    Kind("vector(3)", ("to_vector('[1,2,3]')", "to_vector('[-0.0,1e30,0.1]')"), (), can_be_key=False),
    Kind(
        "json",
        (
            "json_object('d', cast('2024-01-01' as date), 'n', cast(1.10 as decimal(9,2)), 'b', cast('x' as binary))",
            "json_array(cast('12:30:00.5' as time), 1e0, 0.1e0, true)",
            "cast(st_geomfromtext('POINT(1 2)') as json)",
        ),
        (),
        can_be_key=False,
    ),
)

_MARIADB: tuple[Kind, ...] = (
    Kind(
        "varchar(20) character set utf8mb4 collate utf8mb4_nopad_bin", _UTF8MB4, ("varchar(60) character set utf8mb4",)
    ),
    Kind("varchar(20) character set utf8mb4 collate utf8mb4_unicode_520_nopad_ci", _UTF8MB4, ()),
    Kind("varchar(20) character set utf8mb4 collate uca1400_as_cs", _UTF8MB4, ()),
    Kind(
        "inet6",
        ("'::'", "'::1'", "'fe80::1'", "'::ffff:1.2.3.4'", "'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'"),
        ("varchar(40)",),
    ),
    Kind("inet4", ("'0.0.0.0'", "'127.0.0.1'", "'255.255.255.255'", "'10.0.0.1'"), ("varchar(40)", "inet6")),
    Kind(
        "uuid",
        (
            "'123e4567-e89b-12d3-a456-426655440000'",
            "'00000000-0000-0000-0000-000000000000'",
            "uuid()",
            "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
            "'0190b6a0-7c9f-7d2e-8a3b-0123456789ab'",
            "'6ccd780c-baba-1026-9564-5b8c656024db'",
            "'1ec9414c-232a-6b00-b3c8-9f6bdeced846'",
        ),
        ("varchar(40)", "char(36)"),
    ),
    Kind("varchar(200) compressed", ("''", "repeat('x', 200)"), ("varchar(200)",), can_be_key=False),
    Kind("blob compressed", ("''", "repeat('x', 2000)"), ("blob",), can_be_key=False),
    Kind(
        "text compressed character set utf8mb4",
        ("'a'", "repeat('x', 2000)"),
        ("text character set utf8mb4",),
        can_be_key=False,
    ),
)


def kinds(server: ServerUnderTest) -> tuple[Kind, ...]:
    """Every kind of column that the server has."""
    if not server.is_mariadb:
        return _SHARED + _MYSQL
    newer = server.version >= (11, 7, 0)
    own = [kind for kind in _MARIADB if newer or "uca1400" not in kind.definition]
    if newer:
        vectors = ("vec_fromtext('[1,2,3]')", "vec_fromtext('[-0.0,1e30,0.1]')")
        own.append(Kind("vector(3)", vectors, (), can_be_key=False))
    return (*_SHARED, *own)
