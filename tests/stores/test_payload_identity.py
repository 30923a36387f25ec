"""A catalog knows its payload store: another one, or a disk that is not there, is refused (SEMANTICS 39)."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import jeyn
from jeyn import Workspace
from jeyn.errors import Invalid, PayloadMissing
from jeyn.stores.care.fsck import FEW, GIVEN_UP
from jeyn.stores.catalog.payload_store import known_store
from jeyn.stores.payloads import FilePayloads
from tests.stores.digits import READER, a_batch, a_checkpoint

Opened = Callable[[Path], Workspace]


@pytest.fixture
def at(home: Path, catalog_url: str, request: pytest.FixtureRequest) -> Opened:
    """The catalog with a payload folder of one's choice."""

    def opened(folder: Path) -> Workspace:
        found = jeyn.open(home=home, catalog=catalog_url, payloads=folder.as_uri(), data=home.parent / "data")
        request.addfinalizer(found.close)
        return found

    return opened


def test_rule_39_the_first_write_gives_both_one_identity(at: Opened, tmp_path: Path) -> None:
    workspace = at(tmp_path / "store")
    assert known_store(workspace.database) is None
    a_batch(workspace)
    known = known_store(workspace.database)
    assert known is not None
    assert known.identity == FilePayloads(tmp_path / "store").identity()
    a_batch(workspace, seed=2)
    assert known_store(workspace.database) == known


def harms(workspace: Workspace) -> dict[str, Callable[[], Any]]:
    return {
        "save": lambda: a_batch(workspace, seed=9),
        "load": lambda: workspace.dataset_store.get_batch("digits@1.0.0/1").load(),
        "fsck": workspace.fsck,
        "repair": lambda: workspace.fsck(repair=True, give_up=True),
        "gc": workspace.gc,
        "gc --yes": lambda: workspace.gc(yes=True, grace="0s"),
        "cache": lambda: workspace.runs.has_payloads([workspace.dataset_store.get_batch("digits@1.0.0/1").id]),
    }


@pytest.mark.parametrize("doing", ["save", "load", "fsck", "repair", "gc", "gc --yes", "cache"])
@pytest.mark.parametrize("other", ["a colleague's own", "not mounted", "emptied"])
def test_rule_39_another_store_or_none_is_refused_and_nothing_is_harmed(
    at: Opened, tmp_path: Path, home: Path, doing: str, other: str
) -> None:
    own = at(tmp_path / "store")
    checkpoint = a_checkpoint(own)
    folder = tmp_path / "other"
    if other == "a colleague's own":
        with jeyn.open(home=tmp_path / "colleague", payloads=folder.as_uri()) as theirs:
            their_batch = a_batch(theirs, seed=3)
    elif other == "emptied":
        folder.mkdir()
    wrong = at(folder)
    with pytest.raises(Invalid, match="payload store") as caught:
        harms(wrong)[doing]()
    assert caught.value.exit_code == 5
    assert not isinstance(caught.value, PayloadMissing)
    assert (tmp_path / "store").as_uri() in caught.value.message, "it names both"
    assert folder.as_uri() in caught.value.message
    assert "adopt-payloads" in caught.value.hint
    assert not own.reader.is_buried(checkpoint.id)
    assert at(tmp_path / "store").fsck().ok
    if other == "a colleague's own":
        with jeyn.open(home=tmp_path / "colleague", payloads=folder.as_uri()) as theirs:
            assert theirs.dataset_store.get_batch(their_batch.id).load().num_rows == 10


def test_rule_39_a_store_that_was_moved_or_copied_is_known_again(at: Opened, tmp_path: Path) -> None:
    batch = a_batch(at(tmp_path / "store"))
    shutil.copytree(tmp_path / "store", tmp_path / "copy")
    (tmp_path / "store").rename(tmp_path / "moved")
    for name in ("copy", "moved"):
        assert at(tmp_path / name).dataset_store.get_batch(batch.id).load().num_rows == 10


def test_rule_39_another_store_is_taken_on_purpose_only(at: Opened, tmp_path: Path) -> None:
    batch = a_batch(at(tmp_path / "store"))
    shutil.copytree(tmp_path / "store" / "sha256", tmp_path / "copy" / "sha256")
    other = at(tmp_path / "copy")
    seen = other.adopt_payloads()
    assert (seen.there, seen.looked_for) == (1, 1)
    with pytest.raises(Invalid):
        a_batch(other, seed=2)
    assert other.adopt_payloads(yes=True).before == seen.before
    assert at(tmp_path / "copy").dataset_store.get_batch(batch.id).load().num_rows == 10
    with pytest.raises(Invalid):
        a_batch(at(tmp_path / "store"), seed=3)


def test_rule_39_a_catalog_from_before_adopts_what_holds_its_bytes(at: Opened, tmp_path: Path, sql: Any) -> None:
    batch = a_batch(at(tmp_path / "store"))
    sql("DELETE FROM payload_store")
    (tmp_path / "store" / "identity").unlink()
    with pytest.raises(Invalid, match="holds nothing"):
        a_batch(at(tmp_path / "other"), seed=2)
    assert known_store(at(tmp_path / "store").database) is None
    again = at(tmp_path / "store")
    a_batch(again, seed=2)
    known = known_store(again.database)
    assert known is not None
    assert again.dataset_store.get_batch(batch.id).load().num_rows == 10


