"""Debian packages without touching the machine: an apt with an empty state of its own, and `dpkg -x` into a folder.

With nothing marked as installed apt fetches the whole closure of a package, the C library and its loader included, so
that what comes from a newer Debian runs on an older one.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from osc.sandbox.distributions import SandboxError

_KEYRINGS = (
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
)
_ROLLING = frozenset({"oldoldstable", "oldstable", "stable", "testing", "unstable", "sid"})
_FETCH_TIMEOUT_S = 1200


def run(command: Sequence[str], doing: str, timeout_s: float = _FETCH_TIMEOUT_S, folder: Path | None = None) -> str:
    """What the command printed. Raises SandboxError with the end of its output when it fails."""
    env = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=env,
            timeout=timeout_s,
            cwd=folder,
            check=False,
        )
    except FileNotFoundError:
        raise SandboxError(f"{doing} needs the program {command[0]!r}, which is not on this machine.") from None
    except subprocess.TimeoutExpired:
        raise SandboxError(f"{doing} took longer than {timeout_s:.0f} s and was given up.") from None
    if done.returncode:
        tail = "\n".join(done.stdout.strip().splitlines()[-12:])
        raise SandboxError(f"{doing} failed (exit code {done.returncode}):\n{tail}")
    return done.stdout


def os_release(path: Path = Path("/etc/os-release")) -> dict[str, str]:
    """The fields of the machine's os-release file; empty when there is none."""
    if not path.exists():
        return {}
    pairs = (line.partition("=") for line in path.read_text().splitlines() if "=" in line)
    return {key.strip(): value.strip().strip("\"'") for key, _, value in pairs}


@dataclass(frozen=True, slots=True)
class Source:
    """One archive that the machine's apt knows: where it is, one of its suites, the suite's components."""

    uri: str
    suite: str
    components: tuple[str, ...]


def _deb822_sources(text: str) -> Iterator[Source]:
    for stanza in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        last = ""
        for line in stanza.splitlines():
            if line.startswith("#") or not line.strip():
                continue
            if line[0].isspace():
                fields[last] = f"{fields.get(last, '')} {line.strip()}"
            else:
                key, _, value = line.partition(":")
                last = key.strip().lower()
                fields[last] = value.strip()
        if fields.get("enabled", "yes").lower() in ("no", "false", "0") or "deb" not in fields.get("types", "").split():
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield Source(uri, suite, tuple(fields.get("components", "").split()))


def _one_line_sources(text: str) -> Iterator[Source]:
    for line in text.splitlines():
        found = re.match(r"\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)([^#]*)", line)
        if found:
            yield Source(found[1], found[2], tuple(found[3].split()))


def debian_mirrors(etc_apt: Path = Path("/etc/apt"), release: dict[str, str] | None = None) -> list[str]:
    """The addresses from which this machine may be getting its own Debian packages, without repeats.

    A third party's archive can look the same from here; its signature will tell. Raises SandboxError when this is not
    Debian or its apt sources name no such archive.
    """
    release = os_release() if release is None else release
    if release.get("ID") != "debian":
        raise SandboxError(
            f"Fetching a server needs Debian's apt sources; this machine is {release.get('PRETTY_NAME', 'another')}. "
            "Start one from docker/compose.yaml, or name a running server."
        )
    wanted = _ROLLING | {release.get("VERSION_CODENAME", "")}
    found: list[str] = []
    for file in [etc_apt / "sources.list", *sorted((etc_apt / "sources.list.d").glob("*"))]:
        if file.suffix not in (".list", ".sources") or not file.exists():
            continue
        read = _deb822_sources if file.suffix == ".sources" else _one_line_sources
        for source in read(file.read_text()):
            usable = source.suite in wanted and "main" in source.components and not source.uri.startswith("cdrom:")
            if usable and source.uri not in found:
                found.append(source.uri)
    if not found:
        raise SandboxError(
            f"The apt sources under {etc_apt} name no Debian archive: there is nowhere to fetch a server from."
        )
    return found


def _keyring() -> Path:
    for keyring in _KEYRINGS:
        if keyring.exists():
            return keyring
    raise SandboxError(
        "Debian's archive keys are not on this machine, so a download could not be verified: "
        "install the package debian-archive-keyring."
    )


