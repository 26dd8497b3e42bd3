"""The small scripts in `bin/` of a fetched server, so that whatever expects a `mysqld` finds one.

The same five names for every distribution: `mysqld`, `mysqld_safe`, `mysql_install_db`, `mysql`, `mysqladmin`. A server
that was unpacked is run by its own loader with its own libraries; one that is installed is run as it is.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from osc.sandbox.distributions import Distribution, SandboxError

_HEAD = '#!/bin/sh\nhere=$(dirname "$(readlink -f "$0")")\n'

_MARIADB_SYSTEM_TABLES = (
    "system_tables",
    "performance_tables",
    "system_tables_data",
    "fill_help_tables",
    "add_gis_sp_bootstrap",
    "sys_schema",
)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the files of one server are: `root` is `/` for an installed one, else the folder it was unpacked into."""

    distribution: Distribution
    root: Path

    @property
    def unpacked(self) -> bool:
        """Whether it lies in a folder of its own."""
        return self.root != Path("/")

    @property
    def daemon(self) -> Path:
        """The server program."""
        return self.root / "usr/sbin" / self.distribution.daemon

    @property
    def share(self) -> Path:
        """The folder of its messages and, for MariaDB, the SQL files that make the system tables.

        Raises SandboxError when there is none.
        """
        for name in ("mariadb", "mysql") if self.distribution.flavor == "mariadb" else ("mysql",):
            if (self.root / "usr/share" / name / "english").is_dir():
                return self.root / "usr/share" / name
        raise SandboxError(f"The files of {self.distribution.name} under {self.root} are not complete: no messages.")

    def system_tables(self) -> list[Path]:
        """MariaDB's SQL files, in the order in which they are run. Raises SandboxError when one is missing."""
        found = []
        for stem in _MARIADB_SYSTEM_TABLES:
            names = [f"{prefix}{stem}.sql" for prefix in ("mariadb_", "mysql_", "maria_", "")]
            matches = [self.share / name for name in names if (self.share / name).exists()]
            if not matches:
                raise SandboxError(
                    f"The files of {self.distribution.name} in {self.share} are not complete: no {stem}.sql."
                )
            found.append(matches[0])
        return found

    def run(self, program: str) -> str:
        """The start of a shell command that runs `program`, a path below `usr`."""
        if not self.unpacked:
            return shlex.quote(f"/usr/{program}")
        # Debian 12 still has the loader and some libraries below /lib.
        loader = self._matching("usr/lib*/ld-linux-*.so.*", "lib*/ld-linux-*.so.*")[0]
        libraries = ":".join(
            _inside(self.root, path) for path in self._matching("usr/lib/*-linux-gnu", "lib/*-linux-gnu")
        )
        program = _inside(self.root, self.root / "usr" / program)
        return f"{_inside(self.root, loader)} --library-path {libraries} {program}"

    def _matching(self, *patterns: str) -> list[Path]:
        found = [path for pattern in patterns for path in sorted(self.root.glob(pattern))]
        if not found:
            wanted = " or ".join(patterns)
            raise SandboxError(
                f"The files of {self.distribution.name} under {self.root} are not complete: no {wanted}."
            )
        return found


def _inside(root: Path, path: Path) -> str:
    """The path as the scripts write it: relative to themselves, since the folder is renamed once it is complete."""
    return f'"$here/../root/{path.relative_to(root)}"'


def write_wrappers(layout: Layout, folder: Path) -> None:
    """Write the scripts into `folder`. Raises SandboxError when files of the server are missing."""
    folder.mkdir(parents=True, exist_ok=True)
    scripts = {
        "mysqld": _mysqld(layout),
        # For supervisors that start a server through it; restarting a crashed one is nobody's wish here.
        "mysqld_safe": (
            'for argument; do\n  shift\n  [ "$argument" = --skip-syslog ] || set -- "$@" "$argument"\ndone\n'
            'exec "$here/mysqld" "$@"\n'
        ),
        "mysql_install_db": _install_db(layout),
        "mysql": f'exec {layout.run(f"bin/{layout.distribution.client}")} --no-defaults "$@"\n',
        "mysqladmin": _mysqladmin(layout),
    }
    for name, script in scripts.items():
        path = folder / name
        path.write_text(_HEAD + script)
        path.chmod(0o755)


def _mysqld(layout: Layout) -> str:
    share = layout.share
    options = {"basedir": layout.root / "usr", "lc-messages-dir": share, "character-sets-dir": share / "charsets"}
    plugins = layout.root / "usr/lib/mysql/plugin"
    if plugins.is_dir():
        options["plugin-dir"] = plugins
    written = [f"--{name}={_inside(layout.root, path)}" for name, path in options.items()] if layout.unpacked else []
    return " ".join(
        [
            "exec",
            layout.run(f"sbin/{layout.distribution.daemon}"),
            "--no-defaults",
            *written,
            "--secure-file-priv=",
            '"$@"\n',
        ]
    )


def _install_db(layout: Layout) -> str:
    if layout.distribution.flavor == "mysql":
        return 'exec "$here/mysqld" --initialize-insecure "$@"\n'
    tables = layout.system_tables()
    files = " ".join(_inside(layout.root, file) if layout.unpacked else shlex.quote(str(file)) for file in tables)
    # The files make a root without a password for every loopback address; only the socket's may stay, as with MySQL.
    drop = """echo "delete from mysql.global_priv where user <> 'mariadb.sys' and host <> 'localhost';\""""
    return (
        "{ echo 'create database mysql;'; echo 'use mysql;'; cat " + files + "; " + drop + "; } |\n"
        '  "$here/mysqld" --bootstrap "$@"\n'
    )


def _mysqladmin(layout: Layout) -> str:
    if layout.distribution.flavor == "mysql":
        return f'exec {layout.run("bin/mysqladmin")} --no-defaults "$@"\n'
    # MariaDB's own is in a package with a service; the client can do what is needed of it.
    return (
        'for argument; do\n  shift\n  case "$argument" in\n'
        '    -*) set -- "$@" "$argument" ;;\n    *) set -- "$@" --execute="$argument" ;;\n  esac\ndone\n'
        'exec "$here/mysql" "$@"\n'
    )
