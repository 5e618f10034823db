"""The errors that distevo raises on purpose.

Everything derives from `DistevoError`, so one `except` catches what the library can say about its input; any other
exception that leaves it is a bug.  The message of each says what was wrong and, where it can, what to do instead.
"""
# ruff: noqa: N818 - the names say what happened (`Conflict`, `CheckpointTruncated`); "Error" after each adds nothing

LAST_WRITES_LOST = "the store did not take the last checkpoint or the release in time; what it took before stands"
"""With what a node ends that was asked to stop while its store was away."""


def said_by(error: BaseException) -> str:
    """The words of what a user's own code has raised, whose class may be the user's, too."""
    try:
        return str(error)
    except BaseException:  # noqa: BLE001 - what it has to say is not worth a failure of ours
        return "its words raised"


class DistevoError(Exception):
    """The root of all errors below."""


class ProblemError(DistevoError):
    """The user's problem breaks its contract: a member is missing, or it returned what it must not."""


class ProgramError(ProblemError):
    """It returned what it must not for one program, which is invalid for that; others may be fine."""


class TaskError(DistevoError):
    """Task data, or the text that names a set of tasks, is not what the problem can take."""


class BlockError(DistevoError):
    """Bytes that should be a block of programs are not one, or programs that do not fit into one."""


class BlockTooLarge(BlockError):
    """A sound block of more programs, or longer ones, than are taken from where it comes."""


class CheckpointError(DistevoError):
    """A checkpoint cannot be read (or, as `CheckpointMalformed`, not be written)."""


class CheckpointTruncated(CheckpointError):
    """The bytes end before the length that their header states."""


class CheckpointDamaged(CheckpointError):
    """The bytes are not the ones that were written: another beginning, a wrong digest, something behind the end."""


class CheckpointVersionError(CheckpointError):
    """Undamaged, but written by a newer distevo: not damage, so never skip it; upgrade, or refuse the island."""


class CheckpointMalformed(CheckpointError):
    """The digest is right and the content impossible: written by a bug or by an enemy."""


class CheckpointTooLarge(CheckpointMalformed):
    """It claims to hold more than is read from where it comes."""


class ObjectError(DistevoError):
    """An object of the store, other than a checkpoint, cannot be read."""


class ObjectDamaged(ObjectError):
    """The bytes are not the ones that were written: cut, flipped, or of something else."""


class ObjectVersionError(ObjectError):
    """Written by a newer distevo: not damage, so never skip it; upgrade."""


class ObjectFormatError(ObjectError):
    """Undamaged, but not what this object should hold."""


class StoreError(DistevoError):
    """A store could not do what it was asked."""


class NotFound(StoreError):
    """No object of that name."""


class Conflict(StoreError):
    """Definitely not done: the name exists and is not ours, or the token is no longer the newest."""


class Unknown(StoreError):
    """It may or may not have happened: read again before concluding anything."""


class StoreUnavailable(StoreError):
    """It will not work until somebody acts (disk full, read only, no permission); the message says what to do."""


class StoreUrlError(StoreUnavailable):
    """What is given as a store names none that there can be."""


class BadName(StoreError):
    """The name is none that an object can have."""


class CheckpointReplaced(DistevoError):
    """It was not written, because a newer one was waiting for the same place."""


class LocalProtocolError(DistevoError):
    """We tried what the protocol does not allow: a bug of ours, never a peer's doing."""


class RemoteProtocolError(DistevoError):
    """A peer broke the protocol. `code` is one of the numbers in `messages.Code`; the peer is told it."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class ClusterGone(ObjectError):
    """The one mutable object vanished or belongs to another cluster: nothing that a node knows holds any more."""


_KINDS: list[tuple[type[Exception], str]] = [
    # Bugs: of ours, or of a guard that should have caught what a peer did.
    (LocalProtocolError, "internal_error"),
    (RemoteProtocolError, "internal_error"),
    (CheckpointVersionError, "refused"),
    (ObjectVersionError, "refused"),
    (CheckpointError, "corrupt"),
    (ObjectError, "corrupt"),
    (NotFound, "not_found"),
    (StoreError, "store_unavailable"),
    (DistevoError, "refused"),
]


def kind_of(error: Exception) -> str:
    """What an error is called in the table of exit codes; `internal_error` if it is none of ours."""
    return next((kind for family, kind in _KINDS if isinstance(error, family)), "internal_error")
