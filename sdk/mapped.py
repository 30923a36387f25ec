"""What can be mapped over, item by item and by position: lists, arrays, series; for tables there is a cure.

A pandas series is asked by position, never by label: `series[0]` is the row that is called 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from typing import Any

from jeyn.errors import Invalid, UsageError

Kind = tuple[str, str]

_CURES: dict[Kind, str] = {
    ("pandas", "DataFrame"): 'its rows: frame.to_dict("records"), or one column: frame["name"]',
    ("polars", "DataFrame"): 'its rows: frame.to_dicts(), or one column: frame["name"]',
    ("polars", "LazyFrame"): 'its rows: frame.collect().to_dicts(), or one column: frame.collect()["name"]',
    ("pyarrow", "Table"): 'its rows: table.to_pylist(), or one column: table["name"]',
    ("pyarrow", "RecordBatch"): 'its rows: batch.to_pylist(), or one column: batch["name"]',
}
_POSITIONS: dict[Kind, Callable[[Any, int], Any]] = {
    ("pandas", "Series"): lambda series, at: series.iloc[at],
    ("pyarrow", "Array"): lambda array, at: array[at].as_py(),
    ("pyarrow", "ChunkedArray"): lambda array, at: array[at].as_py(),
}
_LISTS: dict[Kind, Callable[[Any], list[Any]]] = {
    ("pandas", "Series"): lambda series: series.tolist(),
    ("pandas", "Index"): lambda index: index.tolist(),
    ("numpy", "ndarray"): lambda array: array.tolist(),
    ("pyarrow", "Array"): lambda array: array.to_pylist(),
    ("pyarrow", "ChunkedArray"): lambda array: array.to_pylist(),
    ("polars", "Series"): lambda series: series.to_list(),
}


def known_list(value: Any, what: str) -> list[Any]:
    """The items of a value that a pipeline gives, as plain data. Raises `UsageError` for what is no list."""
    if isinstance(value, list | tuple | range):
        return list(value)
    take = _of_kind(value, _LISTS)
    if take is None or getattr(value, "ndim", 1) == 0:
        raise UsageError(f"{what}, which is a {type(value).__name__} and no list", hint=_cure(value))
    found: list[Any] = take(value)
    return found


def count(value: Any, what: str) -> int:
    """How many items an operation's output has. Raises `Invalid` for what has none by position."""
    wrong = Invalid(f"{what} is {type(value).__name__}, not a list", hint=_cure(value))
    if isinstance(value, str | bytes | bytearray | dict | Set) or _of_kind(value, _CURES) is not None:
        raise wrong
    if not hasattr(type(value), "__getitem__"):
        raise wrong
    try:
        return len(value)
    except TypeError:  # an array of no dimension
        raise wrong from None


def item_at(value: Any, position: int) -> Any:
    """One item, by position."""
    take = _of_kind(value, _POSITIONS)
    return take(value, position) if take is not None else value[position]


def _cure(value: Any) -> str:
    table = _of_kind(value, _CURES)
    if table is not None:
        return f"map over {table}"
    if isinstance(value, dict):
        return "map over its keys, list(…), its values, list(….values()), or both, list(….items())"
    if isinstance(value, Set):
        return "a set has no order: map over sorted(…)"
    if isinstance(value, str | bytes | bytearray):
        return "map over a list of texts: [text], or text.split()"
    if isinstance(value, Iterator):
        return "make a list of it: list(…)"
    return "only lists, arrays, series and handles are mapped; give the others with .bind(…)"


def _of_kind(value: Any, table: dict[Kind, Any]) -> Any:
    """What a table says of a class or of one that it derives from; a class by its library, which moves it about."""
    kinds = ((cls.__module__.partition(".")[0], cls.__name__) for cls in type(value).__mro__)
    return next((table[kind] for kind in kinds if kind in table), None)
