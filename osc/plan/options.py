"""Table options in an `ALTER` (`ENGINE=InnoDB ROW_FORMAT=DYNAMIC`), in a row without commas, and which are refused."""

from __future__ import annotations

from dataclasses import dataclass

from osc.plan.cursor import Cursor
from osc.plan.refusals import Reason
from osc.plan.tokens import TokenKind


@dataclass(frozen=True, slots=True)
class Option:
    """A table option: its name in upper case, its value without quotes, and where it stands."""

    name: str
    value: str
    start: int
    end: int


_SEVERAL_WORDS = {
    ("CHARACTER", "SET"): "CHARACTER SET",
    ("CHAR", "SET"): "CHARACTER SET",
    ("CHARSET",): "CHARACTER SET",
    ("DATA", "DIRECTORY"): "DATA DIRECTORY",
    ("INDEX", "DIRECTORY"): "INDEX DIRECTORY",
}

_VALUE_WITHOUT_EQUALS = frozenset(
    {
        "ALGORITHM", "AUTO_INCREMENT", "AUTOEXTEND_SIZE", "AVG_ROW_LENGTH", "CHARACTER SET", "CHECKSUM", "COLLATE",
        "COMMENT", "COMPRESSION", "CONNECTION", "DATA DIRECTORY", "DELAY_KEY_WRITE", "ENCRYPTION", "ENGINE",
        "ENGINE_ATTRIBUTE", "INDEX DIRECTORY", "INSERT_METHOD", "KEY_BLOCK_SIZE", "LOCK", "MAX_ROWS", "MIN_ROWS",
        "PACK_KEYS", "PAGE_CHECKSUM", "PASSWORD", "ROW_FORMAT", "SECONDARY_ENGINE", "SECONDARY_ENGINE_ATTRIBUTE",
        "SEQUENCE", "STATS_AUTO_RECALC", "STATS_PERSISTENT", "STATS_SAMPLE_PAGES", "TABLE_CHECKSUM", "TABLESPACE",
        "TRANSACTIONAL", "TYPE", "UNION",
    }
)  # fmt: skip


def read_options(at: Cursor) -> list[Option]:
    """The options that follow, up to the first thing that is none."""
    options: list[Option] = []
    while not at.at_end:
        option = _read_option(at)
        if option is None:
            break
        options.append(option)
    return options


def _read_option(at: Cursor) -> Option | None:
    start = at.offset
    at.take("DEFAULT")
    name = next((name for words, name in _SEVERAL_WORDS.items() if at.take(*words)), None)
    if name is None:
        token = at.peek()
        if token is None or token.kind not in (TokenKind.WORD, TokenKind.QUOTED_NAME):
            return None
        name = token.value.upper()
        # Any name with = and a value may be an option: MariaDB lets engines define their own.
        if not at.is_at_symbol("=", ahead=1) and (name not in _VALUE_WITHOUT_EQUALS or not at.is_at(name)):
            return None
        at.take_token()
    at.take_symbol("=")
    if at.is_at_symbol("("):
        tokens = at.parenthesised()
        end = at.offset if at.at_end else (tokens[-1].end if tokens else start) + 1
        return Option(name, at.text[tokens[0].start : tokens[-1].end] if tokens else "", start, end)
    value = at.take_token()
    if value is None:
        return None
    if name == "TABLESPACE":
        at.take("STORAGE", ("DISK", "MEMORY"))
    return Option(name, value.value, start, value.end)


def refusal_reason(option: Option) -> Reason | None:
    """Why the option is refused; None when it is not."""
    match option.name:
        case "ENGINE" | "TYPE":
            return None if option.value.upper() == "INNODB" else Reason.OTHER_ENGINE
        case "ALGORITHM" | "LOCK":
            return None if option.value.upper() == "DEFAULT" else Reason.SERVERS_OWN_WAY
        case "SECONDARY_ENGINE":
            return Reason.SECONDARY_ENGINE
        case "DATA DIRECTORY" | "INDEX DIRECTORY":
            return Reason.FILE_PLACE
        case "UNION" | "INSERT_METHOD" | "CONNECTION" | "SEQUENCE":
            return Reason.FOREIGN_STORAGE
        case _:
            return None
