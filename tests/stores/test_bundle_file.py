"""Hostile, damaged and future bundle files: each is refused, and nothing is written."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import jeyn
from jeyn import Workspace
from jeyn.errors import Corrupt, JeynError, NewerSchema, NotFound, UsageError
from jeyn.stores.care.bundle import export_bundle, import_bundle
from jeyn.stores.care.bundle_file import open_bundle
from tests.stores.bundles import counts
from tests.stores.digits import a_checkpoint

Members = list[tuple[str, bytes]]


@pytest.fixture
def other(home: Path) -> Iterator[Workspace]:
    """The home that bundles are imported into, empty."""
    with jeyn.open(home=home.parent / "other", data=home.parent / "data", actor="bob") as opened:
        yield opened


@pytest.fixture
def bundle(home: Path) -> Path:
    return home.parent / "it.jeyn"


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
    "categories that are no texts": set_("dataset_batch", facts='{"levels": {"x": [1]}}'),
    "categories that come twice": set_("dataset_batch", facts='{"levels": {"x": ["a", "a"]}}'),
    "an order of other features": set_("dataset_formula", facts='{"order": ["nothing"]}'),
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
    from jeyn.stores.care import bundle as module

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
