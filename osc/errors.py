"""Every error that an operator can meet, one class a situation.

The class says how the run ended (`outcome`, and with it the exit code); the message says what happened, to which object,
what state the table is in and what to do next.
"""

from __future__ import annotations

from typing import ClassVar, Literal

Outcome = Literal["swapped", "altered", "failed", "refused", "aborted", "differences", "interrupted"]

EXIT_CODES: dict[Outcome, int] = {
    "swapped": 0,
    "altered": 0,
    "failed": 1,
    "refused": 2,
    "aborted": 3,
    "differences": 4,
    "interrupted": 5,
}
"""Exit code of each outcome. A failure whose checkpoint was kept ends with `RESUMABLE_EXIT_CODE` instead."""

RESUMABLE_EXIT_CODE = 5


class OscError(Exception):
    """Something that stops a command, told so that the operator can act on it."""

    outcome: ClassVar[Outcome] = "failed"
    resumable: ClassVar[bool] = False
    """Whether running the same command again can go on from a checkpoint, if one was kept."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message


# --- nothing was touched ------------------------------------------------------------------------------------------


class Refused(OscError):
    """The request was judged before anything was created, and turned down."""

    outcome = "refused"


class UsageError(Refused):
    """The command line contradicts itself or lacks something."""


class ConnectionRefused(Refused):
    """The server could not be reached, or turned the login down, before anything was created."""


class AlterSyntaxError(Refused):
    """The `ALTER` cannot be read, or the server says that it is wrong."""


class ColumnsUnexplained(Refused):
    """The ghost's columns do not follow from the `ALTER` as it was read, so no row may be copied into it."""


class PreflightRefused(Refused):
    """Preflight found at least one reason not to start; the message lists them all."""


class PlanOutdated(Refused):
    """The plan that was to be followed is not for the server, the table or the statement as they are now."""


class AlreadyRunning(Refused):
    """Another engine holds the advisory lock of this table."""


class NativeRefused(Refused):
    """The server cannot make the change itself in the way that was asked for."""


class ResumeRefused(Refused):
    """An earlier run left a ghost that this command cannot go on with."""


# --- stopped on the way, original intact --------------------------------------------------------------------------


class MigrationFailed(OscError):
    """The migration cannot go on, now or later: what was made of the ghost is of no use."""


class TableChanged(MigrationFailed):
    """Somebody else changed the original or the ghost table while the migration ran."""


class StatementLogged(MigrationFailed):
    """The binlog holds a change that names no rows, so nobody can say which rows it changed."""


class BinlogGone(MigrationFailed):
    """The server no longer has the part of the binlog that the migration still needs."""


class ConversionFailed(MigrationFailed):
    """A value of the original cannot be stored in the new schema."""


class UniqueConflict(MigrationFailed):
    """Two rows of the original have the same value under a unique key of the new schema."""


class NativeFailed(OscError):
    """A native change was tried as often as allowed and never went through; the table is as it was."""


class TakenOver(OscError):
    """Another run works on the table now; its tables must be left alone."""


class StatementRefused(OscError):
    """The server refused a statement for a reason that somebody can mend; what was done so far is kept."""

    resumable = True


class Unexpected(OscError):
    """A mistake in the engine itself; what was done so far is kept."""

    resumable = True


class ServerLost(OscError):
    """A connection broke and could not be had again; what was done so far is kept."""

    resumable = True


class CutOverFailed(OscError):
    """The swap was tried as often as allowed and never went through; the original is in place and writable."""

    resumable = True


class CommitOrderLost(OscError):
    """Somebody let transactions become visible out of the binlog's order, on which every reconciled row rests."""

    resumable = True


class CriticalLoadMet(OscError):
    """The server's load passed --critical-load; what was done so far is kept."""

    resumable = True


class Stalled(OscError):
    """Something that the migration waits for did not happen in the time allowed."""

    resumable = True


class Interrupted(OscError):
    """A signal asked the run to stop; a checkpoint was kept."""

    outcome = "interrupted"
    resumable = True


class Aborted(OscError):
    """The operator gave the migration up (panic file, abort); what it had made was removed."""

    outcome = "aborted"


class DifferencesFound(OscError):
    """Verification found rows that differ and that nobody changed: the ghost must not be swapped in."""

    outcome = "differences"
