"""Reading the user's `ALTER`: the clauses to run on the ghost table, what they do to names, and what is refused.

What the statement makes of the table is read back from the ghost. Read here is what cannot be seen there: which column
of the old table became which of the new one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeVar

from osc.mysql.names import folded
from osc.mysql.sql import quote
from osc.plan.clauses import ClauseKind, ClauseReader, Facts
from osc.plan.cursor import Cursor, Name, check_parentheses, outermost, split_at_commas
from osc.plan.options import Option
from osc.plan.refusals import Reason, Refusal
from osc.plan.tokens import LexicalMode, Token, TokenizedText, syntax_error, tokenize


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause of the statement."""

    kind: ClauseKind
    text: str
    """As the user wrote it."""
    start: int
    """Where it starts in `clauses_sql`."""


@dataclass(frozen=True, slots=True)
class AlterStatement:
    """An `ALTER TABLE`, read. Names are as the user wrote them; compare them by `folded`."""

    clauses_sql: str
    """The clauses verbatim, to run behind ``ALTER TABLE `ghost` ``; without the final semicolon."""
    database: str | None
    """As a whole statement named it; None when it did not, or when only clauses were given."""
    table: str | None
    clauses: tuple[Clause, ...]
    renames: Mapping[str, str]
    """New name by old name, both as of one moment: a swap is {a: b, b: a}."""
    dropped_columns: tuple[str, ...]
    added_columns: tuple[str, ...]
    modified_columns: tuple[str, ...]
    """Under their old names; those of `CHANGE` are among them."""
    drops_primary_key: bool
    adds_primary_key: tuple[str, ...] | None
    """The columns of the new primary key, under their new names."""
    converts_charset: str | None
    """The character set of `CONVERT TO CHARACTER SET`; `DEFAULT` may be its name."""
    renamed_indexes: Mapping[str, str]
    dropped_indexes: tuple[str, ...]
    dropped_constraints: tuple[Name, ...]
    """`DROP CONSTRAINT` and `DROP CHECK`; offsets are into `clauses_sql`, as in the next two."""
    altered_constraints: tuple[Name, ...]
    """`ALTER CHECK name [NOT] ENFORCED` and the like."""
    added_checks: tuple[Name, ...]
    """Names given to new CHECK constraints, of the table or of a column."""
    options: tuple[Option, ...]
    refusals: tuple[Refusal, ...]

    @property
    def changes_charset(self) -> bool:
        """Whether every character column changes its character set or collation (`CONVERT TO CHARACTER SET`)."""
        return self.converts_charset is not None

    def rewrite_constraint_names(self, existing: Mapping[str, str], added: Mapping[str, str] | None = None) -> str:
        """`clauses_sql` with the names of dropped and altered constraints replaced as `existing` says.

        MySQL's `CREATE TABLE .. LIKE` gives CHECK constraints new names, since they must be unique in a database. For
        the same reason a new constraint cannot have the name of one that the original has: `added` replaces those.
        """
        replaced = [(name, existing) for name in (*self.dropped_constraints, *self.altered_constraints)]
        replaced += [(name, added or {}) for name in self.added_checks]
        sql = self.clauses_sql
        for name, mapping in sorted(replaced, key=lambda item: item[0].start, reverse=True):
            new = {folded(old): new for old, new in mapping.items()}.get(folded(name.text))
            if new is not None:
                sql = sql[: name.start] + quote(new) + sql[name.end :]
        return sql


def parse_alter(text: str, mode: LexicalMode | None = None) -> AlterStatement:
    """Read clauses (`add column x int, drop y`) or a whole `ALTER TABLE db.t ...`, as a server in `mode` would.

    Everything that is refused is listed in `refusals`. Raises AlterSyntaxError, with line and column, for what cannot
    be read: open quotes, comments or parentheses, a second statement, a clause whose column names are not to be found.
    """
    read = tokenize(text, mode or LexicalMode())
    tokens = _one_statement(text, read.tokens)
    check_parentheses(text, tokens)
    at = Cursor(text, tokens)
    facts = Facts()
    target = _read_prefix(at, facts)
    start, end = _extent(read, tokens, at.rest)
    clauses = [_read_clause(read, part, facts) for part in _split_clauses(text, at.rest)]
    if not clauses:
        facts.refusals.append(Refusal(text.strip() or "an empty ALTER", Reason.EMPTY))
    return AlterStatement(
        clauses_sql=text[start:end],
        database=target.qualifiers[-1] if target is not None and target.qualifiers else None,
        table=target.text if target is not None else None,
        clauses=tuple(replace(clause, start=clause.start - start) for clause in clauses),
        renames=MappingProxyType(facts.renames),
        dropped_columns=tuple(facts.dropped_columns),
        added_columns=tuple(facts.added_columns),
        modified_columns=tuple(facts.modified_columns),
        drops_primary_key=facts.drops_primary_key,
        adds_primary_key=facts.adds_primary_key,
        converts_charset=facts.converts_charset,
        renamed_indexes=MappingProxyType(facts.renamed_indexes),
        dropped_indexes=tuple(facts.dropped_indexes),
        dropped_constraints=_moved(facts.dropped_constraints, start),
        altered_constraints=_moved(facts.altered_constraints, start),
        added_checks=_moved(facts.added_checks, start),
        options=_moved(facts.options, start),
        refusals=tuple(dict.fromkeys(facts.refusals)),
    )


