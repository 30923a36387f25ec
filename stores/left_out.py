"""`tell`: a warning about data that a source has and no batch will have, at the line of who asked for the batch."""

from __future__ import annotations

import sys
import warnings

from jeyn.errors import DataLeftOut

# The fact that tells how many files were left out of a batch, as links to them lead out of the data root or nowhere.
LEFT_OUT = "left_out"


def tell(note: str) -> None:
    """Warn, unless the note is empty; in a run the warning is in the operation's log."""
    if note:
        warnings.warn(note, DataLeftOut, stacklevel=_levels())


def _levels() -> int:
    """How far up the caller is who is not Jeyn itself; the top where there is none."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("jeyn."):
        level, frame = level + 1, frame.f_back
    return level
