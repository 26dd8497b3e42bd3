"""`osc sandbox`: fetch, list and run the throwaway servers that the demo and the tests use."""

from __future__ import annotations

import shlex
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import click

from osc.errors import UsageError
from osc.sandbox.distributions import SandboxError, distribution, server_names
from osc.sandbox.provision import cache_folder, ensure, quickest, ready
from osc.sandbox.servers import LocalServer

_NAMES = ", ".join(server_names())


@click.group()
def sandbox() -> None:
    """Throwaway local servers, to try things on."""


@sandbox.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "every", is_flag=True, help="Fetch all of them.")
def fetch(names: tuple[str, ...], every: bool) -> None:
    """Get servers ready to start; what is there already costs nothing.

    Without a name: the one that is quickest to get. They are kept below ~/.cache/osc (or $OSC_CACHE_DIR).
    """
    if names and every:
        raise UsageError("Name servers or say --all, not both.")
    for name in server_names() if every else names or (quickest(),):
        installed = ensure(name, lambda message: click.echo(message, err=True))
        click.echo(f"{installed.distribution.name}: {installed.version}, {installed.source}")


@sandbox.command("list")
def list_() -> None:
    """Show the servers, and which of them are here."""
    for name in server_names():
        installed = ready(name)
        state = (
            f"{installed.version}, {installed.source}"
            if installed
            else f"not here, at most {distribution(name).download_mib} MiB to download"
        )
        click.echo(f"{name:14} {state}")
    click.echo(f"Fetched servers are kept in {cache_folder()}")


@sandbox.command()
@click.argument("name", required=False)
@click.option("--port", type=click.IntRange(1, 65535), help="Listen here, on 127.0.0.1; a free port by default.")
@click.option("--option", "options", multiple=True, metavar="KEY=VALUE", help="A server option; may be repeated.")
def start(name: str | None, port: int | None, options: tuple[str, ...]) -> None:
    """Run a server until Ctrl-C, then remove it with all its data.

    NAME is one of those that `osc sandbox list` shows; without it, the one that is quickest to get.
    """
    name = name or quickest()
    ensure(name, lambda message: click.echo(message, err=True))
    with _until_told_to_stop() as told, LocalServer(name, dict(_pair(one) for one in options), port=port) as server:
        click.echo(_how_to_use(server))
        while not told.wait(0.5):
            if not server.running:
                raise SandboxError(f"The {server.name} server ended by itself:\n{server.log_tail()}")
        click.echo("Stopping, and removing its data.", err=True)


def _pair(option: str) -> tuple[str, str]:
    key, _, value = option.partition("=")
    if not key.lstrip("-"):
        raise UsageError(f"--option {option!r} names no option; write KEY=VALUE, as in binlog_row_image=MINIMAL.")
    return key, value


def _how_to_use(server: LocalServer) -> str:
    client = shlex.join([str(server.installed.bin / "mysql"), f"--socket={server.socket}", "--user=root"])
    return "\n".join(
        [
            f"{server.name} ({server.version}) is running.",
            f"  DSN        {server.dsn}",
            f"  client     {client}",
            f"  error log  {server.error_log}",
            f"  migrate    osc migrate --defaults-file={server.client_file} \\",
            "               --database=DATABASE --table=TABLE --alter='ADD COLUMN note varchar(80)'",
            "Ctrl-C stops it and removes its data.",
        ]
    )


@contextmanager
def _until_told_to_stop() -> Iterator[threading.Event]:
    """An event that is set by Ctrl-C, SIGTERM or a terminal that goes away."""
    told = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(one, lambda *_: told.set()) for one in signals]
    try:
        yield told
    finally:
        for one, handler in zip(signals, before, strict=True):
            signal.signal(one, handler)
