"""Export and import: the same ids, versions and bytes elsewhere, or nothing at all (SEMANTICS 29)."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import jeyn
from jeyn import Workspace
from jeyn.errors import Corrupt, JeynError, NewerSchema, NotFound, PayloadMissing, UsageError, VersionTaken
from jeyn.formulas import CompositeFormula, StreamingFormula
from jeyn.sdk.artefact import PayloadRef, Record
from jeyn.stores.bundle import export_bundle, import_bundle
from jeyn.stores.bundle_file import open_bundle
from jeyn.stores.gc import collect
from tests.stores.digits import DIGITS, READER, Digits, a_batch, a_checkpoint, rows

Members = list[tuple[str, bytes]]


@pytest.fixture
def other(home: Path) -> Iterator[Workspace]:
    """Another home, empty, on SQLite."""
    with jeyn.open(home=home.parent / "other", data=home.parent / "data", actor="bob") as opened:
        yield opened


@pytest.fixture
def bundle(home: Path) -> Path:
    return home.parent / "it.jeyn"


def counts(workspace: Workspace) -> dict[str, int]:
    """How many rows each table has, leaving out the clock."""
    from jeyn.stores.catalog.tables import metadata
    from tests.stores.conftest import execute

    return {
        table.name: execute(workspace.database, f"SELECT count(*) FROM {table.name}")[0][0]
        for table in metadata.sorted_tables
    }


def ids(workspace: Workspace, name: str) -> dict[str, str]:
    return {each.number: each.id for each in workspace.reader.claims(f"checkpoint:{name}")}


def test_rule_29_a_round_trip_keeps_ids_versions_and_content(
    workspace: Workspace, other: Workspace, bundle: Path
) -> None:
    base = a_checkpoint(workspace, seed=1, metrics={"accuracy": 0.5, "loss": float("nan")})
    checkpoint = a_checkpoint(workspace, seed=2, level="patch", parents=[base], metrics={"accuracy": 0.75})
    workspace.tag(base, "gold", reason="it shines")
    done = export_bundle(workspace, checkpoint, bundle)
    assert (done.artefacts, done.payloads, done.external) == (6, 3, ())
    result = import_bundle(other, bundle)
    assert (result.root, result.new, result.existing, result.payloads) == (checkpoint.id, 6, 0, 3)
    there = other.model_store.get_checkpoint("digit-reader@0.1.1")
    assert there == checkpoint
    assert there.metrics == checkpoint.metrics
    assert (there.created_at, there.actor) == (checkpoint.created_at, "ada")
    assert there.load()[0] == 2.0
    assert there.dataset.load().equals(checkpoint.dataset.load())
    assert there.dataset.epoch == 1
    assert other.tags(base.id) == {"gold"}
    assert other.model_store.get_use_case("digit-reader").output_catalog == READER.output_catalog
    assert {node.id for node in there.upstream()} == {node.id for node in checkpoint.upstream()}
    found = other.fsck()
    assert found.ok, str(found)
    # What comes next builds on what was imported.
    assert str(a_checkpoint(other, seed=3, level="patch").version) == "0.1.2"
    assert a_batch(other, seed=1).epoch == 1
    assert a_batch(other, seed=8).epoch == 2


def test_rule_29_importing_twice_changes_nothing(workspace: Workspace, other: Workspace, bundle: Path) -> None:
    checkpoint = a_checkpoint(workspace, metrics={"accuracy": 0.5})
    workspace.model_store.bless(checkpoint)
    workspace.tag(checkpoint, "gold")
    export_bundle(workspace, checkpoint, bundle)
    import_bundle(other, bundle, aliases=True)
    before = counts(other)
    again = import_bundle(other, bundle, aliases=True)
    assert (again.new, again.existing, again.payloads, again.aliases, again.restored) == (0, 5, 0, 0, 0)
    assert counts(other) == before
    assert import_bundle(workspace, bundle, aliases=True).new == 0


def test_equal_content_gives_equal_bytes_whichever_catalog_exports_it(
    workspace: Workspace, other: Workspace, bundle: Path
) -> None:
    checkpoint = a_checkpoint(workspace, seed=2, parents=[a_checkpoint(workspace, seed=1)], metrics={"accuracy": 0.5})
    workspace.model_store.bless(checkpoint, reason="good")
    workspace.tag(checkpoint, "silver", "gold")
    export_bundle(workspace, checkpoint, bundle)
    first = bundle.read_bytes()
    export_bundle(workspace, checkpoint, bundle)
    assert bundle.read_bytes() == first
    import_bundle(other, bundle, aliases=True)
    again = bundle.with_name("again.jeyn")
    export_bundle(other, "digit-reader@blessed", again)
    assert again.read_bytes() == first


def test_a_bundle_is_a_plain_tar(workspace: Workspace, bundle: Path) -> None:
    export_bundle(workspace, a_checkpoint(workspace), bundle)
    with tarfile.open(bundle) as tar:
        names = tar.getnames()
        assert names[:2] == ["manifest.json", "artefacts.jsonl"]
        assert names[2:] == sorted(names[2:])
        assert {member.mtime for member in tar} == {0}
        for name in names[2:]:
            data = tar.extractfile(name)
            assert data is not None
            assert hashlib.sha256(data.read()).hexdigest() == name.removeprefix("payloads/")
    assert not [path for path in bundle.parent.iterdir() if path.name.endswith(".part")]


def test_rule_29_aliases_travel_only_when_asked(workspace: Workspace, other: Workspace, bundle: Path) -> None:
    checkpoint = a_checkpoint(workspace)
    workspace.model_store.bless(checkpoint, reason="good")
    export_bundle(workspace, checkpoint, bundle)
    assert import_bundle(other, bundle).aliases == 0
    with pytest.raises(NotFound):
        other.model_store.get_checkpoint("digit-reader@blessed")
    assert import_bundle(other, bundle, aliases=True).aliases == 1
    assert other.model_store.get_checkpoint("digit-reader@blessed") == checkpoint
    moved = other.alias_history("checkpoint:digit-reader@blessed")[0]
    assert (moved.verb, moved.reason, moved.actor) == ("import", "good", "bob")


def test_rule_29_an_imported_alias_does_not_bless_what_was_withdrawn(
    workspace: Workspace, other: Workspace, bundle: Path
) -> None:
    checkpoint = a_checkpoint(workspace)
    workspace.model_store.bless(checkpoint)
    export_bundle(workspace, checkpoint, bundle)
    import_bundle(other, bundle, aliases=True)
    other.model_store.rollback(READER)
    result = import_bundle(other, bundle, aliases=True)
    assert result.aliases == 0
    assert [each.ours for each in result.refused_aliases] == ["withdrawn here"]


def test_rule_29_conflicting_claims_stop_everything(workspace: Workspace, other: Workspace, bundle: Path) -> None:
    theirs = a_checkpoint(workspace, seed=1)
    ours = a_checkpoint(other, seed=2)
    export_bundle(workspace, theirs, bundle)
    before, stored = counts(other), sorted(other.payloads.list())
    with pytest.raises(VersionTaken, match=r"checkpoint:digit-reader@0\.1\.0") as caught:
        import_bundle(other, bundle)
    assert "keep" in caught.value.hint
    assert (counts(other), sorted(other.payloads.list())) == (before, stored)
    result = import_bundle(other, bundle, keep="ours")
    assert [(each.what, each.ours, each.theirs) for each in result.kept] == [
        ("checkpoint:digit-reader@0.1.0", ours.id, theirs.id)
    ]
    assert other.model_store.get_checkpoint("digit-reader@0.1.0") == ours
    assert other.get(theirs.id).load()[0] == 1.0
    assert other.fsck().ok


def test_rule_29_one_content_under_two_numbers_is_a_conflict(
    workspace: Workspace, other: Workspace, bundle: Path
) -> None:
    theirs = a_checkpoint(workspace, seed=1)
    a_checkpoint(other, seed=5)
    ours = a_checkpoint(other, seed=1, level="major")
    assert ours == theirs
    export_bundle(workspace, theirs, bundle)
    with pytest.raises(VersionTaken):
        import_bundle(other, bundle)
    import_bundle(other, bundle, keep="ours")
    assert other.reader.numbers(other.row(ours).key) == ["1.0.0"]


def test_rule_29_batches_of_one_epoch_are_a_conflict(workspace: Workspace, other: Workspace, bundle: Path) -> None:
    batch, mine = a_batch(workspace, seed=1), a_batch(other, seed=2)
    export_bundle(workspace, batch, bundle)
    with pytest.raises(VersionTaken):
        import_bundle(other, bundle)
    import_bundle(other, bundle, keep="ours")
    assert other.dataset_store.get_batch("digits@1.0.0/1") == mine
    assert other.get(batch.id).load().equals(batch.load())


def test_rule_29_two_diverged_catalogs_merge_both_ways(workspace: Workspace, other: Workspace, bundle: Path) -> None:
    base = a_checkpoint(workspace, seed=1)
    workspace.tag(base, "old")
    export_bundle(workspace, base, bundle)
    import_bundle(other, bundle)
    left = a_checkpoint(workspace, seed=2, level="patch", parents=[base])
    workspace.tag(base, "old", present=False)
    right = a_checkpoint(other, seed=3, level="major", parents=[other.get(base.id)], dataset=a_batch(other, seed=6))
    other.tag(base.id, "new")
    exchange(workspace, left, other, bundle)
    exchange(other, right, workspace, bundle)
    assert ids(workspace, "digit-reader") == ids(other, "digit-reader")
    assert len(ids(other, "digit-reader")) == 3
    assert workspace.tags(base) == other.tags(base.id) == {"new"}
    for each in (workspace, other):
        assert each.model_store.get_checkpoint("digit-reader@latest").load()[0] == 3.0
        assert each.get(left.id).load()[0] == 2.0
        assert each.fsck().ok


def exchange(source: Workspace, what: Any, target: Workspace, path: Path) -> None:
    export_bundle(source, what, path)
    import_bundle(target, path)


def test_rule_29_ingest_stays_right_after_an_import(workspace: Workspace, other: Workspace, bundle: Path) -> None:
    formula = StreamingFormula("stream", version="1.0.0", output_catalog=Digits, source="s/*.parquet")
    folder = Path(workspace.settings.data) / "s"
    folder.mkdir(parents=True)
    for number in range(2):
        pq.write_table(pa.table(rows(number)), folder / f"{number}.parquet")
        batch = workspace.dataset_store.save_batch(formula.get_new_batch())
    assert batch.epoch == 2
    for each in workspace.dataset_store.get_formula_batches(formula):
        exchange(workspace, each, other, bundle)
    nothing_new = other.dataset_store.save_batch(formula.get_new_batch())
    assert (nothing_new.id, nothing_new.is_new) == (batch.id, False)
    pq.write_table(pa.table(rows(9)), folder / "9.parquet")
    assert other.dataset_store.save_batch(formula.get_new_batch()).epoch == 3


def test_rule_29_a_file_that_two_batches_claim_is_a_conflict(
    workspace: Workspace, other: Workspace, bundle: Path
) -> None:
    formula = StreamingFormula("stream", version="1.0.0", output_catalog=Digits, source="s/*.parquet")
    folder = Path(workspace.settings.data) / "s"
    folder.mkdir(parents=True)
    pq.write_table(pa.table(rows(0)), folder / "0.parquet")
    exchange(workspace, workspace.dataset_store.save_batch(formula.get_new_batch()), other, bundle)
    pq.write_table(pa.table(rows(1)), folder / "1.parquet")
    theirs = workspace.dataset_store.save_batch(formula.get_new_batch())
    pq.write_table(pa.table(rows(2)), folder / "2.parquet")
    ours = other.dataset_store.save_batch(formula.get_new_batch())
    export_bundle(workspace, theirs, bundle)
    with pytest.raises(VersionTaken):
        import_bundle(other, bundle)
    result = import_bundle(other, bundle, keep="ours")
    assert len(result.kept) == 2, "the epoch and the file"
    digest = theirs.files[0].digest
    assert other.reader.members(theirs.formula.id)[digest] == ours.id


def test_a_composite_batch_travels_with_its_parts(workspace: Workspace, other: Workspace, bundle: Path) -> None:
    a_batch(workspace)
    both = workspace.dataset_store.save_formula(CompositeFormula("both", version="1.0.0", formulas=["digits@^1"]))
    union = workspace.dataset_store.save_batch(both.get_new_batch())
    exchange(workspace, union, other, bundle)
    assert other.dataset_store.get_batch("both@1.0.0/1").load().equals(union.load())


def test_rule_29_what_was_swept_travels_without_bytes_and_comes_back_with_them(
    workspace: Workspace, other: Workspace, bundle: Path
) -> None:
    checkpoint = a_checkpoint(workspace, seed=2)
    export_bundle(workspace, checkpoint, bundle)
    whole = bundle.read_bytes()
    collect(workspace, yes=True, grace=timedelta(0))
    assert export_bundle(workspace, checkpoint, bundle).payloads == 0
    import_bundle(other, bundle)
    assert other.get(checkpoint.id).version == checkpoint.version
    with pytest.raises(PayloadMissing, match="swept"):
        other.get(checkpoint.id).load()
    bundle.write_bytes(whole)
    for each in (workspace, other):
        assert import_bundle(each, bundle).restored == 2
        assert each.get(checkpoint.id).load()[0] == 2.0
        assert each.fsck().ok


def test_rule_28_a_sweep_spares_what_was_just_imported(workspace: Workspace, other: Workspace, bundle: Path) -> None:
    checkpoint = a_checkpoint(workspace)
    export_bundle(workspace, checkpoint, bundle)
    time.sleep(1.1)
    import_bundle(other, bundle)
    assert collect(other, yes=True, grace=timedelta(seconds=1)).artefacts == ()


def test_rule_28_a_sweep_between_put_and_merge_makes_the_import_put_again(
    workspace: Workspace, other: Workspace, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = a_checkpoint(workspace)
    export_bundle(workspace, checkpoint, bundle)
    import_bundle(other, bundle)
    from jeyn.stores import bundle as module

    merge, swept = module.merge, []

    def late(*args: Any, **options: Any) -> Any:
        if not swept:
            swept.append(collect(other, yes=True, grace=timedelta(0)))
        return merge(*args, **options)

    monkeypatch.setattr(module, "merge", late)
    result = import_bundle(other, bundle)
    assert swept[0].payloads == 2
    assert (result.restored, result.payloads) == (2, 2)
    assert other.fsck().ok


def test_rule_29_an_import_inside_an_attempt_is_committed_at_once(
    workspace: Workspace, other: Workspace, bundle: Path
) -> None:
    export_bundle(workspace, a_checkpoint(workspace), bundle)
    with other.attempt() as attempt:
        attempt.import_bundle(bundle)
    assert other.model_store.get_checkpoint("digit-reader@0.1.0").load()[0] == 1.0


def test_an_export_that_fails_leaves_no_file(workspace: Workspace, bundle: Path) -> None:
    checkpoint = a_checkpoint(workspace)
    with pytest.raises(NotFound):
        export_bundle(workspace, "digit-reader@9", bundle)
    workspace.payloads.delete(checkpoint.record().payloads[0].digest[7:])
    with pytest.raises(PayloadMissing):
        export_bundle(workspace, checkpoint, bundle)
    assert [path.name for path in bundle.parent.iterdir() if "it.jeyn" in path.name] == []


def test_payloads_stream_in_bounded_memory(workspace: Workspace, other: Workspace, bundle: Path) -> None:
    batch = a_batch(workspace)
    checkpoint = workspace.model_store.save_checkpoint(
        READER.update_minor(dataset=batch, model=np.arange(64 << 17, dtype=float))  # 64 MiB
    )
    tracemalloc.start()
    try:
        export_bundle(workspace, checkpoint, bundle)
        import_bundle(other, bundle)
        assert tracemalloc.get_traced_memory()[1] < 24 << 20
    finally:
        tracemalloc.stop()
    assert other.get(checkpoint.id).load()[-1] == (64 << 17) - 1


# Hostile and damaged bundles.


def members_of(path: Path) -> Members:
    with tarfile.open(path) as tar:
        return [(member.name, tar.extractfile(member).read()) for member in tar]  # type: ignore[union-attr]


def pack(path: Path, members: Members, **header: Any) -> None:
    """A tar of these members; `header` changes the last one's header."""
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            if (name, data) == members[-1]:
                for key, value in header.items():
                    setattr(info, key, value)
            tar.addfile(info, io.BytesIO(data) if info.isreg() else None)


