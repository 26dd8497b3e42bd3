"""What each event means: keys of the watched table, heartbeats, transactions, and the changes that end a migration."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from osc.errors import MigrationFailed, StatementLogged, TableChanged
from osc.mysql.server import Server
from osc.table.key import Key, KeyColumn
from osc.tail import events, payload
from osc.tail.coordinate import Coordinate
from osc.tail.progress import Progress
from osc.tail.rowimage import KeyReader, TableMap, decompressed, table_of
from osc.tail.statements import ROW_VERBS, Effect, QueryEvent, TableName, effect_of, lexical_mode, query_text
from osc.tail.watch import Sink, Watch

HEARTBEAT_ROW = 1
_STATE_KEY = (
    KeyColumn("id", 0, "integer", "smallint", is_unsigned=True),
    KeyColumn("counter", 1, "integer", "bigint", is_unsigned=True),
)
_SHOWN_CHARACTERS = 400
_REMEMBERED_MAPS = 64
_REMEMBERED_NAMES = 10_000


@dataclass(frozen=True, slots=True)
class Swap:
    """The engine's own rename of the watched table, as the binlog has it."""

    coordinate: Coordinate
    """The end of the rename."""
    transaction: int
    heartbeat: int
    """The counter of the last heartbeat before it; 0 when there was none."""
    rows_since_heartbeat: int
    """Rows of the table between that heartbeat and the rename: nobody reconciled them, so it has to be 0."""


