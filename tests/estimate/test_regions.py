"""Where the sample is taken: all over the key, and closer where the rows are."""

from __future__ import annotations

from contextlib import closing

import pytest

from osc.estimate.regions import choose_regions, midway
from osc.mysql.session import Sessions
from osc.table.choose import source_candidates
from osc.table.facts import read_table
from osc.table.key import Key, KeyColumn, Kind, key_column
from osc.table.projection import MigrationKey, Projection
from tests.servers import ServerUnderTest


def columns(*kinds: Kind) -> tuple[KeyColumn, ...]:
    return tuple(KeyColumn(f"k{at}", at, kind, kind) for at, kind in enumerate(kinds))


@pytest.mark.parametrize(
    ("kinds", "start", "end", "middle"),
    [
        (("integer",), (0,), (100,), (50,)),
        (("integer",), (-100,), (100,), (0,)),
        (("integer",), (7,), (8,), None),
        (("integer",), (7,), (7,), None),
        (("integer", "integer"), (3, 10), (3, 20), (3, 15)),
        (("integer", "integer"), (3, 10), (9, 20), (6, 10)),
        (("datetime",), ("2026-01-01 00:00:00",), ("2026-01-03 00:00:00",), ("2026-01-02 00:00:00",)),
        (("date",), ("0000-00-00",), ("2026-01-03",), None),
        (("decimal",), ("1.50",), ("2.50",), ("2.00",)),
        (("time",), ("00:00:00",), ("10:00:00",), None),
    ],
)
def test_a_key_in_the_middle(kinds: tuple[Kind, ...], start: Key, end: Key, middle: Key | None) -> None:
    found = midway(columns(*kinds), start, end)
    if middle is not None and kinds == ("decimal",):
        assert found is not None
        assert float(str(found[0])) == float(str(middle[0]))
    else:
        assert found == middle


@pytest.mark.parametrize(
    ("low", "high"),
    [(b"aaaa", b"zzzz"), (b"user-1000", b"user-9999"), (b"", b"m"), (b"\0\1", b"\xff"), (b"Ab c", b"zz")],
)
def test_a_text_in_the_middle_sorts_in_between_and_stays_text(low: bytes, high: bytes) -> None:
    found = midway(columns("string"), (low,), (high,))
    assert found is not None
    (middle,) = found
    assert isinstance(middle, bytes)
    assert low < middle < high
    assert middle.isascii() or not high.isascii()


@pytest.mark.parametrize(("low", "high"), [(b"order-00ab-eur", b"order-ff12-eur"), (b"00FF", b"F000"), (b"k1", b"kzz")])
def test_between_letters_and_digits_are_letters_and_digits(low: bytes, high: bytes) -> None:
    """Other characters sort before or behind all of them, whatever their bytes."""
    found = midway(columns("string"), (low,), (high,))
    assert found is not None
    (middle,) = found
    assert isinstance(middle, bytes)
    assert low < middle < high
    assert middle.replace(b"-", b"").isalnum()
    assert middle.isupper() == low.isupper()


@pytest.mark.everyday("mysql-9.7", reason="the optimizers' estimates of ranges are as old as InnoDB")
def test_more_regions_lie_where_there_are_more_rows(server: ServerUnderTest, database: str) -> None:
    server.execute(
        "create table t (id bigint not null primary key, v int)",
        "insert into t with recursive n (i) as (select 1 union all select i + 1 from n where i < 900)"
        " select i, i from n",
        "insert into t with recursive n (i) as (select 1 union all select i + 1 from n where i < 100)"
        " select 1000000 + i * 10000, i from n",
        "analyze table t",
        database=database,
    )
    sessions = Sessions(server.migrator)
    with closing(sessions.open("look")) as connection:
        table = read_table(connection, database, "t")
        assert table is not None
        index = source_candidates(table)[0][0]
        key = key_column(table.column("id"))
        assert key is not None
        projection = Projection(database, "t", "_t_ghp", MigrationKey((key,), index.name, index.name), ("id",), ("id",))
        regions = choose_regions(connection, projection, 8)
    assert sum(region.share for region in regions) == pytest.approx(1)
    starts = [region.start for region in regions]
    assert all(start is not None for start in starts)
    assert starts == sorted(start for start in starts if start is not None)
    dense = sum(region.share for region in regions if region.start is not None and int(region.start[0]) <= 1_000)
    assert dense > 0.7, regions
