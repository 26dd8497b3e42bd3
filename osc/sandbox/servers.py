"""A throwaway server: its own data directory, loopback port and socket in a temporary folder, gone when it is left.

Durable like a production server (`sync_binlog=1`, `innodb_flush_log_at_trx_commit=1`) and logging rows, but small.
"""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import pymysql

from osc.mysql.server import Flavor
from osc.mysql.session import Conn
from osc.sandbox.distributions import SandboxError, server_names
from osc.sandbox.provision import Installed, ensure, make_data_directory, quickest

__all__ = ["LocalServer", "default_options", "open_root_over_tcp", "quickest", "server_names"]

_START_DEADLINE_S = 90.0
_STOP_DEADLINE_S = 60.0
_LONGEST_SOCKET_PATH = 100  # the kernel takes 107 bytes
_PAUSE_S = 0.5
_LINES_OF_A_FAILED_START = 100  # a crash takes many, and its reason comes first
_PORTS = range(10_000, 32_768)
"""Below those that the kernel gives to clients, one of which could get a server's port while that restarts."""

_COMMON: dict[str, str] = {
    "bind-address": "127.0.0.1",
    # Names are not looked up, so an account at 'localhost' is for the socket alone: its folder is the owner's.
    "skip-name-resolve": "1",
    "character-set-server": "utf8mb4",
    "log-bin": "binlog",
    "binlog-format": "ROW",
    "binlog-row-image": "FULL",
    "sync-binlog": "1",
    "innodb-flush-log-at-trx-commit": "1",
    "innodb-buffer-pool-size": "256M",
    "innodb-buffer-pool-dump-at-shutdown": "OFF",
    "innodb-buffer-pool-load-at-startup": "OFF",
    "max-connections": "200",
}
_OF_FLAVOR: dict[Flavor, dict[str, str]] = {
    "mysql": {
        "gtid-mode": "ON",
        "enforce-gtid-consistency": "ON",
        "log-replica-updates": "ON",
        "innodb-redo-log-capacity": "256M",
        "mysqlx": "OFF",
    },
    "mariadb": {
        "log-slave-updates": "ON",
        "gtid-strict-mode": "ON",
        "innodb-log-file-size": "128M",
    },
}

_FIXED_AT_BIRTH = frozenset({"innodb-page-size", "lower-case-table-names", "innodb-data-file-path"})
"""Options that a data directory keeps for life, so that the ready-made one will not do."""


def default_options(flavor: Flavor) -> dict[str, str]:
    """The options that every sandbox server of this flavor starts with, dashes left off; `server-id` is random."""
    return {**_COMMON, **_OF_FLAVOR[flavor], "server-id": str(random.randint(1_000, 2**31))}


def open_root_over_tcp(admin: Conn, password: str) -> None:
    """Give root a password for connections over the loopback port; in no binlog, so that replicas keep their own."""
    with admin.cursor() as cursor:
        cursor.execute("SET SESSION sql_log_bin = 0")
        cursor.execute("CREATE USER IF NOT EXISTS 'root'@'127.0.0.1' IDENTIFIED BY %s", (password,))
        cursor.execute("GRANT ALL PRIVILEGES ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION")
        cursor.execute("SET SESSION sql_log_bin = 1")


