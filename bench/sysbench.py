"""sysbench: the one on the PATH, or fetched from Debian into the cache folder beside the servers."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from osc.sandbox import apt
from osc.sandbox.distributions import SandboxError
from osc.sandbox.provision import Say, cache_folder

HOW_TO_GET_IT = (
    "The loads are sysbench's, which is not on the PATH: install it (on Debian and Ubuntu: apt-get install sysbench), name"
    " it with --sysbench, or choose scenarios without a load (--scenario idle)."
)
_FOLDER = "sysbench"
# It runs with its own loader and libraries, wherever the folder is; load.lua adds SYSBENCH_SHARE to Lua's path.
_WRAPPER = """#!/bin/sh
root=$(dirname "$(readlink -f "$0")")/root
for libraries in "$root"/usr/lib/*-linux-gnu; do :; done
for more in "$root"/lib/*-linux-gnu; do :; done
export MARIADB_PLUGIN_DIR="$libraries/libmariadb3/plugin" SYSBENCH_SHARE="$root/usr/share/sysbench"
for loader in "$root"/lib*/ld-linux-*.so.* "$root"/usr/lib*/ld-linux-*.so.*; do [ -x "$loader" ] && break; done
exec "$loader" --library-path "$libraries:$more" "$root/usr/bin/sysbench" "$@"
"""


def ensure_sysbench(say: Say) -> str:
    """The path of a sysbench. Raises SandboxError, with how to get it, when there is none and it cannot be fetched."""
    installed = shutil.which("sysbench")
    if installed:
        return installed
    cache = cache_folder()
    program = cache / _FOLDER / "sysbench"
    if not program.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="sysbench-", dir=cache) as temporary:
            try:
                _fetch(Path(temporary), say)
            except SandboxError as error:
                raise SandboxError(f"{HOW_TO_GET_IT}\nIt could not be fetched either: {error.message}") from error
            try:
                (Path(temporary) / "done").rename(program.parent)
            except OSError:
                if not program.exists():  # another process may have been quicker
                    raise
    return str(program)


def _fetch(temporary: Path, say: Say) -> None:
    """Put a sysbench into `temporary/done`."""
    suite = apt.os_release().get("VERSION_CODENAME", "stable")
    say(f"sysbench: downloading it from Debian {suite}")
    private = apt.PrivateApt(temporary / "apt", suite)
    private.prepare(apt.debian_mirrors())
    apt.unpack(private.download(["sysbench"]), temporary / "done" / "root")
    apt.drop_extras(temporary / "done" / "root")
    program = temporary / "done" / "sysbench"
    program.write_text(_WRAPPER, encoding="utf-8")
    program.chmod(0o755)
    apt.run([str(program), "--version"], "Asking sysbench for its version", timeout_s=60)