def with_lines(members: Members, change: Callable[[list[dict[str, Any]]], None], **manifest: Any) -> Members:
    """The members with changed lines, and a manifest that agrees with them."""
    lines = [json.loads(line) for line in dict(members)["artefacts.jsonl"].splitlines()]
    change(lines)
    data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    said = json.loads(dict(members)["manifest.json"])
    said |= {"records": f"sha256:{hashlib.sha256(data).hexdigest()}", "artefacts": len(lines)} | manifest
    return [("manifest.json", json.dumps(said).encode()), ("artefacts.jsonl", data), *members[2:]]


def of_type(lines: list[dict[str, Any]], schema: str) -> dict[str, Any]:
    return next(line for line in lines if json.loads(line["document"])["schema"].startswith(schema))


def set_(schema: str, **fields: Any) -> Callable[[list[dict[str, Any]]], None]:
    return lambda lines: of_type(lines, schema).update(fields)


def claim(owner: str, number: str) -> list[dict[str, Any]]:
    return [{"owner": owner, "number": number, "actor": "eve", "at": 1}]


def _drop(schema: str) -> Callable[[list[dict[str, Any]]], None]:
    return lambda lines: lines.remove(of_type(lines, schema))


def _retype(lines: list[dict[str, Any]]) -> None:
    line = of_type(lines, "model_checkpoint")
    line["document"] = line["document"].replace("digit-reader", "digit-thief")


