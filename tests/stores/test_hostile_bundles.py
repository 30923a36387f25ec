"""More than a hundred ways to lie in a bundle, each refused before anything is written; the catalog can be read after.

All of them have ids, digests and counts that fit: only what they say is false.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import jeyn
from jeyn import Workspace
from jeyn.errors import Corrupt, JeynError
from jeyn.formulas import StreamingFormula
from jeyn.sdk.artefact import PayloadRef, id_of_document
from jeyn.sdk.canonical import canonical, parse
from jeyn.sdk.value import Value
from jeyn.stores.care.bundle import export_bundle, import_bundle
from jeyn.stores.catalog.bounds import LARGEST, LATEST
from jeyn.stores.catalog.changes import NewArtefact
from tests.stores.bundles import counts
from tests.stores.digits import Digits, a_checkpoint
from tests.stores.test_bundle_file import Members, members_of, pack, with_lines

Line = dict[str, Any]
Change = Callable[[list[Line]], None]
MARK = {"kind": "tag", "value": "x", "present": True, "reason": "", "actor": "eve", "at": 1}
ID = f"sha256:{'a' * 64}"
ESC, RIGHT_TO_LEFT = "\x1b[2J", "‮"


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Members]:
    """What can be imported: an evaluation with all that it came from, a file's batch, and a value."""
    root = tmp_path_factory.mktemp("source")
    (root / "data").mkdir()
    (root / "data" / "one.csv").write_text("x,label\n0.5,1\n")
    found = {}
    with jeyn.open(home=root / ".jeyn", data=root / "data", actor="ada") as source:
        checkpoint = a_checkpoint(source, seed=2, metrics={"accuracy": 0.5})
        source.model_store.bless(checkpoint)
        source.tag(checkpoint, "gold")
        judged = source.model_store.save_evaluation(checkpoint, checkpoint.dataset, {"accuracy": 0.75})
        formula = StreamingFormula("files", version="1.0.0", output_catalog=Digits, source="*.csv")
        batch = source.dataset_store.save_batch(source.dataset_store.save_formula(formula).get_new_batch())
        value = source.save(lambda writer: [_value(writer)])[0]
        for name, ref in (("evaluation", judged.id), ("files", batch.id), ("value", value.id)):
            export_bundle(source, ref, root / name)
            found[name] = members_of(root / name)
    return found


