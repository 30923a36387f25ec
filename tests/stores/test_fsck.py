"""The check: each kind of fault is put in by force, and found; what can be mended is."""

from __future__ import annotations

import json
import sqlite3
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import jeyn
from jeyn import DataCatalog, Dtypes, Feature, ModelCheckpoint, Workspace
from jeyn.errors import PayloadMissing
from jeyn.formulas import StreamingFormula
from jeyn.stores.care import fsck
from jeyn.stores.care.fsck import KINDS, Findings
from jeyn.stores.payloads import FilePayloads
from tests.stores.digits import READER, a_batch, a_checkpoint

Sql = Callable[..., list[Any]]


class Houses(DataCatalog):
    size = Feature(Dtypes.FLOAT64)


@pytest.fixture
def plain(home: Path) -> Iterator[Workspace]:
    """A workspace on SQLite, whose protection can be taken away."""
    with jeyn.open(home=home, data=home.parent, actor="ada") as opened:
        yield opened


def force(workspace: Workspace, *statements: str) -> None:
    """Run SQL past every protection: without the foreign keys, and with the triggers away for the while."""
    assert workspace.database.path
    with closing(sqlite3.connect(workspace.database.path)) as connection:
        connection.execute("PRAGMA foreign_keys=OFF")
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            assert connection.execute(statement).rowcount > 0, statement
        for _, sql in triggers:
            connection.execute(sql)
        connection.commit()


def file_of(workspace: Workspace, checkpoint: ModelCheckpoint) -> Path:
    path = workspace.payloads.local_path(checkpoint.record().payloads[0].digest[7:])
    assert path is not None
    return path


