"""The table that the tail's tests follow."""

from __future__ import annotations

import pytest

from tests.servers import ServerUnderTest


@pytest.fixture
def table(server: ServerUnderTest, database: str) -> str:
    """The database, with a table `t`, its ghost and another table in it."""
    server.execute(
        "create table t (id int not null primary key, v varchar(50)) engine=InnoDB",
        "create table _t_gho like t",
        "create table other (id int not null primary key, v int) engine=InnoDB",
        database=database,
    )
    return database