def _value(writer: Workspace) -> NewArtefact:
    payload = writer.keep(b"42", "value")
    return NewArtefact(Value(output="answer", cache_key="c" * 64, format="json/1", payload=payload).record())


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A catalog that already has something; whatever is refused leaves it as it is."""
    root = tmp_path_factory.mktemp("target")
    with jeyn.open(home=root / ".jeyn", data=root, actor="bob") as opened:
        a_checkpoint(opened, seed=7)
        yield opened


def of(lines: list[Line], schema: str) -> Line:
    return next(line for line in lines if json.loads(line["document"])["schema"].startswith(schema))


def put(schema: str, **fields: Any) -> Change:
    return lambda lines: of(lines, schema).update(fields)


def forged(schema: str, change: Callable[[dict[str, Any]], Any]) -> Change:
    """A document that says something else under a proper id, and all that follows from it."""

    def apply(lines: list[Line]) -> None:
        line = of(lines, schema)
        document = json.loads(line["document"])
        change(document)
        text = canonical(parse(json.dumps(document))).decode()
        before, after = line["id"], id_of_document(text.encode())
        line["document"] = text
        line["id"] = after
        _follow(lines, before, after)

    return apply


def _follow(lines: list[Line], before: str, after: str) -> None:
    for position, line in enumerate(lines):
        own = line["id"]
        text = json.dumps(line).replace(before[7:], after[7:])
        lines[position].clear()
        lines[position].update(json.loads(text))
        made = id_of_document(lines[position]["document"].encode())
        if own not in (after, made):
            lines[position]["id"] = made
            _follow(lines, own, made)


def body(schema: str, **fields: Any) -> Change:
    return forged(schema, lambda document: document["body"].update(fields))


def facts(schema: str, text: str) -> Change:
    return put(schema, facts=text)


def named(schema: str, name: str) -> Change:
    """An artefact by another name, and its claims with it."""

    def apply(lines: list[Line]) -> None:
        line = of(lines, schema)
        before = json.loads(line["document"])["name"]
        for claim in (*line["claims"], *line["aliases"]):
            claim["owner"] = claim["owner"].replace(f":{before}", f":{name}")
        forged(schema, lambda document: document.update(name=name))(lines)

    return apply


def claims(schema: str, number: str, **fields: Any) -> Change:
    return lambda lines: of(lines, schema)["claims"][0].update(number=number, **fields)


def alias(**fields: Any) -> Change:
    return lambda lines: of(lines, "model_checkpoint")["aliases"][0].update(fields)


def stranger(name: str) -> Change:
    """An artefact that the root does not come from: a sound one, of a name that somebody trusts."""

    def apply(lines: list[Line]) -> None:
        text = canonical({"schema": "use_case/1", "name": name, "body": {}, "parents": [], "payloads": []}).decode()
        contract = of(lines, "use_case")["marks"]
        plain = {"quarantined": False, "buried": False, "actor": "eve", "at": 1, "facts": "{}"}
        none: dict[str, Any] = {each: [] for each in ("edges", "external", "claims", "aliases", "members", "metrics")}
        lines.insert(0, {"id": id_of_document(text.encode()), "document": text, "marks": contract, **plain, **none})

    return apply


def attached(lines: list[Line]) -> None:
    """A stranger under an edge that no id proves."""
    stranger("appraiser")(lines)
    of(lines, "model_checkpoint")["edges"].append([9, lines[0]["id"]])


def reroot(schema: str) -> Change:
    """The same lines, said to be about something that the rest does not belong to."""

    def apply(lines: list[Line]) -> None:
        lines.append({"root": of(lines, schema)["id"]})

    return apply


def deep(levels: int, leaf: str = "1") -> str:
    return '{"a":' * levels + leaf + "}" * levels


def raw(line: Line, old: str, new: str) -> None:
    """A document as no writer of JSON would make it, under its own id."""
    assert old in line["document"]
    line["document"] = line["document"].replace(old, new)
    line["id"] = id_of_document(line["document"].encode())


def member(lines: list[Line], **fields: Any) -> None:
    of(lines, "dataset_batch")["members"][0].update(fields)


NAMES = {
    "a newline": "two\nlines",
    "an escape": f"digits{ESC}",
    "a carriage return": "digits\rother",
    "a tab": "a\tb",
    "a bell": "a\x07",
    "a C1 control": "a\x9b2J",
    "a NUL": "a\x00b",
    "right to left": f"a{RIGHT_TO_LEFT}b",
    "a path": "../../etc/passwd",
    "a slash": "a/b",
    "a backslash": "a\\b",
    "an absolute path": "/etc/passwd",
    "a dot": ".",
    "two dots": "..",
    "nothing": "",
    "a space": " ",
    "too long": "x" * 201,
    "a reference": "a@latest",
}
FACTS = {
    "NaN": '{"a": NaN}',
    "infinity": '{"a": -Infinity}',
    "a number without end": '{"a": 1e999}',
    "a repeated key": '{"a": 1, "a": 2}',
    "a repeated key inside": '{"a": {"b": 1, "b": 2}}',
    "a tag that is none": '{"$x": 1}',
    "a tag inside": '{"a": [{"$int": 5}]}',
    "a float tag of nothing": '{"a": {"$float": "x"}}',
    "an int tag of a small number": '{"a": {"$int": "5"}}',
    "900 levels": deep(900),
    "101 levels": deep(101),
    "900 lists": '{"a": ' + "[" * 900 + "]" * 900 + "}",
    "100,000 levels": deep(100_000),
    "5,000 digits": '{"a": ' + "9" * 5000 + "}",
    "5,000 digits in a tag": '{"a": {"$int": "' + "9" * 5000 + '"}}',
    "a list": "[]",
    "null": "null",
    "a text": '"facts"',
    "no JSON": "{",
    "two documents": "{} {}",
    "nothing at all": "",
    "metrics that are a list": '{"metrics": [1]}',
    "metrics that are a text": '{"metrics": "high"}',
    "a description that is a number": '{"description": 5}',
    "statistics that are a list": '{"statistics": []}',
    "levels that are a number": '{"levels": 5}',
}
CHANGES: dict[str, tuple[str, Change]] = {
    **{f"a formula's name is {what}": ("evaluation", named("dataset_formula", name)) for what, name in NAMES.items()},
    **{f"a use case's name is {what}": ("evaluation", named("use_case", name)) for what, name in NAMES.items()},
    **{
        f"a value's name is {what}": ("value", named("value", name))
        for what, name in NAMES.items()
        if what not in ("a space", "a reference")
    },
    **{f"facts of a batch are {what}": ("evaluation", facts("dataset_batch", text)) for what, text in FACTS.items()},
    **{f"facts of a model are {what}": ("evaluation", facts("model_checkpoint", text)) for what, text in FACTS.items()},
    "a time in the year 11103": ("evaluation", put("dataset_batch", at=288_230_376_151_711_744)),
    "a time just beyond the last": ("evaluation", put("model_checkpoint", at=LATEST + 1)),
    "the largest time": ("evaluation", put("use_case", at=2**63 - 1)),
    "a time that no database has": ("evaluation", put("use_case", at=2**63)),
    "a time of a fraction": ("evaluation", put("use_case", at=1.5)),
    "a claim's time": ("evaluation", claims("dataset_batch", "1", at=LATEST + 1)),
    "a mark's time": ("evaluation", put("model_checkpoint", marks=[MARK | {"at": LATEST + 1}])),
    "an epoch of 2^63-1": ("evaluation", claims("dataset_batch", str(2**63 - 1))),
    "an epoch of 2^63": ("evaluation", claims("dataset_batch", str(2**63))),
    "an epoch of 10^15": ("evaluation", claims("dataset_batch", str(10**15))),
    "an epoch of 5,000 digits": ("evaluation", claims("dataset_batch", "9" * 5000)),
    "an epoch of 190 digits": ("evaluation", claims("dataset_batch", "9" * 190)),
    "epoch zero": ("evaluation", claims("dataset_batch", "0")),
    "an epoch with a sign": ("evaluation", claims("dataset_batch", "+1")),
    "an epoch in other digits": ("evaluation", claims("dataset_batch", "١")),
    "an epoch with a zero before it": ("evaluation", claims("dataset_batch", "01")),
    "a negative epoch": ("evaluation", claims("dataset_batch", "-1")),
    "a version without end": ("evaluation", claims("model_checkpoint", f"{LARGEST + 1}.0.0")),
    "a version of 2^63": ("evaluation", claims("model_checkpoint", f"1.{2**63}.0")),
    "a version with a build": ("evaluation", claims("model_checkpoint", "1.0.0+b")),
    "a formula's version is not that of its body": ("evaluation", claims("dataset_formula", "2.0.0")),
    "a batch without a formula": ("evaluation", forged("dataset_batch", lambda d: d.update(parents=[]))),
    "a batch of two formulas": (
        "evaluation",
        forged("dataset_batch", lambda d: d.update(parents=[d["parents"][0], ["formula_batch", ID]])),
    ),
    "a batch of an unknown kind": ("evaluation", body("dataset_batch", kind="magic")),
    "a batch that is a list": ("evaluation", forged("dataset_batch", lambda d: d.update(body=[]))),
    "a batch with more than it has": ("evaluation", body("dataset_batch", more=1)),
    "a value without a payload": ("value", forged("value", lambda d: d.update(payloads=[]))),
    "a value with two payloads": (
        "value",
        forged("value", lambda d: d["payloads"].append(["other", *d["payloads"][0][1:]])),
    ),
    "a value of no format": ("value", body("value", format="")),
    "a value in a file that climbs": ("value", body("value", file="..")),
    "a value in a file of two lines": ("value", body("value", file="a\nb")),
    "a model without a payload": ("evaluation", forged("model_checkpoint", lambda d: d.update(payloads=[]))),
    "a model of no use case": (
        "evaluation",
        forged("model_checkpoint", lambda d: d.update(parents=[p for p in d["parents"] if "use_case" not in p[0]])),
    ),
    "a model with a catalog that is none": ("evaluation", body("model_checkpoint", input_catalog={"x": 1})),
    "a model whose serializer is a text": ("evaluation", body("model_checkpoint", serializer="pickle")),
    "an evaluation of nothing": ("evaluation", forged("evaluation", lambda d: d.update(parents=d["parents"][1:]))),
    "an evaluation with texts for metrics": ("evaluation", body("evaluation", metrics={"accuracy": "high"})),
    "a formula without a recipe": ("evaluation", forged("dataset_formula", lambda d: d["body"].pop("recipe"))),
    "a formula of an unknown kind": ("evaluation", body("dataset_formula", recipe={"kind": "magic"})),
    "a streaming formula without a source": ("files", body("dataset_formula", recipe={"kind": "streaming"})),
    "a formula with a version that is none": ("evaluation", body("dataset_formula", version="one")),
    "a formula with a catalog that is none": ("evaluation", body("dataset_formula", output_catalog={"x": {}})),
    "a use case with a body": ("evaluation", body("use_case", more=1)),
    "a use case without a contract": ("evaluation", put("use_case", marks=[])),
    "a contract that is a list": ("evaluation", put("use_case", marks=[MARK | {"kind": "contract", "value": "[]"}])),
    "a contract of 900 levels": (
        "evaluation",
        put("use_case", marks=[MARK | {"kind": "contract", "value": deep(900)}]),
    ),
    "a contract whose description is a number": (
        "evaluation",
        lambda lines: of(lines, "use_case")["marks"][0].update(
            value=json.dumps(json.loads(of(lines, "use_case")["marks"][0]["value"]) | {"description": 5})
        ),
    ),
    "an order that is a number": (
        "evaluation",
        put("dataset_formula", marks=[MARK | {"kind": "order", "value": "5"}]),
    ),
    "a mark of no kind": ("evaluation", put("model_checkpoint", marks=[MARK | {"kind": "superseded"}])),
    "a withdrawal": ("evaluation", put("model_checkpoint", marks=[MARK | {"kind": "withdrawn"}])),
    "a reason without end": ("evaluation", put("model_checkpoint", marks=[MARK | {"reason": "x" * 200_000}])),
    "a tag of nothing": ("evaluation", put("model_checkpoint", marks=[MARK | {"value": ""}])),
    "a tag with a NUL": ("evaluation", put("model_checkpoint", marks=[MARK | {"value": "a\x00"}])),
    "an alias with an escape": ("evaluation", alias(alias=f"a{ESC}")),
    "an alias of two lines": ("evaluation", alias(alias="blessed\n")),
    "an alias too long": ("evaluation", alias(alias="a" * 101)),
    "the alias latest": ("evaluation", alias(alias="latest")),
    "an alias twice": (
        "evaluation",
        lambda lines: of(lines, "model_checkpoint")["aliases"].append(of(lines, "model_checkpoint")["aliases"][0]),
    ),
    "an alias of somebody else": ("evaluation", alias(owner="checkpoint:appraiser")),
    "a payload name with a backslash that climbs": (
        "value",
        forged("value", lambda d: d.update(payloads=[["..\\..\\x", *d["payloads"][0][1:]]])),
    ),
    "a payload name with a NUL": (
        "value",
        forged("value", lambda d: d.update(payloads=[["a\x00", *d["payloads"][0][1:]]])),
    ),
    "a payload name that is a number": (
        "value",
        forged("value", lambda d: d.update(payloads=[[7, *d["payloads"][0][1:]]])),
    ),
    "a payload size that is a fraction": (
        "value",
        forged("value", lambda d: d.update(payloads=[[*d["payloads"][0][:2], 2.5]])),
    ),
    "a payload of four parts": ("value", forged("value", lambda d: d["payloads"][0].append(1))),
    "a parent of three parts": ("evaluation", forged("model_checkpoint", lambda d: d["parents"][0].append(1))),
    "a document of 900 levels": (
        "evaluation",
        lambda lines: raw(of(lines, "dataset_batch"), '"kind":', '"kwargs":' + deep(900) + ',"kind":'),
    ),
    "a document with a number of 5,000 digits": (
        "evaluation",
        lambda lines: raw(of(lines, "dataset_batch"), '"kind":', '"kwargs":{"a":' + "9" * 5000 + '},"kind":'),
    ),
    "a document with a key twice": (
        "evaluation",
        lambda lines: raw(of(lines, "dataset_batch"), '"kind":', '"kind":"table","kind":'),
    ),
    "a document with NaN": (
        "evaluation",
        lambda lines: raw(of(lines, "evaluation"), "0.75", "NaN"),
    ),
    "a schema with an escape": ("value", forged("value", lambda d: d.update(schema=f"value{ESC}/9"))),
    "a schema too long": ("value", forged("value", lambda d: d.update(schema="x" * 79 + "/1"))),
    "a schema that is a number": ("value", forged("value", lambda d: d.update(schema=7))),
    "an actor with a NUL": ("evaluation", put("dataset_batch", actor="a\0b")),
    "who tagged it with a NUL": ("evaluation", put("model_checkpoint", marks=[MARK | {"actor": "a\0b"}])),
    "a reason with a NUL": ("evaluation", put("model_checkpoint", marks=[MARK | {"reason": "a\0b"}])),
    "an actor with nothing but length": ("evaluation", put("dataset_batch", actor="x" * 201)),
    "a metric of somebody else": (
        "evaluation",
        lambda lines: of(lines, "evaluation")["metrics"][0].update(subject=of(lines, "dataset_formula")["id"]),
    ),
    "a metric that was not measured": (
        "evaluation",
        lambda lines: of(lines, "evaluation")["metrics"][0].update(value="0.99"),
    ),
    "a metric that nobody named": (
        "evaluation",
        lambda lines: of(lines, "model_checkpoint")["metrics"][0].update(name="f1"),
    ),
    "a metric that is no number": (
        "evaluation",
        lambda lines: of(lines, "model_checkpoint")["metrics"][0].update(value="high"),
    ),
    "a file that the batch does not have": ("files", lambda lines: member(lines, member=ID)),
    "a file that the batch does not have, in a folder": (
        "files",
        lambda lines: member(lines, member=f'{ID}#{{"day": "1"}}'),
    ),
    "a watermark of a batch that has none": ("files", lambda lines: member(lines, member="start:None")),
    "a use case that the root does not come from": ("evaluation", stranger("appraiser")),
    "a use case tied to a model by an edge of no document": ("evaluation", attached),
    "the formula as root": ("evaluation", reroot("dataset_formula")),
    "the batch as root": ("evaluation", reroot("dataset_batch")),
    "the model as root": ("evaluation", reroot("model_checkpoint")),
    "an edge of a type beyond all": (
        "evaluation",
        lambda lines: of(lines, "evaluation")["edges"].append([40_000, lines[0]["id"]]),
    ),
    "a parent under another edge too": (
        "evaluation",
        lambda lines: of(lines, "evaluation")["edges"].append([1, lines[0]["id"]]),
    ),
}


def written(path: Path, members: Members, change: Change) -> None:
    """The members with changed lines; a last line of a root only says what the manifest shall name."""
    told: dict[str, Any] = {}

    def both(lines: list[Line]) -> None:
        old = lines[-1]["id"]
        change(lines)
        told["root"] = lines.pop()["root"] if "root" in lines[-1] else lines[-1]["id"]
        assert old

    pack(path, with_lines(members, both) if not told else members)
    # Once more, now that the root is known.
    manifest = with_lines(members, both)
    said = json.loads(manifest[0][1]) | {"root": told["root"]}
    pack(path, [("manifest.json", json.dumps(said).encode()), *manifest[1:]])


def is_readable(workspace: Workspace) -> None:
    """Whatever was tried: all of the catalog can be listed, got and checked."""
    for hit in workspace.search("", limit=1000):
        found = workspace.get(hit.id)
        assert found.ref and found.created_at
    assert workspace.fsck().ok


def test_the_table_is_long_enough() -> None:
    assert len(CHANGES) > 150


@pytest.mark.parametrize("name", ["evaluation", "files", "value"])
def test_what_the_lies_are_made_from_is_sound(sources: dict[str, Members], tmp_path: Path, name: str) -> None:
    written(tmp_path / "it", sources[name], lambda lines: None)
    with jeyn.open(home=tmp_path / ".jeyn", data=tmp_path, actor="bob") as empty:
        assert import_bundle(empty, tmp_path / "it", aliases=True).new > 0
        is_readable(empty)


@pytest.mark.parametrize("what", CHANGES)
def test_a_lie_is_refused_before_anything_is_written(
    sources: dict[str, Members], target: Workspace, tmp_path: Path, what: str
) -> None:
    name, change = CHANGES[what]
    written(tmp_path / "it", sources[name], change)
    before = counts(target)
    with pytest.raises(Corrupt) as caught:
        import_bundle(target, tmp_path / "it", aliases=True)
    assert caught.value.exit_code == 5
    assert "nothing was written" in caught.value.hint
    assert counts(target) == before


def test_the_catalog_can_be_read_after_all_of_them(target: Workspace) -> None:
    is_readable(target)


# Each of these is odd and no lie: it is taken, and can be read.
ODD: dict[str, tuple[str, Change]] = {
    "the last moment": ("evaluation", put("use_case", at=LATEST)),
    "facts of 100 levels": ("evaluation", facts("dataset_batch", deep(99))),
    "a key of the user's that looks like a tag": (
        "evaluation",
        facts("dataset_batch", '{"statistics": {"$$int": {}}}'),
    ),
    "a large integer": ("evaluation", facts("dataset_batch", '{"a": 123456789012345678901234567890}')),
    "a name in other letters": ("value", named("value", "résumé 数字.png")),
    "the largest epoch": ("evaluation", claims("dataset_batch", str(10**12))),
    "the largest version": ("evaluation", claims("model_checkpoint", f"{LARGEST}.0.0")),
    "a newer schema": (
        "value",
        forged("value", lambda d: d.update(schema="value/9", body={"more": 1})),
    ),
}


@pytest.mark.parametrize("what", ODD)
def test_what_is_odd_and_no_lie_is_taken_and_can_be_read(
    sources: dict[str, Members], tmp_path: Path, what: str
) -> None:
    name, change = ODD[what]
    written(tmp_path / "it", sources[name], change)
    with jeyn.open(home=tmp_path / ".jeyn", data=tmp_path, actor="bob") as empty:
        import_bundle(empty, tmp_path / "it")
        is_readable(empty)
        # And saving goes on behind it.
        a_checkpoint(empty, seed=9)


def test_a_line_of_200_megabytes_costs_no_more_than_its_length(
    sources: dict[str, Members], target: Workspace, tmp_path: Path
) -> None:
    line = b'{"id": "' + b"x" * (200 << 20) + b'"}\n'
    members = with_lines(sources["value"], lambda _: None)
    said = json.loads(members[0][1])
    import hashlib
    import time

    said["records"] = f"sha256:{hashlib.sha256(line).hexdigest()}"
    pack(tmp_path / "it", [("manifest.json", json.dumps(said).encode()), ("artefacts.jsonl", line), *members[2:]])
    started = time.process_time()
    with pytest.raises(Corrupt):
        import_bundle(target, tmp_path / "it")
    # Copied again at each of its 200 reads it took minutes.
    assert time.process_time() - started < 20


def test_a_line_beyond_the_bound_is_refused_with_the_bound(
    sources: dict[str, Members], target: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jeyn.stores.care import bundle_file

    monkeypatch.setattr(bundle_file, "LINE_BYTES", 100)
    pack(tmp_path / "it", sources["value"])
    with pytest.raises(Corrupt, match="longer than 100 bytes"):
        import_bundle(target, tmp_path / "it")


@pytest.mark.parametrize("what", [each for each in NAMES if each not in ("a space", "a reference")])
def test_saving_refuses_the_names_that_an_import_refuses(target: Workspace, what: str) -> None:
    payload = PayloadRef("value", ID, 2)
    with pytest.raises(JeynError):
        NewArtefact(Value(output=NAMES[what], cache_key="", format="json/1", payload=payload).record())


@pytest.mark.parametrize(
    "save",
    [
        lambda w: w.set_alias("digit-reader@latest", "a" * 101),
        lambda w: w.tag("digit-reader@latest", "a\x00b"),
        lambda w: w.tag("digit-reader@latest", "gold", reason="x" * 200_000),
        lambda w: w.model_store.save_evaluation("digit-reader@latest", None, {"x" * 201: 1.0}),
        lambda w: w.model_store.save_evaluation("digit-reader@latest", None, {"a\x00": 1.0}),
        lambda w: a_checkpoint(w, seed=3, level="major", version=f"{LARGEST + 1}.0.0"),
    ],
)
def test_saving_keeps_to_the_bounds_of_an_import(target: Workspace, save: Callable[[Workspace], Any]) -> None:
    before = counts(target)["artefact"]
    with pytest.raises((JeynError, TypeError)):
        save(target)
    with suppress(JeynError):
        assert counts(target)["artefact"] == before


def test_a_feature_that_is_called_like_a_tag_is_saved_read_and_found(tmp_path: Path) -> None:
    from jeyn import DatasetFormula, Dtypes, Feature

    catalog = type("Odd", (jeyn.DataCatalog,), {"$int": Feature(Dtypes.FLOAT64)})
    formula = DatasetFormula("odd", version="1.0.0", output_catalog=catalog)
    with jeyn.open(home=tmp_path / ".jeyn", data=tmp_path, actor="ada") as workspace:
        batch = workspace.dataset_store.save_batch(formula.new_table({"$int": np.arange(3.0)}))
        assert workspace.get(batch.id).statistics["$int"]["max"] == 2.0
        assert [hit.id for hit in workspace.search("stats.$int.max=2")] == [batch.id]
        workspace.export_bundle(batch, tmp_path / "it")
        is_readable(workspace)
    with jeyn.open(home=tmp_path / "other", data=tmp_path, actor="bob") as other:
        other.import_bundle(tmp_path / "it")
        assert other.get(batch.id).statistics["$int"]["max"] == 2.0
