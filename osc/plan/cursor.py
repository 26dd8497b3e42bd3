"""A place in a list of tokens, and the small steps by which a clause is read from there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from osc.plan.tokens import Token, TokenKind, syntax_error

Words = str | tuple[str, ...]
"""One keyword, or several of which any will do."""


@dataclass(frozen=True, slots=True)
class Name:
    """A name and where it stands, quotes included."""

    text: str
    start: int
    end: int
    qualifiers: tuple[str, ...] = ()
    """What stood before it with dots, the outermost first."""


class Cursor:
    """Steps through tokens. `text` is the whole text that they come from, for the excerpt in an error."""

    def __init__(self, text: str, tokens: Sequence[Token]) -> None:
        self.text = text
        self._tokens = tokens
        self._position = 0

    @property
    def at_end(self) -> bool:
        return self._position >= len(self._tokens)

    @property
    def rest(self) -> Sequence[Token]:
        """The tokens not yet taken."""
        return self._tokens[self._position :]

    @property
    def offset(self) -> int:
        """Where the next token starts, or where the last one ends."""
        if not self.at_end:
            return self._tokens[self._position].start
        return self._tokens[-1].end if self._tokens else 0

    def peek(self, ahead: int = 0) -> Token | None:
        index = self._position + ahead
        return self._tokens[index] if index < len(self._tokens) else None

    def is_at(self, *sequence: Words) -> bool:
        """Whether exactly these keywords follow."""
        for ahead, words in enumerate(sequence):
            token = self.peek(ahead)
            if token is None or not token.is_word(*((words,) if isinstance(words, str) else words)):
                return False
        return True

    def is_at_symbol(self, symbol: str, ahead: int = 0) -> bool:
        token = self.peek(ahead)
        return token is not None and token.is_symbol(symbol)

    def take(self, *sequence: Words) -> bool:
        """Step over these keywords if exactly they follow."""
        found = self.is_at(*sequence)
        if found:
            self._position += len(sequence)
        return found

    def take_symbol(self, symbol: str) -> bool:
        found = self.is_at_symbol(symbol)
        if found:
            self._position += 1
        return found

    def take_token(self) -> Token | None:
        token = self.peek()
        if token is not None:
            self._position += 1
        return token

    def name(self, what: str) -> Name:
        """The name that follows, possibly qualified. Raises AlterSyntaxError when `what` is not there."""
        self.take_symbol(".")
        first = self.take_token()
        if first is None or first.kind not in (TokenKind.WORD, TokenKind.QUOTED_NAME):
            raise syntax_error(self.text, self.offset if first is None else first.start, f"{what} is missing here")
        parts = [first]
        while self.is_at_symbol("."):
            self._position += 1
            part = self.take_token()
            # Behind a dot a name may look like a number: t.1e5 (the server's lexer, MY_LEX_IDENT_START).
            if part is None or part.kind not in (TokenKind.WORD, TokenKind.QUOTED_NAME, TokenKind.NUMBER):
                raise syntax_error(self.text, self.offset if part is None else part.start, f"{what} is missing here")
            parts.append(part)
        return Name(parts[-1].value, first.start, parts[-1].end, tuple(part.value for part in parts[:-1]))

    def parenthesised(self) -> Sequence[Token]:
        """The tokens inside the parentheses that open here; steps behind them."""
        assert self.is_at_symbol("(")
        start = self._position + 1
        depth = 0
        while (token := self.take_token()) is not None:
            depth += 1 if token.is_symbol("(") else -1 if token.is_symbol(")") else 0
            if depth == 0:
                break
        return self._tokens[start : self._position - 1]


def outermost(tokens: Sequence[Token]) -> Iterator[tuple[int, Token]]:
    """The tokens outside of all parentheses, with their index; the parentheses themselves are left out."""
    depth = 0
    for index, token in enumerate(tokens):
        if token.is_symbol("("):
            depth += 1
        elif token.is_symbol(")"):
            depth -= 1
        elif depth == 0:
            yield index, token


def split_at_commas(text: str, tokens: Sequence[Token]) -> list[Sequence[Token]]:
    """The parts between the outermost commas. Raises AlterSyntaxError for a part with nothing in it."""
    commas = [index for index, token in outermost(tokens) if token.is_symbol(",")]
    parts: list[Sequence[Token]] = []
    for start, end in zip([0, *(index + 1 for index in commas)], [*commas, len(tokens)], strict=True):
        if start == end and commas:
            at = tokens[end].start if end < len(tokens) else tokens[end - 1].end
            raise syntax_error(text, at, "something is missing beside this comma")
        parts.append(tokens[start:end])
    return parts


def check_parentheses(text: str, tokens: Sequence[Token]) -> None:
    """Raises AlterSyntaxError at the first parenthesis that has no partner."""
    open_ones: list[Token] = []
    for token in tokens:
        if token.is_symbol("("):
            open_ones.append(token)
        elif token.is_symbol(")"):
            if not open_ones:
                raise syntax_error(text, token.start, "this parenthesis closes none")
            open_ones.pop()
    if open_ones:
        raise syntax_error(text, open_ones[-1].start, "this parenthesis is never closed")