def spoil(path: Path) -> None:
    """One flipped bit, which neither the size nor the name shows."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)


def kinds(found: Findings) -> dict[str, int]:
    return dict(found.counts)


def test_a_sound_workspace_has_no_faults(workspace: Workspace) -> None:
    a_checkpoint(workspace)
    found = workspace.fsck()
    assert found.ok
    assert (found.payloads, found.artefacts) == (2, 5)
    assert "nothing is wrong" in str(found)


def test_an_empty_workspace_has_no_faults(workspace: Workspace) -> None:
    assert workspace.fsck(repair=True).ok


def test_a_missing_payload_is_found_and_saving_again_restores_it(workspace: Workspace) -> None:
    checkpoint = a_checkpoint(workspace, seed=2)
    file_of(workspace, checkpoint).unlink()
    found = workspace.fsck()
    assert kinds(found) == {"missing": 1}
    assert checkpoint.id in found.of("missing")[0].problem
    assert workspace.fsck(repair=True).left == 0
    assert workspace.fsck().ok
    with pytest.raises(PayloadMissing):
        checkpoint.load()
    assert a_checkpoint(workspace, seed=2).load()[0] == 2.0
    assert workspace.fsck().ok


def test_a_missing_payload_that_comes_back_meanwhile_is_no_loss(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = a_checkpoint(workspace, seed=2)
    path = file_of(workspace, checkpoint)
    data = path.read_bytes()
    path.unlink()
    commit = fsck.commit

    def late(*args: Any) -> Any:
        done = commit(*args)
        if not path.exists():
            path.write_bytes(data)
        return done

    monkeypatch.setattr(fsck, "commit", late)
    workspace.fsck(repair=True)
    assert not workspace.reader.is_buried(checkpoint.id)
    assert workspace.fsck().ok


def test_one_flipped_bit_is_found_set_aside_and_mended_by_saving_again(workspace: Workspace, home: Path) -> None:
    checkpoint = a_checkpoint(workspace, seed=2)
    path = file_of(workspace, checkpoint)
    spoil(path)
    wrong = path.read_bytes()
    assert kinds(workspace.fsck()) == {"corrupt": 1}
    found = workspace.fsck(repair=True)
    assert [fault.repaired for fault in found.of("corrupt")] == [True]
    assert (home / "corrupt" / path.name).read_bytes() == wrong
    assert workspace.fsck().ok
    assert a_checkpoint(workspace, seed=2).load()[0] == 2.0
    assert workspace.fsck().ok


def test_what_saving_took_is_no_damage(home: Path) -> None:
    """Names of files and metrics, and who did it, may have any characters; a repair would bury them."""
    odd = "a\x1b[31m\nb"
    (home.parent / f"{odd}.csv").write_text("size\n1\n")
    houses = StreamingFormula("houses", version="1.0.0", output_catalog=Houses, source="*.csv")
    with jeyn.open(home=home, data=home.parent, actor=odd) as opened:
        opened.dataset_store.save_batch(opened.dataset_store.save_formula(houses).get_new_batch())
        checkpoint = a_checkpoint(opened, metrics={odd: 0.5})
        opened.tag(checkpoint, odd, reason=odd)
        opened.model_store.bless(checkpoint, odd)
        assert opened.fsck().ok


def test_a_truncated_and_an_emptied_payload_are_corrupt(workspace: Workspace) -> None:
    one, two = a_checkpoint(workspace, seed=1), a_checkpoint(workspace, seed=2)
    for checkpoint, size in ((one, 5), (two, 0)):
        path = file_of(workspace, checkpoint)
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[:size])
    assert kinds(workspace.fsck()) == {"corrupt": 2}


def test_a_corrupt_payload_that_somebody_is_saving_is_left(workspace: Workspace) -> None:
    path = file_of(workspace, a_checkpoint(workspace, seed=2))
    spoil(path)
    leases = workspace._writer().leases
    leases.take([path.name])
    assert workspace.fsck(repair=True).left == 1
    leases.release()
    assert workspace.fsck(repair=True).left == 0
    assert workspace.fsck().ok


def test_orphans_are_found_and_removed_unless_leased(workspace: Workspace) -> None:
    a_checkpoint(workspace)
    leased = workspace._writer()
    kept = leased.keep(b"being saved", "data")
    stray = workspace._writer()
    ref = stray.keep(b"left behind", "data")
    stray.leases.release()
    found = workspace.fsck()
    assert kinds(found) == {"orphaned": 1}
    assert found.of("orphaned")[0].subject == ref.digest
    assert workspace.fsck(repair=True).left == 0
    assert not workspace.payloads.exists(ref.digest[7:])
    assert workspace.payloads.exists(kept.digest[7:])


def test_external_payloads_are_not_expected_in_the_store(workspace: Workspace, sql: Sql) -> None:
    a_batch(workspace)
    sql(
        "INSERT INTO artefact (id, type, schema, name, document, facts, quarantined, actor, at, seq) "
        "SELECT :id, 'value', 'value/9', 'x', :document, '{}', false, 'ada', 1, 1 FROM catalog_clock",
        id=_external().id[7:],
        document=_external().document.decode(),
    )
    sql(
        "INSERT INTO artefact_payload (artefact, name, digest, size, external) "
        "SELECT key, 'a', :digest, 3, true FROM artefact WHERE type = 'value'",
        digest="c" * 64,
    )
    assert workspace.fsck().ok


def test_a_lost_trigger_is_found_and_created_again(workspace: Workspace, sql: Sql) -> None:
    a_batch(workspace)
    if workspace.database.is_sqlite:
        sql("DROP TRIGGER claim_no_delete")
        lost = "claim_no_delete"
    else:
        sql("ALTER TABLE claim DISABLE TRIGGER claim_no_change")
        lost = "claim_no_change"
    found = workspace.fsck()
    assert [fault.subject for fault in found.of("lost_trigger")] == [lost]
    assert workspace.fsck(repair=True).left == 0
    assert workspace.fsck().ok
    with pytest.raises(jeyn.errors.Immutable):
        sql("DELETE FROM claim")


# name -> (SQL that makes the fault, what must be found, whether a repair mends it). 1 is the formula, 2 the batch.
FAULTS: dict[str, tuple[list[str], dict[str, int], bool]] = {
    "an edge was deleted": (["DELETE FROM edge WHERE child = 2"], {"lost_edge": 1}, True),
    "an edge has another type": (["UPDATE edge SET type = 9 WHERE child = 2"], {"lost_edge": 1}, True),
    "a parent is gone": (["DELETE FROM artefact WHERE key = 4"], {"lost_parent": 1, "dangling_edge": 1}, False),
    "an edge leads nowhere": (["INSERT INTO edge VALUES (2, 999, 9)"], {"dangling_edge": 1}, False),
    "an edge comes from nowhere": (["INSERT INTO edge VALUES (999, 1, 9)"], {"dangling_edge": 1}, False),
    "a document was changed": (
        ["UPDATE artefact SET document = replace(document, 'digits', 'digitz') WHERE key = 2"],
        {"wrong_id": 1},
        False,
    ),
    "a document is no JSON": (["UPDATE artefact SET document = 'nonsense' WHERE key = 2"], {"wrong_id": 1}, False),
    "an id was changed": (
        ["UPDATE artefact SET id = replace(id, substr(id, 1, 4), 'ffff') WHERE key = 5"],
        {"wrong_id": 1},
        False,
    ),
    "a name was changed": (["UPDATE artefact SET name = 'other' WHERE key = 2"], {"wrong_row": 1}, False),
    "a type was changed": (["UPDATE artefact SET type = 'value' WHERE key = 2"], {"wrong_row": 1}, False),
    "a claim points nowhere": (["UPDATE claim SET artefact = 999 WHERE artefact = 5"], {"dangling_claim": 1}, False),
    "an alias points nowhere": (["UPDATE alias_move SET artefact = 999"], {"dangling_alias": 1}, False),
    "a mark points nowhere": (["UPDATE mark SET artefact = 999 WHERE kind = 'tag'"], {"dangling_row": 1}, False),
    "a metric points nowhere": (["UPDATE metric SET subject = 999"], {"dangling_row": 1}, False),
    "a payload's row was deleted": (
        ["DELETE FROM artefact_payload WHERE artefact = 2"],
        {"lost_payload_row": 1, "orphaned": 1},
        True,
    ),
    "a payload's size was changed": (
        ["UPDATE artefact_payload SET size = 1 WHERE artefact = 2"],
        {"wrong_payload_row": 1},
        False,
    ),
    "a payload has another digest": (
        [f"UPDATE artefact_payload SET digest = '{'e' * 64}' WHERE artefact = 2"],
        {"wrong_payload_row": 1, "missing": 1, "orphaned": 1},
        False,
    ),
    "a payload is no document's": (
        [f"INSERT INTO artefact_payload VALUES (1, 'x', '{'d' * 64}', 3, 1)"],
        {"wrong_payload_row": 1},
        False,
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_every_seeded_fault_is_found(plain: Workspace, name: str) -> None:
    statements, expected, mends = FAULTS[name]
    checkpoint = a_checkpoint(plain, metrics={"accuracy": 0.5})
    plain.model_store.bless(checkpoint)
    plain.tag(checkpoint, "gold")
    assert plain.fsck().ok
    force(plain, *statements)
    found = plain.fsck()
    assert kinds(found) == expected
    for kind in expected:
        assert found.of(kind)[0].hint == KINDS[kind]
    if mends:
        repaired = plain.fsck(repair=True)
        assert repaired.left == 0
        assert plain.fsck().ok
        assert checkpoint.dataset.load().num_rows == 10, "a repair must not take what it could have mended"
    else:
        assert found.left == sum(expected.values())


def test_all_faults_at_once_are_found(plain: Workspace) -> None:
    good = [a_checkpoint(plain, seed=seed) for seed in range(1, 8)]
    for checkpoint in good[:3]:
        file_of(plain, checkpoint).unlink()
    for checkpoint in good[3:5]:
        spoil(file_of(plain, checkpoint))
    force(plain, "DELETE FROM edge WHERE child = 2", "INSERT INTO edge VALUES (2, 999, 9)")
    found = plain.fsck()
    assert kinds(found) == {"missing": 3, "corrupt": 2, "lost_edge": 1, "dangling_edge": 1}
    said = json.loads(json.dumps(found.to_json()))
    assert said["left"] == 7
    assert not said["ok"]
    assert {fault["kind"] for fault in said["faults"]} == set(kinds(found))
    assert plain.fsck(repair=True).left == 1
    assert kinds(plain.fsck()) == {"dangling_edge": 1}


def test_many_faults_are_counted_and_only_a_thousand_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Findings()
    for number in range(fsck.KEPT + 5):
        found.add("orphaned", f"sha256:{number}", "1 byte")
    assert found.counts["orphaned"] == fsck.KEPT + 5
    assert len(found.of("orphaned")) == fsck.KEPT


def test_memory_stays_bounded_however_large_a_payload(plain: Workspace) -> None:
    plain.model_store.save_checkpoint(
        READER.update_minor(dataset=a_batch(plain), model=np.zeros(64 << 17))  # 64 MiB
    )
    assert isinstance(plain.payloads.files, FilePayloads)
    tracemalloc.start()
    try:
        assert plain.fsck().ok
        assert tracemalloc.get_traced_memory()[1] < 24 << 20
    finally:
        tracemalloc.stop()


def _external() -> Any:
    from jeyn.sdk.artefact import PayloadRef, Record

    return Record("value/9", "x", {}, payloads=(PayloadRef("a", f"sha256:{'c' * 64}", 3),))


def fold(path: Path) -> None:
    """A folder where the payload's file was."""
    path.unlink()
    path.mkdir()
    (path / "inside").write_bytes(b"x")


