"""The state table (`_t_ghc`): the heartbeat, the epoch of the run, and the checkpoint, in the same server as the rows.

| id | row | what it holds |
| --- | --- | --- |
| 1 | heartbeat | a counter; committing an increment is the barrier, and the tail sees it pass |
| 2 | epoch | raised by every run; a transaction of an earlier run that is still alive on the server finds it changed |
| 3 | checkpoint | where a resumed run goes on, as JSON |
| 4 | old table | what the run calls the original after the swap; its name may carry the time of the start |

The table's comment marks it as this engine's, so that the changelog table of another tool is never taken for it.
"""

from __future__ import annotations

import json

import pymysql

from osc.errors import TakenOver
from osc.mysql.session import Conn, error_code, is_lost
from osc.mysql.sql import qualified
from osc.state.checkpoint import Checkpoint

HEARTBEAT, EPOCH, CHECKPOINT, OLD_NAME = 1, 2, 3, 4

UNKNOWN_COLUMN = 1054

STATE_COMMENT = "osc state"
SENTRY_COMMENT = "osc sentry"
SCRATCH_COMMENT = "osc scratch"


class StateTable:
    """The statements on one state table. Each method takes the session that it runs on."""

    def __init__(self, database: str, name: str) -> None:
        self.database = database
        self.name = name
        self.sql_name = qualified(database, name)
        # Where there are arguments, the client formats the statement: a % of the name is not for it.
        self._formatted = self.sql_name.replace("%", "%%")

    def create(self, connection: Conn) -> None:
        """Create the table with its three rows. Raises pymysql's error when the name is taken."""
        with connection.cursor() as cursor:
            cursor.execute(
                f"create table {self.sql_name} ("
                " id smallint unsigned not null primary key,"
                " counter bigint unsigned not null,"
                " name varchar(32) character set ascii not null,"
                " value longtext character set utf8mb4 null,"
                " updated_at timestamp(6) not null default current_timestamp(6) on update current_timestamp(6)"
                f") engine=InnoDB comment='{STATE_COMMENT}'"
            )
            cursor.execute(
                f"insert into {self.sql_name} (id, counter, name) values"
                f" ({HEARTBEAT}, 0, 'heartbeat'), ({EPOCH}, 0, 'epoch'), ({CHECKPOINT}, 0, 'checkpoint')"
            )

    def note_old_name(self, connection: Conn, name: str) -> None:
        """Remember what this run will call the old table: the name may carry the time of its start."""
        with connection.cursor() as cursor:
            cursor.execute(
                f"replace into {self._formatted} (id, counter, name, value) values ({OLD_NAME}, 0, 'old table', %s)",
                (name,),
            )

    def old_name(self, connection: Conn) -> str | None:
        """What an earlier run was going to call the old table; None when it had not come to say so."""
        with connection.cursor() as cursor:
            try:
                cursor.execute(f"select value from {self.sql_name} where id = {OLD_NAME}")
            except pymysql.err.OperationalError as error:
                if error_code(error) != UNKNOWN_COLUMN:
                    raise
                return None  # it has our mark, but not our columns: nothing in it can be relied on
            row = cursor.fetchone()
        return None if row is None else str(row[0])

    def is_ours(self, connection: Conn) -> bool:
        """Whether a table of that name exists and carries this engine's mark."""
        return table_comment(connection, self.database, self.name) == STATE_COMMENT

    def beat(self, connection: Conn) -> int:
        """Increment the heartbeat and commit; returns the counter that the tail will see.

        The counter has to change: an update to the same values is not logged.
        """
        with connection.cursor() as cursor:
            cursor.execute(f"update {self.sql_name} set counter = last_insert_id(counter + 1) where id = {HEARTBEAT}")
            beat = int(cursor.lastrowid)
        connection.commit()
        return beat

    def read_beat(self, connection: Conn) -> int:
        """The counter of the heartbeat that has arrived on that server; 0 before the first."""
        with connection.cursor() as cursor:
            cursor.execute(f"select counter from {self.sql_name} where id = {HEARTBEAT}")
            row = cursor.fetchone()
        return 0 if row is None else int(row[0])

    def raise_epoch(self, connection: Conn) -> int:
        """Begin a new epoch; returns it.

        Waits for the transactions of an earlier run that still live on the server, since each holds a share lock on the
        row. Raises pymysql's lock wait timeout when one does not end.
        """
        with connection.cursor() as cursor:
            cursor.execute(f"update {self.sql_name} set counter = last_insert_id(counter + 1) where id = {EPOCH}")
            epoch = int(cursor.lastrowid)
        connection.commit()
        return epoch

    def check_epoch(self, connection: Conn, epoch: int) -> None:
        """Make sure, and hold so until the transaction ends, that no later run has begun. Raises TakenOver."""
        with connection.cursor() as cursor:
            cursor.execute(f"select counter from {self.sql_name} where id = {EPOCH} lock in share mode")
            row = cursor.fetchone()
        if row is None or int(row[0]) != epoch:
            raise TakenOver(
                f"another run has taken over the migration that {self.sql_name} belongs to; this one stops, and leaves the "
                "tables to the other. The original table is untouched"
            )

    def save(self, connection: Conn, checkpoint: Checkpoint, epoch: int) -> None:
        """Store the checkpoint, in a transaction of its own. Raises TakenOver when a later run has begun."""
        connection.begin()
        self.check_epoch(connection, epoch)
        with connection.cursor() as cursor:
            cursor.execute(
                f"update {self._formatted} set counter = counter + 1, value = %s where id = {CHECKPOINT}",
                (json.dumps(checkpoint.to_json(), ensure_ascii=True),),
            )
        connection.commit()

    def load(self, connection: Conn) -> Checkpoint | None:
        """The checkpoint of the earlier run, or None when it had not come to its first."""
        with connection.cursor() as cursor:
            cursor.execute(f"select value from {self.sql_name} where id = {CHECKPOINT}")
            row = cursor.fetchone()
        return Checkpoint.from_json(json.loads(row[0])) if row is not None and row[0] else None

    def has_checkpoint(self, connection: Conn) -> bool:
        """Whether an earlier run had come to its first checkpoint, as far as that can be read."""
        try:
            return self.load(connection) is not None
        except (ValueError, KeyError):
            return False
        except pymysql.err.MySQLError as error:
            if is_lost(error):
                raise
            return False


def table_comment(connection: Conn, database: str, name: str) -> str | None:
    """The table's comment; None when there is no such table."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select table_comment from information_schema.tables where table_schema = %s and table_name = %s",
            (database, name),
        )
        row = cursor.fetchone()
    return None if row is None else str(row[0])
