"""Commits that stand still between the binlog and the engine: delivered to every reader of the binlog, visible to nobody.

Semi-synchronous replication makes that window as wide as its timeout when it waits between the two (`AFTER_SYNC`) and no
replica answers. A tool that re-reads a row as soon as its event arrives reads the old one.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from osc.sandbox.distributions import DISTRIBUTIONS
from tests.conftest import StartServer
from tests.migration.migrating import migrating
from tests.migration.tables import contents, make_table
from tests.servers import ServerUnderTest

pytestmark = pytest.mark.everywhere

ALTER = "add column z int not null default 7"
STALL_MS = 3_000
MOMENT_S = 0.01

OPTIONS = {
    "mysql": {
        "plugin-load-add": "semisync_source.so",
        "loose-rpl-semi-sync-source-timeout": str(STALL_MS),
        "loose-rpl-semi-sync-source-wait-point": "AFTER_SYNC",
    },
    "mariadb": {
        "rpl-semi-sync-master-timeout": str(STALL_MS),
        "rpl-semi-sync-master-wait-point": "AFTER_SYNC",
    },
}


@contextmanager
def stalled(server: ServerUnderTest, database: str, change: str, row: int) -> Iterator[None]:
    """Inside, at first, that change of a row is committed, in the binlog, and not visible; at the end it is."""
    variable = f"rpl_semi_sync_{'master' if server.is_mariadb else 'source'}_enabled"

    def rows() -> tuple[tuple[object, ...], ...]:
        return server.query(f"select k from t where id = {row}", database=database)

    before = rows()
    with closing(server.admin(database)) as writer, writer.cursor() as cursor:
        cursor.execute("begin")
        cursor.execute(change)
        # After a timeout the server stops to wait, until semi-sync is switched on again.
        server.execute(f"set global {variable} = off", f"set global {variable} = on")
        commit = threading.Thread(target=writer.commit)
        commit.start()
        while not is_waiting(server, writer.thread_id()):  # type: ignore[no-untyped-call]
            assert commit.is_alive(), "the commit did not stall"
            commit.join(MOMENT_S)
        assert rows() == before
        yield
        commit.join()
    assert rows() != before


def is_waiting(server: ServerUnderTest, writer: int) -> bool:
    """Whether a session waits for a replica's answer, and the writer for it or behind it."""
    states = {int(str(row[0])): str(row[6]) for row in server.query("show full processlist")}
    commits = states[writer].lower()
    somebody = any(state.startswith("Waiting for semi-sync ACK") for state in states.values())
    return somebody and any(text in commits for text in ("semi-sync", "commit"))


def test_no_change_is_lost_when_its_commit_stalls_behind_the_binlog(
    start_server: StartServer, server_name: str, tmp_path: Path
) -> None:
    server = start_server(OPTIONS[DISTRIBUTIONS[server_name].flavor])
    throttle, postpone = tmp_path / "throttle", tmp_path / "postpone"
    throttle.touch()
    postpone.touch()
    options = ("--throttle-flag-file", str(throttle), "--postpone-cut-over-flag-file", str(postpone))
    with server.fresh_database() as database:
        make_table(server, database, 2_000)
        with migrating(server, database, "t", ALTER, *options) as running:
            running.wait_for("throttled")
            # The copy would read the fresh row, so its key may be dropped: if it is fresh by then.
            with stalled(server, database, "update t set k = -1 where id = 1", 1):
                running.wait_for("status")
                throttle.unlink()
            running.wait_for("phase", phase="ready")
            with stalled(server, database, "update t set k = -2 where id = 2", 2):
                pass
            with stalled(server, database, "delete from t where id = 3", 3):
                pass
            running.wait_for("status", pending_keys=0)
            with stalled(server, database, "update t set k = -4 where id = 4", 4):
                postpone.unlink()
            run = running.end()
        assert run.exit_code == 0, str(run)
        assert contents(server, database, what="id, k, s") == contents(server, database, "_t_del")
        assert server.query("select id, k from t where k < 0 or id = 3 order by id", database=database) == (
            (1, -1),
            (2, -2),
            (4, -4),
        )