def link_nowhere(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parent / "nowhere")


def loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


@pytest.mark.parametrize("displace", [fold, link_nowhere, loop], ids=lambda each: each.__name__)
def test_what_stands_in_a_payloads_place_is_found_the_rest_is_checked_and_saving_again_heals_it(
    workspace: Workspace, displace: Callable[[Path], None]
) -> None:
    first, second, third = (a_checkpoint(workspace, seed=seed) for seed in (1, 2, 3))
    displace(file_of(workspace, first))
    file_of(workspace, second).unlink()
    spoil(file_of(workspace, third))
    assert kinds(workspace.fsck()) == {"missing": 2, "corrupt": 1}
    assert a_checkpoint(workspace, seed=1).load()[0] == 1.0
    assert kinds(workspace.fsck()) == {"missing": 1, "corrupt": 1}
    assert workspace.fsck(repair=True).left == 0
    assert workspace.fsck().ok


@pytest.mark.parametrize("displace", [fold, link_nowhere, loop], ids=lambda each: each.__name__)
def test_a_repair_goes_on_past_what_stands_in_a_payloads_place(
    workspace: Workspace, displace: Callable[[Path], None]
) -> None:
    checkpoint = a_checkpoint(workspace, seed=1)
    displace(file_of(workspace, checkpoint))
    assert workspace.fsck(repair=True).left == 0
    assert workspace.fsck().ok
    assert a_checkpoint(workspace, seed=1).load()[0] == 1.0


