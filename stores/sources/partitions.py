"""Hive partitions: features whose values stand in the names of a file's folders, as "year=2024/month=01/a.parquet"."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

import pyarrow as pa

from jeyn.errors import DataInvalid
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.datasets.source_options import SourceOptions
from jeyn.sdk.feature import Feature
from jeyn.stores.sources.casts import cast
from jeyn.stores.sources.cells import BadCell

_NULL = "__HIVE_DEFAULT_PARTITION__"


def partitions(path: str) -> dict[str, str | None]:
    """What the folders of a path say, from the outermost on."""
    pairs = [folder.partition("=") for folder in path.split("/")[:-1] if "=" in folder]
    return {unquote(key): None if value == _NULL else unquote(value) for key, _, value in pairs if key}


def in_file(catalog: type[DataCatalog], values: Mapping[str, str | None]) -> type[DataCatalog]:
    """The catalog with the features optional, not null, that need not be in the file, as its folders tell them."""
    told = [name for name in values if name in catalog.features and catalog.features[name].shape == (-1,)]
    if not told:
        return catalog
    described = catalog.to_json()
    for name in told:
        described["features"][name] |= {"optional": True, "nullable": False}
    return DataCatalog.from_json(described)


def with_partitions(
    table: pa.Table, catalog: type[DataCatalog], values: Mapping[str, str | None], options: SourceOptions
) -> pa.Table:
    """The table with the features that its folders tell, where the file has no such column; raises `DataInvalid`."""
    for name, value in values.items():
        feature = catalog.features.get(name)
        if feature is not None and feature.shape == (-1,) and name not in table.column_names:
            one = _typed(name, value, feature, options)
            column = pa.repeat(one, table.num_rows)
            table = table.append_column(name, column)
    return table


def _typed(name: str, value: str | None, feature: Feature, options: SourceOptions) -> pa.Scalar[pa.DataType]:
    text = pa.chunked_array([pa.array([value], pa.string())])
    try:
        return cast(name, text, feature, options)[0]
    except BadCell as exc:
        raise DataInvalid(f'folder "{name}={value}": {exc}', hint="correct the folder, or the catalog") from exc