class LocalServer:
    """One server of the sandbox, as a context manager: started on entry, stopped and removed on exit.

    `options` override the defaults (`{"binlog_format": "STATEMENT"}`; underscores or dashes; an empty value gives the
    bare `--name`). `directory` is where its temporary folder is made.
    """

    host = "127.0.0.1"
    user = "root"

    def __init__(
        self,
        name: str,
        options: Mapping[str, str] | None = None,
        *,
        port: int | None = None,
        directory: Path | None = None,
    ) -> None:
        self.installed: Installed = ensure(name)
        self.name = self.installed.distribution.name
        self.flavor: Flavor = self.installed.distribution.flavor
        self.version = self.installed.version
        self.password = secrets.token_urlsafe(12)
        self.port = port or 0
        self._port_is_fixed = port is not None
        self._options = default_options(self.flavor)
        self.set_options(options or {})
        self._parent = directory
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def set_options(self, options: Mapping[str, str]) -> None:
        """Override options; they count from the next start on."""
        self._options.update({key.lstrip("-").replace("_", "-"): value for key, value in options.items()})

    @property
    def folder(self) -> Path:
        """Its temporary folder. Raises SandboxError before the first start."""
        if self._folder is None:
            raise SandboxError(f"The {self.name} server has not been started yet.")
        return self._folder

    @property
    def data_directory(self) -> Path:
        """Where its tables and binlogs are."""
        return self.folder / "data"

    @property
    def socket(self) -> str:
        """The path of its unix socket."""
        return str(self.folder / "s.sock")

    @property
    def error_log(self) -> Path:
        """The path of its error log."""
        return self.folder / "error.log"

    @property
    def client_file(self) -> Path:
        """A `my.cnf` with which clients reach it as root over the loopback port."""
        return self.folder / "client.cnf"

    @property
    def pid(self) -> int:
        """The process id of the running server. Raises SandboxError when it does not run."""
        if self._process is None or self._process.poll() is not None:
            raise SandboxError(f"The {self.name} server does not run.")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def dsn(self) -> str:
        """How root reaches it over the loopback port, the password included."""
        return f"mysql://{self.user}:{self.password}@{self.host}:{self.port}/"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start it and wait until it answers. Raises SandboxError with the end of its error log when it does not."""
        if self.running:
            return
        first = self._folder is None
        if first:
            self._folder = self._make_folder()
        try:
            self._start_on_a_free_port(first)
            if first:
                with contextlib.closing(self.admin()) as admin:
                    open_root_over_tcp(admin, self.password)
            self._write_client_file()
        except BaseException:
            if first:
                self.close()
            raise

    def stop(self) -> None:
        """End it in order (SIGTERM), by force after a minute. The data directory stays, so `start` can follow."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_STOP_DEADLINE_S)
            except subprocess.TimeoutExpired:
                self.kill()
        self._process = None

    def kill(self) -> None:
        """End it as a crash would (SIGKILL). The data directory stays, so `start` can follow."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self, options: Mapping[str, str] | None = None) -> None:
        """Stop it and start it again on the same data directory and port, with `options` from now on."""
        self.stop()
        self.set_options(options or {})
        self.start()

    def close(self) -> None:
        """End it and remove everything that it wrote."""
        self.kill()  # nothing is kept, so there is nothing to save: an orderly end takes MySQL seconds
        if self._folder is not None:
            shutil.rmtree(self._folder)
            self._folder = None

    def admin(self, database: str | None = None) -> Conn:
        """A new connection as root through the socket: autocommit, rows as tuples. The caller closes it."""
        return pymysql.connect(
            unix_socket=self.socket,
            user=self.user,
            database=database,
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=10,
        )

    def log_tail(self, lines: int = 25) -> str:
        """The end of its error log, for messages."""
        if not self.error_log.exists():
            return "(its error log is empty)"
        return "\n".join(self.error_log.read_text(errors="replace").splitlines()[-lines:])

    def _make_folder(self) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="osc-", dir=self._parent))
        if len(str(folder / "s.sock")) > _LONGEST_SOCKET_PATH:
            folder.rmdir()
            folder = Path(tempfile.mkdtemp(prefix="osc-", dir="/tmp"))
        (folder / "tmp").mkdir()
        lasting = {key: value for key, value in self._options.items() if key in _FIXED_AT_BIRTH}
        if lasting:
            make_data_directory(self.installed.bin, folder / "data", self.installed.distribution, lasting)
        else:
            shutil.copytree(self.installed.template, folder / "data")
        return folder

    def _write_client_file(self) -> None:
        lines = ["[client]", f"host={self.host}", f"port={self.port}", f"user={self.user}", f"password={self.password}"]
        self.client_file.touch(mode=0o600)
        self.client_file.write_text("\n".join(lines) + "\n")

    def _start_on_a_free_port(self, first: bool) -> None:
        """`first`: nobody knows its port yet, so another will do when somebody takes that one in between."""
        tries = 3
        while True:
            if not self.port or (first and tries < 3 and not self._port_is_fixed):
                self.port = _free_port()
            already_logged = self.error_log.stat().st_size if self.error_log.exists() else 0
            process = self._process = self._launch()
            if self._answers(process):
                return
            was_killed = (process.poll() or 0) < 0
            self.kill()
            tries -= 1
            with self.error_log.open("rb") as log:
                log.seek(already_logged)
                said = log.read()
            is_taken = b"ddress already in use" in said and not (first and self._port_is_fixed)
            # A server may crash in its recovery from a crash, and recover when it is started again, as a supervisor would.
            if not tries or not (is_taken or was_killed):
                lines = said.decode(errors="replace").splitlines()[-_LINES_OF_A_FAILED_START:]
                raise SandboxError("\n".join([f"The {self.name} server on port {self.port} did not start:", *lines]))
            time.sleep(_PAUSE_S)

    def _launch(self) -> subprocess.Popen[bytes]:
        folder = self.folder
        fixed = {
            "datadir": str(self.data_directory),
            "tmpdir": str(folder / "tmp"),
            "port": str(self.port),
            "socket": self.socket,
            "pid-file": str(folder / "server.pid"),
            "log-error": str(self.error_log),
        }
        if os.geteuid() == 0:
            fixed["user"] = "root"
        command = [str(self.installed.bin / "mysqld")]
        command += [f"--{key}={value}" if value else f"--{key}" for key, value in {**fixed, **self._options}.items()]
        with self.error_log.open("ab") as log:
            # A session of its own: Ctrl-C at the terminal is for the program that runs the server, not for the server.
            # Python ignores SIGXFSZ, and so shall the server: a file that may not grow is an error of one statement.
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                start_new_session=True,
                restore_signals=False,
            )

    def _answers(self, process: subprocess.Popen[bytes]) -> bool:
        """Wait until it takes connections. False when it ended, or did not within the deadline."""
        deadline = time.monotonic() + _START_DEADLINE_S
        while time.monotonic() < deadline:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.05)
                return False
            if not Path(self.socket).exists():
                continue
            try:
                self.admin().close()
            except pymysql.err.OperationalError:
                continue
            return True
        return False


def _free_port() -> int:
    for port in random.SystemRandom().sample(_PORTS, 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do
            probe.bind(("127.0.0.1", port))
            return port
    raise SandboxError("No port is free for a server.")