def _forge(schema: str, **changes: Any) -> Callable[[list[dict[str, Any]]], None]:
    """A document with a proper id that no Jeyn would have written."""
    from jeyn.sdk.artefact import id_of_document
    from jeyn.sdk.canonical import canonical

    def change(lines: list[dict[str, Any]]) -> None:
        line = of_type(lines, schema)
        document = canonical(json.loads(line["document"]) | changes)
        line.update(document=document.decode(), id=id_of_document(document))

    return change


def _path_payload(name: str) -> Callable[[list[dict[str, Any]]], None]:
    def change(lines: list[dict[str, Any]]) -> None:
        payload = json.loads(of_type(lines, "model_checkpoint")["document"])["payloads"][0]
        _forge("model_checkpoint", payloads=[[name, *payload[1:]]])(lines)

    return change


MARK = {"kind": "tag", "value": "x", "present": True, "reason": "", "actor": "eve", "at": 1}
ID = f"sha256:{'a' * 64}"
LINES: dict[str, Callable[[list[dict[str, Any]]], None]] = {
    "a document that was changed": _retype,
    "a parent that is not there": _drop("dataset_formula"),
    "children before parents": lambda lines: lines.reverse(),
    "an artefact twice": lambda lines: lines.append(lines[-1]),
    "no edges": set_("model_checkpoint", edges=[]),
    "an edge of no type": lambda lines: of_type(lines, "model_checkpoint")["edges"].append([0, lines[0]["id"]]),
    "an edge from elsewhere": lambda lines: of_type(lines, "model_checkpoint")["edges"].append([9, ID]),
    "somebody else's version": set_("model_checkpoint", claims=claim("checkpoint:other", "1.0.0")),
    "a formula's version": set_("model_checkpoint", claims=claim("formula:digits", "2.0.0")),
    "no version": set_("model_checkpoint", claims=claim("checkpoint:digit-reader", "one")),
    "a version too large": set_("model_checkpoint", claims=claim("checkpoint:digit-reader", f"{2**63}.0.0")),
    "an odd version": set_("model_checkpoint", claims=claim("checkpoint:digit-reader", "01.0.0")),
    "epoch zero": set_("dataset_batch", claims=claim(f"batch:{'a' * 64}", "0")),
    "a version twice": set_("model_checkpoint", claims=claim("checkpoint:digit-reader", "1.0.0") * 2),
    "somebody else's alias": set_(
        "model_checkpoint", aliases=[{"owner": "checkpoint:other", "alias": "blessed", "reason": ""}]
    ),
    "an alias that is none": set_(
        "model_checkpoint", aliases=[{"owner": "checkpoint:digit-reader", "alias": "../x", "reason": ""}]
    ),
    "a tombstone": set_("model_checkpoint", marks=[MARK | {"kind": "tombstone"}]),
    "a pin": set_("model_checkpoint", marks=[MARK | {"kind": "pin"}]),
    "a contract of a batch": set_("dataset_batch", marks=[MARK | {"kind": "contract", "value": "{}"}]),
    "a contract that is none": set_("use_case", marks=[MARK | {"kind": "contract", "value": "{}"}]),
    "facts that are none": set_("dataset_batch", facts="[]"),
    "facts that are no JSON": set_("dataset_batch", facts="{"),
    "metrics of something else": set_("dataset_batch", metrics=[{"subject": ID, "name": "a", "value": "1.0"}]),
    "files for something else": set_("dataset_batch", members=[{"formula": ID, "member": "a", "batch": ID}]),
    "a time before time": set_("dataset_batch", at=-1),
    "a number for a name": set_("dataset_batch", actor=7),
    "an unknown field": set_("dataset_batch", extra=1),
    "an actor too long": set_("dataset_batch", actor="x" * 201),
    "a body that is not its schema's": _forge("model_checkpoint", body={}),
    "an absolute payload": _path_payload("/etc/passwd"),
    "a payload that climbs": _path_payload("a/../../b"),
    "a payload of no size": lambda lines: _forge("model_checkpoint", payloads=[["model", ID, -1]])(lines),
    "a payload without bytes": lambda lines: _forge("model_checkpoint", payloads=[["model", ID, 3]])(lines),
    "a name that is none": _forge("model_checkpoint", name=7),
    "a field too many": _forge("model_checkpoint", more=1),
    "an empty line": lambda lines: lines.append({}),
}
FILES: dict[str, Callable[[Path, Members], None]] = {
    "an absolute name": lambda path, members: pack(path, [*members, ("/etc/passwd", b"x")]),
    "a name that climbs": lambda path, members: pack(path, [*members, ("payloads/../../x", b"x")]),
    "a name that is no digest": lambda path, members: pack(path, [*members, ("payloads/zz", b"x")]),
    "a symbolic link": lambda path, members: pack(
        path, [*members, (f"payloads/{'f' * 64}", b"")], type=tarfile.SYMTYPE, linkname="/etc/passwd"
    ),
    "a hard link": lambda path, members: pack(
        path, [*members, (f"payloads/{'f' * 64}", b"")], type=tarfile.LNKTYPE, linkname="manifest.json"
    ),
    "a device": lambda path, members: pack(path, [*members, (f"payloads/{'f' * 64}", b"")], type=tarfile.CHRTYPE),
    "a folder": lambda path, members: pack(path, [*members, ("payloads", b"")], type=tarfile.DIRTYPE),
    "an extended header": lambda path, members: pack(path, [*members, ("x", b"1" * 100)], type=tarfile.XHDTYPE),
    "payloads out of order": lambda path, members: pack(path, [*members[:2], *reversed(members[2:])]),
    "a payload twice": lambda path, members: pack(path, [*members, members[-1]]),
    "a payload of nobody": lambda path, members: pack(path, [*members, (f"payloads/{'f' * 64}", b"x")]),
    "a payload too few": lambda path, members: pack(path, members[:-1]),
    "wrong bytes": lambda path, members: pack(
        path, [*members[:-1], (members[-1][0], members[-1][1][:-1] + b"\x00\x01"[members[-1][1][-1] == 0 :][:1])]
    ),
    "no manifest": lambda path, members: pack(path, members[1:]),
    "no artefacts": lambda path, members: pack(path, members[:1]),
    "the manifest second": lambda path, members: pack(path, [members[1], members[0], *members[2:]]),
    "a huge manifest": lambda path, members: pack(path, [("manifest.json", b" " * (1 << 17)), *members[1:]]),
    "a manifest that is none": lambda path, members: pack(path, [("manifest.json", b"[]"), *members[1:]]),
    "another format": lambda path, members: pack(path, with_lines(members, lambda _: None, format="zip/1")),
    "lines of another digest": lambda path, members: pack(path, with_lines(members, lambda _: None, records=ID)),
    "a count that is wrong": lambda path, members: pack(path, with_lines(members, lambda _: None, bytes=1)),
    "a root that is not there": lambda path, members: pack(path, with_lines(members, lambda _: None, root=ID)),
    "no tar": lambda path, _: path.write_bytes(os.urandom(4096)) and None,
    "nothing": lambda path, _: path.write_bytes(b"") and None,
    "only zeros": lambda path, _: path.write_bytes(bytes(10240)) and None,
    "something behind it": lambda path, _: path.write_bytes(path.read_bytes() + b"x" * 512) and None,
    "a size beyond the file": lambda path, _: path.write_bytes(_lie_about_size(path.read_bytes())) and None,
}


