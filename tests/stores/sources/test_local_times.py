"""Local times that clocks skip or show twice: refused, and why is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from jeyn.errors import DataInvalid
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.datasets.source_options import SourceOptions
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.feature import Feature
from jeyn.stores.sources.formats import read_table

CATALOG = DataCatalog.of("C", {"v": Feature(Dtypes.TIMESTAMP)})
OPTIONS = {
    "iso": SourceOptions(zone="Europe/Berlin"),
    "forms": SourceOptions(zone="Europe/Berlin", dates=["%Y-%m-%d %H:%M"]),
}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
@pytest.mark.parametrize(
    ("text", "why"), [("2024-03-31 02:30", "skip that time"), ("2024-10-27 02:30", "show that time twice")]
)
def test_the_reason_is_told(tmp_path: Path, options: str, suffix: str, text: str, why: str) -> None:
    path = tmp_path / f"a.{suffix}"
    lines = ["2024-01-01 00:00", text]
    path.write_text("\n".join(["v", *lines]) if suffix == "csv" else "\n".join(f'{{"v": "{each}"}}' for each in lines))
    with pytest.raises(DataInvalid) as caught:
        read_table(path.name, path, CATALOG, None, OPTIONS[options])
    assert f'"{text}" is no timestamp: clocks in Europe/Berlin {why}' in str(caught.value)
    assert "offset from UTC" in str(caught.value.hint)


@pytest.mark.parametrize("options", OPTIONS)
def test_the_hours_beside_are_taken(tmp_path: Path, options: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text("v\n2024-03-31 01:59\n2024-03-31 03:00\n2024-10-27 01:59\n2024-10-27 03:00\n")
    found = read_table(path.name, path, CATALOG, None, OPTIONS[options])["v"].to_pylist()
    assert [each.strftime("%m-%d %H:%M") for each in found] == [
        "03-31 00:59",
        "03-31 01:00",
        "10-26 23:59",
        "10-27 02:00",
    ]
