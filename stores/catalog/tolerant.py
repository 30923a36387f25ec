"""Reading a catalog whatever stands in it: for those who list and check, a damaged cell is read as near as can be.

SQLite keeps any kind of value in any column, and text that is no UTF-8. Here each column gives what its type says, so
that one row that a disk, a tool or an old import spoilt fails no list; `fsck` looks at the cells as they are.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from sqlalchemy import Boolean, Dialect, Engine, Float, Integer, LargeBinary, String

Processor = Callable[[Any], Any]


def text_of(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def tolerate(engine: Engine) -> None:
    """Make an SQLite engine give each column's own type, whatever it holds."""
    kinds = {Integer: _Integer, String: _String, Float: _Float, Boolean: _Boolean, LargeBinary: _Blob}
    engine.dialect.colspecs = {**engine.dialect.colspecs, **kinds}


def json_object(text: Any) -> dict[str, Any]:
    """A JSON object that a row holds; nothing of it where it is none."""
    found = json_value(text)
    return found if isinstance(found, dict) else {}


def json_value(text: Any) -> Any:
    try:
        return json.loads(text) if text else None
    except (ValueError, TypeError, RecursionError):
        return None


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _text(value: Any) -> str:
    return value if isinstance(value, str) else text_of(value) if isinstance(value, bytes) else str(value)


def _processor(read: Processor) -> Callable[[Any, Dialect, Any], Processor]:
    def result_processor(_self: Any, _dialect: Dialect, _coltype: Any) -> Processor:
        return lambda value: None if value is None else read(value)

    return result_processor


class _Integer(Integer):
    result_processor = _processor(_number)  # type: ignore[assignment]


class _String(String):
    result_processor = _processor(_text)  # type: ignore[assignment]


class _Float(Float[Any]):
    result_processor = _processor(lambda value: float(value) if isinstance(value, int | float) else None)


class _Boolean(Boolean):
    result_processor = _processor(lambda value: value not in (0, "", b""))


class _Blob(LargeBinary):
    result_processor = _processor(lambda value: value if isinstance(value, bytes) else str(value).encode())  # type: ignore[assignment]
