"""Constants of a plan: which Python values JSON can hold, and what to pass instead of the others (SEMANTICS 18)."""

from __future__ import annotations

from typing import Any

from jeyn.errors import NotDigestible
from jeyn.sdk.serializer import class_name, class_names
from jeyn.sdk.typed import CONTENT, TAG, is_structured, tagged

SCALARS = frozenset({type(None), bool, int, float, str})
MAX_DEPTH = 100
INT_BITS = 14_000  # of which Python makes text, in 4,300 digits

_HINT = (
    "pass None, a bool, int, float or str, lists and dicts of these, the output of an operation, a saved artefact, "
    "jeyn.ref(…) or jeyn.File(…)"
)
_FILE = "a file's content must count in the cache key: pass jeyn.File(path), or str(path) for a name"
_CURES = {
    "pathlib.PurePath": _FILE,
    "pathlib._local.PurePath": _FILE,  # its name in Python 3.13
    "numpy.generic": "convert it with .item()",
    "numpy.ndarray": "make it inside an operation and pass that operation's output, or convert it with .tolist()",
    "pandas.DataFrame": "make it inside an operation and pass that operation's output",
    "pandas.core.frame.DataFrame": "make it inside an operation and pass that operation's output",
    "pyarrow.lib.Table": "make it inside an operation and pass that operation's output",
    "torch.Tensor": "make it inside an operation and pass that operation's output",
    "builtins.complex": "pass its parts, number.real and number.imag",
    "builtins.set": "a set has no order: pass sorted(…)",
    "builtins.frozenset": "a set has no order: pass sorted(…)",
    "builtins.range": "pass list(…)",
    "builtins.bytes": "keep it in a file and pass jeyn.File(path), or make it inside an operation",
}


def plain(value: Any, where: str, depth: int = 0) -> Any:
    """A copy of a value that JSON can hold; tuples become lists. Raises `NotDigestible` that names `where`."""
    if isinstance(value, int) and value.bit_length() > INT_BITS:
        raise NotDigestible(
            f"{where} is an integer of {value.bit_length()} bits, and a plan holds at most {INT_BITS}",
            hint="pass hex(…), or make it inside an operation and pass that operation's output",
        )
    if type(value) in SCALARS:
        return value
    if depth > MAX_DEPTH:
        raise NotDigestible(f"{where} is nested deeper than {MAX_DEPTH} levels", hint="pass less, or a jeyn.File")
    if isinstance(value, list | tuple):
        return [plain(item, where, depth + 1) for item in value]
    if isinstance(value, dict):
        return _escaped({_key(key, where): plain(item, where, depth + 1) for key, item in value.items()})
    # Subclasses such as numpy.float64 or a StrEnum are kept as the plain value that they are.
    for scalar in (int, float, str):
        if isinstance(value, scalar):
            return scalar.__str__(value) if scalar is str else scalar(value)
    if is_structured(value):
        return tagged(value, where)
    raise not_digestible(value, where)


def _escaped(found: dict[str, Any]) -> dict[str, Any]:
    """A dict that looks like what this module writes for another value."""
    return {TAG: "dict", CONTENT: found} if found.keys() == {TAG, CONTENT} else found


# By the library and the class: pandas shows its classes elsewhere than they are.
_MISSING = (
    "it is a gap: leave it out, series.dropna(), or say None for it, series.astype(object).where(series.notna(), None)"
)
_OF_LIBRARIES = {
    ("pandas", "Timestamp"): "convert it: .to_pydatetime(), of a series [each.to_pydatetime() for each in series]",
    ("pandas", "Timedelta"): "convert it: .to_pytimedelta(), of a series [each.to_pytimedelta() for each in series]",
    ("pandas", "NAType"): _MISSING,
    ("pandas", "NaTType"): _MISSING,
    ("pandas", "Period"): "convert it: str(…), of a series .astype(str)",
    ("pandas", "Interval"): "convert it: str(…), of a series .astype(str)",
    ("pandas", "Series"): "make it inside an operation and pass that operation's output, or convert it: .tolist()",
    ("pandas", "Index"): "make it inside an operation and pass that operation's output, or convert it: .tolist()",
    ("polars", "Series"): "make it inside an operation and pass that operation's output, or convert it: .to_list()",
    ("polars", "DataFrame"): "make it inside an operation and pass that operation's output",
    ("pyarrow", "Scalar"): "convert it: .as_py()",
    ("pyarrow", "Array"): "make it inside an operation and pass that operation's output, or convert it: .to_pylist()",
    (
        "pyarrow",
        "ChunkedArray",
    ): "make it inside an operation and pass that operation's output, or convert it: .to_pylist()",
}


def _cure_of(cls: type) -> str:
    for name in class_names(cls):
        found = _CURES.get(name) or _OF_LIBRARIES.get((name.partition(".")[0], name.rpartition(".")[2]))
        if found:
            return found
    return _HINT


def not_digestible(value: Any, where: str) -> NotDigestible:
    found = _cure_of(type(value))
    kind = class_name(type(value)).removeprefix("builtins.")
    return NotDigestible(f"{where} is a {kind}, which no cache key can cover", hint=found)


def _key(key: Any, where: str) -> str:
    if not isinstance(key, str):
        raise NotDigestible(f'{where} is a dict with the key "{key!r}"', hint="the keys must be text")
    return str(key)