def test_rule_39_an_empty_catalog_does_not_take_a_store_that_is_in_use(tmp_path: Path, home: Path) -> None:
    with jeyn.open(home=home, payloads=(tmp_path / "store").as_uri()) as workspace:
        a_batch(workspace)
    with jeyn.open(home=tmp_path / "fresh", payloads=(tmp_path / "store").as_uri()) as fresh:
        with pytest.raises(Invalid, match="belongs to another catalog"):
            a_batch(fresh, seed=2)
        with pytest.raises(Invalid, match="belongs to another catalog"):
            fresh.gc(yes=True, grace="0s")
        fresh.adopt_payloads(yes=True)
        a_batch(fresh, seed=2)


ADOPTER = """
import sys, jeyn
from tests.stores.digits import a_batch
with jeyn.open(home=sys.argv[1], catalog=sys.argv[2]) as workspace:
    print(a_batch(workspace, seed=int(sys.argv[3])).epoch)
"""


def test_rule_39_of_many_that_adopt_at_once_all_have_one(workspace: Workspace, home: Path, catalog_url: str) -> None:
    workspace.reader.names()  # the schema is there
    root = Path(__file__).parents[2]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", ADOPTER, str(home), catalog_url, str(n)], cwd=root, stderr=-1, text=True
        )
        for n in range(5)
    ]
    for process in running:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    known = known_store(workspace.database)
    assert known is not None
    assert known.identity == workspace.payloads.files.identity()
    assert workspace.fsck().ok


def test_rule_39_memory_has_no_identity_and_is_not_taken_for_a_store_that_has(home: Path) -> None:
    with jeyn.open(home=home, payloads="memory://identity") as workspace:
        assert a_batch(workspace).load().num_rows == 10
        assert known_store(workspace.database) is None


def test_rule_39_a_damaged_identity_says_so(at: Opened, tmp_path: Path) -> None:
    a_batch(at(tmp_path / "store"))
    path = tmp_path / "store" / "identity"
    path.chmod(0o644)
    path.write_text("\0\0")
    with pytest.raises(Invalid, match="is damaged"):
        a_batch(at(tmp_path / "store"), seed=2)


# Giving up, and finding again.


def lose(workspace: Workspace, count: int, folder: Path) -> list[Any]:
    folder.mkdir()
    batch = a_batch(workspace)
    found = [a_checkpoint(workspace, seed=seed, dataset=batch) for seed in range(1, count + 1)]
    for checkpoint in found:
        path = workspace.payloads.local_path(checkpoint.record().payloads[0].digest[7:])
        assert path
        path.rename(folder / path.name)
    return found


def give_back(workspace: Workspace, folder: Path) -> None:
    for path in folder.iterdir():
        path.rename(Path(workspace.payloads.files.root) / "sha256" / path.name[:2] / path.name)  # type: ignore[attr-defined]


def test_more_than_a_few_payloads_are_not_given_up_unless_said(workspace: Workspace, tmp_path: Path) -> None:
    lost = lose(workspace, FEW + 1, tmp_path / "away")
    found = workspace.fsck(repair=True)
    assert found.left == FEW + 1
    assert "is this the right store" in found.of("missing")[0].hint
    assert not any(workspace.reader.is_buried(each.id) for each in lost)
    said = workspace.fsck(repair=True, give_up=True)
    assert (said.left, {fault.how for fault in said.of("missing")}) == (0, {GIVEN_UP})
    assert GIVEN_UP in str(said)
    with pytest.raises(PayloadMissing, match="given up as lost"):
        lost[0].load()
    assert workspace.model_store.get_checkpoint("digit-reader@latest").id == lost[-1].id


def test_finding_the_bytes_again_undoes_that_they_were_given_up(workspace: Workspace, tmp_path: Path) -> None:
    lost = lose(workspace, 2, tmp_path / "away")
    assert workspace.fsck(repair=True).left == 0
    give_back(workspace, tmp_path / "away")
    assert workspace.gc(yes=True, grace="0s").payloads == 0, "what turned up again is no garbage"
    seen = workspace.fsck()
    assert (seen.counts["found"], seen.left) == (2, 2)
    done = workspace.fsck(repair=True)
    assert ({fault.how for fault in done.of("found")}, done.left) == ({"found again"}, 0)
    assert [each.load()[0] for each in lost] == [1.0, 2.0]
    assert [(m.kind, m.present) for m in workspace.marks(lost[0])] == [("tombstone", True), ("tombstone", False)]
    assert workspace.fsck().ok


def test_reading_what_turned_up_again_undoes_that_it_was_given_up(workspace: Workspace, tmp_path: Path) -> None:
    lost = lose(workspace, 1, tmp_path / "away")[0]
    workspace.fsck(repair=True)
    give_back(workspace, tmp_path / "away")
    assert lost.is_swept
    assert lost.load()[0] == 1.0
    assert not lost.is_swept
    assert workspace.fsck().ok


def test_saving_again_undoes_that_it_was_given_up(workspace: Workspace, tmp_path: Path) -> None:
    lost = lose(workspace, 1, tmp_path / "away")[0]
    workspace.fsck(repair=True)
    again = workspace.model_store.save_checkpoint(READER.update_minor(dataset=lost.dataset, model=lost_model()))
    assert again.id == lost.id
    assert again.load()[0] == 1.0
    assert not workspace.reader.is_buried(lost.id)


def test_another_payload_store_gives_back_what_is_lost(workspace: Workspace, tmp_path: Path) -> None:
    lost = lose(workspace, 3, tmp_path / "away")
    backup = FilePayloads(tmp_path / "backup")
    for path in (tmp_path / "away").iterdir():
        backup.put(path.name, path.read_bytes())
    done = workspace.fsck(repair=True, sources=[backup.url])
    assert ({fault.how for fault in done.of("missing")}, done.left) == ({"brought back from its source"}, 0)
    assert [each.load()[0] for each in lost] == [1.0, 2.0, 3.0]


def lost_model() -> Any:
    import numpy as np

    return np.array([1.0])
