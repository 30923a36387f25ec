"""A user's traceback cut to their own frames, for messages and logs; frames of Jeyn and of libraries are left out."""

from __future__ import annotations

import traceback
from pathlib import Path

from jeyn.workflows.code.local import is_local
from jeyn.workflows.mask import masked

MOST_TEXT = 20_000  # characters; a message may hold a whole table

NOTEBOOK = "notebook_"  # how the modules are called that were cells; they are kept in the home
_CELLS = ("<ipython-input-", "<cell")


def user_traceback(exc: BaseException, root: Path) -> str:
    """The traceback of the frames in files below `root` and in notebook cells, with causes; else its last line.

    The text ends without a line break.
    """
    whole = traceback.TracebackException.from_exception(exc, compact=True)
    root = root.resolve()
    kept = [_cut(each, root) for each in _chain(whole)]
    lines = whole.format() if any(kept) else whole.format_exception_only()
    return shortened(masked("".join(lines).rstrip("\n")), MOST_TEXT)


def user_frames(exc: BaseException, root: Path) -> list[traceback.FrameSummary]:
    """The user's own frames of an exception, the innermost last."""
    return [frame for frame in traceback.extract_tb(exc.__traceback__) if _is_users(frame, root.resolve())]


def place_of(exc: BaseException, root: Path) -> str:
    """Where in the user's files it happened: `"flow.py", line 8`; "" where that is not known."""
    root = root.resolve()
    frames = [frame for frame in user_frames(exc, root) if Path(frame.filename).is_file()]
    if not frames:
        return ""
    path = Path(frames[-1].filename).resolve()
    return f'"{path.relative_to(root).as_posix()}", line {frames[-1].lineno}'


def shortened(text: str, most: int) -> str:
    """The beginning and the end of a text that nobody could read."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]} … {len(text) - 2 * half:,} characters left out … {text[-half:]}"


def _chain(found: traceback.TracebackException) -> list[traceback.TracebackException]:
    """An exception with its causes, contexts and group members."""
    chain, waiting = [], [found]
    while waiting:
        each = waiting.pop()
        chain.append(each)
        context = None if each.__suppress_context__ else each.__context__
        waiting += [other for other in (each.__cause__, context, *(each.exceptions or ())) if other is not None]
    return chain


def _cut(found: traceback.TracebackException, root: Path) -> bool:
    """Leave the user's frames only; says whether there are any."""
    kept = [frame for frame in found.stack if _is_users(frame, root)]
    found.stack[:] = kept
    if not kept:
        found.stack = None  # type: ignore[assignment]  # format() then leaves out the empty "Traceback" heading
    return bool(kept)


def _is_users(frame: traceback.FrameSummary, root: Path) -> bool:
    name = frame.filename
    if name.startswith(_CELLS) or "ipykernel_" in name or Path(name).name.startswith(NOTEBOOK):
        return True
    return not name.startswith("<") and is_local(Path(name).resolve(), root)
