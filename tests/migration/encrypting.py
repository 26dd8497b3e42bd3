"""Servers that encrypt their binlogs. Both flavors take the key from a file, by a plugin that has to be put there first."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from osc.sandbox.provision import Installed, plugin_folder
from osc.sandbox.servers import LocalServer
from tests.servers import ServerUnderTest, of_local


@contextmanager
def encrypting_server(name: str, folder: Path) -> Iterator[ServerUnderTest]:
    """A server of that distribution, which keeps its keys in `folder`."""
    local = LocalServer(name)
    if local.flavor == "mysql":
        local.set_options({"binlog_encryption": "ON"})
        local.installed = _with_keyring(local.installed, folder)
    else:
        local.set_options(_key_file(name, folder))
    with local:
        yield of_local(local)


def _with_keyring(installed: Installed, folder: Path) -> Installed:
    """A copy that loads a keyring: MySQL looks for it beside its own program only, so all the other files are links."""
    copy = folder / "server"
    shutil.copytree(installed.bin, copy / "bin")
    shutil.copytree(installed.folder / "root", copy / "root", copy_function=os.symlink, symlinks=True)
    (copy / "template").symlink_to(installed.template)
    usr = copy / "root/usr"
    (usr / "sbin/mysqld.my").write_text(json.dumps({"components": "file://component_keyring_file"}))
    settings = {"path": str(folder / "keys"), "read_only": False}
    (usr / "lib/mysql/plugin/component_keyring_file.cnf").write_text(json.dumps(settings))
    return replace(installed, folder=copy)


def _key_file(name: str, folder: Path) -> Mapping[str, str]:
    keys = folder / "keys"
    keys.write_text(f"1;{secrets.token_hex(32)}\n")
    return {
        "plugin_dir": str(plugin_folder(name)),
        "plugin_load_add": "file_key_management",
        "file_key_management_filename": str(keys),
        "encrypt_binlog": "ON",
    }
