"""Small tables that tests migrate, filled on the server."""

from __future__ import annotations

from tests.servers import ServerUnderTest


def make_table(
    server: ServerUnderTest,
    database: str,
    rows: int = 1_000,
    name: str = "t",
    columns: str = "id int not null auto_increment primary key, k int not null, s varchar(100)",
) -> None:
    """Create the table and fill `k` with 7 times, and `s` with the text of, the row's number."""
    limit = "cte_max_recursion_depth" if not server.is_mariadb else "max_recursive_iterations"
    server.execute(
        f"create table {name} ({columns})",
        f"set session {limit} = 100000000",
        f"insert into {name} (k, s) with recursive n (i) as (select 1 union all select i + 1 from n where i < {rows})"
        " select i * 7, concat('row ', i) from n",
        database=database,
    )


def contents(
    server: ServerUnderTest, database: str, name: str = "t", what: str = "*"
) -> tuple[tuple[object, ...], ...]:
    """All rows, in the order of `id`."""
    return server.query(f"select {what} from {name} order by id", database=database)
