"""What single commands find and change, beyond the contract that all of them keep."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import jeyn
from tests.cli.conftest import call
from tests.stores.test_bundle_trust import keys


def by_name(data: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in data["checks"]}


def test_ls_gives_references_aliases_and_a_page(project: Path) -> None:
    data = call("ls", "checkpoint", "--json").data
    assert [(found["ref"], found["aliases"]) for found in data["artefacts"]] == [
        ("checkpoint:digit-reader@0.2.0", ["blessed"]),
        ("checkpoint:digit-reader@0.1.0", []),
    ]
    assert data["next"] is None
    assert {found["name"] for found in call("ls", "--name", "dig*", "--json").data["artefacts"]} == {
        "digits",
        "digit-reader",
    }
    assert call("ls", "--limit", "1").out.splitlines()[-1] == "… and more"
    assert call("ls", "--name", 'a" -type:x').out == "nothing is saved that fits\n"


def test_search_pages(project: Path) -> None:
    first = call("search", "name:digit-reader", "--limit", "1", "--json").data
    then = call("search", "name:digit-reader", "--limit", "1", "--after", first["next"], "--json").data
    assert first["artefacts"] != then["artefacts"] and len(then["artefacts"]) == 1


def test_search_by_a_metric_shows_the_number_and_what_it_was_measured_on(project: Path) -> None:
    with jeyn.open() as workspace:
        batch = workspace.dataset_store.get_batch("digits@1.0.0/1")
        for version, mae in (("0.1.0", 0.5), ("0.2.0", 0.25)):
            workspace.model_store.save_evaluation(f"digit-reader@{version}", batch, {"mae": mae})
        workspace.model_store.save_evaluation("digit-reader@0.2.0", None, {"other": 3})
    rows = call("search", "--order", "metrics.mae", "type:checkpoint").out.splitlines()
    assert rows[0].split() == ["REFERENCE", "TYPE", "ALIASES", "SAVED", "MAE", "ON"]
    assert [(row.split()[0], row.split()[-2:]) for row in rows[1:]] == [
        ("checkpoint:digit-reader@0.2.0", ["0.25", "batch:digits@1.0.0/1"]),
        ("checkpoint:digit-reader@0.1.0", ["0.5", "batch:digits@1.0.0/1"]),
    ]
    data = call("search", "--order", "-metrics.mae", "type:checkpoint on:digits@1.0.0/1", "--json").data["artefacts"]
    assert [(hit["score"]["value"], hit["score"]["batch"]) for hit in data] == [
        (0.5, "batch:digits@1.0.0/1"),
        (0.25, "batch:digits@1.0.0/1"),
    ]
    assert "no batch" in call("search", "--order", "metrics.other", "type:checkpoint").out
    assert call("search", "--order", "metrics.mae", "type:checkpoint on:digits@1.0.0/9").code == 3


def test_show_knows_all(project: Path) -> None:
    data = call("show", "digit-reader@0.1.0", "--json").data
    assert (data["type"], data["numbers"], data["tags"], data["actor"]) == (
        "model_checkpoint",
        ["0.1.0"],
        ["gold"],
        "ada",
    )
    assert list(data["catalogs"]["input_catalog"]["features"]) == ["x"]
    assert [payload["name"] for payload in data["payloads"]] == ["model"]
    assert "batch:digits@1.0.0/1" in [parent["ref"] for parent in data["parents"]]
    text = call("show", "digit-reader@0.1.0").out
    assert "x: float64" in text and "gold" in text and data["id"] in text
    assert "usecase:digit-reader" in call("show", "usecase:digit-reader").out


def test_show_points_from_a_run_to_what_shows_it(project: Path) -> None:
    run = call("runs", "--json").data["runs"][0]["id"]
    for named in (run, run[:-3], "last"):
        answer = call("show", named)
        assert (answer.code, answer.err.splitlines()[-1]) == (3, f"  → it is a run: jeyn runs {run}")
    assert "jeyn runs" not in call("show", "digit-readers").err


def test_lineage_draws_a_picture(project: Path) -> None:
    answer = call("lineage", "digit-reader@blessed", "--plot", "deep.svg")
    assert answer.err == "drawn into deep.svg\n"
    assert "batch:digits@1.0.0/1" in answer.out
    assert (project / "deep.svg").read_text().startswith("<svg")
    assert call("lineage", "digit-reader@blessed", "--plot", "no/such/deep.svg").code == 8
    down = call("lineage", "formula:digits", "--down", "--type", "checkpoint", "--json").data
    assert {node["type"] for node in down["nodes"]} == {"model_checkpoint"}


def test_impact_of_a_new_catalog_breaks_checkpoints(project: Path) -> None:
    data = call("impact", "formula:digits", "--new-catalog", "catalog.json", "--json").data
    assert data["is_breaking"] and data["next_version"] == "2.0.0"
    assert "BREAKS" in call("impact", "formula:digits", "--new-catalog", "catalog.json").out


def test_bless_and_rollback_move_the_alias(project: Path) -> None:
    assert call("rollback", "digit-reader").out == "checkpoint:digit-reader@0.1.0 is blessed again\n"
    assert call("show", "digit-reader@blessed", "--json").data["numbers"] == ["0.1.0"]
    withdrawn = call("bless", "digit-reader@0.2.0")
    assert withdrawn.code == 4
    assert call("bless", "digit-reader@0.2.0", "--again").code == 0
    moves = call("alias", "history", "digit-reader", "blessed", "--json").data["moves"]
    assert [move["verb"] for move in moves] == ["bless", "rollback", "bless", "bless"]


def test_alias_rm_keeps_the_history(project: Path) -> None:
    assert call("alias", "rm", "digits", "trusted", "--reason", "old").code == 0
    assert call("alias", "rm", "digits", "trusted").code == 3
    assert call("alias", "ls", "digits", "--json").data == {"aliases": []}
    assert call("alias", "history", "digits", "--json").data["moves"][0]["reason"] == "old"


def test_import_fills_another_home(project: Path) -> None:
    data = call("--home", "other", "import", "second.bundle", "--aliases", "--yes", "--json").data
    assert (data["ref"], data["existing"], data["aliases"]) == ("checkpoint:digit-reader@0.2.0", 0, 2)
    assert call("--home", "other", "show", "digit-reader@blessed").code == 0


def test_gc_and_fsck_change_nothing_without_yes(project: Path) -> None:
    before = payloads(project)
    freed = call("gc", "digit-reader@0.1.0", "--json").data
    assert freed["done"] is False and freed["payloads"] > 0
    lost = next(iter(before))
    lost.write_bytes(b"rot")
    found = call("fsck", "--repair")
    assert found.code == 5 and "corrupt" in found.out and "jeyn fsck --repair --yes" in found.err
    assert lost.read_bytes() == b"rot" and payloads(project) == before
    mended = call("fsck", "--repair", "--yes", "--json")
    assert mended.code == 0 and mended.data["left"] == 0 and not lost.exists()
    assert call("gc", "--grace", "0s", "--yes", "--json").data["done"] is True


def payloads(project: Path) -> set[Path]:
    return {path for path in (project / ".jeyn" / "payloads" / "sha256").rglob("*") if path.is_file()}


def test_db_check_changes_nothing_and_upgrade_makes_it(project: Path) -> None:
    assert call("--home", "fresh", "db", "check").code == 3
    assert not (project / "fresh").exists()
    assert call("--home", "fresh", "db", "upgrade", "--json").data["before"] is None
    state = call("--home", "fresh", "db", "check", "--json").data
    assert state["current"] and state["lost_triggers"] == []


def test_db_check_tells_a_newer_catalog(project: Path) -> None:
    import sqlite3

    with sqlite3.connect(project / ".jeyn" / "catalog.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    answer = call("db", "check", "--json")
    assert answer.code == 6 and answer.data["newer"]
    assert by_name(call("doctor", "--json").data)["catalog"]["status"] == "fail"
    assert call("ls").code == 6


def test_doctor_probes_without_a_trace(project: Path) -> None:
    before = payloads(project)
    answer = call("doctor", "--json")
    assert answer.code == 0
    checks = by_name(answer.data)
    assert list(checks) == [
        "python", "project", "home", "catalog", "payloads", "data", "git", "disk", "extras",
    ]  # fmt: skip
    assert "can be written and read" in checks["payloads"]["found"]
    assert payloads(project) == before


def test_doctor_says_what_to_do(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JEYN_DATA", "no-such-folder")
    answer = call("doctor")
    assert answer.code == 5
    assert "fail  data" in answer.out and "→ make it, or set data: or JEYN_DATA" in answer.out
    assert "something is wrong with: data" in answer.err


def test_doctor_is_unreachable_when_a_store_is(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JEYN_CATALOG", "postgresql+psycopg://nobody@127.0.0.1:1/none")
    assert call("doctor").code == 7


def test_doctor_reports_a_bad_project_file(project: Path) -> None:
    (project / "jeyn.yaml").write_text("nmae: x\n")
    answer = call("doctor")
    assert answer.code == 5 and 'did you mean "name"?' in answer.out


def test_a_home_under_a_strange_name_works(project: Path) -> None:
    home = project / "a b%20?"
    assert call("--home", str(home), "db", "upgrade").code == 0
    assert call("--home", str(home), "ls").out == "nothing is saved that fits\n"
    with jeyn.open(home=home) as workspace:
        assert len(workspace.search("")) == 0
    assert home.is_dir()


def test_import_shows_what_would_be_new_and_writes_nothing_in_a_dry_run(project: Path) -> None:
    shown = call("--home", "other", "import", "second.bundle", "--aliases", "--dry-run")
    assert shown.code == 0
    assert "would import checkpoint:digit-reader@0.2.0" in shown.out
    assert "batch:digits@1.0.0/1, the first here" in shown.out
    assert "checkpoint:digit-reader@blessed means" in shown.out
    data = call("--home", "other", "import", "second.bundle", "--aliases", "--dry-run", "--json").data
    assert (data["done"], data["existing"], data["signed_by"]) == (False, 0, None)
    assert "checkpoint:digit-reader@0.2.0" in [each["what"] for each in data["numbers"]]
    assert call("--home", "other", "ls", "--json").data["artefacts"] == []
    done = call("--home", "other", "import", "second.bundle", "--json").data
    assert (done["done"], done["numbers"]) == (True, data["numbers"])
    assert call("--home", "other", "show", "digit-reader@0.2.0").code == 0


@pytest.mark.parametrize("answer, code", [("n\n", 3), ("y\n", 0)])
def test_on_a_terminal_import_shows_and_asks_before_anything_is_written(project: Path, answer: str, code: int) -> None:
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "jeyn.cli", "--home", "other", "import", "second.bundle"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "TERM": "xterm"}
    process = subprocess.Popen(command, cwd=project, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.write(ours, answer.encode())
    assert process.wait(60) == 0
    text = os.read(ours, 1 << 16).decode()
    os.close(ours)
    os.close(theirs)
    assert text.index("would import checkpoint:digit-reader@0.2.0") < text.index("import it?")
    assert call("--home", "other", "show", "digit-reader@0.2.0").code == code


def test_a_signature_can_be_required(project: Path) -> None:
    keys(project, "key", ssh=True)
    assert call("export", "digit-reader@0.2.0", "signed.bundle", "--sign", "key").code == 0
    assert call("--home", "other", "import", "second.bundle", "--require-signature", "key.pub", "--yes").code == 8
    done = call("--home", "other", "import", "signed.bundle", "--require-signature", "key.pub", "--yes", "--json")
    assert done.data["signed_by"].startswith("ed25519:")
    assert call("--home", "other", "import", "signed.bundle", "--require-signature", "nothing", "--yes").code == 3
