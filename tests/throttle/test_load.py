"""Limits on status variables, and the pressure on the redo log and the history, as real servers tell of them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing

import pytest

from osc.errors import CriticalLoadMet
from osc.mysql.session import Sessions
from osc.throttle.load import STALE_S, Limit, LoadLimits, limits
from osc.throttle.pressure import LONG_HISTORY, Pressure, full_redo, read_status, redo_share
from tests.servers import ServerUnderTest

LOW = limits("Threads_running=1")
HIGH = limits("Threads_running=100000")


def status_of(server: ServerUnderTest, *names: str) -> Mapping[str, str]:
    sessions = Sessions(server.migrator)
    with closing(sessions.open("look")) as connection:
        return read_status(connection, sessions.server, names)


def test_a_limit_that_the_server_has_reached_is_named_with_its_value(server: ServerUnderTest, database: str) -> None:
    load = LoadLimits(limits("threads_RUNNING=1, Uptime=1000000000"))
    load.note(0.0, status_of(server, *load.variables))
    reason = load.signal(0.1)
    assert reason is not None
    assert reason.startswith("threads_RUNNING is ")


def test_a_limit_that_is_kept_holds_nobody_back(server: ServerUnderTest, database: str) -> None:
    load = LoadLimits(HIGH)
    load.note(0.0, status_of(server, *load.variables))
    assert load.signal(0.1) is None


def test_a_variable_that_the_server_does_not_have_counts_as_bad(server: ServerUnderTest, database: str) -> None:
    load = LoadLimits(limits("Threads_walking=10"))
    load.note(0.0, status_of(server, *load.variables))
    assert load.signal(0.1) == "Threads_walking cannot be read: the server has no status variable of that name"


def test_a_variable_that_is_no_number_counts_as_bad() -> None:
    load = LoadLimits(limits("Ssl_cipher=1"))
    load.note(0.0, {"ssl_cipher": "none"})
    assert load.signal(0.0) == "Ssl_cipher cannot be judged: its value is 'none'"


def test_a_status_that_was_never_read_or_not_lately_counts_as_bad() -> None:
    load = LoadLimits(HIGH)
    assert load.signal(0.0) == "Threads_running was not read yet"
    load.note(0.0, {"threads_running": "3"})
    assert load.signal(STALE_S) is None
    assert load.signal(STALE_S + 2) == "Threads_running could not be read for 7 s"
    assert LoadLimits(()).signal(1e9) is None


def test_a_critical_load_gives_up_at_once() -> None:
    load = LoadLimits((), LOW)
    with pytest.raises(CriticalLoadMet, match="Threads_running is 2, and is to stay below 1"):
        load.note(0.0, {"threads_running": "2"})


def test_with_an_interval_only_a_load_that_lasts_is_critical() -> None:
    load = LoadLimits((), limits("Threads_running=50"), critical_interval_s=2.0)
    load.note(0.0, {"threads_running": "60"})
    assert load.signal(0.0) == "critical load: Threads_running is 60, and is to stay below 50"
    load.note(1.9, {"threads_running": "10"})
    assert load.signal(1.9) is None
    load.note(3.0, {"threads_running": "60"})
    with pytest.raises(CriticalLoadMet):
        load.note(5.0, {"threads_running": "60"})


def test_hibernating_holds_back_for_its_time_and_then_looks_again() -> None:
    load = LoadLimits((), limits("Threads_running=50"), hibernate_s=30.0)
    load.note(0.0, {"threads_running": "60"})
    load.note(20.0, {"threads_running": "1"})
    assert load.signal(20.0) == "hibernating for another 10 s after a critical load"
    load.note(31.0, {"threads_running": "1"})
    assert load.signal(31.0) is None


@pytest.mark.parametrize("text", ["Threads_running", "=5", "Threads_running=many", "Threads_running=nan"])
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        limits(text)


def test_limits_are_read_with_blanks_and_without_any() -> None:
    assert limits(" a = 5 ,b=0.5,") == (Limit("a", 5.0), Limit("b", 0.5))
    assert limits("") == ()


def test_the_server_tells_how_full_its_redo_log_is_and_how_long_its_history(
    server: ServerUnderTest, database: str
) -> None:
    status = status_of(server, *Pressure.variables)
    share = redo_share(status)
    assert share is not None
    assert 0 <= share <= 1
    assert int(status["innodb_history_list_length"]) >= 0
    assert Pressure().judge(status) is None or share >= full_redo(status)


def test_a_redo_log_that_fills_up_and_a_history_that_grows_are_pressure() -> None:
    pressure = Pressure()
    assert pressure.judge({"innodb_history_list_length": "100"}) is None
    assert pressure.judge({"innodb_history_list_length": str(LONG_HISTORY + 1)}) is not None
    mysql = {"innodb_redo_log_checkpoint_lsn": "10", "innodb_redo_log_capacity_resized": "100"}
    assert pressure.judge({**mysql, "innodb_redo_log_current_lsn": "79"}) is None
    assert pressure.judge({**mysql, "innodb_redo_log_current_lsn": "100"}) == "the redo log is 90% full"
    # MariaDB's is that full under any load, and takes its time.
    mariadb = {"innodb_checkpoint_max_age": "100"}
    assert pressure.judge({**mariadb, "innodb_checkpoint_age": "90"}) is None
    assert pressure.judge({**mariadb, "innodb_checkpoint_age": "96"}) == "the redo log is 96% full"


def test_a_history_that_was_long_before_is_not_the_migrations() -> None:
    pressure = Pressure()
    assert pressure.judge({"innodb_history_list_length": str(5 * LONG_HISTORY)}) is None
    assert pressure.judge({"innodb_history_list_length": str(6 * LONG_HISTORY)}) is None
    assert pressure.judge({"innodb_history_list_length": str(11 * LONG_HISTORY)}) is not None