def test_the_check_goes_on_after_a_payload_that_cannot_be_read(
    plain: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jeyn.errors import NotAllowed

    first, second = a_checkpoint(plain, seed=1), a_checkpoint(plain, seed=2)
    denied, open_ = file_of(plain, first).name, FilePayloads.open

    def refusing(store: FilePayloads, digest: str) -> Any:
        if digest == denied:
            raise NotAllowed(f"cannot read payload '{digest}'", hint="check its permissions")
        return open_(store, digest)

    monkeypatch.setattr(FilePayloads, "open", refusing)  # whoever runs the tests may be allowed everything
    spoil(file_of(plain, second))
    found = plain.fsck(repair=True)
    assert (kinds(found), found.left) == ({"unreadable": 1, "corrupt": 1}, 1)
    assert denied in found.of("unreadable")[0].subject
    monkeypatch.undo()
    assert plain.fsck().ok, "nothing was taken from what could not be read"


def test_a_store_that_answers_nothing_is_no_thousand_faults(plain: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    from jeyn.errors import Unreachable

    for seed in range(20):
        a_checkpoint(plain, seed=seed)

    def refusing(store: FilePayloads, digest: str) -> Any:
        raise Unreachable("the network is away", hint="try again")

    monkeypatch.setattr(FilePayloads, "open", refusing)
    with pytest.raises(Unreachable):
        plain.fsck()


@pytest.mark.parametrize("document", ["'nonsense'", "X'ff00'", "7", "''", "'[]'", "'null'", "x'7bff7d'"])
def test_the_check_goes_on_after_a_damaged_document(plain: Workspace, document: str) -> None:
    checkpoint, other = a_checkpoint(plain, seed=1), a_checkpoint(plain, seed=2)
    file_of(plain, checkpoint).unlink()
    spoil(file_of(plain, other))
    force(plain, f"UPDATE artefact SET document = {document} WHERE id = '{checkpoint.id[7:]}'")
    found = plain.fsck()
    assert found.counts["missing"] == 1
    assert found.counts["corrupt"] == 1
    assert any(fault.subject == checkpoint.id for faults in found.faults.values() for fault in faults)
    plain.fsck(repair=True)


def test_bytes_that_are_wrong_are_healed_by_saving_again_once_the_check_has_seen_them(
    workspace: Workspace, catalog_url: str, home: Path
) -> None:
    checkpoint = a_checkpoint(workspace, seed=2)
    path = file_of(workspace, checkpoint)
    right = path.read_bytes()
    spoil(path)
    assert kinds(workspace.fsck()) == {"corrupt": 1}
    # Also in another process, which only shares the catalog.
    with jeyn.open(home=home, catalog=catalog_url, data=home.parent, actor="bob") as other:
        a_checkpoint(other, seed=2)
    assert path.read_bytes() == right
    assert workspace.fsck().ok
    assert not workspace.payloads.small.suspects()


def test_bytes_that_are_right_again_are_trusted_again(workspace: Workspace) -> None:
    path = file_of(workspace, a_checkpoint(workspace, seed=2))
    right = path.read_bytes()
    spoil(path)
    workspace.fsck()
    assert workspace.payloads.small.suspects() == {path.name}
    path.write_bytes(right)
    assert workspace.fsck().ok
    assert not workspace.payloads.small.suspects()


def test_an_import_heals_what_the_check_found_to_be_wrong(workspace: Workspace, home: Path) -> None:
    checkpoint = a_checkpoint(workspace, seed=2)
    workspace.export_bundle(checkpoint, home.parent / "it.jeyn")
    spoil(file_of(workspace, checkpoint))
    workspace.fsck()
    workspace.import_bundle(home.parent / "it.jeyn")
    assert workspace.fsck().ok
    assert checkpoint.load()[0] == 2.0


def test_wrong_bytes_make_no_room_for_others_that_are_wrong_too(workspace: Workspace) -> None:
    path = file_of(workspace, a_checkpoint(workspace, seed=2))
    spoil(path)
    workspace.fsck()
    wrong = path.read_bytes()
    with pytest.raises(jeyn.errors.Corrupt):
        workspace.payloads.put(path.name, b"something else")
    assert path.read_bytes() == wrong


def test_what_the_check_found_to_be_wrong_is_no_hit_of_the_cache(workspace: Workspace) -> None:
    from jeyn.stores.contents import is_complete

    checkpoint = a_checkpoint(workspace, seed=2)
    assert is_complete(workspace, [checkpoint.id])
    spoil(file_of(workspace, checkpoint))
    workspace.fsck()
    assert not is_complete(workspace, [checkpoint.id])


UNREADABLE = {
    "facts": "UPDATE artefact SET facts = '{\"a\": NaN}' WHERE key = 2",
    "a document": "UPDATE artefact SET document = 'nonsense' WHERE key = 2",
    "a time": "UPDATE artefact SET at = 288230376151711744 WHERE key = 2",
    "a version": "UPDATE claim SET number = 'one' WHERE owner = 'checkpoint:digit-reader'",
    "an event": "UPDATE event SET data = '[' WHERE seq = 1",
    "text that is none": "UPDATE artefact SET actor = cast(x'ff' as text) WHERE key = 2",
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_a_row_that_cannot_be_read_is_buried_where_it_lies(plain: Workspace, what: str) -> None:
    a_checkpoint(plain, metrics={"accuracy": 0.5})
    force(plain, UNREADABLE[what])
    path = plain.database.path
    assert path is not None

    def rows() -> list[Any]:
        with closing(sqlite3.connect(path)) as connection:
            connection.text_factory = bytes
            return [connection.execute(f"SELECT * FROM {table}").fetchall() for table in ("artefact", "claim", "event")]

    before = rows()
    found = plain.fsck()
    assert found.left == found.counts.total() == 1
    assert plain.fsck().left == 1, "looking buries nothing"
    repaired = plain.fsck(repair=True)
    assert (repaired.left, repaired.counts.total()) == (0, 1)
    assert next(iter(repaired.faults.values()))[0].how == "buried"
    again = plain.fsck()
    assert again.ok and again.buried == 1
    assert "passed over 1 buried" in str(again)
    assert rows() == before
    ((table, reason),) = _read(path, 'SELECT "table", reason FROM tombstone')
    assert table in ("artefact", "claim", "event") and reason


def test_a_buried_version_is_passed_over_and_saving_goes_on(plain: Workspace) -> None:
    a_checkpoint(plain, seed=1)
    second = a_checkpoint(plain, seed=2)
    force(plain, f"UPDATE claim SET number = 'one' WHERE number = '{second.version}'")
    with pytest.raises(jeyn.errors.Corrupt, match='"one"'):
        a_checkpoint(plain, seed=3)
    plain.fsck(repair=True)
    assert str(plain.model_store.get_checkpoint("digit-reader@latest").version) == "0.1.0"
    assert str(a_checkpoint(plain, seed=3, level="major").version) == "1.0.0"


def test_many_bad_rows_are_not_buried_unless_that_is_meant(plain: Workspace) -> None:
    for seed in range(fsck.FEW + 1):
        a_checkpoint(plain, seed=seed)
    force(plain, "UPDATE artefact SET facts = 'x' WHERE type = 'model_checkpoint'")
    assert plain.fsck(repair=True).left == fsck.FEW + 1
    assert "--give-up" in plain.fsck(repair=True).of("damaged")[0].hint
    assert plain.fsck(repair=True, give_up=True).left == 0


def _read(path: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()
