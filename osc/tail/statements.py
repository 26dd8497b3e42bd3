"""What a statement in the binlog did: which tables it changed, or whether it changed rows without naming them.

In row format, statements are definitions and transaction control. Each table that a definition changes counts; so does
one that it references by a foreign key, which a swap would leave behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pymysql.charset import charset_by_id

from osc.errors import AlterSyntaxError
from osc.mysql.server import Server
from osc.plan.tokens import LexicalMode, Token, TokenKind, tokenize

TableName = tuple[str, str]
"""Database and table."""


@dataclass(frozen=True, slots=True)
class QueryEvent:
    """The parts of a query event that decide what it means."""

    thread_id: int
    database: str
    text: str
    sql_mode: int

    @classmethod
    def parse(cls, body: bytes, text: bytes | None = None) -> QueryEvent:
        """Read the event's body; `text` is the statement where it was compressed."""
        thread_id = int.from_bytes(body[:4], "little")
        status_end = 13 + int.from_bytes(body[11:13], "little")
        charset, sql_mode = _status(body[13:status_end])
        database = body[status_end : status_end + body[8]].decode("utf-8", "replace")
        statement = query_text(body) if text is None else text
        return cls(thread_id, database, statement.decode(_codec(charset), "replace"), sql_mode)


def query_text(body: bytes) -> bytes:
    """The statement of a query event, in the character set of the client that sent it."""
    return body[14 + int.from_bytes(body[11:13], "little") + body[8] :]


def _status(block: bytes) -> tuple[int, int]:
    """Client character set (0 when not told) and `sql_mode`, from the status variables of a query event.

    They come in this order (MySQL Source Code Documentation, "Query_event").
    """
    charset = sql_mode = 0
    at = 0
    while at < len(block):
        code = block[at]
        at += 1
        match code:
            case 0:
                at += 4
            case 1:
                sql_mode = int.from_bytes(block[at : at + 8], "little")
                at += 8
            case 2:
                at += block[at] + 2
            case 3:
                at += 4
            case 4:
                charset = int.from_bytes(block[at : at + 2], "little")
                break
            case 5 | 6:
                at += block[at] + 1
            case _:
                break
    return charset, sql_mode


def _codec(charset: int) -> str:
    try:
        codec = charset_by_id(charset).encoding
        "".encode(codec)
    except (KeyError, LookupError):
        return "utf-8"
    return codec


_ANSI_QUOTES = 4
_NO_BACKSLASH_ESCAPES = 1 << 20


def lexical_mode(server: Server, sql_mode: int) -> LexicalMode:
    """How the server read a statement that ran under this `sql_mode`."""
    return LexicalMode(
        bool(sql_mode & _ANSI_QUOTES), bool(sql_mode & _NO_BACKSLASH_ESCAPES), server.flavor, server.version
    )


@dataclass(frozen=True, slots=True)
class Effect:
    """What a statement did, as far as the tail cares."""

    kind: Literal["nothing", "definition", "rows", "drop database"] = "nothing"
    verb: str = ""
    changed: tuple[TableName, ...] = ()
    """Tables changed, made, dropped or renamed; of a statement on rows, the table it names."""
    renamed: tuple[tuple[TableName, TableName], ...] = ()
    """Of a `RENAME TABLE`: each old name with the new one, in order."""
    referenced: tuple[TableName, ...] = ()
    """Tables to which a new foreign key points."""
    database: str = ""
    """The database that was dropped."""
    is_temporary: bool = False
    """Whether it makes or drops temporary tables."""
    may_call_functions: bool = False
    """Of a statement on rows: whether a stored function may be called in it, which may write anywhere."""


ROW_VERBS = frozenset(
    {"INSERT", "UPDATE", "DELETE", "REPLACE", "LOAD", "SELECT", "DO", "CALL", "WITH", "VALUES", "HANDLER"}
)
_OBJECTS = frozenset({
    "TABLE", "TABLES", "DATABASE", "SCHEMA", "INDEX", "TRIGGER", "VIEW", "PROCEDURE", "FUNCTION", "EVENT", "USER", "ROLE",
    "SERVER", "TABLESPACE", "LOGFILE", "SEQUENCE", "PACKAGE", "RESOURCE", "INSTANCE", "LIBRARY",
})  # fmt: skip


