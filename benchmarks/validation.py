"""Validation against its limit: dtype, not_null and between on 10 M rows of 4 features, as a ratio to Arrow's min_max.

Both sides read the same table in the same run, by turns; the ratio is of the medians. Limit: 3.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jeyn.checks import between
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.feature import Feature
from jeyn.sdk.validation import Profiler

LIMIT = 3.0


class Measured(DataCatalog):
    float64 = Feature(Dtypes.FLOAT64, checks=(between(0, 1),))
    float32 = Feature(Dtypes.FLOAT32, checks=(between(0, 1),))
    int64 = Feature(Dtypes.INT64, checks=(between(0, 99),))
    int32 = Feature(Dtypes.INT32, checks=(between(0, 99),))


class Integers(DataCatalog):
    a = Feature(Dtypes.INT64, checks=(between(0, 99),))
    b = Feature(Dtypes.INT64, checks=(between(0, 99),))
    c = Feature(Dtypes.INT32, checks=(between(0, 99),))
    d = Feature(Dtypes.INT32, checks=(between(0, 99),))


def measure(rows: int = 10_000_000, rounds: int = 7) -> dict[str, Any]:
    """Seconds and ratios of each kind of table, with the versions of what was measured."""
    found: dict[str, Any] = {
        "rows": rows,
        "versions": {"python": platform.python_version(), "pyarrow": pa.__version__, "numpy": np.__version__},
    }
    for name, catalog, table in (
        ("floats and integers", Measured, _mixed(rows)),
        ("floats and integers, 1 % nulls", _nullable(Measured), _with_nulls(_mixed(rows))),
        ("integers only", Integers, _integers(rows)),
    ):
        found[name] = _compare(catalog, table, rounds)
    return found


def _compare(catalog: type[DataCatalog], table: pa.Table, rounds: int) -> dict[str, float]:
    assert catalog.validate(table).ok
    sides: dict[str, Callable[[], object]] = {
        "min_max": lambda: [pc.min_max(column) for column in table.columns],
        "validate": lambda: catalog.validate(table),
        "profile": lambda: _profile(catalog, table),
    }
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(rounds):
        for side, work in sides.items():
            start = time.perf_counter()
            work()
            seconds[side].append(time.perf_counter() - start)
    medians = {side: statistics.median(times) for side, times in seconds.items()}
    return {**medians, "ratio": medians["validate"] / medians["min_max"]}


def _profile(catalog: type[DataCatalog], table: pa.Table) -> object:
    profiler = Profiler(catalog)
    for batch in table.to_batches():
        profiler.update(batch)
    return profiler.statistics()


def _mixed(rows: int) -> pa.Table:
    random = np.random.default_rng(1)
    return pa.table(
        {
            "float64": random.random(rows),
            "float32": random.random(rows, dtype=np.float32),
            "int64": random.integers(0, 100, rows),
            "int32": random.integers(0, 100, rows, dtype=np.int32),
        }
    )


def _integers(rows: int) -> pa.Table:
    random = np.random.default_rng(1)
    kinds = {"a": np.int64, "b": np.int64, "c": np.int32, "d": np.int32}
    return pa.table({name: random.integers(0, 100, rows, dtype=kind) for name, kind in kinds.items()})


def _with_nulls(table: pa.Table) -> pa.Table:
    null = pa.array(np.random.default_rng(2).random(table.num_rows) < 0.01)
    columns = [pc.if_else(null, pa.scalar(None, column.type), column) for column in table.columns]
    return pa.table(columns, names=table.column_names)


def _nullable(catalog: type[DataCatalog]) -> type[DataCatalog]:
    features = {
        name: Feature(feature.dtype, nullable=True, checks=feature.checks) for name, feature in catalog.features.items()
    }
    return DataCatalog.of(catalog.name, features)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    found = measure(parser.parse_args().rows)
    told = ", ".join(f"{name} {version}" for name, version in found.pop("versions").items())
    print(f"validation of {found.pop('rows'):,} rows of 4 features, limit {LIMIT:g} ({told})")
    for name, figures in found.items():
        print(
            f"  {name:<31} {figures['ratio']:5.2f} × min_max   "
            f"(min_max {figures['min_max'] * 1e3:.1f} ms, validate {figures['validate'] * 1e3:.1f} ms, "
            f"with statistics {figures['profile'] * 1e3:.1f} ms)"
        )
    return 0 if all(figures["ratio"] <= LIMIT for figures in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
