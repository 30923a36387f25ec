"""What a catalog can hold: bounds on names, texts, numbers and depth, the same for what is saved and what is imported.

What is beyond them could be written on one database and not on another, or written and never be read again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jeyn.errors import Invalid, UsageError
from jeyn.printable import printable
from jeyn.sdk.artefact import LATEST as LATEST
from jeyn.sdk.artefact import PayloadRef, Record
from jeyn.sdk.canonical import parse, parse_facts
from jeyn.sdk.reference import valid_name
from jeyn.sdk.relationship import RelationshipType
from jeyn.sdk.schemas import check_body, is_known

DEEPEST = 100
# Of a version's parts, and of epochs that a bundle brings: far from where the next number would be none.
LARGEST = 10**15
LARGEST_EPOCH = 10**12
DOCUMENT = 128 << 20
FACTS = 64 << 20
VALUE = 16 << 20
REASON = 100_000
NAME, ACTOR, ALIAS, SCHEMA, TYPE, PAYLOAD_NAME, METRIC = 200, 200, 100, 80, 64, 1000, 200
# type -> the edges of which a document has exactly one, as reading relies on them; and how many payloads it has.
_ONE_PARENT = {
    "dataset_batch": (RelationshipType.formula_batch,),
    "evaluation": (RelationshipType.evaluation_of,),
    "model_checkpoint": (RelationshipType.use_case_checkpoint,),
}
_ONE_PAYLOAD = ("value", "code", "model_checkpoint")
_REFERRED = ("dataset_formula", "dataset_batch", "use_case", "model_checkpoint", "evaluation")


def check_record(record: Record) -> None:
    """Raise `Invalid` unless reading gives back what this says."""
    if is_known(record.schema):  # what a newer Jeyn made is kept as it came
        check_body(record.schema, record.body)
        _check_shape(record)
    check_line("schema", record.schema, SCHEMA)
    check_line("type", record.type, TYPE)
    _check_name(record)
    for payload in record.payloads:
        _check_payload(payload)
    if len({payload.name for payload in record.payloads}) < len(record.payloads):
        raise Invalid(f'"{record.name}" has two payloads of one name', hint="give each a name of its own")


def check_document(document: str) -> None:
    """Raise `Invalid` for one that is too long to travel in a bundle."""
    if len(document) > DOCUMENT:
        raise Invalid(
            f"a document of {len(document)} characters is longer than {DOCUMENT}", hint="make several artefacts of it"
        )


def check_facts(text: str) -> Mapping[str, Any]:
    """Facts, read as any reader of the catalog does; raises `Invalid` for what one could not read."""
    if len(text) > FACTS:
        raise Invalid(f"facts of {len(text)} characters are longer than {FACTS}")
    found = parse(text)  # refuses NaN, a repeated key, a tag that is none, numbers that are too long
    if not isinstance(found, dict):
        raise Invalid("facts are a JSON object")
    check_depth(found)
    read: Mapping[str, Any] = parse_facts(text)
    return read


def check_depth(value: Any, what: str = "facts") -> None:
    """Raise `Invalid` for what is nested deeper than a document may be."""
    level, depth = [value], 0
    while level := [
        inner
        for each in level
        if isinstance(each, dict | list | tuple)
        for inner in (each.values() if isinstance(each, dict) else each)
    ]:
        depth += 1
        if depth > DEEPEST:
            raise Invalid(f"{what} are nested deeper than {DEEPEST} levels", hint="flatten them")


def check_text(what: str, text: object, most: int, *, least: int = 1) -> str:
    """A text that every database keeps and every reader gets back; raises `Invalid`."""
    if not isinstance(text, str) or not least <= len(text) <= most:
        raise Invalid(f"the {what} {_shown(text)} has not {least} to {most} characters")
    if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text if char > "\x7f"):
        raise Invalid(f"the {what} {_shown(text)} holds what is no text in every database", hint="leave out NUL bytes")
    return text


def check_line(what: str, text: object, most: int) -> str:
    """A text that is one line and acts on no terminal."""
    found = check_text(what, text, most)
    if "\n" in found or "\t" in found or printable(found) != found:
        raise Invalid(f"the {what} {_shown(text)} holds characters that are no letters or signs", hint="rename it")
    return found


def _check_shape(record: Record) -> None:
    kinds = [edge.type for edge in record.parents]
    for kind in _ONE_PARENT.get(record.type, ()):
        if kinds.count(kind) != 1:
            raise Invalid(f'the {record.type} "{record.name}" has {kinds.count(kind)} parents by {kind.name}, not one')
    if record.type == "value" and (file := record.body.get("file")) is not None:
        check_line("name of a file", file, PAYLOAD_NAME)
        if _is_path(file) or not _stays_inside(file):
            raise Invalid(f"the name of a file {_shown(file)} is a path", hint="rename it")
    if record.type in _ONE_PAYLOAD and len(record.payloads) != 1:
        raise Invalid(f'the {record.type} "{record.name}" has {len(record.payloads)} payloads, not one')


def _check_name(record: Record) -> None:
    name = check_line("name", record.name, NAME)
    if record.type in _REFERRED:
        try:
            valid_name(name)
        except UsageError as exc:
            raise Invalid(exc.message, hint=exc.hint) from exc
    elif not _stays_inside(name) or (is_known(record.schema) and record.type != "model_serializer" and _is_path(name)):
        raise Invalid(f"the name {_shown(name)} is a path", hint="rename it")


def _check_payload(payload: PayloadRef) -> None:
    name = check_text("name of a payload", payload.name, PAYLOAD_NAME)
    if not _stays_inside(name):
        raise Invalid(f"the name of a payload {_shown(name)} leads out of its folder")
    if type(payload.size) is not int or not 0 <= payload.size < 2**63:
        raise Invalid(f"the payload {_shown(name)} has the size {_shown(payload.size)}")


def _is_path(name: str) -> bool:
    return "/" in name or "\\" in name


def _stays_inside(name: str) -> bool:
    return not name.startswith("/") and not {"", ".", ".."} & set(name.replace("\\", "/").split("/"))


def _shown(value: object) -> str:
    text = repr(value) if not isinstance(value, str) else repr(value[:80])
    return text[:100]
