"""`osc migrate` as its users meet it: what it makes of their words, what it shows, how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from osc.cli.migrate import migrate
from osc.cli.target import split_name, target
from osc.errors import UsageError
from tests.cli.running import CHECKOUT, COMMAND, TIMEOUT_S, environment, login_arguments, osc, osc_at_terminal
from tests.servers import ServerUnderTest

ALTER = "add column note varchar(20)"
BY_COPY = ("--strategy", "copy")


# --- which table --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("database", "table", "alter"),
    [
        ("shop", "orders", ALTER),
        (None, "shop.orders", ALTER),
        (None, "`shop`.`orders`", ALTER),
        (None, None, f"ALTER TABLE shop.orders {ALTER}"),
        ("shop", None, f"alter table `orders` {ALTER};"),
        ("shop", "orders", f"ALTER TABLE shop.orders {ALTER}"),
        ("shop", "ORDERS", f"ALTER TABLE orders {ALTER}".replace("orders", "ORDERS")),
    ],
)
def test_the_table_is_named_by_options_or_by_the_statement(database: str | None, table: str | None, alter: str) -> None:
    found = target(database, table, alter)
    assert tuple(name.lower() for name in found) == ("shop", "orders")


@pytest.mark.parametrize(
    ("database", "table", "alter", "words"),
    [
        (None, None, ALTER, "which table"),
        (None, "orders", ALTER, "in which database"),
        ("shop", "orders", f"ALTER TABLE items {ALTER}", "--table is orders, but the ALTER names items"),
        ("shop", None, f"ALTER TABLE crm.orders {ALTER}", "--database is shop, but the ALTER names crm"),
        (None, "a.b.c", ALTER, "is no name"),
    ],
)
def test_a_table_that_is_unclear_is_asked_about(
    database: str | None, table: str | None, alter: str, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        target(database, table, alter)


def test_a_name_in_backticks_may_hold_dots_and_backticks() -> None:
    assert split_name("`a.b`.`c``d`") == ("a.b", "c`d")
    assert split_name("plain") == (None, "plain")


def test_a_name_with_a_dot_is_a_table_where_the_database_is_given() -> None:
    assert target("shop", "a.b", ALTER) == ("shop", "a.b")


# --- how it ends before it begins ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--table", "orders"], "in which database"),
        (["--table", "a.b", "--binlog-port", "3307"], "--binlog-port needs --binlog-host"),
        (["--table", "a.b", "--socket", "/x", "--port", "1"], "--socket and --port contradict each other"),
        (["--table", "a.b", "--host", "127.0.0.1", "--port", "1"], "cannot reach 127.0.0.1:1"),
    ],
)
def test_a_program_reads_a_refusal_from_the_last_line(arguments: list[str], words: str) -> None:
    done = osc("migrate", "--alter", ALTER, "--output", "json", *arguments)
    assert done.returncode == 2
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["event"], last["outcome"], last["exit_code"], last["resumable"]) == ("finished", "refused", 2, False)
    assert words in last["error"]
    assert words in done.stderr


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("--impact", "lowest", "'lowest' is not low, medium, high, max or a number above 1"),
        ("--max-load", "Threads_running", "'Threads_running' is not of the form Variable=number"),
        ("--critical-load", "Threads_running=lots", "lots"),
        ("--throttle-control-replicas", "db2:x", "'db2:x' is not of the form host or host:port"),
        ("--max-memory", "12", "12 is not in the range"),
    ],
)
def test_a_pace_that_cannot_be_understood_is_refused_in_words(name: str, value: str, words: str) -> None:
    done = CliRunner().invoke(migrate, ["--alter", ALTER, name, value])
    assert done.exit_code == 2
    assert words in done.output


# --- from end to end ----------------------------------------------------------------------------------------------


@pytest.fixture
def login(server: ServerUnderTest, tmp_path: Path) -> list[str]:
    """The options to connect as the migrator."""
    path = tmp_path / "my.cnf"
    path.write_text(f'[client]\npassword="{server.migrator.password}"\n')
    path.chmod(0o600)
    settings = server.migrator
    return ["--defaults-file", str(path), *login_arguments(settings.host, settings.port, settings.user)]


@pytest.fixture
def orders(server: ServerUnderTest, database: str) -> str:
    """A table of 4,096 rows; its whole name."""
    server.execute(
        "create table orders (id int auto_increment primary key, total int)",
        "insert into orders (total) values (1)",
        *["insert into orders (total) select total + 1 from orders"] * 12,
        "analyze table orders",
        database=database,
    )
    return f"{database}.orders"


def columns(server: ServerUnderTest, table: str) -> list[object]:
    return [row[0] for row in server.query(f"show columns from {table}")]


def test_a_program_follows_a_migration_by_its_events(server: ServerUnderTest, login: list[str], orders: str) -> None:
    done = osc("migrate", *login, "--table", orders, "--alter", ALTER, *BY_COPY, "--output", "json")
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(event["time"].endswith("Z") for event in events)
    phases = [event["phase"] for event in events if event["event"] == "phase"]
    assert phases[:4] == ["preflight", "prepare", "copy", "verify"]
    assert phases[-1] == "done"
    last = events[-1]
    assert (last["event"], last["outcome"], last["exit_code"]) == ("finished", "swapped", 0)
    assert (last["rows_copied"], last["rows_verified"]) == (4096, 4096)
    assert last["cut_over_stall_ms"] > 0
    assert last["old_table"] == "_orders_del"
    assert columns(server, orders) == ["id", "total", "note"]
    assert "Traceback" not in done.stderr


def test_a_pipe_gets_plain_lines_and_no_control_sequences(
    server: ServerUnderTest, login: list[str], orders: str
) -> None:
    done = osc("migrate", *login, "--alter", f"ALTER TABLE {orders} {ALTER}", "--ok-to-drop-table", *BY_COPY)
    assert done.returncode == 0, done.stderr
    assert "] copy: " in done.stdout
    assert f"swapped: {orders} has its new schema" in done.stdout
    assert "\x1b" not in done.stdout
    assert columns(server, orders) == ["id", "total", "note"]
    assert server.query(f"show tables from {orders.split('.')[0]}") == (("orders",),)


def test_at_a_terminal_it_shows_what_it_will_do_and_goes_on_with_yes(
    server: ServerUnderTest, login: list[str], orders: str
) -> None:
    done = osc_at_terminal(
        "migrate", *login, "--table", orders, "--alter", ALTER, *BY_COPY, answers={"Go ahead? [y/N] ": "y\n"}
    )
    assert done.exit_code == 0, done.shown
    assert "swapped" in done.shown
    assert columns(server, orders) == ["id", "total", "note"]


def test_at_a_terminal_no_leaves_everything_as_it_is(server: ServerUnderTest, login: list[str], orders: str) -> None:
    done = osc_at_terminal(
        "migrate",
        *login,
        "--table",
        orders,
        "--alter",
        ALTER,
        *BY_COPY,
        answers={"Go ahead? [y/N] ": "what\n", "y/N": "n\n"},
    )
    assert done.exit_code == 3, done.shown
    assert columns(server, orders) == ["id", "total"]
    assert server.query(f"show tables from {orders.split('.')[0]}") == (("orders",),)


def test_ctrl_c_at_the_question_ends_it(server: ServerUnderTest, login: list[str], orders: str) -> None:
    done = osc_at_terminal(
        "migrate", *login, "--table", orders, "--alter", ALTER, *BY_COPY, answers={"Go ahead? [y/N] ": "\x03"}
    )
    assert done.exit_code == 3, done.shown
    assert columns(server, orders) == ["id", "total"]


def test_execute_asks_nothing_and_the_live_display_gives_way_to_a_summary(
    server: ServerUnderTest, login: list[str], orders: str
) -> None:
    # Small chunks with long pauses: the display is drawn a few times a second, and must not miss the copy.
    slowly = ("--chunk-size", "100", "--nice-ratio", "50")
    done = osc_at_terminal("migrate", *login, "--table", orders, "--alter", ALTER, *BY_COPY, "--execute", *slowly)
    assert done.exit_code == 0, done.shown
    assert "Go ahead" not in done.shown
    assert "● copy" in done.shown
    assert "old table" in done.shown


@pytest.mark.in_turn(reason="signals are no matter of the server")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_it_with_a_checkpoint_and_the_same_command_goes_on(
    server: ServerUnderTest, login: list[str], orders: str, number: signal.Signals, tmp_path: Path
) -> None:
    # The flag file holds the swap back, so that there is something to stop.
    flag = tmp_path / "postpone"
    flag.touch()
    command = [
        "migrate",
        *login,
        "--table",
        orders,
        "--alter",
        ALTER,
        *BY_COPY,
        "--postpone-cut-over-flag-file",
        str(flag),
    ]
    with subprocess.Popen(
        [*COMMAND, *command, "--output", "json"],
        cwd=CHECKOUT,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "status" and event["phase"] == "ready":
                break
        os.kill(process.pid, number)
        output, errors = process.communicate(timeout=TIMEOUT_S)
    last = json.loads(output.splitlines()[-1])
    assert process.returncode == 5, errors
    assert (last["event"], last["outcome"], last["exit_code"], last["resumable"]) == (
        "finished",
        "interrupted",
        5,
        True,
    )
    assert number.name in last["error"]
    assert columns(server, orders) == ["id", "total"]
    flag.unlink()
    done = osc(*command, "--resume=require")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "going on with" in done.stdout
    assert columns(server, orders) == ["id", "total", "note"]
