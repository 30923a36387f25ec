"""Links in the data root: followed within it, counted where they lead out of it, followed there only when allowed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import jeyn
from jeyn import DataCatalog, Dtypes, Feature
from jeyn.errors import DataLeftOut, NoData
from jeyn.formulas import StreamingFormula
from jeyn.stores.batches.new_batch import what_is_new
from jeyn.stores.workspace import Workspace
from tests.cli.conftest import call
from tests.workflows.projects import Project


class Points(DataCatalog):
    x = Feature(Dtypes.FLOAT64)


def points(source: str = "**/*.csv") -> StreamingFormula:
    return StreamingFormula("points", version="1.0.0", output_catalog=Points, source=source)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A folder outside, as of DVC: contents by hash."""
    folder = tmp_path / "cache" / "files"
    folder.mkdir(parents=True)
    for n in range(5):
        write(folder / f"md5-{n}", n)
    return folder


def write(path: Path, *numbers: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x\n" + "".join(f"{number}\n" for number in numbers))


def workspace(tmp_path: Path, *links: Path) -> Workspace:
    (tmp_path / "jeyn.yaml").write_text(f"data: data\ndata_links: {[str(link) for link in links]}\n")
    return Workspace.open(tmp_path, home=tmp_path / "home")


def test_files_that_are_left_out_are_counted_with_the_cure(tmp_path: Path, data: Path, cache: Path) -> None:
    write(data / "own.csv", 9)
    for n in range(3):
        (data / f"{n}.csv").symlink_to(cache / f"md5-{n}")
    (data / "notes.txt").symlink_to(cache / "md5-4")
    said = r'3 files are left out, as 3 links \(the first is "0.csv"\) lead out of .*; data_links: \[.*/cache/files\]'
    with workspace(tmp_path) as here, pytest.warns(DataLeftOut, match=said) as told:
        batch = here.dataset_store.save_batch(points().get_new_batch())
        assert told[0].filename == __file__
        assert [file.name for file in batch.files] == ["own.csv"]
        assert what_is_new(here, batch.formula).new == ""
        assert "3 files are left out" in what_is_new(here, batch.formula).left_out


def test_allowed_folders_are_followed_by_file_and_by_folder(tmp_path: Path, data: Path, cache: Path) -> None:
    (data / "0.csv").symlink_to(cache / "md5-0")
    write(tmp_path / "elsewhere" / "deep" / "1.csv", 1)
    (data / "folder").symlink_to(tmp_path / "elsewhere")
    with workspace(tmp_path, cache, tmp_path / "elsewhere") as here:
        batch = here.dataset_store.save_batch(points().get_new_batch())
        assert [file.name for file in batch.files] == ["0.csv", "folder/deep/1.csv"]
        assert batch.load()["x"].to_pylist() == [0.0, 1.0]
        assert what_is_new(here, batch.formula) == ("", "")


def test_the_environment_allows_folders_too(
    tmp_path: Path, data: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data / "0.csv").symlink_to(cache / "md5-0")
    monkeypatch.setenv("JEYN_DATA_LINKS", os.pathsep.join(["nothing/here", "cache"]))
    with workspace(tmp_path) as here:
        assert here.dataset_store.save_batch(points().get_new_batch()).rows == 1


def test_a_link_to_a_folder_counts_what_the_pattern_means_in_it(tmp_path: Path, data: Path) -> None:
    write(data / "own.csv", 9)
    for n in range(7):
        write(tmp_path / "elsewhere" / f"day-{n}" / "x.csv", n)
        write(tmp_path / "elsewhere" / f"day-{n}" / "y.tsv", n)
    (tmp_path / "elsewhere" / "round").symlink_to(tmp_path / "elsewhere")
    (data / "days").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "empty").mkdir()
    (data / "none").symlink_to(tmp_path / "empty")
    said = r'7 files are left out, as the link "days" leads out of the data root'
    with workspace(tmp_path) as here, pytest.warns(DataLeftOut, match=said):
        here.dataset_store.save_batch(points().get_new_batch())


def test_when_all_is_left_out_the_error_says_so(tmp_path: Path, data: Path, cache: Path) -> None:
    (data / "0.csv").symlink_to(cache / "md5-0")
    said = r'never had any data .*: 1 file is left out, as the link "0.csv" leads out of the data root; data_links'
    with workspace(tmp_path) as here, pytest.raises(NoData, match=said):
        here.dataset_store.save_batch(points().get_new_batch())


