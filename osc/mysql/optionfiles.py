"""Reading `my.cnf` files as the servers' own command-line tools read them.

The rules are those of the MySQL Reference Manual, "Using Option Files", and of its C client where the manual is silent:
a `#` outside quotes starts a comment wherever it stands, and a backslash escapes inside and outside of quotes.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from osc.errors import UsageError

GROUPS = frozenset({"client", "client-server", "client-mariadb", "osc"})
"""Groups that are read: every MySQL client's, MariaDB's additions to it, and our own."""

_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "s": " ", '"': '"', "'": "'", "\\": "\\"}
_MAX_INCLUDE_DEPTH = 10


@dataclass(frozen=True, slots=True)
class FileOption:
    """One line of an option file. Its value may be a password: it is kept out of `repr`."""

    group: str
    name: str
    """With dashes, without `loose-`."""
    value: str | None
    """None when the line has no `=`."""
    path: Path
    line: int

    def __repr__(self) -> str:
        return f"FileOption({self.group!r}, {self.name!r}, {self.where})"

    @property
    def where(self) -> str:
        """For people: `/etc/my.cnf:12`."""
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class FilesRead:
    """What the option files say, in the order in which they say it: the last word on an option counts."""

    options: tuple[FileOption, ...]
    warnings: tuple[str, ...]


def default_files(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Where the tools look, in their order."""
    files = [Path("/etc/my.cnf"), Path("/etc/mysql/my.cnf")]
    home = environment.get("HOME")
    return (*files, Path(home) / ".my.cnf") if home else tuple(files)


def read_option_files(paths: Sequence[Path], required: bool = False) -> FilesRead:
    """The options of our groups. Files that don't exist are passed over, unless `required`. Raises UsageError."""
    warnings: list[str] = []
    options: list[FileOption] = []
    for path in paths:
        if required and not path.is_file():
            raise UsageError(f"the option file {path} (--defaults-file) does not exist or is no file")
        options += (option for option in _read_file(path, warnings, required, 0) if option.group in GROUPS)
    return FilesRead(tuple(options), tuple(warnings))


def _read_file(path: Path, warnings: list[str], required: bool, depth: int) -> Iterator[FileOption]:
    try:
        mode = path.stat().st_mode
        # A file that anybody may write is a password that anybody may change the server of.
        if stat.S_ISREG(mode) and mode & stat.S_IWOTH:
            warnings.append(f"the option file {path} is ignored, because everybody may write to it (chmod o-w {path})")
            return
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        if required:
            raise UsageError(f"cannot read the option file {path}: {error.strerror}") from error
        warnings.append(f"the option file {path} is passed over: {error.strerror}")
        return
    group: str | None = None
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        if line[0] == "!":
            yield from _read_included(line, path, number, warnings, depth)
        elif line[0] == "[":
            name, bracket, _ = line[1:].partition("]")
            if not bracket:
                raise UsageError(f"{path}:{number}: a group's name lacks its closing bracket")
            group = name.strip()
        elif group is None:
            raise UsageError(f"{path}:{number}: an option stands before the first [group]")
        else:
            yield _option(group, line, path, number)


def _read_included(line: str, path: Path, number: int, warnings: list[str], depth: int) -> Iterator[FileOption]:
    word, _, rest = line.partition(" ")
    target = path.parent / rest.strip()
    if depth >= _MAX_INCLUDE_DEPTH:
        warnings.append(f"{path}:{number}: passed over, files include each other more than {depth} deep")
    elif word == "!include":
        yield from _read_file(target, warnings, False, depth + 1)
    elif word == "!includedir":
        # MariaDB reads them in the order of their names; MySQL promises no order.
        try:
            names = sorted(os.listdir(target))
        except OSError as error:
            warnings.append(f"{path}:{number}: {target} is passed over: {error.strerror}")
            return
        for name in names:
            if name.endswith(".cnf"):
                yield from _read_file(target / name, warnings, False, depth + 1)
    else:
        raise UsageError(f"{path}:{number}: no such directive: {word}")


def _option(group: str, line: str, path: Path, number: int) -> FileOption:
    name, equals, value = _without_comment(line).partition("=")
    name = name.strip().replace("_", "-").removeprefix("loose-")
    return FileOption(group, name, _unquoted(value.strip()) if equals else None, path, number)


def _without_comment(line: str) -> str:
    quote = ""
    is_escaped = False
    for index, char in enumerate(line):
        if char in "'\"" and not is_escaped:
            quote = "" if char == quote else quote or char
        if char == "#" and not quote:
            return line[:index]
        is_escaped = bool(quote) and char == "\\" and not is_escaped
    return line


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] in "'\"" and value[0] == value[-1]:
        value = value[1:-1]
    text: list[str] = []
    chars = iter(value)
    for char in chars:
        if char != "\\":
            text.append(char)
            continue
        escaped = next(chars, "")
        # An escape that nobody knows stays as it is, backslash and all.
        text.append(_ESCAPES.get(escaped, "\\" + escaped))
    return "".join(text)
