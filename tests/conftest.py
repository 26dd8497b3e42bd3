"""Fixtures for every test: `server` (each distribution in turn), `database`, `start_server`, `start_replica`.

`--servers` takes a subset while developing; `--server-dsn`, or `OSC_TEST_DSN`, a server that is already there.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import pymysql
import pytest
from hypothesis import HealthCheck, settings
from pytest_mysql.executor import MySQLExecutor
from pytest_mysql.factories import mysql_proc

from osc.sandbox import replication
from osc.sandbox.distributions import DISTRIBUTIONS, server_names
from osc.sandbox.provision import bin_folder, ensure
from osc.sandbox.servers import LocalServer, default_options
from tests.servers import ServerUnderTest, of_dsn, of_local, of_process, of_replica

# Under nohup, or in a shell's background, the tests would hand ignored signals on to the commands that they start.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

StartServer = Callable[..., ServerUnderTest]
StartReplica = Callable[..., ServerUnderTest]

# Nothing is judged by the clock: a slow machine finds the same bugs.
settings.register_profile("osc", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("osc")

EVERYDAY_EXAMPLES = 15

_WHOLE_RUNS = tuple(
    Path(__file__).parent / name
    for name in (
        "bench",
        "cli",
        "estimate",
        "migration",
        "model/test_mutants_on_servers.py",
        "native/test_native.py",
        "report",
        "sandbox",
        "throttle",
        "torture",
        "types",
        "verify",
    )
)
"""Where a test runs the whole tool, or sets up much, and takes seconds; where servers part company is told in other folders."""

_named_by_dsn = pytest.StashKey[dict[str, ServerUnderTest]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("osc")
    group.addoption(
        "--servers",
        default=",".join(server_names()),
        metavar="NAME,...",
        help=f"the servers to run on, of {', '.join(server_names())} (default: all)",
    )
    group.addoption(
        "--full-size",
        action="store_true",
        help="migrate tables of 300,000 rows, 20 times in a row, and swap 300 times, where an everyday run does less",
    )
    group.addoption(
        "--interleavings",
        default="4000",
        metavar="N",
        help="how many interleavings of the model are played (default: 4000)",
    )
    group.addoption("--model-seed", default="0", metavar="SEED", help="the seed of the first of them (default: 0)")
    group.addoption(
        "--examples",
        type=int,
        default=EVERYDAY_EXAMPLES,
        metavar="N",
        help="random tables that are migrated on each server (default: %(default)s; thousands take hours, and --timeout 0)",
    )
    group.addoption(
        "--server-dsn",
        default=os.environ.get("OSC_TEST_DSN"),
        metavar="mysql://USER:PASSWORD@HOST:PORT/",
        help="run on this server instead; the user may create accounts and databases (default: $OSC_TEST_DSN)",
    )


def pytest_configure(config: pytest.Config) -> None:
    dsn = config.getoption("server_dsn")
    try:
        named = of_dsn(dsn) if dsn else None
    except pymysql.err.OperationalError as error:
        raise pytest.UsageError(f"the server named by --server-dsn or OSC_TEST_DSN cannot be used: {error}") from error
    config.stash[_named_by_dsn] = {named.name: named} if named else {}
    known = {*server_names(), *config.stash[_named_by_dsn]}
    unknown = [name for name in _chosen(config) if name not in known]
    if unknown:
        raise pytest.UsageError(f"--servers: unknown {', '.join(unknown)}; known are {', '.join(server_names())}")


def pytest_report_header(config: pytest.Config) -> str:
    return f"servers: {', '.join(_chosen(config))}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "server_name" in metafunc.fixturenames:
        metafunc.parametrize("server_name", _chosen(metafunc.config), indirect=True, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take out what `@pytest.mark.only` restricts to other servers, and what a named server cannot give."""
    out = {item for item in items if not _belongs(config, item)}
    if not config.getoption("--full-size") and not config.stash[_named_by_dsn]:
        out |= _whose_turn_it_is_not([item for item in items if item not in out])
    if out:
        config.hook.pytest_deselected(items=[item for item in items if item in out])
        items[:] = [item for item in items if item not in out]


def _chosen(config: pytest.Config) -> list[str]:
    named = config.stash[_named_by_dsn]
    return list(named) or [name.strip() for name in config.getoption("servers").split(",") if name.strip()]


def _belongs(config: pytest.Config, item: pytest.Item) -> bool:
    marks = list(item.iter_markers("only"))
    if not config.getoption("--full-size") and not config.stash[_named_by_dsn]:
        marks += item.iter_markers("everyday")
    for mark in marks:
        if not mark.args or "reason" not in mark.kwargs:
            raise pytest.UsageError(f"{item.nodeid}: @pytest.mark.{mark.name} needs a flavor or a name, and a reason")
    if not isinstance(item, pytest.Function) or not hasattr(item, "callspec"):
        return True
    name = item.callspec.params.get("server_name")
    if not isinstance(name, str):
        return True
    named = config.stash[_named_by_dsn]
    starts_its_own = "server" not in item.fixturenames or "start_server" in item.fixturenames
    if named and starts_its_own:
        return False  # a server that somebody else runs is not started with options, stopped or killed
    flavor = named[name].flavor if name in named else DISTRIBUTIONS[name].flavor
    return all({name, flavor} & set(mark.args) for mark in marks)


