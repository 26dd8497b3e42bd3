"""What a migration was asked to do: the facts behind the command line, with no trace of how they were given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from osc.native.strategy import WantedStrategy
from osc.table.deferred import DeferIndexes
from osc.throttle.governor import DEFAULT_IMPACT
from osc.throttle.load import Limit
from osc.throttle.replicas import Address

Resume = Literal["auto", "require", "never"]
"""`auto` goes on from a checkpoint when there is one; `require` refuses to start afresh; `never` to go on."""

DEFAULT_WORKERS = 2
DEFAULT_CHUNK_TARGET_MS = 75
DEFAULT_MAX_LAG_MS = 1_500
DEFAULT_MAX_MEMORY_MIB = 256
LEAST_MAX_MEMORY_MIB = 128
DEFAULT_FLAG_FILE = Path("/tmp/gh-ost.throttle")
"""Where gh-ost's users are used to put one."""
DEFAULT_CUT_OVER_LOCK_TIMEOUT_S = 3
DEFAULT_RETRIES = 60


@dataclass(frozen=True, slots=True)
class MigrationOptions:
    """One migration, as asked for."""

    database: str
    table: str
    alter: str
    """As given: the clauses, or a whole `ALTER TABLE` statement."""
    strategy: WantedStrategy = "auto"
    planned_strategy: str | None = None
    """What the plan that is followed says the server would do; None without a plan."""
    """`auto`: what the server can do itself is left to it, everything else is copied."""
    allow_inplace: bool = False
    """Whether `auto` may let the server build indexes or rebuild the table in place."""
    workers: int = DEFAULT_WORKERS
    chunk_size: int | None = None
    """Rows in the first chunk and the most in any; None leaves both to the engine."""
    chunk_target_ms: int = DEFAULT_CHUNK_TARGET_MS
    """How long a chunk should take; its size follows."""
    defer_indexes: DeferIndexes = "auto"
    """Whether the ghost's secondary indexes are built after the copy."""
    replica_server_id: int | None = None
    """The id under which the binlog is read; None picks one at random."""
    drop_old_table: bool = False
    timestamp_old_table: bool = False
    postpone_flag_file: Path | None = None
    """While it exists, the swap waits, and so does a native change."""
    panic_flag_file: Path | None = None
    """When it appears, the migration is given up and cleaned up."""
    impact: str = DEFAULT_IMPACT
    """By how much the application's commits may become dearer: a name or a factor."""
    nice_ratio: float = 0.0
    """Seconds of pause for each second of copying, whatever the pace."""
    max_load: tuple[Limit, ...] = ()
    critical_load: tuple[Limit, ...] = ()
    critical_load_interval_s: float = 0.0
    critical_load_hibernate_s: float = 0.0
    max_memory_bytes: int = DEFAULT_MAX_MEMORY_MIB << 20
    throttle_query: str | None = None
    throttle_http: str | None = None
    control_replicas: tuple[Address, ...] = ()
    """The replicas whose lag counts; without any, those that the server knows."""
    max_lag_s: float = DEFAULT_MAX_LAG_MS / 1_000
    throttle_flag_files: tuple[Path, ...] = ()
    """While any of them exists, the copy waits, and a native change is not sent."""
    cut_over_lock_timeout_s: int = DEFAULT_CUT_OVER_LOCK_TIMEOUT_S
    """The most that one attempt at the swap may wait for its locks, or hold them."""
    kill_blockers_after_s: int | None = None
    """Sessions that have kept the swap waiting for so long are killed; None: never."""
    initially_drop_ghost: bool = False
    initially_drop_old: bool = False
    default_retries: int = DEFAULT_RETRIES
    """How often an operation (a chunk, an attempt at the swap) is tried before the run gives up."""
    resume: Resume = "auto"
    allow_lossy: bool = False
    """Values that do not fit the new schema become what the server makes of them, instead of ending the migration."""
