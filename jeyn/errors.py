"""Every error that Jeyn raises, drawn as one tree; the exit codes are those of the command line.

    JeynError                     1   something failed that has no better name
    ├── OperationFailed           1   a user's operation raised
    │   ├── Fatal                     raised by an operation that no retry can help
    │   ├── TimedOut                  it was stopped after its timeout
    │   └── WorkerDied                its process ended without an answer
    ├── UsageError                2   the call itself is wrong (ValueError)
    │   ├── InvalidVersion            a version or range that is not semver
    │   ├── InvalidReference          a reference that cannot be parsed
    │   ├── InvalidFilter             a search that cannot be parsed
    │   ├── Ambiguous                 a reference that names several artefacts
    │   ├── Unsaved                   .id, .version or .epoch of what is not saved yet
    │   ├── PlanInvalid               operations that cannot be wired so: a cycle, a name twice
    │   └── NotDigestible             an operation's input that no cache key can cover (TypeError)
    ├── NotFound                  3   nothing has that name, version or id (LookupError)
    ├── Conflict                  4   it exists already and cannot change
    │   ├── Immutable                 a saved artefact or its history was to be changed
    │   ├── VersionTaken              that version or epoch belongs to other content
    │   └── AliasMoved                a compare-and-swap of an alias was lost
    ├── Invalid                   5   data or bytes are not what they claim (ValueError)
    │   ├── DataInvalid               data does not match its catalog
    │   ├── NoData                    a formula has never had any data
    │   ├── Corrupt                   bytes do not match their digest
    │   ├── PayloadMissing            bytes that the catalog refers to are gone
    │   └── NotSerializable           nothing knows how to store this object (TypeError)
    ├── Incompatible              6   catalogs or versions do not fit together
    │   ├── CatalogMismatch           a catalog does not satisfy another
    │   ├── BumpTooSmall              the change needs a larger version bump
    │   ├── NewerSchema               written by a newer Jeyn than this one
    │   ├── WrongType                 an operation gives what the next one does not take (TypeError)
    │   └── CodeChanged               a plan or run was made with other code
    ├── Unreachable               7   a store cannot be used now; trying again may help (OSError)
    │   ├── Busy                      another process held a lock for too long
    │   ├── NoSpace                   the disk is full
    │   └── NoMemory                  there is too little memory, which says nothing of what was read (MemoryError)
    ├── NotAllowed                8   permission denied, or unsafe (PermissionError)
    └── Interrupted             130   the user stopped it

Modules below translate third-party errors into these at their edge (`raise ... from exc`).
"""

from __future__ import annotations

from collections.abc import Sequence

from jeyn.printable import printable


class JeynError(Exception):
    """The root: `message` says what failed with the value, `hint` says what to do next."""

    exit_code = 1
    retry_helps = False

    def __init__(self, message: str, *, hint: str = "", refs: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.refs = tuple(refs)

    @property
    def code(self) -> str:
        """The stable name in JSON output: `VersionTaken` is `VERSION_TAKEN`."""
        name = type(self).__name__
        return "".join(f"_{c}" if c.isupper() and i else c.upper() for i, c in enumerate(name)).upper()

    def __str__(self) -> str:
        # Names, cells and what others said are in it, and it is printed by whoever catches it.
        return printable(f"{self.message}\n  → {self.hint}" if self.hint else self.message)


class OperationFailed(JeynError):
    exit_code = 1


class Fatal(OperationFailed):
    pass


class TimedOut(OperationFailed):
    retry_helps = True


class WorkerDied(OperationFailed):
    retry_helps = True


class UsageError(JeynError, ValueError):
    exit_code = 2


class InvalidVersion(UsageError):
    pass


class InvalidReference(UsageError):
    pass


class InvalidFilter(UsageError):
    pass


class Ambiguous(UsageError):
    pass


class Unsaved(UsageError):
    pass


class PlanInvalid(UsageError):
    pass


class NotDigestible(UsageError, TypeError):
    pass


class NotFound(JeynError, LookupError):
    exit_code = 3


class Conflict(JeynError):
    exit_code = 4


class Immutable(Conflict):
    pass


class VersionTaken(Conflict):
    pass


class AliasMoved(Conflict):
    pass


class Invalid(JeynError, ValueError):
    exit_code = 5


class DataInvalid(Invalid):
    pass


class NoData(Invalid):
    pass


class Corrupt(Invalid):
    pass


class PayloadMissing(Invalid):
    pass


class NotSerializable(Invalid, TypeError):
    pass


class Incompatible(JeynError):
    exit_code = 6


class CatalogMismatch(Incompatible):
    pass


class BumpTooSmall(Incompatible):
    pass


class NewerSchema(Incompatible):
    pass


class WrongType(Incompatible, TypeError):
    pass


class CodeChanged(Incompatible):
    pass


class Unreachable(JeynError, OSError):
    exit_code = 7
    retry_helps = True


class Busy(Unreachable):
    pass


class NoSpace(Unreachable):
    pass


class NoMemory(Unreachable, MemoryError):
    pass


class NotAllowed(JeynError, PermissionError):
    exit_code = 8


class Interrupted(JeynError):
    exit_code = 130


class DataLeftOut(UserWarning):
    """Not an error: a source has data that are in no batch, and whoever runs this should know."""
