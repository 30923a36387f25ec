"""The edge where bytes become objects: whatever a format's reader raises on damaged bytes becomes Corrupt."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from jeyn.errors import Corrupt, JeynError


@contextmanager
def decoding(what: str) -> Iterator[None]:
    """Readers of damaged bytes raise anything from struct.error to MemoryError, so every Exception is translated.

    So is a panic of a Rust extension (polars, safetensors), which is not an Exception.
    """
    try:
        yield
    except JeynError:
        raise
    except BaseException as exc:
        if not isinstance(exc, Exception) and type(exc).__name__ != "PanicException":
            raise
        raise Corrupt(
            f"these bytes are not '{what}': {type(exc).__name__}: {exc}",
            hint="the payload is damaged or was written by something else; jeyn fsck finds what is affected",
        ) from exc