def _lie_about_size(data: bytes) -> bytes:
    header = tarfile.TarInfo("manifest.json")
    header.size = 1 << 60
    return header.tobuf(tarfile.GNU_FORMAT) + data[512:]


@pytest.fixture
def sound(home: Path, bundle: Path) -> Members:
    """The members of a bundle that can be imported."""
    with jeyn.open(home=home.parent / "source", data=home.parent, actor="ada") as source:
        checkpoint = a_checkpoint(source, seed=2, metrics={"accuracy": 0.5})
        source.model_store.bless(checkpoint)
        export_bundle(source, checkpoint, bundle)
    return members_of(bundle)


def refuses(other: Workspace, bundle: Path, error: type[JeynError] = Corrupt) -> JeynError:
    """Importing raises `error`, and nothing is written."""
    before = counts(other)
    with pytest.raises(error) as caught:
        import_bundle(other, bundle, aliases=True)
    assert counts(other) == before
    assert list(other.payloads.list()) == []
    assert not any(other.payloads.staging().iterdir())
    return caught.value


def test_a_repacked_bundle_is_sound(other: Workspace, bundle: Path, sound: Members) -> None:
    pack(bundle, with_lines(sound, lambda _: None))
    assert import_bundle(other, bundle).new == 5


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_is_refused(other: Workspace, bundle: Path, sound: Members, name: str) -> None:
    FILES[name](bundle, sound)
    refuses(other, bundle)


