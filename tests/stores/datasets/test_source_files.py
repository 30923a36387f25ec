"""Files of a streaming formula: options, folders as features, bad files, left-out columns, and rows told by file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import jeyn
from jeyn import DataCatalog, DatasetBatch, Dtypes, Feature
from jeyn.errors import DataInvalid, DataLeftOut, UsageError
from jeyn.formulas import SourceOptions, StreamingFormula
from jeyn.sdk.checks import between, unique
from jeyn.stores.batches.new_batch import what_is_new
from jeyn.stores.workspace import Workspace


class Flats(DataCatalog):
    size = Feature(Dtypes.FLOAT64, checks=(between(0, 1000),))
    price = Feature(Dtypes.INT64, checks=(unique(),))


def flats(**more: Any) -> StreamingFormula:
    return StreamingFormula("flats", version="1.0.0", output_catalog=Flats, source="**/*.csv", **more)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "data").mkdir()
    return jeyn.open(home=tmp_path / "home", data=tmp_path / "data")


def write(workspace: Workspace, **files: str | bytes) -> None:
    for name, content in files.items():
        path = Path(workspace.data_root.folder) / f"{name}.csv"  # type: ignore[attr-defined]
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def save(workspace: Workspace, formula: StreamingFormula) -> DatasetBatch:
    return workspace.dataset_store.save_batch(formula.get_new_batch())


def test_a_row_that_fails_is_told_as_that_of_its_file(workspace: Workspace) -> None:
    write(workspace, a="size,price\n1,1\n2,2\n", b="size,price\n3,3\n-4,4\n", c="size,price\n5,5\n6,6\n,1\n-1,7\n")
    with pytest.raises(DataInvalid) as caught:
        save(workspace, flats())
    told = str(caught.value)
    assert 'fails between(0, 1000): 2 values, first in row 1 of "b.csv", row 3 of "c.csv", value -4.0' in told
    assert 'feature "size" fails not_null: 1 value, first in row 2 of "c.csv"' in told
    assert 'feature "price" fails unique(): 1 value, first in row 2 of "c.csv", value 1' in told


def test_options_are_in_the_recipe_where_they_are_given(workspace: Workspace) -> None:
    plain = flats()
    assert set(plain.recipe()) == {"kind", "source", "after"}
    assert flats(options=SourceOptions(), on_bad="fail").record() == plain.record()
    options = SourceOptions(separator=";", decimal=",", encoding="cp1252", nulls=["-"])
    special = flats(options=options)
    assert special.recipe()["options"] == options.to_json()
    write(workspace, a="size;price;café\n1,5;1;x\n".encode("cp1252"))
    with pytest.warns(DataLeftOut, match='column "café" of "a.csv" left out'):
        batch = save(workspace, special)
    assert batch.load().to_pylist() == [{"size": 1.5, "price": 1}]
    again = workspace.dataset_store.get_formula("flats@1.0.0")
    assert again.options == options and again.record() == special.record()
    assert [row.to_pylist() for row in workspace.dataset_store.get_batch("flats@1.0.0/1").iter_batches(10)] == [
        [{"size": 1.5, "price": 1}]
    ]
    with pytest.raises(UsageError, match='"quarantine"'):
        flats(on_bad="quarantine")


def test_folders_are_features_that_are_loaded_alone_and_filtered_by(workspace: Workspace) -> None:
    class ByYear(DataCatalog):
        size = Feature(Dtypes.FLOAT64)
        year = Feature(Dtypes.INT16)
        city = Feature(Dtypes.STRING, nullable=True)

    folder = Path(workspace.data_root.folder)  # type: ignore[attr-defined]
    for year, city in ((2023, "a%2Fb"), (2024, "__HIVE_DEFAULT_PARTITION__")):
        (folder / f"year={year}/city={city}").mkdir(parents=True)
        (folder / f"year={year}/city={city}/x.csv").write_text("size\n1\n2\n")
    formula = StreamingFormula("by-year", version="1.0.0", output_catalog=ByYear, source="year=*/*/*.csv")
    batch = save(workspace, formula)
    assert batch.load().to_pydict() == {
        "size": [1, 2, 1, 2],
        "year": [2023, 2023, 2024, 2024],
        "city": ["a/b", "a/b", None, None],
    }
    assert batch.load(columns=["year"]).to_pydict() == {"year": [2023, 2023, 2024, 2024]}
    assert batch.load(columns=["size"], filter=[("year", "==", 2024)]).to_pydict() == {"size": [1, 2]}
    assert batch.statistics["year"]["max"] == 2024
    assert not save(workspace, formula).is_new


def test_columns_that_no_feature_has_are_told_when_planned_and_when_saved(workspace: Workspace) -> None:
    write(workspace, a="size,price,rooms\n1,1,1\n", b="price,size,rooms\n2,2,2\n", c="size,price\n3,3\n")
    said = 'column "rooms" of "a.csv" and "b.csv" left out: not in the catalog "Flats"'
    formula = workspace.dataset_store.save_formula(flats())
    assert what_is_new(workspace, formula).left_out == said
    with pytest.warns(DataLeftOut, match=said):
        save(workspace, flats())


BAD = "size,price\n1,one\n"


def test_a_bad_file_spoils_the_batch_unless_the_formula_says_otherwise(workspace: Workspace) -> None:
    write(workspace, a="size,price\n1,1\n", b=BAD)
    with pytest.raises(DataInvalid, match=r'"b\.csv": column "price" in row 0 \(line 2\): "one" is no int64'):
        save(workspace, flats())


def test_a_bad_file_is_left_out_told_and_tried_again_when_its_content_changes(workspace: Workspace) -> None:
    formula = flats(on_bad="quarantine file")
    write(workspace, a="size,price\n1,1\n", b=BAD, c="size,price\n-3,3\n")
    with pytest.warns(DataLeftOut) as said:
        first = save(workspace, formula)
    told = str(said[0].message)
    assert 'file "b.csv" is in quarantine until its content changes' in told and '"one"' in told
    assert 'file "c.csv" is in quarantine' in told and "between(0, 1000)" in told
    assert first.load().to_pydict() == {"size": [1.0], "price": [1]}
    assert [bad["path"] for bad in first.facts["bad_files"]] == ["b.csv", "c.csv"]

    assert not save(workspace, formula).is_new
    saved = workspace.dataset_store.get_formula("flats@1.0.0")
    news = what_is_new(workspace, saved)
    assert news.new == "" and '"b.csv" is in quarantine' in news.left_out

    write(workspace, b="size,price\n2,2\n")
    assert "b.csv (1 new file)" in what_is_new(workspace, saved).new
    second = save(workspace, formula)
    assert (second.epoch, second.load().to_pydict()) == (2, {"size": [2.0], "price": [2]})


def test_a_new_bad_file_alone_fails_once_and_does_not_fail_what_comes_after(workspace: Workspace) -> None:
    formula = flats(on_bad="quarantine file")
    write(workspace, a="size,price\n1,1\n")
    save(workspace, formula)
    write(workspace, b=BAD)
    with pytest.raises(DataInvalid, match=r"b\.csv"):
        save(workspace, formula)
    with pytest.warns(DataLeftOut, match=r'"b\.csv" is in quarantine'):
        assert not save(workspace, formula).is_new
    write(workspace, c="size,price\n3,3\n")
    with pytest.warns(DataLeftOut, match=r'"b\.csv" is in quarantine'):
        assert save(workspace, formula).load().to_pydict() == {"size": [3.0], "price": [3]}


@pytest.mark.parametrize(
    ("name", "lines", "text", "options"),
    [
        ("a.csv", ["v", "2024-05-01 10:00:00+02:00", "2025-05-01 10:00:00+02:00"], "2025-05-01 10:00:00+02:00", {}),
        ("a.jsonl", ['{"v": "2024-05-01"}', '{"v": "2025-05-01T10:00Z"}'], "2025-05-01T10:00Z", {}),
        ("a.tsv", ["v", "01/05/2024", "01/05/2025"], "01/05/2025", {"dates": ["%d/%m/%Y"], "zone": "Europe/Berlin"}),
    ],
)
@pytest.mark.parametrize("dtype", [Dtypes.TIMESTAMP, Dtypes.DATE])
def test_a_time_that_fails_a_check_is_shown_as_the_file_writes_it(
    tmp_path: Path, dtype: Dtypes, name: str, lines: list[str], text: str, options: dict[str, Any]
) -> None:
    if dtype is Dtypes.DATE:
        lines, text = [re.sub(r"[ T]10:00.*?(?=$|\")", "", line) for line in lines], re.sub(r"[ T]10:00.*", "", text)
    (tmp_path / f"0{name}").write_text("\n".join(lines[:-1]))
    (tmp_path / f"1{name}").write_text("\n".join(lines))
    feature = Feature(dtype, checks=between("2024-01-01", "2024-12-31"))
    formula = StreamingFormula(
        "times",
        version="1.0.0",
        output_catalog=DataCatalog.of("Times", {"v": feature}),
        source="*a.*",
        options=SourceOptions(**options),
    )
    with jeyn.open(home=tmp_path / "home", data=tmp_path) as workspace:
        with pytest.raises(DataInvalid) as refused:
            workspace.dataset_store.save_batch(formula.get_new_batch())
    assert f"first in row 1 of \"1{name}\", value '{text}'" in str(refused.value)
