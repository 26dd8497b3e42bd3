"""A tail on a test's own database, with everything that it told, and the means to wait until it has told all."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from pymysql.cursors import Cursor

from osc.mysql.server import read_server
from osc.mysql.session import Conn, connection_id
from osc.table.facts import Table, read_table
from osc.table.key import Key, KeyColumn, KeyValue, key_column
from osc.tail.coordinate import Coordinate, current_coordinate
from osc.tail.tail import Tail
from osc.tail.watch import Watch, fraction_digits
from tests.servers import ServerUnderTest

PATIENCE_S = 60.0


@dataclass
class Recorder:
    """A sink that remembers."""

    changes: list[tuple[int, frozenset[Key]]] = field(default_factory=list)
    prepares: list[tuple[int, str, frozenset[Key]]] = field(default_factory=list)
    decisions: list[tuple[int, str, bool]] = field(default_factory=list)
    beats: list[int] = field(default_factory=list)

    def changed(self, keys: Collection[Key], transaction: int) -> None:
        self.changes.append((transaction, frozenset(keys)))

    def prepared(self, xid: str, keys: Collection[Key], transaction: int) -> None:
        self.prepares.append((transaction, xid, frozenset(keys)))

    def decided(self, xid: str, committed: bool, transaction: int) -> None:
        self.decisions.append((transaction, xid, committed))

    def heartbeat(self, counter: int) -> None:
        self.beats.append(counter)


class Follower:
    """A tail of `database`.`t`, its recorder, and a session of root's that writes."""

    def __init__(
        self,
        server: ServerUnderTest,
        database: str,
        key: Sequence[str] = ("id",),
        start: Coordinate | None = None,
        by_gtid: bool = True,
        own_ids: frozenset[int] = frozenset(),
        defaults: Mapping[int, KeyValue] | None = None,
        server_id: int | None = None,
    ) -> None:
        self.server = server
        self.database = database
        self.connection = server.admin(database)
        self.execute("set sql_mode = '', time_zone = '+00:00'")
        self.execute(
            "create table if not exists _t_ghc (id smallint unsigned not null primary key,"
            " counter bigint unsigned not null, note longtext)",
            "insert ignore into _t_ghc values (1, 0, null), (2, 0, 'epoch')",
        )
        facts = read_server(self.connection)
        table = read_table(self.connection, database, "t")
        assert table is not None
        self.key = key_columns(table, key)
        if start is None:
            start = current_coordinate(self.connection, facts)
        self.start = start if by_gtid else Coordinate(start.file, start.position)
        self.told = Recorder()
        watch = Watch(
            database,
            "t",
            self.key,
            ghosts=("_t_gho",),
            state_table="_t_ghc",
            own_connection_ids=lambda: own_ids,
            defaults=defaults or {},
            fraction_digits=fraction_digits(table),
        )
        self.tail = Tail(server.migrator, facts, self.start, watch, self.told, server_id)

    def execute(self, *statements: str) -> None:
        """Run statements on the writing session."""
        with self.connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def query(self, statement: str) -> list[tuple[object, ...]]:
        """The rows of a query, asked on the writing session."""
        with self.connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def keys_in_table(self, condition: str = "true") -> frozenset[Key]:
        """The keys of the rows that are in the table now, as a `SELECT` has them."""
        return select_keys(self.connection, self.database, self.key, condition)

    def catch_up(self) -> None:
        """Return when the tail has told everything that was committed before the call."""
        self.execute("update _t_ghc set counter = counter + 1 where id = 1")
        ((counter,),) = self.query("select counter from _t_ghc where id = 1")
        assert isinstance(counter, int)
        assert self.tail.wait_for_heartbeat(counter, PATIENCE_S), f"the tail stands at {self.tail.position}"

    def take(self) -> list[frozenset[Key]]:
        """The keys of each transaction told since the last call, in order."""
        self.catch_up()
        by_transaction: dict[int, frozenset[Key]] = {}
        for transaction, keys in self.told.changes:
            by_transaction[transaction] = by_transaction.get(transaction, frozenset()) | keys
        self.told.changes.clear()
        return [by_transaction[transaction] for transaction in sorted(by_transaction)]

    def death(self) -> BaseException:
        """What the tail died of, when it does within the time."""
        try:
            self.tail.wait_for_heartbeat(1 << 62, PATIENCE_S)
        except Exception as error:
            return error
        raise AssertionError("the tail is alive")


@contextmanager
def following(
    server: ServerUnderTest,
    database: str,
    key: Sequence[str] = ("id",),
    start: Coordinate | None = None,
    by_gtid: bool = True,
    own_ids: frozenset[int] = frozenset(),
    defaults: Mapping[int, KeyValue] | None = None,
    server_id: int | None = None,
) -> Iterator[Follower]:
    """A started tail of the table `t` of `database`, stopped at the end."""
    follower = Follower(server, database, key, start, by_gtid, own_ids, defaults, server_id)
    try:
        follower.tail.start()
        yield follower
    finally:
        follower.tail.stop()
        follower.connection.close()


def key_columns(table: Table, names: Sequence[str]) -> tuple[KeyColumn, ...]:
    """Columns of the table, as a key."""
    found = [key_column(table.column(name)) for name in names]
    columns = tuple(column for column in found if column is not None)
    assert len(columns) == len(names)
    return columns


def select_keys(connection: Conn, database: str, key: Sequence[KeyColumn], condition: str) -> frozenset[Key]:
    """The keys of the rows of `t`, as a `SELECT` has them."""
    with connection.cursor() as cursor:
        cursor.execute(f"select {', '.join(column.select() for column in key)} from `{database}`.t where {condition}")
        return frozenset(
            tuple(column.from_select(value) for column, value in zip(key, row, strict=True))
            for row in cursor.fetchall()
        )


@contextmanager
def own_session(server: ServerUnderTest, database: str) -> Iterator[tuple[Cursor, Follower]]:
    """A cursor on a session that a started tail takes for the engine's own."""
    with (
        closing(server.admin(database)) as own,
        own.cursor() as cursor,
        following(server, database, own_ids=frozenset({connection_id(own)})) as follower,
    ):
        yield cursor, follower


def keys(*ids: int) -> frozenset[Key]:
    """The keys of these rows, where the key is one integer."""
    return frozenset((number,) for number in ids)