@pytest.mark.parametrize("name", LINES)
def test_a_hostile_line_is_refused(other: Workspace, bundle: Path, sound: Members, name: str) -> None:
    pack(bundle, with_lines(sound, LINES[name]))
    refuses(other, bundle)


def test_a_newer_format_is_refused(other: Workspace, bundle: Path, sound: Members) -> None:
    pack(bundle, with_lines(sound, lambda _: None, format="jeyn-bundle/2"))
    assert "upgrade" in refuses(other, bundle, NewerSchema).hint


def test_a_bundle_cut_anywhere_is_refused(other: Workspace, bundle: Path, sound: Members) -> None:
    whole = bundle.read_bytes()
    content = sum(512 + len(data) + -len(data) % 512 for _, data in sound)
    cuts = range(0, content + 512, 509)
    for cut in cuts:
        bundle.write_bytes(whole[:cut])
        refuses(other, bundle)


def test_a_flipped_bit_anywhere_is_refused_or_changes_nothing(other: Workspace, bundle: Path, sound: Members) -> None:
    whole = bundle.read_bytes()
    refused = 0
    for place in range(0, len(whole), 331):
        spoilt = bytearray(whole)
        spoilt[place] ^= 1
        bundle.write_bytes(spoilt)
        try:
            with open_bundle(bundle) as opened:
                opened.verify()
        except (Corrupt, NewerSchema):
            refused += 1
        else:
            name = bytes(whole[place - place % 512 :][:8])
            assert not name.strip(b"\0") or not whole[place], "only padding may differ"
    assert refused > 20


