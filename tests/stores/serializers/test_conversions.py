"""Values without a format of their own: the error says what to return instead, and that can be saved."""

from __future__ import annotations

import array
import collections
import datetime
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from jeyn.errors import NotSerializable
from jeyn.stores.serializers.values import decode_value, encode_value

DAY = datetime.date(2024, 1, 31)
CURES: list[tuple[Any, str, Callable[[Any], Any]]] = [
    (range(3), "return list(…)", list),
    ({2, 1}, "return sorted(…)", sorted),
    (frozenset({2, 1}), "return sorted(…)", sorted),
    (collections.OrderedDict(b=1, a=2), "return dict(…)", dict),
    (collections.Counter("aab"), "return dict(…)", dict),
    (collections.defaultdict(list, a=[1]), "return dict(…)", dict),
    (collections.deque([1, 2]), "return list(…)", list),
    (bytearray(b"a"), "return bytes(…)", bytes),
    (memoryview(b"a"), "return bytes(…)", bytes),
    (array.array("d", [1.5]), "numpy.asarray(…)", np.asarray),
    (array.array("d", [1.5]), ".tolist()", lambda value: value.tolist()),
    (complex(1, 2), "(number.real, number.imag)", lambda value: (value.real, value.imag)),
    (DAY, ".isoformat()", lambda value: value.isoformat()),
    (datetime.timedelta(hours=1), ".total_seconds()", lambda value: value.total_seconds()),
    (Decimal("1.10"), "str(…)", str),
    (UUID(int=1), "str(…)", str),
    (pd.Timestamp("2024-01-31"), "pandas.Timestamp(…)", lambda value: value.isoformat()),
    (pd.NA, "return None", lambda value: None),
    (pd.NaT, "return None", lambda value: None),
    (pd.Index([3, 1]), "index.to_series()", lambda value: value.to_series()),
    (pd.Index(["b", "a"]), "index.to_frame()", lambda value: value.to_frame()),
    (pd.RangeIndex(3), "index.tolist()", lambda value: value.tolist()),
    (pd.date_range("2024-01-01", periods=2), "index.to_series()", lambda value: value.to_series()),
    (pd.MultiIndex.from_tuples([(1, "a")]), "index.to_frame()", lambda value: value.to_frame(index=False)),
    (pd.Categorical(["b", "a"]), "pandas.Series(…)", pd.Series),
    (pd.array([1, None], dtype="Int64"), "pandas.Series(…)", pd.Series),
    (pl.Series("x", [1, 2]), "series.to_frame()", lambda value: value.to_frame()),
    (pl.Series("x", [1, 2]), "series.to_list()", lambda value: value.to_list()),
    (pl.LazyFrame({"x": [1]}), "frame.collect()", lambda value: value.collect()),
    (pa.array([1, None]), 'pyarrow.table({"values": array})', lambda value: pa.table({"values": value})),
    (pa.chunked_array([[1], [2]]), ".to_pylist()", lambda value: value.to_pylist()),
    (pa.scalar(1), ".as_py()", lambda value: value.as_py()),
    (pa.schema([("x", pa.int64())]), "schema.empty_table()", lambda value: value.empty_table()),
]


@pytest.mark.parametrize(
    ("value", "cure", "convert"), CURES, ids=[f"{n} {type(each[0]).__name__}" for n, each in enumerate(CURES)]
)
def test_the_cure_is_named_and_works(value: Any, cure: str, convert: Callable[[Any], Any]) -> None:
    with pytest.raises(NotSerializable) as refused:
        encode_value(value)
    assert cure in str(refused.value.hint)
    converted = convert(value)
    encoded = encode_value(converted)
    back = decode_value(encoded.format, encoded.data)
    assert type(back) is type(converted)
    assert str(back) == str(converted)


def test_inside_another_value_it_says_where() -> None:
    with pytest.raises(NotSerializable, match=r"value\['a'\]\[1\] is a 'builtins.range'") as refused:
        encode_value({"a": [1, range(2)]})
    assert "return list(…)" in str(refused.value.hint)


def test_what_nobody_knows_keeps_the_general_hint() -> None:
    with pytest.raises(NotSerializable) as refused:
        encode_value(object())
    assert str(refused.value.hint).startswith("convert it, or call jeyn.register_serializer(")
