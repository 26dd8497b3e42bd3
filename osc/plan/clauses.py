"""One clause of an `ALTER TABLE` at a time: what it does to columns, keys, names and options, and what is refused.

Only what the engine must know is read. What is not recognised stays a clause of kind `OTHER`, for the server to judge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from osc.plan.cursor import Cursor, Name, outermost, split_at_commas
from osc.plan.options import Option, read_options, refusal_reason
from osc.plan.refusals import Reason, Refusal
from osc.plan.tokens import Token, TokenKind


class ClauseKind(StrEnum):
    ADD_COLUMN = "add column"
    ADD_LIST = "add list"
    """`ADD (a int, b int, index (a))`"""
    DROP_COLUMN = "drop column"
    CHANGE_COLUMN = "change column"
    MODIFY_COLUMN = "modify column"
    RENAME_COLUMN = "rename column"
    ALTER_COLUMN = "alter column"
    ADD_INDEX = "add index"
    DROP_INDEX = "drop index"
    RENAME_INDEX = "rename index"
    ALTER_INDEX = "alter index"
    ADD_PRIMARY_KEY = "add primary key"
    DROP_PRIMARY_KEY = "drop primary key"
    ADD_CHECK = "add check"
    DROP_CONSTRAINT = "drop constraint"
    ALTER_CONSTRAINT = "alter constraint"
    ADD_FOREIGN_KEY = "add foreign key"
    DROP_FOREIGN_KEY = "drop foreign key"
    CONVERT_CHARSET = "convert charset"
    OPTIONS = "options"
    PARTITION_BY = "partition by"
    REMOVE_PARTITIONING = "remove partitioning"
    PARTITION_MAINTENANCE = "partition maintenance"
    RENAME_TABLE = "rename table"
    TABLESPACE_FILES = "tablespace files"
    SYSTEM_VERSIONING = "system versioning"
    PERIOD = "period"
    KEYS_SWITCH = "keys switch"
    ORDER_BY = "order by"
    FORCE = "force"
    VALIDATION = "validation"
    SECONDARY_ENGINE = "secondary engine"
    OTHER = "other"


@dataclass
class Facts:
    """What the clauses read so far do; offsets are into the text that they were read from."""

    renames: dict[str, str] = field(default_factory=dict)
    dropped_columns: list[str] = field(default_factory=list)
    added_columns: list[str] = field(default_factory=list)
    modified_columns: list[str] = field(default_factory=list)
    drops_primary_key: bool = False
    adds_primary_key: tuple[str, ...] | None = None
    converts_charset: str | None = None
    renamed_indexes: dict[str, str] = field(default_factory=dict)
    dropped_indexes: list[str] = field(default_factory=list)
    dropped_constraints: list[Name] = field(default_factory=list)
    altered_constraints: list[Name] = field(default_factory=list)
    added_checks: list[Name] = field(default_factory=list)
    options: list[Option] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)


_INDEX = ("INDEX", "KEY")
_MAINTENANCE = (
    "ADD", "ANALYZE", "CHECK", "COALESCE", "CONVERT", "DISCARD", "DROP", "EXCHANGE", "IMPORT", "OPTIMIZE", "REBUILD",
    "REORGANIZE", "REPAIR", "TRUNCATE",
)  # fmt: skip


class ClauseReader:
    """Reads one clause into `facts`. `written` is the clause as the user wrote it, for a refusal."""

    def __init__(self, text: str, tokens: Sequence[Token], written: str, facts: Facts) -> None:
        self._at = Cursor(text, tokens)
        self._tokens = tokens
        self._written = written
        self._facts = facts

    def read(self) -> ClauseKind:
        """What kind of clause it is. Raises AlterSyntaxError where a name that matters cannot be read."""
        at = self._at
        if at.is_at(_MAINTENANCE, "PARTITION") or at.is_at("UPGRADE", "PARTITIONING"):
            return self._refuse(ClauseKind.PARTITION_MAINTENANCE, Reason.PARTITION_MAINTENANCE)
        if at.take("ADD"):
            return self._add()
        if at.take("DROP"):
            return self._drop()
        if at.take("CHANGE"):
            return self._change()
        if at.take("MODIFY"):
            return self._modify()
        if at.take("RENAME"):
            return self._rename()
        if at.take("ALTER"):
            return self._alter()
        if at.take("CONVERT"):
            return self._convert()
        return self._whole_table()

    def _refuse(self, kind: ClauseKind, reason: Reason) -> ClauseKind:
        self._facts.refusals.append(Refusal(self._written, reason))
        return kind

    # --- columns ----------------------------------------------------------------------------------------------------

    def _add(self) -> ClauseKind:
        at = self._at
        if at.is_at("SYSTEM", "VERSIONING"):
            return self._refuse(ClauseKind.SYSTEM_VERSIONING, Reason.SYSTEM_VERSIONING)
        at.take("COLUMN")
        at.take("IF", "NOT", "EXISTS")
        if at.is_at_symbol("("):
            for element in split_at_commas(at.text, at.parenthesised()):
                self._table_element(Cursor(at.text, element))
            return ClauseKind.ADD_LIST
        return self._table_element(at)

    def _table_element(self, at: Cursor) -> ClauseKind:
        """A column, key or constraint, as in `CREATE TABLE`."""
        if at.is_at("PERIOD", "FOR"):
            return self._refuse(ClauseKind.PERIOD, Reason.PERIOD)
        if at.is_at(_INDEX) or at.is_at(("FULLTEXT", "SPATIAL")) or at.is_at("VECTOR", _INDEX):
            return ClauseKind.ADD_INDEX
        symbol: Name | None = None
        if at.take("CONSTRAINT"):
            at.take("IF", "NOT", "EXISTS")
            if not at.is_at(("PRIMARY", "UNIQUE", "FOREIGN", "CHECK")):
                symbol = at.name("the name of the constraint")
        if at.take("PRIMARY", "KEY"):
            self._facts.adds_primary_key = _key_columns(at)
            return ClauseKind.ADD_PRIMARY_KEY
        if at.is_at("UNIQUE"):
            return ClauseKind.ADD_INDEX
        if at.is_at("FOREIGN", "KEY"):
            return self._refuse(ClauseKind.ADD_FOREIGN_KEY, Reason.FOREIGN_KEY)
        if at.is_at("CHECK"):
            if symbol is not None:
                self._facts.added_checks.append(symbol)
            return ClauseKind.ADD_CHECK
        if symbol is not None:
            return ClauseKind.OTHER
        column = self._column_name(at, "the name of the column to add")
        self._facts.added_columns.append(column.text)
        self._column_definition(column.text, at.rest)
        return ClauseKind.ADD_COLUMN

    def _drop(self) -> ClauseKind:
        at = self._at
        facts = self._facts
        if at.take("PRIMARY", "KEY"):
            facts.drops_primary_key = True
            return ClauseKind.DROP_PRIMARY_KEY
        if at.is_at("FOREIGN", "KEY"):
            return self._refuse(ClauseKind.DROP_FOREIGN_KEY, Reason.FOREIGN_KEY)
        if at.is_at("SYSTEM", "VERSIONING"):
            return self._refuse(ClauseKind.SYSTEM_VERSIONING, Reason.SYSTEM_VERSIONING)
        if at.is_at("PERIOD", "FOR"):
            return self._refuse(ClauseKind.PERIOD, Reason.PERIOD)
        if at.take(_INDEX):
            at.take("IF", "EXISTS")
            index = at.name("the name of the index to drop")
            facts.dropped_indexes.append(index.text)
            facts.drops_primary_key |= index.text.upper() == "PRIMARY"
            return ClauseKind.DROP_INDEX
        if at.take(("CONSTRAINT", "CHECK")):
            at.take("IF", "EXISTS")
            constraint = at.name("the name of the constraint to drop")
            facts.dropped_constraints.append(constraint)
            # MySQL 8.0.19 and later drop keys this way as well.
            facts.drops_primary_key |= constraint.text.upper() == "PRIMARY"
            return ClauseKind.DROP_CONSTRAINT
        at.take("COLUMN")
        at.take("IF", "EXISTS")
        facts.dropped_columns.append(self._column_name(at, "the name of the column to drop").text)
        return ClauseKind.DROP_COLUMN

    def _change(self) -> ClauseKind:
        at = self._at
        at.take("COLUMN")
        at.take("IF", "EXISTS")
        old = self._column_name(at, "the old name of the column")
        new = self._column_name(at, "the new name of the column")
        self._facts.modified_columns.append(old.text)
        if old.text != new.text:
            self._facts.renames[old.text] = new.text
        self._column_definition(new.text, at.rest)
        return ClauseKind.CHANGE_COLUMN

    def _modify(self) -> ClauseKind:
        at = self._at
        at.take("COLUMN")
        at.take("IF", "EXISTS")
        column = self._column_name(at, "the name of the column to modify")
        self._facts.modified_columns.append(column.text)
        self._column_definition(column.text, at.rest)
        return ClauseKind.MODIFY_COLUMN

    def _rename(self) -> ClauseKind:
        at = self._at
        if at.take("COLUMN"):
            at.take("IF", "EXISTS")
            old = self._column_name(at, "the old name of the column")
            at.take("TO")
            new = self._column_name(at, "the new name of the column")
            if old.text != new.text:
                self._facts.renames[old.text] = new.text
            return ClauseKind.RENAME_COLUMN
        if at.take(_INDEX):
            at.take("IF", "EXISTS")
            old = at.name("the old name of the index")
            at.take("TO")
            self._facts.renamed_indexes[old.text] = at.name("the new name of the index").text
            return ClauseKind.RENAME_INDEX
        return self._refuse(ClauseKind.RENAME_TABLE, Reason.RENAME_TABLE)

    def _alter(self) -> ClauseKind:
        at = self._at
        if at.is_at(_INDEX):
            return ClauseKind.ALTER_INDEX
        if at.take(("CHECK", "CONSTRAINT")):
            at.take("IF", "EXISTS")
            self._facts.altered_constraints.append(at.name("the name of the constraint"))
            return ClauseKind.ALTER_CONSTRAINT
        at.take("COLUMN")
        at.take("IF", "EXISTS")
        self._column_name(at, "the name of the column to alter")
        return ClauseKind.ALTER_COLUMN

    def _column_name(self, at: Cursor, what: str) -> Name:
        name = at.name(what)
        if name.qualifiers:
            self._facts.refusals.append(Refusal(self._written, Reason.QUALIFIED_COLUMN))
        return name

    def _column_definition(self, column: str, definition: Sequence[Token]) -> None:
        """The attributes that matter. Every keyword looked for is reserved on both servers, so it is never a name."""
        words = [token for _, token in outermost(definition)]
        if any(token.is_word("REFERENCES") for token in words):
            self._facts.refusals.append(Refusal(self._written, Reason.INLINE_REFERENCES))
        for index, token in enumerate(words):
            at = Cursor(self._at.text, words[index:])
            before = words[index - 1] if index else None
            # KEY alone means PRIMARY KEY here.
            alone = before is None or not before.is_word("PRIMARY", "UNIQUE")
            if token.is_word("PRIMARY") or (token.is_word("KEY") and alone):
                self._facts.adds_primary_key = (column,)
            elif at.is_at("CONSTRAINT") and len(words) > index + 2 and words[index + 2].is_word("CHECK"):
                at.take("CONSTRAINT")
                self._facts.added_checks.append(at.name("the name of the constraint"))
            elif at.is_at(("WITH", "WITHOUT"), "SYSTEM", "VERSIONING") or at.is_at("AS", "ROW", ("START", "END")):
                self._facts.refusals.append(Refusal(self._written, Reason.SYSTEM_VERSIONING))

    # --- the table as a whole ---------------------------------------------------------------------------------------

    def _convert(self) -> ClauseKind:
        at = self._at
        if at.take("TO"):
            if at.take(("CHARACTER", "CHAR"), "SET") or at.take("CHARSET"):
                charset = at.take_token()
                self._facts.converts_charset = charset.value if charset is not None else ""
                return ClauseKind.CONVERT_CHARSET
        elif at.is_at("TABLE"):
            return self._refuse(ClauseKind.PARTITION_MAINTENANCE, Reason.PARTITION_MAINTENANCE)
        return ClauseKind.OTHER

    def _whole_table(self) -> ClauseKind:
        at = self._at
        if at.is_at("PARTITION", "BY"):
            return ClauseKind.PARTITION_BY
        if at.is_at("REMOVE", "PARTITIONING"):
            return ClauseKind.REMOVE_PARTITIONING
        if at.is_at(("DISCARD", "IMPORT"), "TABLESPACE"):
            return self._refuse(ClauseKind.TABLESPACE_FILES, Reason.TABLESPACE_FILES)
        if at.is_at(("ENABLE", "DISABLE"), "KEYS"):
            return self._refuse(ClauseKind.KEYS_SWITCH, Reason.KEYS_SWITCH)
        if at.is_at("ORDER", "BY"):
            return self._refuse(ClauseKind.ORDER_BY, Reason.ORDER_BY)
        if at.is_at(("SECONDARY_LOAD", "SECONDARY_UNLOAD")):
            return self._refuse(ClauseKind.SECONDARY_ENGINE, Reason.SECONDARY_ENGINE)
        if at.is_at(("WITH", "WITHOUT"), "VALIDATION"):
            return ClauseKind.VALIDATION
        if at.is_at("FORCE"):
            return ClauseKind.FORCE
        return self._options()

    def _options(self) -> ClauseKind:
        options = read_options(self._at)
        for option in options:
            reason = refusal_reason(option)
            if reason is not None:
                self._facts.refusals.append(Refusal(self._at.text[option.start : option.end], reason))
        self._facts.options.extend(options)
        return ClauseKind.OPTIONS if options and self._at.at_end else ClauseKind.OTHER


def _key_columns(at: Cursor) -> tuple[str, ...]:
    """The columns of the key parts in the parentheses that come next; expression parts have none."""
    while not at.at_end and not at.is_at_symbol("("):
        at.take_token()
    if at.at_end:
        return ()
    parts = split_at_commas(at.text, at.parenthesised())
    return tuple(part[0].value for part in parts if part and part[0].kind in (TokenKind.WORD, TokenKind.QUOTED_NAME))
