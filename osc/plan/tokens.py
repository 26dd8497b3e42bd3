"""The words of an `ALTER` as the server itself would read them.

sqlglot's MySQL tokenizer does the reading, told to see no keywords (what is a keyword depends on the place) and checked
afterwards: whatever it leaves out between two tokens must be white space or a comment by the server's rules. Executable
comments (`/*!80000 ... */`) are resolved as this server would, with every offset kept.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from typing import ClassVar

from sqlglot import Token as LexerToken
from sqlglot import Tokenizer, TokenType
from sqlglot.dialects.mysql import MySQL
from sqlglot.errors import TokenError

from osc.errors import AlterSyntaxError
from osc.mysql.server import Flavor, Server


class TokenKind(Enum):
    WORD = auto()
    """A keyword or an unquoted name: the server decides by the place."""
    QUOTED_NAME = auto()
    STRING = auto()
    NUMBER = auto()
    SYMBOL = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """A token: its value (quotes and escapes taken off) and where it stands in the text."""

    kind: TokenKind
    value: str
    start: int
    end: int
    """Behind its last character."""

    def is_word(self, *words: str) -> bool:
        """Whether it is one of these keywords; a quoted name never is."""
        return self.kind is TokenKind.WORD and self.value.upper() in words

    def is_symbol(self, symbol: str) -> bool:
        return self.kind is TokenKind.SYMBOL and self.value == symbol


@dataclass(frozen=True, slots=True)
class LexicalMode:
    """What decides how a server takes a text apart: its `sql_mode`, and for executable comments its version."""

    ansi_quotes: bool = False
    no_backslash_escapes: bool = False
    flavor: Flavor = "mysql"
    version: tuple[int, int, int] = (8, 0, 13)

    @classmethod
    def of(cls, server: Server, sql_mode: str | None = None) -> LexicalMode:
        """The mode of a server, for the given `sql_mode` or else for its global one."""
        modes = (server.variable("sql_mode") if sql_mode is None else sql_mode).upper().split(",")
        return cls("ANSI_QUOTES" in modes, "NO_BACKSLASH_ESCAPES" in modes, server.flavor, server.version)


@dataclass(frozen=True, slots=True)
class Region:
    """An executable comment that this server executes: where its opening and closing marks stand."""

    start: int
    end: int
    """Behind the closing mark."""


@dataclass(frozen=True, slots=True)
class TokenizedText:
    text: str
    tokens: tuple[Token, ...]
    regions: tuple[Region, ...]


def tokenize(text: str, mode: LexicalMode) -> TokenizedText:
    """The tokens of `text`, without comments. Raises AlterSyntaxError where the server could not read on."""
    shown, regions = _resolve_executable_comments(text, mode)
    found, failed = _scan(shown, mode)
    _check_gaps(text, shown, found, failed)
    return TokenizedText(text, tuple(_joined(shown, found)), regions)


def syntax_error(text: str, offset: int, reason: str) -> AlterSyntaxError:
    """The error for `text` at `offset`: line, column and the line itself with a caret below."""
    offset = min(offset, len(text))
    line_start = text.rfind("\n", 0, offset) + 1
    line_end = text.find("\n", offset)
    line = text[line_start : line_end if line_end >= 0 else len(text)]
    column = offset - line_start
    # Long one-line statements: show the surroundings only.
    skip = max(0, column - 60)
    shown = ("..." if skip else "") + line[skip : column + 40] + ("..." if len(line) > column + 40 else "")
    caret = column - skip + (3 if skip else 0)
    padding = "".join("\t" if char == "\t" else " " for char in shown[:caret])
    return AlterSyntaxError(
        f"the ALTER cannot be read: {reason} (line {text.count(chr(10), 0, offset) + 1}, column {column + 1})\n"
        f"  {shown}\n  {padding}^\nNothing was changed. Correct the text of --alter and run it again."
    )


# --- sqlglot's tokenizer, configured --------------------------------------------------------------------------------

_OPENING_MARKS = ("/*!", "/*M!")
_CLOSING_MARK = "*/"


@lru_cache(maxsize=4)
def _tokenizer_class(ansi_quotes: bool, no_backslash_escapes: bool) -> type[Tokenizer]:
    quotes = ["'"] if ansi_quotes else ["'", '"']

    class ServerTokenizer(MySQL.Tokenizer):
        QUOTES: ClassVar[list[tuple[str, str] | str]] = [*quotes]
        IDENTIFIERS = ["`", '"'] if ansi_quotes else ["`"]
        # Only what delimits strings may be here: sqlglot takes any other character for an escape of the closing quote.
        STRING_ESCAPES = quotes if no_backslash_escapes else [*quotes, "\\"]
        # No keywords: sqlglot would fold `ORDER /* */ BY` or `unsigned integer` into one token and, for a text that
        # begins with RENAME, give up and return the rest as one string (COMMANDS).
        KEYWORDS: ClassVar[dict[str, TokenType]] = dict.fromkeys((*_OPENING_MARKS, _CLOSING_MARK), TokenType.HINT)
        COMMANDS: ClassVar[set[TokenType]] = set()

    # sqlglot takes Jinja's {# for a comment in every dialect; for the server # begins one, { does not.
    ServerTokenizer._COMMENTS.pop("{#", None)
    return ServerTokenizer


def _scan(shown: str, mode: LexicalMode) -> tuple[list[LexerToken], bool]:
    """The tokens up to the end, or up to what cannot be read; and whether the latter happened."""
    tokenizer = _tokenizer_class(mode.ansi_quotes, mode.no_backslash_escapes)(dialect=MySQL())
    try:
        return tokenizer.tokenize(shown), False
    except TokenError:
        return list(tokenizer.tokens), True


# What may stand between tokens. The server takes -- for a comment only before white space, a control character or the
# end, and takes every character beyond ASCII, a no-break space for one, as part of a name.
_GAP = re.compile(r"(?:[ \t\n\r\v\f]+|/\*.*?\*/|#[^\n]*|--(?=[\x00-\x20\x7f]|\Z)[^\n]*)*", re.DOTALL)


def _check_gaps(text: str, shown: str, found: Sequence[LexerToken], failed: bool) -> None:
    position = 0
    for token in found:
        gap = _GAP.match(shown, position, token.start)
        assert gap is not None
        if gap.end() != token.start:
            raise _unreadable(text, shown, gap.end())
        position = token.end + 1
    gap = _GAP.match(shown, position)
    assert gap is not None
    if failed or gap.end() != len(shown):
        raise _unreadable(text, shown, gap.end())


def _unreadable(text: str, shown: str, offset: int) -> AlterSyntaxError:
    if shown.startswith("/*", offset):
        return syntax_error(text, offset, "this comment is never closed")
    if re.compile(r"""[nNxXbB]?['"`]""").match(shown, offset):
        if shown[offset] in "xXbB":
            return syntax_error(text, offset, "this hexadecimal or bit string is malformed or never closed")
        return syntax_error(text, offset, "this quote is never closed")
    if offset < len(shown) and not shown[offset].isascii():
        return syntax_error(
            text,
            offset,
            f"the character U+{ord(shown[offset]):04X} looks like white space but is part of a name to the server",
        )
    return syntax_error(text, offset, "nothing that the server knows starts here")


def _joined(shown: str, found: Sequence[LexerToken]) -> list[Token]:
    """Our tokens; pieces of one unquoted name that the tokenizer takes apart (`1$a`) are joined again."""
    tokens: list[Token] = []
    for lexed in found:
        token = _token(shown, lexed)
        before = tokens[-1] if tokens else None
        name_parts = (TokenKind.WORD, TokenKind.NUMBER)
        if (
            before is not None
            and before.end == token.start
            and before.kind in name_parts
            and token.kind is TokenKind.WORD
        ):
            tokens[-1] = Token(TokenKind.WORD, before.value + token.value, before.start, token.end)
        else:
            tokens.append(token)
    return tokens


_KINDS = {
    TokenType.STRING: TokenKind.STRING,
    TokenType.NATIONAL_STRING: TokenKind.STRING,
    TokenType.IDENTIFIER: TokenKind.QUOTED_NAME,
    TokenType.VAR: TokenKind.WORD,
    TokenType.NUMBER: TokenKind.NUMBER,
    TokenType.BIT_STRING: TokenKind.NUMBER,
    TokenType.HEX_STRING: TokenKind.NUMBER,
}


def _token(shown: str, lexed: LexerToken) -> Token:
    written = shown[lexed.start : lexed.end + 1]
    kind = _KINDS.get(lexed.token_type, TokenKind.SYMBOL)
    # 0x41g is a name, and so are 0X41 and 0B1 (the server knows the prefixes in lower case only) and 1e.
    unquoted_name = kind is TokenKind.QUOTED_NAME and written[0] not in '`"'
    if unquoted_name or written.startswith(("0X", "0B")) or re.fullmatch(r"\d+[eE]", written):
        kind = TokenKind.WORD
    value = lexed.text if kind in (TokenKind.STRING, TokenKind.QUOTED_NAME) else written
    return Token(kind, value, lexed.start, lexed.end + 1)


# --- executable comments --------------------------------------------------------------------------------------------

_OPENING = re.compile(r"/\*(M?)!(\d{5,6})?")


def _resolve_executable_comments(text: str, mode: LexicalMode) -> tuple[str, tuple[Region, ...]]:
    """The text with the marks of executed comments, and the whole of those not executed, replaced by blanks."""
    shown = text
    regions: list[Region] = []
    while (mark := _first_mark(shown, mode)) is not None:
        opening = _OPENING.match(shown, mark.start)
        if opening is None and shown.startswith(_CLOSING_MARK, mark.start):
            raise syntax_error(text, mark.start, "this */ closes no comment")
        if opening is None or not _is_executed(opening, mode):
            shown = _blanked(shown, mark.start, _end_of_skipped(text, shown, mark.start))
            continue
        shown = _blanked(shown, opening.start(), opening.end())
        closing = _first_mark(shown, mode)
        if closing is None:
            _check_gaps(text, shown, *_scan(shown, mode))
            raise syntax_error(text, opening.start(), "this comment is never closed")
        if not shown.startswith(_CLOSING_MARK, closing.start):
            raise syntax_error(text, closing.start, "an executable comment inside another one")
        shown = _blanked(shown, closing.start, closing.start + len(_CLOSING_MARK))
        regions.append(Region(opening.start(), closing.start + len(_CLOSING_MARK)))
    return shown, tuple(regions)


def _first_mark(shown: str, mode: LexicalMode) -> LexerToken | None:
    found, _ = _scan(shown, mode)
    return next((token for token in found if token.token_type is TokenType.HINT), None)


def _is_executed(opening: re.Match[str], mode: LexicalMode) -> bool:
    """Whether this server executes the comment, as its own lexer decides (`sql_lex.cc` of both servers)."""
    for_mariadb, digits = bool(opening[1]), opening[2]
    if for_mariadb and mode.flavor != "mariadb":
        return False
    if digits is None:
        return True
    wanted = int(digits)
    # MariaDB leaves out what is meant for MySQL 5.7 and later, whose features it does not have.
    if mode.flavor == "mariadb" and not for_mariadb and 50700 <= wanted <= 99999:
        return False
    major, minor, patch = mode.version
    return wanted <= major * 10000 + minor * 100 + patch


def _end_of_skipped(text: str, shown: str, start: int) -> int:
    """Where a comment that is not executed ends: the server lets it hold plain comments, one level deep."""
    position, depth = start + 2, 1
    while depth:
        mark = re.compile(r"\*/|/\*").search(shown, position)
        if mark is None:
            raise syntax_error(text, start, "this comment is never closed")
        depth += 1 if mark[0] == "/*" and depth == 1 else -1 if mark[0] == "*/" else 0
        position = mark.end()
    return position


def _blanked(shown: str, start: int, end: int) -> str:
    return shown[:start] + " " * (end - start) + shown[end:]
