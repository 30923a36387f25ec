"""`jeyn gc`, `fsck`, `db adopt-payloads` and `doctor` about bytes: what they take, refuse, find and say."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import jeyn
from jeyn.stores.care.fsck import FEW
from tests.cli.conftest import call
from tests.stores.digits import a_batch, a_checkpoint


def files(project: Path) -> list[Path]:
    return sorted(path for path in (project / ".jeyn" / "payloads" / "sha256").rglob("*") if path.is_file())


def test_gc_takes_nothing_that_anybody_can_miss(project: Path) -> None:
    before = files(project)
    assert before
    assert call("gc", "--grace", "0s", "--yes", "--json").data["payloads"] == 0
    assert files(project) == before


def test_gc_by_name_shows_and_then_takes_what_was_named(project: Path) -> None:
    shown = call("gc", "digit-reader@0.1.0")
    assert "checkpoint:digit-reader@0.1.0  model_checkpoint" in shown.out
    assert "bytes  by name" in shown.out
    assert "nothing is freed yet" in shown.err
    done = call("gc", "digit-reader@0.1.0", "--yes", "--json").data
    assert [each["ref"] for each in done["artefacts"]] == ["checkpoint:digit-reader@0.1.0"]
    assert call("show", "digit-reader@0.1.0", "--json").data["swept"] is True
    listed = call("ls", "checkpoint")
    assert "checkpoint:digit-reader@0.1.0 (swept)" in listed.out
    assert "checkpoint:digit-reader@0.2.0 (swept)" not in listed.out
    refused = call("gc", "digit-reader@blessed", "--yes")
    assert refused.code == 8
    assert "digit-reader@blessed" in refused.err
    assert "→" in refused.err


def test_gc_keep_takes_a_number_an_age_or_references(project: Path) -> None:
    assert call("gc", "--keep", "20", "--grace", "0s").code == 0
    assert call("gc", "--keep", "30d", "--keep", "digit-reader@0.1.0").code == 0
    twice = call("gc", "--keep", "20", "--keep", "3")
    assert (twice.code, "2 numbers of runs" in twice.err) == (2, True)


def test_a_retention_that_cannot_be_is_refused_with_its_line(project: Path) -> None:
    for line, said in {
        "retention: {batches: {last: 3}}": "batches",
        "retention: {batch: {last: 0}}": "last",
        "retention: {batch: {lasts: 1}}": "lasts",
        "retention: {'batch:a b': {last: 1}}": "a b",
    }.items():
        (project / "jeyn.yaml").write_text(line)
        refused = call("gc")
        assert (refused.code, said in refused.err, "line 1" in refused.err) == (2, True, True), refused.err


def test_the_wrong_payload_folder_harms_nothing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JEYN_PAYLOADS", (project / "not-mounted").as_uri())
    for command in ("fsck --repair --yes", "fsck --repair --give-up --yes", "gc --yes", "fsck"):
        refused = call(*command.split())
        assert refused.code == 5, refused.out
        assert '.jeyn/payloads"' in refused.err and "not-mounted" in refused.err and "adopt-payloads" in refused.err
    looked = call("doctor")
    assert (looked.code, "no identity" in looked.out) == (5, True)
    monkeypatch.delenv("JEYN_PAYLOADS")
    assert call("fsck").code == 0


def test_a_store_that_was_copied_without_its_identity_is_adopted_on_purpose(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(project / ".jeyn" / "payloads" / "sha256", project / "copy" / "sha256")
    monkeypatch.setenv("JEYN_PAYLOADS", (project / "copy").as_uri())
    seen = call("db", "adopt-payloads", "--json")
    assert (seen.data["done"], seen.data["there"]) == (False, seen.data["looked_for"])
    assert call("fsck").code == 5
    assert call("db", "adopt-payloads", "--yes", "--json").data["now"]["url"] == (project / "copy").as_uri()
    assert call("fsck").code == 0
    assert call("doctor").code == 0


def test_fsck_says_what_it_gave_up_and_finds_it_again(project: Path) -> None:
    lost = files(project)[0]
    lost.rename(project / lost.name)
    said = call("fsck", "--repair", "--yes")
    assert (said.code, "→ given up as lost" in said.out) == (0, True)
    (project / lost.name).rename(lost)
    assert "found (1)" in call("fsck").out
    assert "→ found again" in call("fsck", "--repair", "--yes").out
    assert call("fsck").code == 0


def test_fsck_gives_up_many_only_when_told_and_another_store_has_them(project: Path) -> None:
    with jeyn.open() as workspace:
        batch = a_batch(workspace)
        for seed in range(3, 4 + FEW):
            a_checkpoint(workspace, seed=seed, dataset=batch)
    backup = project / "backup"
    (project / ".jeyn" / "payloads" / "sha256").rename(project / "away")
    shutil.copytree(project / "away", backup / "sha256")
    refused = call("fsck", "--repair", "--yes")
    assert (refused.code, "--give-up" in refused.out) == (5, True)
    back = call("fsck", "--repair", "--yes", "--from", backup.as_uri())
    assert (back.code, "brought back from its source" in back.out) == (0, True)
    assert call("fsck").code == 0
