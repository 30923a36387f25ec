"""What an operation returns, as bytes and back: one format per kind of value, never pickle.

| value | format |
|---|---|
| None, bool, int, float, list, dict, tuple, numpy scalar | `json/1`, or `bundle/1` when arrays or tables are inside |
| str · bytes · pathlib.Path · numpy.ndarray | `text/1` · `bytes/1` · `file/1` · `npy/1` |
| pyarrow, pandas, polars | `table+parquet/1`, `batch+arrow/1`, `pandas+…`, `series+…`, `polars+…` |
| anything with a model serializer | `serializer:<id>@<version>` |
| several artefacts (`encode_artefacts`) | `artefacts/1`: their ids, which decoding gives |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jeyn.errors import Corrupt, NewerSchema, NotSerializable, UsageError
from jeyn.sdk.canonical import canonical, parse
from jeyn.sdk.serializer import ModelSerializer, class_name, is_unsafe
from jeyn.stores.serializers.archive import pack, unpack
from jeyn.stores.serializers.decoding import decoding
from jeyn.stores.serializers.json_values import decode_json, encode_json, is_json_class, is_json_value, unknown_value
from jeyn.stores.serializers.plain import read_text, regular_file, text_bytes
from jeyn.stores.serializers.saving import check_reads
from jeyn.stores.serializers.table import SerializerTable, default_table

_SERIALIZER = "serializer:"
_ROOT = "value.json"
ARTEFACTS = "artefacts/1"
BUNDLE = "bundle/1"
# What stands in the root itself, or is no part of a value.
_NO_PARTS = ("json/1", BUNDLE, ARTEFACTS, "file/1")


@dataclass(frozen=True)
class EncodedValue:
    """A value's format and its payload: bytes, or the path of a file to store; `unsafe` when reading it runs code."""

    format: str
    data: bytes | Path
    unsafe: bool = False


@dataclass(frozen=True)
class ValueFormat:
    """One kind of value: the classes it takes, how it is written and how each of its formats is read."""

    class_names: tuple[str, ...]
    encode: Callable[[Any], EncodedValue]
    decoders: dict[str, Callable[[bytes | Path], Any]]


def encode_value(value: Any, table: SerializerTable | None = None) -> EncodedValue:
    """The value's payload; NotSerializable names the type, where it is in the value and `jeyn.register_serializer`."""
    return _encode(value, "value", table or default_table())


def is_value_class(cls: type) -> bool:
    """Whether values of exactly this class have a format of their own, or are typed JSON."""
    return class_name(cls) in _FORMATS or is_json_class(cls)


def encode_artefacts(ids: Sequence[str]) -> EncodedValue:
    """The payload of a value that stands for saved artefacts, in their order."""
    return EncodedValue(ARTEFACTS, canonical(list(ids)))


def _read_ids(data: bytes | Path) -> list[str]:
    with decoding(ARTEFACTS):
        ids = parse(_content(data))
        if not isinstance(ids, list) or not all(isinstance(id, str) for id in ids):
            raise Corrupt("the value is no list of artefact ids")
        return ids


def decode_value(format: str, data: bytes | Path, table: SerializerTable | None = None) -> Any:
    """The value of `encode_value` from its payload or a local copy of that.

    Corrupt when the bytes are damaged, NewerSchema when the format is unknown.
    """
    if format.startswith(_SERIALIZER):
        return _serializer(format, table).from_bytes(_content(data))
    if format == "json/1":
        return decode_json(_content(data))
    if format == BUNDLE:
        return _read_bundle(_content(data), table)
    if format not in _DECODERS:
        raise NewerSchema(f"this Jeyn cannot read values in the format '{format}'", hint="upgrade Jeyn")
    return _DECODERS[format](data)


def code_in_bundle(data: bytes, table: SerializerTable | None = None) -> Iterator[str]:
    """The names of functions and classes that the models in a bundle rely on."""
    with decoding(BUNDLE):
        members = unpack(data)
    for name, member in members.items():
        _, _, format = name.partition("/")
        if format == BUNDLE:
            yield from code_in_bundle(member, table)
        if format.startswith(_SERIALIZER):
            code_of = getattr(_serializer(format, table), "code_of", None)
            yield from code_of(member) if code_of else ()


def _serializer(format: str, table: SerializerTable | None) -> ModelSerializer:
    identifier, _, version = format.removeprefix(_SERIALIZER).rpartition("@")
    return (table or default_table()).by_id(identifier, version)


def _encode(value: Any, path: str, table: SerializerTable) -> EncodedValue:
    value_format = _FORMATS.get("pathlib.Path" if isinstance(value, Path) else class_name(type(value)))
    if value_format is not None:
        return value_format.encode(value)
    return _encode_json(value, table) if is_json_value(value) else _encode_registered(value, path, table)


def _encode_json(value: Any, table: SerializerTable) -> EncodedValue:
    """Typed JSON; what it holds besides becomes a part of a bundle."""
    parts: list[tuple[str, EncodedValue]] = []

    def part(inner: Any, path: str) -> str:
        encoded = _encode(inner, path, table)
        if isinstance(encoded.data, Path):
            raise NotSerializable(
                f"{path} is a file inside another value", hint="return the file as an output of its own"
            )
        parts.append((f"{len(parts)}/{encoded.format}", encoded))
        return parts[-1][0]

    root = encode_json(value, part)
    if not parts:
        return EncodedValue("json/1", root)
    members = [(_ROOT, root), *((name, _content(encoded.data)) for name, encoded in parts)]
    return EncodedValue(BUNDLE, pack(members), any(encoded.unsafe for _, encoded in parts))