@dataclass(frozen=True, slots=True)
class PrivateApt:
    """apt with its lists, archives and status in `folder`, knowing one suite of one mirror."""

    folder: Path
    suite: str

    def prepare(self, mirrors: Sequence[str]) -> None:
        """Make the state and fetch the suite's package list from the first mirror that serves it, signed by Debian.

        Raises SandboxError when none does.
        """
        for part in ("lists/partial", "archives/partial", "preferences.d"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        (self.folder / "status").write_text("")
        problems: list[str] = []
        for mirror in mirrors:
            (self.folder / "sources.list").write_text(
                f"deb [signed-by={_keyring()} target=Packages lang=none] {mirror} {self.suite} main\n"
            )
            try:
                run(["apt-get", *self._options(), "update"], f"Reading the package list of Debian {self.suite}")
                return
            except SandboxError as error:
                problems.append(error.message)
        raise SandboxError("\n".join(problems))

    def candidate(self, package: str) -> str | None:
        """The version of the package in this suite, epoch and Debian revision taken off; None when it is not there."""
        shown = run(["apt-cache", *self._options(), "policy", package], f"Looking up the package {package}")
        return candidate_version(shown)

    def download(self, packages: Sequence[str]) -> list[Path]:
        """Fetch the packages with everything that they need. Returns the archives. Raises SandboxError."""
        command = ["apt-get", *self._options(), "install", "--yes", "--download-only", *packages]
        run(command, f"Downloading {', '.join(packages)} from Debian {self.suite}")
        return sorted((self.folder / "archives").glob("*.deb"))

    def download_alone(self, package: str) -> Path:
        """Fetch the package without what it needs. Returns the archive. Raises SandboxError."""
        into = self.folder / "alone"
        into.mkdir()
        command = ["apt-get", *self._options(), "download", package]
        run(command, f"Downloading {package} from Debian {self.suite}", folder=into)
        [archive] = into.glob("*.deb")
        return archive

    def _options(self) -> list[str]:
        at = self.folder
        settings = {
            "Dir::State": at,
            "Dir::State::Lists": at / "lists",
            "Dir::State::status": at / "status",
            "Dir::Cache": at,
            "Dir::Cache::archives": at / "archives",
            "Dir::Etc::sourcelist": at / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": at / "preferences.d",
            "Dir::Log": at,
            "APT::Install-Recommends": "false",
            "APT::Get::AllowUnauthenticated": "false",
            "Acquire::AllowInsecureRepositories": "false",
            "APT::Update::Error-Mode": "any",
            "Acquire::Retries": "3",
            # The state lies in the user's own cache folder, which apt's unprivileged user may not enter.
            "APT::Sandbox::User": "root",
            "Debug::NoLocking": "true",
        }
        return [part for key, value in settings.items() for part in ("-o", f"{key}={value}")]


def candidate_version(policy: str) -> str | None:
    """The upstream version of the candidate in what `apt-cache policy` printed."""
    found = re.search(r"^\s*Candidate:\s*(?:\d+:)?(\d[\w.]*)", policy, re.MULTILINE)
    return found[1] if found else None


def unpack(archives: Sequence[Path], root: Path) -> None:
    """Unpack the archives into one folder. Raises SandboxError."""
    root.mkdir(parents=True, exist_ok=True)
    for archive in archives:
        run(["dpkg", "-x", str(archive), str(root)], f"Unpacking {archive.name}")


def drop_extras(root: Path) -> None:
    """Remove what no server run needs (documentation, perl), about a third of what was unpacked."""
    for extra in ("usr/share/doc", "usr/share/man", "usr/share/perl", "usr/share/locale"):
        shutil.rmtree(root / extra, ignore_errors=True)


def is_root() -> bool:
    """Whether packages can be installed on this machine by us."""
    return os.geteuid() == 0


def system_candidate(package: str) -> str | None:
    """The version that the machine's own apt would install; None when there is no apt or no such package."""
    if shutil.which("apt-cache") is None:
        return None
    return candidate_version(run(["apt-cache", "policy", package], f"Looking up the package {package}"))


def install_on_machine(packages: Sequence[str]) -> None:
    """Install packages with the machine's own apt, removing nothing. Needs root. Raises SandboxError."""
    wait = ["-o", "DPkg::Lock::Timeout=120"]
    run(
        ["apt-get", *wait, "install", "--yes", "--no-install-recommends", "--no-remove", *packages],
        f"Installing {', '.join(packages)}",
    )


def refresh_machine_lists() -> None:
    """Have the machine's own apt read its package lists again. Needs root. Raises SandboxError."""
    run(["apt-get", "-o", "DPkg::Lock::Timeout=120", "update"], "Reading the machine's package lists")
