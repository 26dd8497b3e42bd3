"""Help in sections: options that belong together stand together, under a heading."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., object])

LAST_SECTION = "General"
"""Where options without a section of their own go (`--help`)."""


class SectionOption(click.Option):
    """An option that knows the heading it stands under."""

    section: str = LAST_SECTION


def option(section: str, *names: str, **attributes: Any) -> Callable[[F], F]:  # click's own signature
    """`click.option` under a heading."""

    class InSection(SectionOption):
        pass

    InSection.section = section
    return click.option(*names, cls=InSection, **attributes)


class SectionedCommand(click.Command):
    """A command whose help lists its options by section, in the order in which the sections first appear."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                section = parameter.section if isinstance(parameter, SectionOption) else LAST_SECTION
                sections.setdefault(section, []).append((record[0], _in_words(record[1])))
        last = sections.pop(LAST_SECTION, [])
        for section, records in [*sections.items(), (LAST_SECTION, last)]:
            if records:
                with formatter.section(section):
                    formatter.write_dl(records, col_max=40)


def _in_words(text: str) -> str:
    """click's `1<=x<=64` as a person writes it."""
    return re.sub(r"x>=(\d+)", r"\1 or more", re.sub(r"(\d+)<=x<=(\d+)", r"\1 to \2", text))