class EventReader:
    """Takes one event after another. No socket, no thread; tells the sink and the progress."""

    def __init__(
        self, server: Server, watch: Watch, sink: Sink, progress: Progress, heartbeat: Callable[[int], None]
    ) -> None:
        self.wanted: dict[int, KeyReader] = {}
        """The table ids whose row events are to be read."""
        self.rows = 0
        self.swap: Swap | None = None
        self._server = server
        self._watch = watch
        self._sink = sink
        self._progress = progress
        self._heartbeat = heartbeat
        self._fold = watch.lower_case_table_names != 0
        self._table = self._folded((watch.database, watch.table))
        self._state = self._folded((watch.database, watch.state_table))
        ghosts = {self._folded((watch.database, ghost)) for ghost in watch.ghosts}
        self._guarded = {self._table, *ghosts} | ({self._state} if watch.state_table else set())
        self._known_names: dict[bytes, TableName | None] = {}
        self._known_maps: dict[bytes, KeyReader] = {}
        self._last_maps: dict[bytes, bytes] = {}
        """By table id: each statement repeats the map, and nearly always it is the same."""
        self._state_ids: set[int] = set()
        self._last_beat = 0
        self._rows_since_beat = 0
        self._in_group = False
        self._xa: set[Key] | None = None
        self._temporary: set[tuple[int, TableName]] = set()
        self._at = Coordinate("", 0)
        self._handlers: dict[int, Callable[[bytes, int], None]] = {
            events.TABLE_MAP: self._table_map,
            events.QUERY: self._query,
            events.MARIADB_QUERY_COMPRESSED: self._compressed_query,
            events.XID: self._end,
            events.GTID: self._mysql_gtid,
            events.TAGGED_GTID: self._tagged_gtid,
            events.ANONYMOUS_GTID: self._begin,
            events.MARIADB_GTID: self._mariadb_gtid,
            events.XA_PREPARE: self._xa_prepare,
            events.TRANSACTION_PAYLOAD: self._payload,
            events.INCIDENT: self._incident,
            **dict.fromkeys(events.LOAD_EVENTS, self._load),
            **dict.fromkeys(events.ROW_EVENTS, self._nothing),
            **dict.fromkeys(events.HARMLESS, self._nothing),
            events.FORMAT_DESCRIPTION: self._nothing,
        }

    def interrupted(self) -> None:
        """The connection broke; the next event is the first behind the last complete transaction."""
        self.wanted.clear()
        self._last_maps.clear()
        self._in_group = False
        self._xa = None

    def read(self, type_: int, body: bytes, server_id: int, flags: int, file: str, position: int) -> None:
        """Take an event that ends at `position` of `file`. Raises OscError for what ends the migration."""
        self._file, self._position, self._server_id = file, position, server_id
        try:
            if type_ == events.ROTATE:
                self._progress.rotated(file, position)
            elif type_ in events.ROW_EVENTS:
                self._rows_event(type_, body)
            elif (handler := self._handlers.get(type_)) is not None:
                handler(body, server_id)
            elif not flags & events.IGNORABLE_FLAG:
                raise MigrationFailed(
                    f"the binlog has an event of type {type_} at {self._here}, which this version does not know and must "
                    "not ignore. The original table is intact"
                )
        except (ValueError, LookupError, struct.error) as error:
            raise MigrationFailed(
                f"the event of type {type_} at {self._here} of the binlog cannot be read: {error}. "
                "The original table is intact"
            ) from error

    @property
    def _here(self) -> str:
        return f"{self._file}:{self._position}"

    def _folded(self, name: TableName) -> TableName:
        return (name[0].lower(), name[1].lower()) if self._fold else name

    # --- rows -----------------------------------------------------------------------------------------------------

    def _table_map(self, body: bytes, server_id: int) -> None:
        if self._last_maps.get(body[:6]) == body:
            return
        if len(self._last_maps) > _REMEMBERED_NAMES:
            self._last_maps.clear()
        self._last_maps[body[:6]] = body
        table_id = int.from_bytes(body[:6], "little")
        middle = 9 + body[8]
        end = middle + 3 + body[middle + 1]
        names = body[8:end]
        if names not in self._known_names:
            name = self._folded(table_of(body)[0])
            if len(self._known_names) > _REMEMBERED_NAMES:
                self._known_names.clear()
            self._known_names[names] = name if name in (self._table, self._state) else None
        known = self._known_names[names]
        if known is None or (known == self._table and self.swap is not None):
            self.wanted.pop(table_id, None)
            return
        layout = body[8:]
        reader = self._known_maps.get(layout)
        if reader is None:
            if len(self._known_maps) > _REMEMBERED_MAPS:
                self._known_maps.clear()
            reader = self._known_maps[layout] = self._key_reader(body, known)
        self.wanted[table_id] = reader
        (self._state_ids.add if known == self._state else self._state_ids.discard)(table_id)

    def _key_reader(self, body: bytes, name: TableName) -> KeyReader:
        if name == self._state:
            return KeyReader(TableMap(body), _STATE_KEY)
        table_map = TableMap(body, self._watch.fraction_digits)
        return KeyReader(table_map, self._watch.key, self._watch.defaults, self._watch.column_count)

    def _rows_event(self, type_: int, body: bytes) -> None:
        table_id = int.from_bytes(body[:6], "little")
        reader = self.wanted.get(table_id)
        if reader is None:
            return
        if table_id in self._state_ids:
            self._beats(reader, type_, body)
            return
        keys, rows = reader.keys(type_, body)
        self.rows += rows
        self._rows_since_beat += rows
        if self._xa is not None:
            self._xa.update(keys)
        else:
            self._sink.changed(keys, self._progress.number)

    def _beats(self, reader: KeyReader, type_: int, body: bytes) -> None:
        for before, after in reader.images(type_, body)[0]:
            if after is None:
                continue
            row, counter = after
            if row is None and before is not None:
                row = before[0]
            if row == HEARTBEAT_ROW and isinstance(counter, int):
                self._last_beat = counter
                self._rows_since_beat = 0
                self._heartbeat(counter)

    # --- transactions ---------------------------------------------------------------------------------------------

    def _begin(self, body: bytes, server_id: int) -> None:
        self._in_group = False
        self._xa = None
        self._progress.begin()

    def _mysql_gtid(self, body: bytes, server_id: int) -> None:
        self._begin(body, server_id)
        self._progress.named_by_mysql(str(uuid.UUID(bytes=body[1:17])), int.from_bytes(body[17:25], "little"))

    def _tagged_gtid(self, body: bytes, server_id: int) -> None:
        # MySQL 8.3 writes tagged ids in a format of their own, and mysql-replication cannot ask for them either.
        self._begin(body, server_id)
        self._progress.unnamed()

    def _mariadb_gtid(self, body: bytes, server_id: int) -> None:
        self._begin(body, server_id)
        number, domain, flags = struct.unpack_from("<QIB", body)
        self._in_group = not flags & events.MARIADB_STANDALONE
        self._xa = set() if flags & events.MARIADB_PREPARED_XA else None
        self._progress.named_by_mariadb(domain, server_id, number)

    def _end(self, body: bytes = b"", server_id: int = 0) -> None:
        self._in_group = False
        self._xa = None
        self._progress.end(self._file, self._position)

    def _xa_prepare(self, body: bytes, server_id: int) -> None:
        one_phase, format_id, global_length, branch_length = struct.unpack_from("<BiII", body)
        keys = self._xa if self._xa is not None else set()
        if one_phase:
            self._sink.changed(keys, self._progress.number)
        else:
            branch = 13 + global_length
            xid = xid_text(format_id, body[13:branch], body[branch : branch + branch_length])
            self._sink.prepared(xid, keys, self._progress.number)
        self._end()

    def _payload(self, body: bytes, server_id: int) -> None:
        for type_, inner in payload.events_in(body):
            self.read(type_, inner, server_id, 0, self._file, self._position)

    # --- statements -----------------------------------------------------------------------------------------------

    def _compressed_query(self, body: bytes, server_id: int) -> None:
        at = len(body) - len(query_text(body))
        self._statement(body, decompressed(body, at))

    def _query(self, body: bytes, server_id: int) -> None:
        self._statement(body, query_text(body))

    def _statement(self, body: bytes, text: bytes) -> None:
        match text:
            case b"BEGIN":
                self._in_group = True
            case b"COMMIT" | b"ROLLBACK":
                self._end()
            case _ if text[:3].upper() == b"XA ":
                self._xa_statement(text.decode())
            case _ if text[:9].upper() == b"SAVEPOINT" or text[:11].upper() == b"ROLLBACK TO":
                pass
            case _:
                query = QueryEvent.parse(body, text)
                self._judge(query)
                if not self._in_group:
                    self._end()

    def _xa_statement(self, text: str) -> None:
        verb, _, xid = text[3:].strip().partition(" ")
        xid = "".join(xid.split())
        match verb.upper():
            case "START" | "BEGIN":
                self._in_group = True
                self._xa = set()
            case "COMMIT" | "ROLLBACK":
                self._sink.decided(xid, verb.upper() == "COMMIT", self._progress.number)
                self._end()

    def _judge(self, query: QueryEvent) -> None:
        """Go on after a statement that does not concern the migration; raise for one that does."""
        try:
            effect = effect_of(query.text, query.database, lexical_mode(self._server, query.sql_mode))
        except ValueError as error:
            self._judge_unreadable(query, error)
            return
        if effect.kind == "nothing":
            return
        shadowed = self._temporaries(query.thread_id, effect)
        if effect.kind == "rows":
            if not (shadowed and not effect.may_call_functions):
                raise self._statement_logged(query)
        elif effect.kind == "drop database":
            if self._folded((effect.database, ""))[0] == self._table[0]:
                raise self._table_changed(query, self._table, "dropped the database of")
        elif not effect.is_temporary and not shadowed:
            self._judge_definition(query, effect)

    def _judge_definition(self, query: QueryEvent, effect: Effect) -> None:
        if self._is_own(query) and (
            self.swap is not None or self._is_swap(effect) or not self._is_about_the_table(effect)
        ):
            if self.swap is None and self._is_swap(effect):
                end = Coordinate(self._file, self._position)
                self.swap = Swap(end, self._progress.number, self._last_beat, self._rows_since_beat)
                self.wanted.clear()
                self._last_maps.clear()
            return
        for name in effect.changed:
            if self._folded(name) in self._guarded and not self._is_of_an_earlier_run(name):
                raise self._table_changed(query, name, "changed")
        for name in effect.referenced:
            if self._folded(name) == self._table:
                raise self._table_changed(query, name, "added a foreign key that references")

    def _is_own(self, query: QueryEvent) -> bool:
        """Whether one of the engine's sessions sent the statement. Connection ids mean nothing across servers."""
        from_here = self._watch.server_id is None or self._server_id == self._watch.server_id
        return from_here and query.thread_id in self._watch.own_connection_ids()

    def _is_swap(self, effect: Effect) -> bool:
        names = {self._folded((self._watch.database, name)) for name in self._watch.old_names}
        return any(
            self._folded(old) == self._table and (not names or self._folded(new) in names)
            for old, new in effect.renamed
        )

    def _is_about_the_table(self, effect: Effect) -> bool:
        """The engine changes the original by the swap's rename alone, so any other change of it is somebody else's."""
        return bool(self._watch.old_names) and self._table in (self._folded(name) for name in effect.changed)

    def _is_of_an_earlier_run(self, name: TableName) -> bool:
        until = self._watch.ghosts_made_by
        here = Coordinate(self._file, self._position)
        return until is not None and self._folded(name) != self._table and here <= until

    def _judge_unreadable(self, query: QueryEvent, error: ValueError) -> None:
        """A statement that the tokenizer cannot take apart counts against every table that it mentions."""
        lowered = query.text.lower()
        if lowered.lstrip("( \t\r\n").partition(" ")[0].upper() in ROW_VERBS:
            raise self._statement_logged(query) from error
        if any(table.lower() in lowered for _, table in self._guarded):
            raise self._table_changed(query, self._table, "may have changed") from error

    def _temporaries(self, thread_id: int, effect: Effect) -> bool:
        """Keep the account of temporary tables; whether the statement is about such tables of its session only."""
        names = [(thread_id, self._folded(name)) for name in effect.changed]
        shadowed = bool(names) and all(name in self._temporary for name in names)
        if effect.verb.startswith("CREATE TABLE") and effect.is_temporary:
            self._temporary.update(names)
            return True
        if effect.verb == "DROP TABLE" and (effect.is_temporary or shadowed):
            self._temporary.difference_update(names)
        return shadowed

    # --- what ends a migration ------------------------------------------------------------------------------------

    def _table_changed(self, query: QueryEvent, name: TableName, what: str) -> TableChanged:
        return TableChanged(
            f"connection {query.thread_id} {what} {name[0]}.{name[1]} while the migration ran: {_shown(query.text)!r}, in "
            f"the binlog before {self._here}. This migration left the original as that statement made it; what was copied "
            "is of no use any more. Remove it (osc cleanup) and start again"
        )

    def _statement_logged(self, query: QueryEvent) -> StatementLogged:
        return StatementLogged(
            f"connection {query.thread_id} wrote rows in statement format, so nobody can say which rows of "
            f"{self._watch.database}.{self._watch.table} it changed, perhaps through a trigger: {_shown(query.text)!r}, in "
            f"the binlog before {self._here}. The original is intact; what was copied is of no use any more. Make every "
            "session use binlog_format=ROW, remove what was made (osc cleanup) and start again"
        )

    def _load(self, body: bytes, server_id: int) -> None:
        raise StatementLogged(
            f"somebody ran LOAD DATA in statement format, in the binlog before {self._here}, so nobody can say which rows "
            f"of {self._watch.database}.{self._watch.table} it changed. The original is intact; what was copied is of no "
            "use any more. Make every session use binlog_format=ROW, remove what was made (osc cleanup) and start again"
        )

    def _incident(self, body: bytes, server_id: int) -> None:
        raise MigrationFailed(
            f"the server says that it lost events of its own binlog before {self._here} (an incident event), so changes of "
            "the table may be missing. The original is intact; what was copied is of no use any more. Remove it "
            "(osc cleanup), see the server's error log, and start again"
        )

    def _nothing(self, body: bytes, server_id: int) -> None:
        pass


def xid_text(format_id: int, global_part: bytes, branch_part: bytes) -> str:
    """An XA transaction's id as the binlog's `XA COMMIT` and MySQL's `XA RECOVER CONVERT XID` write it."""
    return f"X'{global_part.hex()}',X'{branch_part.hex()}',{format_id}"


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."