def _one_statement(text: str, tokens: Sequence[Token]) -> Sequence[Token]:
    """The tokens before the semicolon that ends the statement. Raises AlterSyntaxError when another one follows."""
    ends = [index for index, token in enumerate(tokens) if token.is_symbol(";")]
    if not ends:
        return tokens
    following = next((token for token in tokens[ends[0] :] if not token.is_symbol(";")), None)
    if following is not None:
        raise syntax_error(text, following.start, "a second statement starts here; give one at a time")
    return tokens[: ends[0]]


def _read_prefix(at: Cursor, facts: Facts) -> Name | None:
    """Step over `ALTER [ONLINE] [IGNORE] TABLE [IF EXISTS] name [WAIT n | NOWAIT]`; the name, if all this is there."""
    if at.is_at("CREATE"):
        raise syntax_error(at.text, at.offset, "this is no ALTER TABLE (an index is added with ADD INDEX)")
    modifiers = ("ONLINE", "IGNORE")
    if not (
        at.is_at("ALTER", "TABLE") or at.is_at("ALTER", modifiers, "TABLE") or at.is_at("ALTER", *modifiers, "TABLE")
    ):
        return None
    at.take("ALTER")
    at.take("ONLINE")  # MariaDB: asks for what happens anyway
    if at.take("IGNORE"):
        facts.refusals.append(Refusal("IGNORE", Reason.IGNORE))
    at.take("TABLE")
    at.take("IF", "EXISTS")
    target = at.name("the name of the table")
    if at.take("NOWAIT"):
        facts.refusals.append(Refusal("NOWAIT", Reason.SERVERS_OWN_WAY))
    elif at.take("WAIT"):
        seconds = at.take_token()
        facts.refusals.append(Refusal(f"WAIT {seconds.value}" if seconds else "WAIT", Reason.SERVERS_OWN_WAY))
    return target


def _extent(read: TokenizedText, tokens: Sequence[Token], clause_tokens: Sequence[Token]) -> tuple[int, int]:
    """Where the clauses start and end in the text, with the executable comments that they stand in.

    Raises AlterSyntaxError when such a comment also holds something that is not part of the clauses.
    """
    if not clause_tokens:
        return len(read.text), len(read.text)
    start, end = clause_tokens[0].start, clause_tokens[-1].end
    prefix = tokens[: len(tokens) - len(clause_tokens)]
    earliest = prefix[-1].end if prefix else 0
    latest = next((token.start for token in read.tokens if token.start >= end), len(read.text))
    for region in read.regions:
        if region.end <= start or region.start >= end:
            continue
        if region.start < earliest or region.end > latest:
            raise syntax_error(
                read.text, region.start, "this executable comment holds more than clauses; write the ALTER without it"
            )
        start, end = min(start, region.start), max(end, region.end)
    return start, end


def _split_clauses(text: str, tokens: Sequence[Token]) -> list[Sequence[Token]]:
    """The clauses; `PARTITION BY` and `REMOVE PARTITIONING` may follow the last one without a comma."""
    clauses: list[Sequence[Token]] = []
    for part in split_at_commas(text, tokens) if tokens else ():
        cut = next(
            (
                index
                for index, _ in outermost(part)
                if Cursor(text, part[index:]).is_at("PARTITION", "BY")
                or (Cursor(text, part[index:]).is_at("REMOVE", "PARTITIONING") and index + 2 == len(part))
            ),
            0,
        )
        clauses += [part[:cut], part[cut:]] if cut else [part]
    return clauses


def _read_clause(read: TokenizedText, tokens: Sequence[Token], facts: Facts) -> Clause:
    start, end = tokens[0].start, tokens[-1].end
    following = next((token.start for token in read.tokens if token.start >= end), len(read.text))
    for region in read.regions:
        if start <= region.start < end <= region.end <= following:
            end = region.end
    written = read.text[start:end]
    return Clause(ClauseReader(read.text, tokens, written, facts).read(), written, start)


_Placed = TypeVar("_Placed", Name, Option)


def _moved(placed: Iterable[_Placed], start: int) -> tuple[_Placed, ...]:
    """The same with offsets counted from `start`."""
    return tuple(replace(item, start=item.start - start, end=item.end - start) for item in placed)
