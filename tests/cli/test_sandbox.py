"""`osc sandbox`: what it prints, and that a server run in the foreground goes when it is told to."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path

import pymysql
import pytest

from osc.sandbox.provision import cache_folder, ensure
from tests.cli.running import CHECKOUT, COMMAND, environment, osc

CACHE = str(cache_folder().parent)


def test_the_list_tells_what_is_here_and_what_a_download_costs(server_name: str, tmp_path: Path) -> None:
    version = ensure(server_name).version
    shown = osc("sandbox", "list", OSC_CACHE_DIR=CACHE).stdout
    assert re.search(rf"^{re.escape(server_name)} +{re.escape(version)}, ", shown, re.MULTILINE)
    elsewhere = osc("sandbox", "list", OSC_CACHE_DIR=str(tmp_path)).stdout
    assert re.search(rf"^{re.escape(server_name)} +not here, at most \d+ MiB", elsewhere, re.MULTILINE)
    assert str(tmp_path) in elsewhere


def test_fetching_an_unknown_server_names_the_known_ones() -> None:
    done = osc("sandbox", "fetch", "mysql-5.1")
    assert done.returncode != 0
    assert "mysql-9.7, mariadb-10.11, mariadb-11.8" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_server_runs_until_it_is_told_to_stop_and_leaves_nothing(server_name: str, how: signal.Signals) -> None:
    ensure(server_name)
    command = [*COMMAND, "sandbox", "start", server_name, "--option", "max_connections=77"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT, env=environment(OSC_CACHE_DIR=CACHE)
    ) as process:
        assert process.stdout is not None
        shown = ""
        while "Ctrl-C" not in shown:
            line = process.stdout.readline()
            assert line, f"it ended by itself: {shown}"
            shown += line
        login = re.search(r"mysql://root:(.+)@127\.0\.0\.1:(\d+)/", shown)
        file = re.search(r"--defaults-file=(\S+)", shown)
        assert login is not None
        assert file is not None
        assert Path(file[1]).stat().st_mode & 0o077 == 0
        connection = pymysql.connect(host="127.0.0.1", port=int(login[2]), user="root", password=login[1])
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT @@max_connections")
            assert cursor.fetchone() == (77,)
        process.send_signal(how)
        process.stdout.read()
    assert process.returncode == 0
    assert not Path(file[1]).parent.exists()
