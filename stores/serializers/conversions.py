"""What to return instead of values that have no format of their own, though all that is in them has one."""

from __future__ import annotations

from jeyn.sdk.serializer import class_names

_REGISTER = "or call jeyn.register_serializer(its class, a serializer)"
CONVERT = f"convert it, {_REGISTER}"
_OF_SERIES = "return series.to_frame(), or series.to_list() for a list"
_CONVERSIONS = {
    "builtins.range": "return list(…) of it",
    "builtins.set": "a set has no order: return sorted(…) of it",
    "builtins.frozenset": "a set has no order: return sorted(…) of it",
    "builtins.bytearray": "return bytes(…) of it",
    "builtins.memoryview": "return bytes(…) of it",
    "builtins.complex": "return (number.real, number.imag)",
    "builtins.dict": "return dict(…) of it",
    "builtins.list": "return list(…) of it",
    "collections.deque": "return list(…) of it",
    "array.array": "return numpy.asarray(…) of it, or .tolist() for a list",
    "datetime.datetime": "return its text, .isoformat(), and read it again with datetime.fromisoformat(…)",
    "datetime.date": "return its text, .isoformat(), and read it again with date.fromisoformat(…)",
    "datetime.time": "return its text, .isoformat(), and read it again with time.fromisoformat(…)",
    "datetime.timedelta": "return its seconds, .total_seconds()",
    "decimal.Decimal": "return its text, str(…), and read it again with Decimal(…)",
    "uuid.UUID": "return its text, str(…), and read it again with UUID(…)",
    "pandas.Timestamp": "return its text, .isoformat(), and read it again with pandas.Timestamp(…)",
    "pandas.Timedelta": "return its text, .isoformat(), and read it again with pandas.Timedelta(…)",
    "pandas.api.typing.NAType": "return None for a value that is missing",
    "pandas.api.typing.NaTType": "return None for a value that is missing",
    "pandas.Index": "return index.to_series() or index.to_frame(), or index.tolist() for a list",
    "pandas.Categorical": "return pandas.Series(…) of it",
    "pandas.api.extensions.ExtensionArray": "return pandas.Series(…) of it",
    "polars.series.series.Series": _OF_SERIES,
    "polars.lazyframe.frame.LazyFrame": "return frame.collect()",
    "pyarrow.lib.Array": 'return pyarrow.table({"values": array}), or .to_pylist() for a list',
    "pyarrow.lib.ChunkedArray": 'return pyarrow.table({"values": array}), or .to_pylist() for a list',
    "pyarrow.lib.Scalar": "return .as_py() of it",
    "pyarrow.lib.Schema": "return schema.empty_table()",
}
# pandas keeps its classes in one place and shows them in another, which differs by version.
_BY_LIBRARY = {
    ("pandas", name.rpartition(".")[2]): cure for name, cure in _CONVERSIONS.items() if name.startswith("pandas.")
}


def conversion(cls: type) -> str:
    """What to do with a value of this class, as a hint."""
    for name in class_names(cls):
        library, last = name.partition(".")[0], name.rpartition(".")[2]
        found = _CONVERSIONS.get(name) or _BY_LIBRARY.get((library, last))
        if found:
            return f"{found}; {_REGISTER}"
    return CONVERT
