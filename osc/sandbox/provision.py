"""Getting a server distribution: from the machine, from its own apt, or unpacked into a cache folder.

What is complete is renamed into its place, under a lock, so a second call finds it and costs nothing, and an
interrupted download leaves nothing that looks finished.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from osc.sandbox import apt
from osc.sandbox.distributions import DISTRIBUTIONS, Distribution, SandboxError, distribution, server_names
from osc.sandbox.wrappers import Layout, write_wrappers

Say = Callable[[str], None]

_LAYOUT_VERSION = 2
"""Raised when what is written into the cache changes, so that an older cache is made anew."""


@dataclass(frozen=True, slots=True)
class Installed:
    """A distribution that is ready to run."""

    distribution: Distribution
    folder: Path
    version: str
    """The whole version, as `9.7.4`."""
    source: str
    """Where it came from, for people."""

    @property
    def bin(self) -> Path:
        """The folder with `mysqld`, `mysqld_safe`, `mysql_install_db`, `mysql` and `mysqladmin`."""
        return self.folder / "bin"

    @property
    def template(self) -> Path:
        """A data directory as the server makes it, to be copied, never started in place."""
        return self.folder / "template"


def cache_folder() -> Path:
    """Where fetched servers are kept: below `OSC_CACHE_DIR`, else `$XDG_CACHE_HOME/osc` or `~/.cache/osc`."""
    named = os.environ.get("OSC_CACHE_DIR")
    base = Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "osc"
    return base.expanduser().absolute() / "servers"


def bin_folder(name: str) -> Path:
    """Where the programs of a distribution are once it is there. Raises SandboxError for an unknown name."""
    return cache_folder() / distribution(name).name / "bin"


def ready(name: str) -> Installed | None:
    """The distribution if it is there and complete, else None; never downloads."""
    wanted = distribution(name)
    folder = cache_folder() / wanted.name
    try:
        facts: dict[str, str | int] = json.loads((folder / "installed.json").read_text())
    except FileNotFoundError:
        return None
    root = Path(str(facts["root"])) if facts["root"] else folder / "root"
    if facts["layout"] != _LAYOUT_VERSION or facts["stamp"] != _stamp(Layout(wanted, root).daemon):
        return None
    return Installed(wanted, folder, str(facts["version"]), str(facts["source"]))


def ensure(name: str, say: Say = lambda _: None) -> Installed:
    """The distribution, fetched first if it is not there. `say` is told what is being done.

    Raises SandboxError when it cannot be had on this machine.
    """
    found = ready(name)
    if found:
        return found
    wanted = distribution(name)
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / f"{wanted.name}.lock"):
        found = ready(name)  # another process may have been at it while this one waited
        if found:
            return found
        with tempfile.TemporaryDirectory(prefix=f"{wanted.name}-", dir=cache) as temporary:
            _make(wanted, Path(temporary), say)
            final = cache / wanted.name
            if final.exists():
                shutil.rmtree(final)
            (Path(temporary) / "done").rename(final)
    found = ready(name)
    if not found:
        raise SandboxError(f"{wanted.name} was fetched into {cache / wanted.name}, but does not look complete there.")
    return found


def plugin_folder(name: str, say: Say = lambda _: None) -> Path:
    """The folder of the plugins that are in a package of their own, for `plugin-dir`; fetched first if it is not there.

    Raises SandboxError when the distribution has no such package, or it cannot be had on this machine.
    """
    wanted = distribution(name)
    if wanted.plugin_package is None:
        raise SandboxError(f"{wanted.name} has no package with more plugins.")
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    final = cache / f"{wanted.name}-plugins"
    with _locked(cache / f"{wanted.name}-plugins.lock"):
        if not final.exists():
            with tempfile.TemporaryDirectory(prefix=f"{wanted.name}-plugins-", dir=cache) as temporary:
                _unpack_plugins(wanted, wanted.plugin_package, Path(temporary), say).rename(final)
    return final


def quickest() -> str:
    """The name of the server that is ready soonest: one that is there, else the one with the least to fetch."""
    for name in server_names():
        if ready(name):
            return name
    for one in DISTRIBUTIONS.values():
        if _on_machine(one):
            return one.name
    release = apt.os_release()
    if apt.is_root() and release.get("VERSION_CODENAME") == "bookworm":
        return "mariadb-10.11"
    return min(DISTRIBUTIONS.values(), key=lambda one: one.download_mib).name


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _stamp(daemon: Path) -> str:
    """What changes when the server program is replaced, as by an upgrade of the machine; empty when there is none."""
    try:
        facts = daemon.stat()
    except FileNotFoundError:
        return ""
    return f"{facts.st_size}-{facts.st_mtime_ns}"


def _make(wanted: Distribution, temporary: Path, say: Say) -> None:
    """Put a complete distribution into `temporary/done`."""
    done = temporary / "done"
    done.mkdir()
    root, source = _get(wanted, temporary, say)
    layout = Layout(wanted, root)
    write_wrappers(layout, done / "bin")
    version = _version(done / "bin/mysqld", wanted)
    say(f"{wanted.name}: making a data directory")
    make_data_directory(done / "bin", done / "template", wanted)
    facts = {
        "layout": _LAYOUT_VERSION,
        "version": version,
        "source": source,
        "root": "" if layout.unpacked else str(root),
        "stamp": _stamp(layout.daemon),
    }
    (done / "installed.json").write_text(json.dumps(facts, indent=2) + "\n")


def _get(wanted: Distribution, temporary: Path, say: Say) -> tuple[Path, str]:
    """Get the files of the server. Returns where they are and where they came from."""
    machine = Path("/")
    if _on_machine(wanted):
        return machine, "installed on this machine"
    problems: list[str] = []
    if wanted.flavor == "mariadb" and apt.is_root() and apt.os_release().get("ID") == "debian":
        try:
            apt.refresh_machine_lists()
            if _of_series(apt.system_candidate(wanted.packages[0]), wanted):
                say(f"{wanted.name}: installing {' and '.join(wanted.packages)}")
                apt.install_on_machine(wanted.packages)
                return machine, "installed by apt"
        except SandboxError as error:
            problems.append(error.message)
    try:
        mirrors = apt.debian_mirrors()
    except SandboxError as error:
        raise SandboxError("\n".join([*problems, f"{wanted.name} cannot be had: {error.message}"])) from error
    for suite in wanted.suites:
        try:
            return _download(wanted, suite, mirrors, temporary, say), f"unpacked from Debian {suite}"
        except SandboxError as error:
            problems.append(error.message)
    raise SandboxError("\n".join([f"{wanted.name} could not be fetched.", *problems]))


def _download(wanted: Distribution, suite: str, mirrors: list[str], temporary: Path, say: Say) -> Path:
    say(f"{wanted.name}: downloading about {wanted.download_mib} MiB from Debian {suite}")
    private = _private_apt(wanted, suite, mirrors, temporary)
    archives = private.download(wanted.packages)
    root = temporary / "done" / "root"
    say(f"{wanted.name}: unpacking {len(archives)} packages")
    apt.unpack(archives, root)
    apt.drop_extras(root)
    return root


def _private_apt(wanted: Distribution, suite: str, mirrors: list[str], temporary: Path) -> apt.PrivateApt:
    """An apt that knows the suite. Raises SandboxError when that does not have the series."""
    private = apt.PrivateApt(temporary / f"apt-{suite}", suite)
    private.prepare(mirrors)
    candidate = private.candidate(wanted.packages[0])
    if not _of_series(candidate, wanted):
        raise SandboxError(f"Debian {suite} has {wanted.packages[0]} {candidate or 'not at all'}, not {wanted.series}.")
    return private


def _unpack_plugins(wanted: Distribution, package: str, temporary: Path, say: Say) -> Path:
    """Unpack the package, without what it needs, below `temporary`. Returns the folder of its plugins."""
    problems: list[str] = []
    for suite in wanted.suites:
        try:
            private = _private_apt(wanted, suite, apt.debian_mirrors(), temporary)
            say(f"{wanted.name}: downloading its plugins from Debian {suite}")
            apt.unpack([private.download_alone(package)], temporary / "root")
            return temporary / "root/usr/lib/mysql/plugin"
        except SandboxError as error:
            problems.append(error.message)
    raise SandboxError("\n".join([f"The plugins of {wanted.name} could not be fetched.", *problems]))


def _on_machine(wanted: Distribution) -> bool:
    """Whether the machine's own server is of the wanted series; only MariaDB's is a package without a service."""
    daemon = Layout(wanted, Path("/")).daemon
    if wanted.flavor != "mariadb" or not daemon.exists():
        return False
    shown = subprocess.run([daemon, "--no-defaults", "--version"], capture_output=True, text=True, check=False).stdout
    return _of_series(_version_in(shown), wanted)


def _of_series(version: str | None, wanted: Distribution) -> bool:
    return version is not None and f"{version}.".startswith(f"{wanted.series}.")


def _version_in(shown: str) -> str | None:
    found = re.search(r"Ver (\d[\d.]*\d)", shown)
    return found[1] if found else None


def _version(mysqld: Path, wanted: Distribution) -> str:
    shown = apt.run([str(mysqld), "--version"], f"Asking {wanted.name} for its version", timeout_s=60)
    version = _version_in(shown)
    if version is None or not _of_series(version, wanted):
        raise SandboxError(f"{wanted.name} should be of series {wanted.series}, but calls itself {shown.strip()!r}.")
    return version


def make_data_directory(
    programs: Path, folder: Path, wanted: Distribution, options: Mapping[str, str] | None = None
) -> None:
    """Let the server make a data directory. Raises SandboxError with what it printed when it fails."""
    folder.mkdir()
    command = [str(programs / "mysql_install_db"), f"--datadir={folder}", f"--tmpdir={folder.parent}"]
    if apt.is_root():
        command.append("--user=root")
    # Small logs: each data directory is a copy of this one, and the server resizes them when it starts.
    small = "--innodb-redo-log-capacity=16M" if wanted.flavor == "mysql" else "--innodb-log-file-size=16M"
    chosen = [f"--{key}={value}" for key, value in (options or {}).items()]
    apt.run([*command, small, *chosen], f"Making a data directory for {wanted.name}", timeout_s=300)
    # The identity of a MySQL server: two that share it cannot replicate from each other.
    (folder / "auto.cnf").unlink(missing_ok=True)
