"""JSON lines, read block by block with the catalog's types and never with guessed ones; used by `read_batches`."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.json as pa_json

from jeyn.errors import DataInvalid
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.feature import Feature
from jeyn.stores.sources.cells import as_feature, parsed_type
from jeyn.stores.sources.columnar import missing_columns

_BLOCK = 4 << 20

Features = dict[str, Feature]


def read_json_lines(stream: BinaryIO, catalog: type[DataCatalog]) -> Iterator[pa.Table]:
    """One object per line. A key that is not there is a null; an optional feature without nulls is in all or none."""
    features, left_out = dict(catalog.features), None
    for block in _blocks(stream):
        table = _parse(block, features)
        if not table.num_rows:
            continue
        absent = {name for name, feature in features.items() if _absent(table, name, feature)}
        if left_out is None:
            left_out = {name for name in absent if features[name].optional}
        _check(absent, left_out, features)
        kept = {name: feature for name, feature in features.items() if name not in left_out}
        yield pa.table({name: as_feature(name, table.column(name), feature) for name, feature in kept.items()})


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    """Whole lines, a few MiB at a time, or one line if that is longer."""
    while block := stream.read(_BLOCK):
        if not block.endswith(b"\n"):
            block += stream.readline()
        yield block


def _parse(block: bytes, features: Features) -> pa.Table:
    try:
        block.decode()  # Arrow takes any bytes for UTF-8
        return _read(block, features)
    except UnicodeDecodeError as exc:
        raise DataInvalid(f"it is not UTF-8: {exc.reason}", hint="write the file as UTF-8") from exc
    except pa.ArrowInvalid as exc:
        said = str(exc).partition(" in row ")[0]
        raise DataInvalid(f"cannot be read{_culprit(block, features)}: {said}", hint="correct the lines") from exc


def _read(block: bytes, features: Features) -> pa.Table:
    schema = pa.schema([(name, parsed_type(feature)) for name, feature in features.items()])
    return pa_json.read_json(
        io.BytesIO(block.removeprefix(b"\xef\xbb\xbf")),
        read_options=pa_json.ReadOptions(block_size=len(block) + 1),
        parse_options=pa_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
    )


def _culprit(block: bytes, features: Features) -> str:
    """Arrow does not say which column it could not read: the first that it cannot read alone."""
    for name, feature in features.items():
        try:
            _read(block, {name: feature})
        except pa.ArrowInvalid as exc:
            return f' in column "{name}"' if "parse error: Invalid value" not in str(exc) else ""
    return ""


def _absent(table: pa.Table, name: str, feature: Feature) -> bool:
    return not feature.takes_nulls and table.column(name).null_count == table.num_rows


def _check(absent: set[str], left_out: set[str], features: Features) -> None:
    required = [name for name in features if name in absent and name not in left_out]
    if required:
        raise missing_columns(required, [name for name in features if name not in absent])
    late = sorted(left_out - absent)
    if late:
        raise DataInvalid(f'column "{late[0]}" is only in some lines', hint="give it in all lines, or make it nullable")
