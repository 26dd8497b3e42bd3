"""`osc plan`: what a migration would do, before it does anything."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import click
from click.core import ParameterSource

from osc.cli.connection import connection_options, settings_for
from osc.cli.help import SectionedCommand, option
from osc.cli.main import debug_option
from osc.cli.migrate_options import (
    OPTIONS,
    TARGET_OPTIONS,
    binlog_address,
    binlog_settings,
    migration_options,
    with_options,
)
from osc.cli.terminal import say_warning
from osc.control.stop import StopRequest, stop_on_signals
from osc.errors import Aborted, Interrupted, UsageError
from osc.estimate.sampling import DEFAULT_SAMPLE_S
from osc.mysql.options import Given
from osc.mysql.session import ConnectionSettings, Sessions
from osc.report.gather import Request, make_plan
from osc.report.jsonform import render_json
from osc.report.markdown import render_markdown
from osc.report.plan import Plan
from osc.report.text import render_text

Format = Literal["text", "json", "markdown"]

LONGEST_SAMPLE_S = 600

_PLAN = "The plan"
_FILE = click.Path(dir_okay=False, path_type=Path)

_PLAN_OPTIONS = (
    option(
        _PLAN,
        "--format",
        "form",
        type=click.Choice(["text", "json", "markdown"]),
        default="text",
        show_default=True,
        metavar="KIND",
        help="text: for people; json: for programs; markdown: a runbook to attach to a change request.",
    ),
    option(_PLAN, "--out", type=_FILE, metavar="PATH", help="Also write the plan here, for osc migrate --plan."),
    option(
        _PLAN,
        "--no-sample",
        is_flag=True,
        help="Write nothing at all. Without a scratch table there is no estimate, and the server is not asked about the ALTER.",
    ),
    option(
        _PLAN,
        "--sample-seconds",
        type=click.FloatRange(0.5, LONGEST_SAMPLE_S),
        default=DEFAULT_SAMPLE_S,
        show_default=True,
        metavar="S",
        help="How long to copy for, at most; all in all it takes about twice as long.",
    ),
    option(
        _PLAN,
        "--check-data",
        is_flag=True,
        help="Convert every row and look for duplicates in the whole table, rather than in a sample. Takes its time.",
    ),
)


@click.command("plan", cls=SectionedCommand)
@with_options(TARGET_OPTIONS)
@with_options(_PLAN_OPTIONS)
@connection_options
@with_options(OPTIONS)
@debug_option
def plan(
    given: Given,
    /,
    form: Format,
    out: Path | None,
    no_sample: bool,
    sample_seconds: float,
    check_data: bool,
    **values: object,
) -> int:
    """See what a migration would do: how, how long, at what cost, and what could go wrong.

    \b
    osc plan --host db1 --ask-pass --table shop.orders --alter 'add column note varchar(200)'
    osc plan --table shop.orders --alter 'add index (k)' --format markdown > runbook.md

    Takes the options of osc migrate. Nothing that lasts is changed and nothing is locked: ranges of the table are copied
    into a scratch table for some seconds, which is dropped at the end. Ends with 0, or with 2 when the migration would be
    refused.
    """
    if no_sample and check_data:
        raise UsageError("--check-data needs a scratch table to try the rows in, and --no-sample makes none")
    found = planned(given, values, samples=not no_sample, sample_s=sample_seconds, checks_data=check_data)
    if out is not None:
        found = replace(found, file=str(out))
        write_plan(out, found)
    click.echo(shown(found, form), nl=False)
    return found.exit_code


def planned(
    given: Given,
    values: Mapping[str, object],
    *,
    samples: bool = True,
    sample_s: float = DEFAULT_SAMPLE_S,
    checks_data: bool = False,
) -> Plan:
    """The plan for what the command line says. Raises Refused and its kin; Aborted when it is stopped."""
    options = migration_options(values)
    if options.throttle_http is not None and urlsplit(options.throttle_http).password is not None:
        raise UsageError(
            "a plan holds the options that it was made with, and is passed around: --throttle-http must not have a password "
            "in its URL. Plan without the option, and give it to osc migrate"
        )
    binlog_host, binlog_port = binlog_address(values)
    resolved = settings_for(given)
    for warning in resolved.warnings:
        say_warning(warning)
    stop = StopRequest()
    with stop_on_signals(stop, say_warning):
        binlog = binlog_settings(resolved.settings, binlog_host, binlog_port)
        sessions = Sessions(resolved.settings)
        request = Request(
            migration=options,
            given=given_options(),
            login=_login(given, resolved.settings),
            samples=samples,
            sample_s=sample_s,
            checks_data=checks_data,
        )
        try:
            return make_plan(sessions, sessions if binlog is None else Sessions(binlog), request, stop, say_warning)
        except Interrupted as error:
            raise Aborted(f"{error}; no plan was made, and nothing is left behind") from error


def _login(given: Given, settings: ConnectionSettings) -> tuple[str, ...]:
    """How to come to the same server as the same user; the password has to come from elsewhere."""
    file = () if given.defaults_file is None else ("--defaults-file", str(given.defaults_file))
    place = ["--host", settings.host, "--port", str(settings.port)]
    if settings.socket is not None:
        place = ["--socket", settings.socket]
    user = ("--user", settings.user) if settings.user else ()
    tls = [
        word
        for name in ("ssl_mode", "ssl_ca", "ssl_cert", "ssl_key")
        if (value := click.get_current_context().params.get(name)) is not None
        for word in (f"--{name.replace('_', '-')}", str(value))
    ]
    return (*file, *place, *user, *tls)


def given_options() -> dict[str, str | bool]:
    """The migration's options that were given on the command line, by their names there; none that tell of a login."""
    context = click.get_current_context()
    found: dict[str, str | bool] = {}
    for parameter in context.command.params:
        name = parameter.name or ""
        if name in _NOT_OF_A_PLAN or context.get_parameter_source(name) not in _GIVEN:
            continue
        value = context.params.get(name)
        if isinstance(parameter, click.Option) and value is not None:
            found[parameter.opts[0]] = True if parameter.is_flag else _as_typed(value)
    return found


_GIVEN = (ParameterSource.COMMANDLINE, ParameterSource.DEFAULT_MAP)
"""On the command line, or by a plan that is followed."""
_NOT_OF_A_PLAN = frozenset(
    {
        *("database", "table", "alter", "form", "out", "no_sample", "sample_seconds", "check_data", "debug"),
        *("output", "events_file", "yes", "dry_run", "plan"),
        *("host", "port", "socket", "user", "password", "ask_pass"),
        *("defaults_file", "ssl_mode", "ssl_ca", "ssl_cert", "ssl_key"),
    }
)


def _as_typed(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(str(one) for one in value)
    return str(value)


def shown(found: Plan, form: Format) -> str:
    """The plan in one of its forms, with a final line break."""
    if form == "json":
        return render_json(found) + "\n"
    if form == "markdown":
        return render_markdown(found)
    return render_text(found, is_terminal=sys.stdout.isatty())


def write_plan(path: Path, found: Plan) -> None:
    """Write the plan as a file for `osc migrate --plan`. Raises UsageError."""
    try:
        path.write_text(render_json(found) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--out {path} cannot be written: {error.strerror}") from error