def effect_of(text: str, database: str, mode: LexicalMode) -> Effect:
    """What the statement did when it ran with `database` as its default. Raises ValueError when it cannot be read."""
    try:
        tokens = tokenize(text, mode).tokens
    except AlterSyntaxError as error:
        raise ValueError(str(error)) from error
    return _Reader(tokens, database).read()


class _Reader:
    """Walks over the tokens of one statement."""

    def __init__(self, tokens: tuple[Token, ...], database: str) -> None:
        self._tokens = tokens
        self._database = database
        self._at = 0

    def read(self) -> Effect:
        if self._take("SET") and self._take("STATEMENT"):
            # MariaDB's prefix: SET STATEMENT variable = value, ... FOR statement.
            self._skip_past("FOR")
        while self._symbol("("):
            pass
        verb = self._word()
        if verb in ROW_VERBS:
            return self._rows(verb)
        match verb:
            case "ALTER":
                return self._alter()
            case "CREATE":
                return self._create()
            case "DROP":
                return self._drop()
            case "RENAME":
                return self._rename()
            case "TRUNCATE":
                self._take("TABLE")
                return Effect("definition", "TRUNCATE", (self._table(),))
            case "ANALYZE" if self._peek() not in ("TABLE", "TABLES", "LOCAL", "NO_WRITE_TO_BINLOG"):
                # MariaDB's ANALYZE of a statement runs it.
                return Effect("rows", "ANALYZE", may_call_functions=True)
        return Effect(verb=verb)

    def _alter(self) -> Effect:
        self._take_any("ONLINE", "OFFLINE", "IGNORE")
        if not self._take("TABLE"):
            return Effect(verb="ALTER")
        self._if_exists()
        changed = [self._table()]
        referenced: list[TableName] = []
        for before, word in self._words():
            if word == "REFERENCES":
                referenced.append(self._table())
            elif word == "TABLE" and before in ("WITH", "CONVERT", "TO"):
                # EXCHANGE PARTITION .. WITH TABLE t, CONVERT TABLE t TO .., CONVERT PARTITION p TO TABLE t
                changed.append(self._table())
            elif word == "RENAME" and self._peek() not in ("COLUMN", "INDEX", "KEY"):
                self._take_any("TO", "AS")
                self._symbol("=")
                changed.append(self._table())
        return Effect("definition", "ALTER TABLE", tuple(changed), referenced=tuple(referenced))

    def _create(self) -> Effect:
        replaces = self._take("OR") and self._take("REPLACE")
        is_temporary = self._take("TEMPORARY")
        kind = self._object()
        if kind == "TRIGGER" or kind == "INDEX":
            self._skip_past("ON")
            return Effect("definition", f"CREATE {kind}", (self._table(),))
        if kind != "TABLE":
            return Effect(verb="CREATE")
        exists_is_fine = self._if_exists() and not replaces
        table = self._table()
        referenced: list[TableName] = []
        for _, word in self._words():
            if word == "REFERENCES":
                referenced.append(self._table())
            elif word == "SELECT":
                # Row format logs CREATE TABLE .. SELECT as a definition and rows.
                return Effect(
                    "rows",
                    "CREATE TABLE ... SELECT",
                    (table,),
                    is_temporary=is_temporary,
                    may_call_functions=self._calls(),
                )
        # A table that was there already stays as it is, and the statement is logged nevertheless.
        changed = () if exists_is_fine and not is_temporary else (table,)
        return Effect("definition", "CREATE TABLE", changed, referenced=tuple(referenced), is_temporary=is_temporary)

    def _drop(self) -> Effect:
        is_temporary = self._take("TEMPORARY")
        kind = self._object()
        self._if_exists()
        if kind in ("DATABASE", "SCHEMA"):
            return Effect("drop database", "DROP DATABASE", database=self._name())
        if kind == "INDEX":
            self._skip_past("ON")
            return Effect("definition", "DROP INDEX", (self._table(),))
        if kind not in ("TABLE", "TABLES"):
            return Effect(verb="DROP")
        tables = [self._table()]
        while self._symbol(","):
            tables.append(self._table())
        return Effect("definition", "DROP TABLE", tuple(tables), is_temporary=is_temporary)

    def _rename(self) -> Effect:
        if not self._take_any("TABLE", "TABLES"):
            return Effect(verb="RENAME")
        self._if_exists()
        renamed: list[tuple[TableName, TableName]] = []
        while True:
            old = self._table()
            self._skip_past("TO")  # MariaDB's WAIT n or NOWAIT may stand before it
            renamed.append((old, self._table()))
            if not self._symbol(","):
                break
        changed = tuple(name for pair in renamed for name in pair)
        return Effect("definition", "RENAME TABLE", changed, tuple(renamed))

    def _rows(self, verb: str) -> Effect:
        changed: tuple[TableName, ...] = ()
        if verb in ("INSERT", "REPLACE", "UPDATE", "DELETE"):
            self._take_any("LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "QUICK", "IGNORE")
            self._take_any("INTO", "FROM")
            changed = (self._table(),)
            is_end = self._at == len(self._tokens)
            is_single = verb in ("INSERT", "REPLACE") or is_end or self._peek() in ("SET", "WHERE", "ORDER", "LIMIT")
            if is_single:
                if self._peek_symbol("("):
                    self._at += 1  # the columns of an INSERT
                return Effect("rows", verb, changed, may_call_functions=self._calls())
        return Effect("rows", verb, (), may_call_functions=True)

    # --- steps over tokens ----------------------------------------------------------------------------------------

    def _peek(self) -> str:
        """The keyword that comes next, in upper case; empty when something else comes."""
        token = self._tokens[self._at] if self._at < len(self._tokens) else None
        return token.value.upper() if token is not None and token.kind is TokenKind.WORD else ""

    def _peek_symbol(self, symbol: str) -> bool:
        return self._at < len(self._tokens) and self._tokens[self._at].is_symbol(symbol)

    def _word(self) -> str:
        word = self._peek()
        self._at += 1
        return word

    def _take(self, word: str) -> bool:
        if self._peek() != word:
            return False
        self._at += 1
        return True

    def _take_any(self, *words: str) -> bool:
        taken = False
        while self._peek() in words:
            self._at += 1
            taken = True
        return taken

    def _symbol(self, symbol: str) -> bool:
        if not self._peek_symbol(symbol):
            return False
        self._at += 1
        return True

    def _if_exists(self) -> bool:
        if not self._take("IF"):
            return False
        self._take("NOT")
        return self._take("EXISTS")

    def _object(self) -> str:
        """The kind of object that a CREATE or DROP is about: the first word that names one."""
        while self._at < len(self._tokens):
            if (word := self._word()) in _OBJECTS:
                return word
        return ""

    def _skip_past(self, word: str) -> None:
        while self._at < len(self._tokens):
            if self._word() == word:
                return

    def _words(self) -> Iterator[tuple[str, str]]:
        """The keywords from here on, each with the one just before it; reading may go on behind each."""
        before = ""
        while self._at < len(self._tokens):
            word = self._word()
            if word:
                yield before, word
            before = word

    def _name(self) -> str:
        token = self._tokens[self._at] if self._at < len(self._tokens) else None
        if token is None or token.kind not in (TokenKind.WORD, TokenKind.QUOTED_NAME):
            raise ValueError("a name is missing")
        self._at += 1
        return token.value

    def _table(self) -> TableName:
        self._symbol(".")
        name = self._name()
        return (name, self._name()) if self._symbol(".") else (self._database, name)

    def _calls(self) -> bool:
        """Whether something that may be a function's name stands before a parenthesis, from here on."""
        for here, behind in zip(self._tokens[self._at :], self._tokens[self._at + 1 :], strict=False):
            if behind.is_symbol("(") and (
                here.kind is TokenKind.QUOTED_NAME
                or (
                    here.kind is TokenKind.WORD
                    and here.value.upper()
                    not in ("VALUES", "VALUE", "IN", "AND", "OR", "NOT", "ON", "SELECT", "WHERE", "AS", "FROM")
                )
            ):
                return True
        return False
