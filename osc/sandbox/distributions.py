"""The server distributions that the sandbox can run, and which Debian packages hold each."""

from __future__ import annotations

from dataclasses import dataclass

from osc.errors import OscError
from osc.mysql.server import Flavor


class SandboxError(OscError):
    """A throwaway server could not be fetched, started or stopped."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """One server that the sandbox knows how to get."""

    name: str
    flavor: Flavor
    series: str
    """The version's first two parts; what is fetched must be of this series."""
    packages: tuple[str, ...]
    suites: tuple[str, ...]
    """Debian suites that carry the series, the first to be tried first."""
    download_mib: int
    """About what a download costs, libraries included."""
    plugin_package: str | None = None
    """A package with more plugins than the server's own has; it would bring a service along, so it is never installed."""

    @property
    def daemon(self) -> str:
        """The server program's own name."""
        return "mysqld" if self.flavor == "mysql" else "mariadbd"

    @property
    def client(self) -> str:
        """The command line client's own name."""
        return "mysql" if self.flavor == "mysql" else "mariadb"


_MYSQL = ("mysql-server-core", "mysql-client-core")
_MARIADB = ("mariadb-server-core", "mariadb-client-core")

DISTRIBUTIONS: dict[str, Distribution] = {
    one.name: one
    for one in (
        Distribution("mysql-9.7", "mysql", "9.7", _MYSQL, ("unstable",), 66),
        Distribution("mariadb-10.11", "mariadb", "10.11", _MARIADB, ("bookworm",), 18, "mariadb-server"),
        Distribution("mariadb-11.8", "mariadb", "11.8", _MARIADB, ("unstable", "trixie"), 18, "mariadb-server"),
    )
}


def server_names() -> tuple[str, ...]:
    """The names of all distributions, as `--server` takes them."""
    return tuple(DISTRIBUTIONS)


def distribution(name: str) -> Distribution:
    """The distribution of that name. Raises SandboxError, naming those that exist."""
    try:
        return DISTRIBUTIONS[name]
    except KeyError:
        raise SandboxError(f"There is no server named {name!r}; the sandbox has {', '.join(DISTRIBUTIONS)}.") from None
