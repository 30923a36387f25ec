"""The edge where bytes become objects: whatever a format's reader raises on damaged bytes becomes Corrupt."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from jeyn.errors import Corrupt, JeynError, NoMemory

# How native libraries say so in errors that are no MemoryError.
_NO_MEMORY = ("can't allocate memory", "cannot allocate memory", "bad_alloc", "out of memory", "unable to allocate")


@contextmanager
def decoding(what: str) -> Iterator[None]:
    """Readers of damaged bytes raise anything, so every Exception is translated: too little memory is `NoMemory`.

    So is a panic of a Rust extension (polars, safetensors), which is not an Exception.
    """
    try:
        yield
    except JeynError:
        raise
    except BaseException as exc:
        if not isinstance(exc, Exception) and type(exc).__name__ != "PanicException":
            raise
        if is_out_of_memory(exc):
            raise no_memory(f"read '{what}'") from exc
        raise Corrupt(
            f"these bytes are not '{what}': {type(exc).__name__}: {exc}",
            hint="the payload is damaged or was written by something else; jeyn fsck finds what is affected",
        ) from exc


def is_out_of_memory(exc: BaseException) -> bool:
    """Whether an error only says that there was too little memory; what was read may be in order."""
    return isinstance(exc, MemoryError) or any(said in str(exc).lower() for said in _NO_MEMORY)


def no_memory(doing: str) -> NoMemory:
    """`doing` completes the sentence "there is too little memory to …"."""
    return NoMemory(
        f"there is too little memory to {doing}",
        hint='give it more (resources={"memory": …}, fewer --workers), or load less of it: columns=, filter=',
    )
