"""What preflight found: a reason not to start, a warning, or something worth knowing, each with what to do about it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from osc.errors import PreflightRefused

Level = Literal["blocking", "warning", "note"]

_ORDER: dict[Level, int] = {"blocking": 0, "warning": 1, "note": 2}
_WIDTH = 110


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that preflight found."""

    level: Level
    code: str
    """A stable name for scripts and the documentation, in kebab-case."""
    title: str
    """What it is, in one line."""
    detail: str = ""
    """Where it is, and why it matters."""
    fix: str = ""
    """What to do: statements or commands as they are to be typed, one a line."""

    @property
    def is_blocking(self) -> bool:
        return self.level == "blocking"


def blocking(code: str, title: str, detail: str = "", fix: str = "") -> Finding:
    """A reason not to start."""
    return Finding("blocking", code, title, detail, fix)


def warning(code: str, title: str, detail: str = "", fix: str = "") -> Finding:
    """Something that may go wrong, or that will be in the way."""
    return Finding("warning", code, title, detail, fix)


def note(code: str, title: str, detail: str = "", fix: str = "") -> Finding:
    """Something worth knowing."""
    return Finding("note", code, title, detail, fix)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """The blocking ones first, then warnings, then notes; otherwise as found, each once."""
    return sorted(dict.fromkeys(findings), key=lambda finding: _ORDER[finding.level])


def render_findings(findings: Iterable[Finding]) -> str:
    """The findings as text for a person, a paragraph each; empty when there are none."""
    return "\n\n".join(_paragraph(finding) for finding in in_order(findings))


def refuse_if_blocking(findings: Iterable[Finding]) -> None:
    """Raise PreflightRefused with every blocking finding, if there is one."""
    reasons = [finding for finding in in_order(findings) if finding.is_blocking]
    if reasons:
        count = "one reason" if len(reasons) == 1 else f"{len(reasons)} reasons"
        raise PreflightRefused(f"not started, for {count}; nothing was touched\n\n{render_findings(reasons)}")


def _paragraph(finding: Finding) -> str:
    lines = [f"{finding.level}: {finding.title} [{finding.code}]"]
    if finding.detail:
        lines.append(_filled(finding.detail))
    # Never wrapped: what is to be typed must survive copying.
    lines += [("    fix: " if not index else "         ") + line for index, line in enumerate(finding.fix.splitlines())]
    return "\n".join(lines)


def _filled(text: str) -> str:
    indent = "    "
    return "\n".join(
        textwrap.fill(
            line,
            _WIDTH,
            initial_indent=indent,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in text.splitlines()
    )
