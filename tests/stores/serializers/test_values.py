"""Values: formats, errors that name the path, and equal bytes for equal tables."""

from __future__ import annotations

import json
import struct
from collections import namedtuple
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jeyn.errors import Corrupt, NewerSchema, NotFound, NotSerializable, UsageError
from jeyn.stores.serializers import SerializerTable, decode_value, encode_value
from jeyn.stores.serializers.archive import pack
from tests.stores.serializers.test_contract import same


class Unknown:
    pass


Pair = namedtuple("Pair", "left right")
Level = IntEnum("Level", "LOW HIGH")
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.binary()
    | st.text(st.characters(exclude_categories=["Cs"]))
)
TEXT = st.text(st.characters(exclude_categories=["Cs"])) | st.just("$")
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(TEXT, inner))


@given(JSON)
def test_rule_05_any_json_value_comes_back_exactly(value: Any) -> None:
    encoded = encode_value(value)
    assert isinstance(encoded.data, bytes)
    assert same(value, decode_value(encoded.format, encoded.data))


@given(st.binary() | st.text().map(str.encode) | JSON.map(lambda value: str(value).encode()))
def test_any_bytes_decode_or_are_corrupt(data: bytes) -> None:
    for format in ("json/1", "bundle/1", "npy/1", "text/1"):
        try:
            decode_value(format, data)
        except Corrupt as error:
            assert error.hint or error.message


@pytest.mark.parametrize(
    ("value", "format"),
    [
        (None, "json/1"),
        ({"a": (1, np.int8(2))}, "json/1"),
        ([np.zeros(1)], "bundle/1"),
        ("x", "text/1"),
        (b"x", "bytes/1"),
        (np.zeros(1), "npy/1"),
        (pa.table({"a": [1]}), "table+parquet/1"),
        (pa.table({"a": [[1]]}), "table+arrow/1"),
        (pa.record_batch({"a": [1]}), "batch+parquet/1"),
    ],
)
def test_the_format_of_a_value(value: Any, format: str) -> None:
    assert encode_value(value).format == format


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (Unknown(), r"value is a '.*Unknown'"),
        ({"a": [1, Unknown()]}, r"value\['a'\]\[1\] is a '.*Unknown'"),
        ({"a": {1: 2}}, r"value\['a'\] has the key 1"),
        ([{1, 2}], r"value\[0\] is a 'builtins.set'"),
        (Pair(1, 2), r"value is a '.*Pair'"),
        ([Level.LOW], r"value\[0\] is a '.*Level'"),
        (["\ud800"], r"value\[0\] holds a lone surrogate"),
        ([Path("x")], r"value\[0\] is a file|'x' is not a file"),
        (np.array([Unknown()]), "dtype 'object'"),
        (np.ma.masked_array([1, 2], [True, False]), "MaskedArray"),
        (np.zeros(2, np.longdouble), "padding"),
        ([np.longdouble(1)], r"value\[0\] has dtype"),
        (pa.chunked_array([[1]]), r"value is a 'pyarrow.*ChunkedArray'"),
    ],
)
def test_a_value_that_cannot_be_stored_is_named_with_its_path(value: Any, where: str, tmp_path: Path) -> None:
    with pytest.raises((NotSerializable, NotFound), match=where) as caught:
        encode_value(value)
    assert caught.value.hint


def test_an_unknown_type_names_register_serializer() -> None:
    with pytest.raises(NotSerializable) as caught:
        encode_value([Unknown()])
    assert "jeyn.register_serializer" in caught.value.hint


def test_a_value_that_holds_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(NotSerializable, match="holds itself"):
        encode_value(loop)


def test_a_registered_serializer_stores_values_too_also_inside_others() -> None:
    class UnknownSerializer:
        id = "test.unknown"
        version = "1"

        def to_bytes(self, model_object: Any) -> bytes:
            return b"unknown"

        def from_bytes(self, model_bytes: bytes) -> Any:
            assert model_bytes == b"unknown"
            return Unknown()

    table = SerializerTable()
    table.register(Unknown, UnknownSerializer())
    encoded = encode_value(Unknown(), table)
    assert encoded.format == "serializer:test.unknown@1"
    assert isinstance(decode_value(encoded.format, encoded.data, table), Unknown)
    inside = encode_value({"a": [Unknown()]}, table)
    assert isinstance(decode_value(inside.format, inside.data, table)["a"][0], Unknown)
    with pytest.raises(NotFound, match=r"test\.unknown"):
        decode_value(encoded.format, encoded.data, SerializerTable())


