"""Fetching servers: once, complete or not at all, and for everyone at the same time."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pytest

from osc.sandbox.distributions import SandboxError, server_names
from osc.sandbox.provision import Installed, cache_folder, ensure, quickest, ready


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OSC_CACHE_DIR", str(tmp_path))
    return tmp_path


def fetch_quickest(told: multiprocessing.Queue[list[str]]) -> None:
    said: list[str] = []
    ensure("mariadb-10.11", said.append)
    told.put(said)


def test_what_is_there_already_is_neither_fetched_nor_changed(server_name: str) -> None:
    first = ensure(server_name)
    before = (first.folder / "installed.json").stat()
    said: list[str] = []
    assert ensure(server_name, said.append) == first
    assert said == []
    assert (first.folder / "installed.json").stat() == before


def test_every_distribution_has_the_same_five_programs(server_name: str) -> None:
    programs = ensure(server_name).bin
    expected = ["mysql", "mysql_install_db", "mysqladmin", "mysqld", "mysqld_safe"]
    assert sorted(path.name for path in programs.iterdir()) == expected


def test_two_processes_that_want_the_same_server_fetch_it_once(empty_cache: Path) -> None:
    context = multiprocessing.get_context("spawn")
    told: multiprocessing.Queue[list[str]] = context.Queue()
    both = [context.Process(target=fetch_quickest, args=(told,)) for _ in range(2)]
    for one in both:
        one.start()
    said = sorted([told.get(timeout=200), told.get(timeout=200)])
    for one in both:
        one.join()
    assert [one.exitcode for one in both] == [0, 0]
    assert said[0] == []
    assert said[1] != []
    assert sorted(path.name for path in (empty_cache / "servers").iterdir()) == ["mariadb-10.11", "mariadb-10.11.lock"]


def test_a_server_whose_program_was_replaced_is_made_anew(empty_cache: Path) -> None:
    installed = ensure("mariadb-10.11")
    facts = installed.folder / "installed.json"
    facts.write_text(json.dumps({**json.loads(facts.read_text()), "stamp": "another program"}))
    assert ready("mariadb-10.11") is None
    assert ensure("mariadb-10.11") == installed
    assert ready("mariadb-10.11") == installed


def test_an_interrupted_fetch_leaves_nothing_that_looks_finished(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("osc.sandbox.provision.make_data_directory", interrupt)
    with pytest.raises(KeyboardInterrupt):
        ensure("mariadb-10.11")
    assert ready("mariadb-10.11") is None
    assert [path.name for path in (empty_cache / "servers").iterdir()] == ["mariadb-10.11.lock"]


def test_the_quickest_server_is_one_that_is_there(empty_cache: Path) -> None:
    assert quickest() in server_names()
    here: Installed = ensure("mariadb-10.11")
    assert quickest() == here.distribution.name


def test_an_unknown_server_is_answered_with_the_known_ones() -> None:
    with pytest.raises(SandboxError, match=r"'mysql-5\.1'.*mysql-9\.7, mariadb-10\.11, mariadb-11\.8"):
        ensure("mysql-5.1")


def test_the_cache_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OSC_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg/osc/servers"
    monkeypatch.setenv("OSC_CACHE_DIR", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own/servers"