def _whose_turn_it_is_not(items: Sequence[pytest.Item]) -> set[pytest.Item]:
    """What an everyday run leaves to `--full-size`.

    Of each case of a test that is marked `in_turn`, all servers but one; of the other tests of whole runs of the tool, all
    servers of a flavor but one. The next case is left to the next server.
    """
    cases: dict[tuple[str, str | None], dict[str, list[pytest.Item]]] = {}
    for item in items:
        name = item.callspec.params.get("server_name") if hasattr(item, "callspec") else None
        if not isinstance(item, pytest.Function) or not isinstance(name, str):
            continue
        mark = item.get_closest_marker("in_turn")
        if mark is not None and "reason" not in mark.kwargs:
            raise pytest.UsageError(f"{item.nodeid}: @pytest.mark.in_turn needs a reason")
        if mark is None and (
            item.get_closest_marker("everywhere") or not any(map(item.path.is_relative_to, _WHOLE_RUNS))
        ):
            continue
        flavor = None if mark is not None else DISTRIBUTIONS[name].flavor
        case = f"{item.originalname} {item.callspec.id.replace(name, '', 1)}"
        cases.setdefault((str(item.path), flavor), {}).setdefault(case, []).append(item)
    return {
        item
        for of_file in cases.values()
        for number, on_servers in enumerate(of_file.values())
        for item in on_servers
        if item is not on_servers[number % len(on_servers)]
    }


def _process(name: str) -> Callable[..., Iterator[MySQLExecutor]]:
    """The fixture of pytest-mysql that runs one distribution for the session."""
    programs = bin_folder(name)
    options = default_options(DISTRIBUTIONS[name].flavor)
    return mysql_proc(
        mysqld_exec=programs / "mysqld",
        mysqld_safe=programs / "mysqld_safe",
        admin_executable=str(programs / "mysqladmin"),
        install_db=str(programs / "mysql_install_db"),
        host="127.0.0.1",
        user="root",
        params=" ".join(f"--{key}={value}" for key, value in options.items()),
    )


mysql_9_7_process = _process("mysql-9.7")
mariadb_10_11_process = _process("mariadb-10.11")
mariadb_11_8_process = _process("mariadb-11.8")


@pytest.fixture(scope="session")
def server_name(request: pytest.FixtureRequest) -> str:
    """The name of the server that this test runs on."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def _servers() -> dict[str, ServerUnderTest]:
    """The servers that this session has met so far."""
    return {}


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest, server_name: str, _servers: dict[str, ServerUnderTest]) -> ServerUnderTest:
    """A server shared by all tests: leave its global variables as they are."""
    named = request.config.stash[_named_by_dsn]
    if server_name in named:
        return named[server_name]
    if server_name not in _servers:
        ensure(server_name, print)
        fixture = server_name.replace("-", "_").replace(".", "_") + "_process"
        _servers[server_name] = of_process(server_name, request.getfixturevalue(fixture))
    return _servers[server_name]


@pytest.fixture
def database(server: ServerUnderTest) -> Iterator[str]:
    """The name of a new, empty database on `server` in which the migrator may migrate."""
    with server.fresh_database() as name:
        yield name


@pytest.fixture(scope="session")
def is_full_size(request: pytest.FixtureRequest) -> bool:
    """Whether `--full-size` was given."""
    return bool(request.config.getoption("--full-size"))


@pytest.fixture(scope="session")
def examples(request: pytest.FixtureRequest) -> int:
    """How many random tables to try on each server."""
    return int(request.config.getoption("--examples"))


@pytest.fixture
def start_server(server_name: str) -> Iterator[StartServer]:
    """`start_server({"binlog_format": "STATEMENT"})`: a server of this distribution for this test alone."""
    with ExitStack() as stack:

        def start(options: Mapping[str, str] | None = None) -> ServerUnderTest:
            return of_local(stack.enter_context(LocalServer(server_name, options)))

        yield start


@pytest.fixture
def start_replica() -> Iterator[StartReplica]:
    """`start_replica(primary)`: a replica of a server that `start_server` made, caught up when it comes back."""
    with ExitStack() as stack:

        def start(primary: ServerUnderTest, options: Mapping[str, str] | None = None) -> ServerUnderTest:
            return of_replica(stack.enter_context(replication.start_replica(primary.process, options)), primary)

        yield start