def test_a_file_is_its_path(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("<p>")
    encoded = encode_value(path)
    assert (encoded.format, encoded.data) == ("file/1", path)
    assert decode_value("file/1", path) == path
    with pytest.raises(UsageError, match="as bytes"):
        decode_value("file/1", b"<p>")
    for missing in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(NotFound):
            encode_value(missing)


def test_a_format_of_a_newer_jeyn_is_refused() -> None:
    with pytest.raises(NewerSchema, match="'json/2'"):
        decode_value("json/2", b"1")


def garbage_under_null(junk: int, nested: bool) -> pa.Table:
    """Equal tables with different bytes where nobody may look."""
    data = pa.py_buffer(np.array([1, junk, 3], np.int64))
    array = pa.Array.from_buffers(pa.int64(), 3, [pa.array([True, False, True]).buffers()[1], data])
    return pa.table({"a": pa.ListArray.from_arrays(pa.array([0, 1, 3]), array) if nested else array})


@pytest.mark.parametrize("nested", [False, True])
def test_rule_04_equal_tables_give_equal_bytes(nested: bool) -> None:
    first, second = (encode_value(garbage_under_null(junk, nested)).data for junk in (7, 9))
    assert first == second
    whole = pa.table({"a": [[1], [2, None], None, []] if nested else [1, None, 3, 4]})
    pieces = pa.concat_tables([whole.slice(0, 1), whole.slice(1, 2), whole.slice(3)])
    assert encode_value(whole).data == encode_value(pieces).data
    assert encode_value(pa.concat_tables([whole, whole]).slice(4)).data == encode_value(whole).data


def test_pandas_frames_that_would_change_are_refused() -> None:
    pd = pytest.importorskip("pandas", reason="frames need pandas")
    lists = pd.DataFrame({"ok": [1], "mixed": pd.Series([[1, 2]], dtype=object)})
    objects = pd.DataFrame({"mixed": pd.Series([1, "a"], dtype=object)})
    for frame in (lists, objects):
        with pytest.raises(NotSerializable, match="mixed: object"):
            encode_value(frame)


@pytest.mark.parametrize("name", [None, "amount", 3, ("a", 1)])
def test_a_series_keeps_any_name(name: Any) -> None:
    pd = pytest.importorskip("pandas", reason="series need pandas")
    series = pd.Series([1.5, None], index=[2, 4], name=name)
    encoded = encode_value(series)
    loaded = decode_value(encoded.format, encoded.data)
    assert loaded.equals(series) and loaded.name == name and loaded.index.identical(series.index)


@pytest.mark.parametrize(
    "columns", [["a", "a"], [1, "a"], [("x", 1), ("x", 2)], [0, 1], [None, "a"], ["i0", "c0"]], ids=str
)
def test_a_frame_keeps_any_column_labels(columns: list[Any]) -> None:
    pd = pytest.importorskip("pandas", reason="frames need pandas")
    frame = pd.DataFrame([[1, "x"], [2, "y"]])
    frame.columns = pd.Index(columns, name="label" if type(columns[0]) is not tuple else None)
    encoded = encode_value(frame)
    loaded = decode_value(encoded.format, encoded.data)
    assert loaded.equals(frame) and loaded.columns.identical(frame.columns)


def _nested(levels: int) -> bytes:
    """A bundle in a bundle …, each of which names the one inside twenty times: 20^levels values of a few kilobytes."""
    data, name = encode_value(np.zeros(2)).data, "0/npy/1"
    for _ in range(levels):
        root = json.dumps([{"$": "part", "v": name}] * 20).encode()
        data, name = pack([("value.json", root), (name, bytes(data))]), "0/bundle/1"
    assert isinstance(data, bytes)
    return data


@pytest.mark.parametrize("levels", [2, 6])
def test_a_bundle_inside_a_bundle_is_refused_before_it_is_read(levels: int) -> None:
    with pytest.raises(Corrupt, match="'bundle/1' inside a 'bundle/1'"):
        decode_value("bundle/1", _nested(levels))


@pytest.mark.parametrize("inner", ["json/1", "artefacts/1", "file/1"])
def test_a_part_that_no_bundle_has_is_refused(inner: str) -> None:
    name = f"0/{inner}"
    data = pack([("value.json", json.dumps({"$": "part", "v": name}).encode()), (name, b"[]")])
    with pytest.raises(Corrupt, match=inner):
        decode_value("bundle/1", data)


def test_each_part_of_a_bundle_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from jeyn.stores.serializers import values

    read, calls = values._DECODERS["npy/1"], []
    monkeypatch.setitem(values._DECODERS, "npy/1", lambda data: calls.append(1) or read(data))
    assert [array.tolist() for array in decode_value("bundle/1", _nested(1))] == [[0.0, 0.0]] * 20
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("data", "bound"),
    [
        (b"9" * 5000, "4300 digits"),
        (b"-" + b"9" * 5000, "4300 digits"),
        (b'{"a": [' + b"9" * 5000 + b"]}", "4300 digits"),
        (b"[" * 102 + b"]" * 102, "100 levels"),
        (b"[" * 900 + b"]" * 900, "100 levels"),
        (b"[" * 100_000 + b"]" * 100_000, "100 levels"),
        (b'{"a":' * 900 + b"1" + b"}" * 900, "100 levels"),
        (b'{"$":"tuple","v":[' * 200 + b"]}" * 200, "100 levels"),
        (b"1e999", "64 bits"),
        (b"[-1e999]", "64 bits"),
    ],
)
def test_what_is_beyond_the_bounds_of_a_value_is_said_with_the_bound(data: bytes, bound: str) -> None:
    with pytest.raises(Corrupt, match=bound):
        decode_value("json/1", data)


def test_the_deepest_value_that_is_written_is_read() -> None:
    value: Any = 1
    for _ in range(100):
        value = (value,)
    assert decode_value("json/1", encode_value(value).data) == value
    with pytest.raises(NotSerializable, match="100"):
        encode_value((value,))


def test_members_that_lie_over_each_other_are_refused() -> None:
    whole = pack([("value.json", b"[]"), ("0/bytes/1", bytes(5000))])
    at = whole.index(b"PK\x01\x02", 5000)
    once = whole[whole.index(b"PK\x01\x02", at + 4) : whole.index(b"PK\x05\x06")]
    more = [once.replace(b"0/bytes/1", b"%d/bytes/1" % number) for number in range(1, 9)]
    central = whole[at : whole.index(b"PK\x05\x06")] + b"".join(more)
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 10, 10, len(central), at, 0)
    with pytest.raises(Corrupt, match="larger than itself"):
        decode_value("bundle/1", whole[:at] + central + end)