def test_links_that_lead_nowhere_are_told(tmp_path: Path, data: Path) -> None:
    """As git-annex leaves them before `get`, and a link to itself."""
    write(data / "own.csv", 9)
    (data / "1.csv").symlink_to(tmp_path / "annex" / "objects" / "gone")
    (data / "2.csv").symlink_to(data / "2.csv")
    (data / "README").symlink_to(tmp_path / "gone")
    said = r'2 links \(the first is "1.csv"\) lead to what is not there: fetch it'
    with workspace(tmp_path) as here, pytest.warns(DataLeftOut, match=said):
        assert here.dataset_store.save_batch(points().get_new_batch()).rows == 1


def test_links_within_the_root_hard_links_and_loops_are_nothing_special(tmp_path: Path, data: Path) -> None:
    write(data / "raw" / "1.csv", 1)
    write(tmp_path / "other.csv", 2)
    os.link(tmp_path / "other.csv", data / "2.csv")
    (data / "again").symlink_to(data / "raw")
    (data / "raw" / "up").symlink_to(data)
    with workspace(tmp_path) as here:
        batch = here.dataset_store.save_batch(points().get_new_batch())
        assert sorted(batch.load()["x"].to_pylist()) == [1.0, 2.0]
        assert what_is_new(here, batch.formula) == ("", "")


def test_what_is_not_allowed_cannot_be_read_by_its_path_either(tmp_path: Path, data: Path, cache: Path) -> None:
    (data / "0.csv").symlink_to(cache / "md5-0")
    write(tmp_path / "secret.csv", 1)
    (cache / "out.csv").symlink_to(tmp_path / "secret.csv")
    (data / "chain.csv").symlink_to(cache / "out.csv")
    with workspace(tmp_path, cache) as here:
        assert [file.path for file in here.data_root.list("*.csv")] == ["0.csv"]
        with pytest.raises(jeyn.JeynError, match="is not in"), here.data_root.open("chain.csv"):
            pass
        with here.data_root.open("0.csv") as file:
            assert file.read() == b"x\n0\n"


PIPELINE = """
@operation
def ingest() -> DatasetBatch:
    return dataset_store.save_batch(points.get_new_batch())


@pipeline
def daily():
    return ingest()
"""


def test_plan_run_and_doctor_say_it(tmp_path: Path, cache: Path) -> None:
    project = Project(tmp_path / "project").write(PIPELINE, data=True)
    project.arrive("own.csv", 1)
    (project.folder / "data" / "0.csv").symlink_to(cache / "md5-0")
    (project.folder / "out.csv").symlink_to(cache / "md5-1")

    def jeyn(*arguments: str) -> str:
        out, err = project.start(*arguments).communicate(timeout=120)
        return f"{out}{err}"

    said = '1 file is left out, as the link "data/0.csv" leads out of the data root'
    assert f"ingest | {project.folder}" in (ran := jeyn("run", "pipeline.py"))
    assert said in ran
    assert said in jeyn("plan", "pipeline.py")
    cached = jeyn("run", "pipeline.py")
    assert f"ingest | {said}" in cached
    assert "ingest: cached" in cached
    assert "1 links in it lead out of it and are not followed, as out.csv" in jeyn("doctor")


def test_ls_says_how_many_files_the_newest_batch_lacks(
    tmp_path: Path, data: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(data / "own.csv", 9)
    with workspace(tmp_path) as here:
        first = here.dataset_store.save_batch(points().get_new_batch())
        assert "left_out" not in first.facts
        for n in range(3):
            (data / f"{n}.csv").symlink_to(cache / f"md5-{n}")
        (data / "gone.csv").symlink_to(cache / "nothing")
        write(data / "more.csv", 10)
        with pytest.warns(DataLeftOut):
            here.dataset_store.save_batch(points().get_new_batch())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JEYN_HOME", str(tmp_path / "home"))
    said = (
        "batch:points@1.0.0/2: 4 files left out, behind links that lead out of the data root or nowhere; data_links: in"
    )
    assert [line for line in call("ls").out.splitlines() if "left out" in line] == [f"{said} jeyn.yaml allows them"]
    assert call("ls", "--json").data["artefacts"][0]["facts"]["left_out"] == 4