def _read_bundle(data: bytes, table: SerializerTable | None) -> Any:
    with decoding(BUNDLE):
        members = unpack(data)
        root = members.pop(_ROOT)
        done: dict[str, Any] = {}

        def part(name: str) -> Any:
            # Once each, however often the root names it.
            if name not in done:
                done[name] = decode_value(_part_format(name), members[name], table)
            return done[name]

        return decode_json(root, part)


def _part_format(name: str) -> str:
    """What a part is written in; of parts that hold parts a few bytes could make millions of values."""
    format = name.partition("/")[2]
    if format in _NO_PARTS:
        raise Corrupt(
            f"a value cannot be read: '{name[:80]}' is a '{format}' inside a '{BUNDLE}', which Jeyn never writes",
            hint="jeyn fsck finds what else is affected",
        )
    return format


def _encode_registered(value: Any, path: str, table: SerializerTable) -> EncodedValue:
    serializer = table.find(value)
    if serializer is None:
        raise unknown_value(value, path)
    data = serializer.to_bytes(value)
    check_reads(serializer, data, value)
    return EncodedValue(f"{_SERIALIZER}{serializer.id}@{serializer.version}", data, is_unsafe(serializer))


def _content(data: bytes | Path) -> bytes:
    return data.read_bytes() if isinstance(data, Path) else data


def _local_file(data: bytes | Path) -> Path:
    if not isinstance(data, Path):
        raise UsageError("a file value was given as bytes", hint="pass the path of a local copy of the payload")
    return data


def _encode_array(value: Any) -> EncodedValue:
    from jeyn.stores.serializers.numpy import array_bytes

    return EncodedValue("npy/1", array_bytes(value))


def _read_array(data: bytes | Path) -> Any:
    from jeyn.stores.serializers.numpy import read_array

    return read_array(_content(data))


def _encode_table(table: Any) -> EncodedValue:
    from jeyn.stores.serializers.arrow import table_bytes

    return _contained("table", table_bytes(table))


def _encode_batch(batch: Any) -> EncodedValue:
    import pyarrow as pa

    from jeyn.stores.serializers.arrow import table_bytes

    return _contained("batch", table_bytes(pa.Table.from_batches([batch])))


def _encode_pandas(frame: Any) -> EncodedValue:
    from jeyn.stores.serializers.frames import pandas_bytes

    return _contained("pandas", pandas_bytes(frame))


def _encode_series(series: Any) -> EncodedValue:
    from jeyn.stores.serializers.frames import series_bytes

    return _contained("series", series_bytes(series))


def _encode_polars(frame: Any) -> EncodedValue:
    from jeyn.stores.serializers.frames import polars_bytes

    return _contained("polars", polars_bytes(frame))


def _contained(kind: str, payload: tuple[str, bytes]) -> EncodedValue:
    container, data = payload
    return EncodedValue(f"{kind}+{container}/1", data)


def _read_table(container: str, data: bytes | Path) -> Any:
    from jeyn.stores.serializers.arrow import read_table

    return read_table(container, data)


def _read_batch(container: str, data: bytes | Path) -> Any:
    import pyarrow as pa

    table = _read_table(container, data).combine_chunks()
    batches = table.to_batches()
    if len(batches) > 1:
        raise Corrupt(f"one record batch was stored and {len(batches)} came back")
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


def _read_pandas(container: str, data: bytes | Path) -> Any:
    from jeyn.stores.serializers.frames import read_pandas

    return read_pandas(container, data)


def _read_series(container: str, data: bytes | Path) -> Any:
    from jeyn.stores.serializers.frames import read_series

    return read_series(container, data)


def _read_polars(container: str, data: bytes | Path) -> Any:
    from jeyn.stores.serializers.frames import read_polars

    return read_polars(container, data)


def _containers(kind: str, read: Callable[[str, bytes | Path], Any]) -> dict[str, Callable[[bytes | Path], Any]]:
    return {
        f"{kind}+parquet/1": lambda data: read("parquet", data),
        f"{kind}+arrow/1": lambda data: read("arrow", data),
    }


VALUE_FORMATS = (
    ValueFormat(
        ("builtins.str",),
        lambda value: EncodedValue("text/1", text_bytes(value)),
        {"text/1": lambda data: read_text(_content(data))},
    ),
    ValueFormat(("builtins.bytes",), lambda value: EncodedValue("bytes/1", value), {"bytes/1": _content}),
    ValueFormat(("pathlib.Path",), lambda value: EncodedValue("file/1", regular_file(value)), {"file/1": _local_file}),
    ValueFormat(("numpy.ndarray", "numpy.memmap"), _encode_array, {"npy/1": _read_array}),
    ValueFormat(("pyarrow.lib.Table",), _encode_table, _containers("table", _read_table)),
    ValueFormat(("pyarrow.lib.RecordBatch",), _encode_batch, _containers("batch", _read_batch)),
    ValueFormat(
        ("pandas.DataFrame", "pandas.core.frame.DataFrame"), _encode_pandas, _containers("pandas", _read_pandas)
    ),
    ValueFormat(("pandas.Series", "pandas.core.series.Series"), _encode_series, _containers("series", _read_series)),
    ValueFormat(("polars.dataframe.frame.DataFrame",), _encode_polars, _containers("polars", _read_polars)),
)
_FORMATS = {name: value_format for value_format in VALUE_FORMATS for name in value_format.class_names}
_DECODERS = {name: decode for value_format in VALUE_FORMATS for name, decode in value_format.decoders.items()}
_DECODERS[ARTEFACTS] = _read_ids