def test_a_bundle_that_changes_after_it_was_checked_is_refused(
    other: Workspace, bundle: Path, sound: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jeyn.stores import bundle as module

    check = module.check_conflicts

    def swap(*args: Any) -> None:
        check(*args)
        data = bytearray(bundle.read_bytes())
        at = data.index(sound[-1][1])
        data[at] ^= 1
        with bundle.open("r+b") as file:
            file.write(data)

    monkeypatch.setattr(module, "check_conflicts", swap)
    with pytest.raises(Corrupt, match="changed"):
        import_bundle(other, bundle)
    assert counts(other)["artefact"] == 0


def test_what_is_no_file_or_no_choice_is_said(other: Workspace, bundle: Path) -> None:
    with pytest.raises(NotFound):
        import_bundle(other, bundle)
    with pytest.raises(UsageError):
        import_bundle(other, bundle.parent)
    with pytest.raises(UsageError, match="theirs"):
        import_bundle(other, bundle, keep="theirs")  # type: ignore[arg-type]


def test_an_artefact_of_a_newer_jeyn_travels(workspace: Workspace, other: Workspace, bundle: Path) -> None:
    from jeyn.stores.catalog.changes import NewArtefact

    digest = "sha256:" + hashlib.sha256(b"abc").hexdigest()
    record = Record("hologram/7", "leia", {"hope": 1}, payloads=(PayloadRef("x", digest, 3),))

    def build(writer: Workspace) -> list[NewArtefact]:
        writer.keep(b"abc", "x")
        return [NewArtefact(record)]

    workspace.save(build)
    exchange(workspace, record.id, other, bundle)
    assert other.get(record.id).record() == record
    assert other.fsck().ok


def test_files_at_their_source_travel_where_they_can_be_read(
    workspace: Workspace, other: Workspace, bundle: Path
) -> None:
    source = Path(workspace.settings.data) / "far" / "1.parquet"
    source.parent.mkdir(parents=True)
    pq.write_table(pa.table(rows(1)), source)
    batch = _referenced(workspace, source, "far/1.parquet")
    assert workspace.fsck().ok
    done = export_bundle(workspace, batch, bundle)
    assert (done.payloads, done.external) == (1, ())
    data = source.read_bytes()
    source.unlink()
    import_bundle(other, bundle)
    assert other.get(batch).load().num_rows == 10
    assert other.fsck().ok
    assert collect(other, grace=timedelta(0)).payloads == 1, "here the store has to keep it"
    done = export_bundle(workspace, batch, bundle)
    assert (done.payloads, done.external) == (0, (f"sha256:{hashlib.sha256(data).hexdigest()}",))
    with jeyn.open(home=other.settings.home / "third", data=workspace.settings.data) as third:
        import_bundle(third, bundle)
        assert third.fsck().ok
        source.write_bytes(data)
        assert third.get(batch).load().num_rows == 10


def _referenced(workspace: Workspace, path: Path, name: str) -> str:
    """The id of a saved batch whose file stays where it is."""
    from jeyn.stores.drafts import Draft
    from jeyn.stores.payloads import hash_file

    formula = workspace.dataset_store.save_formula(DIGITS)
    (file,) = workspace.data_root.list(name)
    digest = f"sha256:{hash_file(path).digest}"
    draft = Draft(
        formula,
        "files",
        payloads=(PayloadRef(name, digest, path.stat().st_size),),
        facts={"referenced": {digest: file.version}},
        external=frozenset({digest}),
    )
    return workspace.commit([draft.change()])[0].id


def test_digits_formula_alone_travels(workspace: Workspace, other: Workspace, bundle: Path) -> None:
    exchange(workspace, workspace.dataset_store.save_formula(DIGITS), other, bundle)
    assert other.dataset_store.get_formula("digits@1.0.0").output_catalog == Digits
