"""From a plan's sources to what an operation is given: references to load, and what they count as in a cache key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jeyn.errors import Invalid, NotDigestible, NotFound
from jeyn.sdk.mapped import count, item_at
from jeyn.sdk.plan import Constant, FileInput, First, Items, Output, PlannedOperation, Ref, SecretInput, Source
from jeyn.sdk.secret import Secret
from jeyn.sdk.typed import revived
from jeyn.sdk.value import Value
from jeyn.stores.serializers import decode_value
from jeyn.stores.serializers.values import ARTEFACTS
from jeyn.workflows.graph import Graph

if TYPE_CHECKING:
    from jeyn.sdk.artefact import Record
    from jeyn.stores.catalog.reader import ArtefactRow
    from jeyn.stores.workspace import Workspace

_PLAIN = ("json/1", "text/1", "bytes/1", "npy/1")  # formats that are read from their bytes alone


@dataclass(frozen=True)
class Produced:
    """An artefact that is an input: its id, what it counts as in a cache key, and a value's format."""

    id: str
    token: Any
    format: str = ""


@dataclass(frozen=True)
class Input:
    """One resolved input: what the runner loads (`wire`, JSON), its part of the cache key, and the artefacts in it."""

    wire: dict[str, Any]
    token: Any
    ids: tuple[str, ...] = ()


Outputs = Mapping[str, Produced]


@dataclass
class Results:
    """What a run has so far: the outputs of its operations, those of mapped ones item by item (None: skipped)."""

    workspace: Workspace
    graph: Graph
    pins: Mapping[str, str]
    single: dict[str, Outputs] = field(default_factory=dict)
    items: dict[str, list[Outputs | None]] = field(default_factory=dict)
    known: dict[str, Produced] = field(default_factory=dict)
    _values: dict[str, Any] = field(default_factory=dict)

    def input(self, source: Source) -> Input:
        """What a source means now; the operations it reads are done."""
        match source:
            case Constant(value=value):
                return _constant(value)
            case Output(operation=name, output=output):
                if name in self.items:
                    return _list_of([_whole(each[output]) for each in self.items[name] if each is not None])
                return _whole(self.single[name][output])
            case Ref(reference=reference):
                return _whole(self.produced(self.pins[reference]))
            case FileInput(path=path):
                produced = self.produced(self.pins[f"file:{path}"])
                return Input({"file": produced.id, "path": path}, produced.token, (produced.id,))
            case SecretInput(name=name, key=key):
                return Input({"secret": [name, key]}, ["secret", name, key])
            case Items(items=parts):
                return _list_of([self.input(part) for part in parts if self.graph.source_fate(part) == "run"])
            case First():
                return self.input(self._taken(source))

    def inputs(self, operation: PlannedOperation) -> dict[str, Input]:
        """The inputs of an operation that is not mapped."""
        return {name: self.input(source) for name, source in operation.inputs.items()}

    def item_inputs(self, operation: PlannedOperation) -> list[dict[str, Input] | None]:
        """The inputs of each item of a mapped operation; None for one that is skipped."""
        mapped = {name: self.each(operation.inputs[name], name) for name in operation.mapped}
        lengths = {name: len(items) for name, items in mapped.items()}
        if len(set(lengths.values())) > 1:
            said = ", ".join(f'"{name}" has {length}' for name, length in lengths.items())
            raise Invalid(
                f'"{operation.name}" cannot map together what differs in length: {said}',
                hint="lists are zipped; give lists of equal length",
            )
        common = {n: self.input(source) for n, source in operation.inputs.items() if n not in operation.mapped}
        found: list[dict[str, Input] | None] = []
        for index in range(next(iter(lengths.values()), 0)):
            own = {name: items[index] for name, items in mapped.items()}
            present = {name: each for name, each in own.items() if each is not None}
            found.append({**common, **present} if len(present) == len(own) else None)
        return found

    def each(self, source: Source, name: str) -> list[Input | None]:
        """The items that a mapped input has."""
        match source:
            case Output(operation=operation, output=output) if operation in self.items:
                return [None if each is None else _whole(each[output]) for each in self.items[operation]]
            case Constant(value=list() as values):
                return [_constant(value) for value in values]
            case Items(items=parts):
                return [self.input(part) if self.graph.source_fate(part) == "run" else None for part in parts]
            case First():
                return self.each(self._taken(source), name)
        return self._elements(self.input(source), name)

    def value(self, source: Source) -> Any:
        """The value itself: only conditions and the lengths of maps need it here."""
        return self._loaded(self.input(source).wire)

    def _taken(self, source: First) -> Source:
        chosen = self.graph.chosen(source)
        if chosen is None:
            raise Invalid("every branch of a jeyn.first was skipped", hint="its consumer is skipped, never resolved")
        return chosen

    def _elements(self, given: Input, name: str) -> list[Input | None]:
        listed = self._loaded(given.wire)
        produced = self.produced(given.ids[0]) if given.ids else None
        if produced is not None and produced.format == ARTEFACTS:
            return [_whole(self.produced(artefact.id)) for artefact in listed]
        found = count(listed, f'"{name}" is mapped, but what it is given')
        return [_element(given, item_at(listed, index), index) for index in range(found)]

    def _loaded(self, wire: dict[str, Any]) -> Any:
        key = repr(wire)
        if key not in self._values:
            if len(self._values) > 100:  # what is mapped over or compared is small, but not for ever
                self._values.clear()
            self._values[key] = load_input(self.workspace, wire)
        return self._values[key]

    def produced(self, id: str) -> Produced:
        """An artefact of the catalog as an input."""
        if id not in self.known:
            row = self.workspace.reader.row(id)
            if row is None:
                raise NotFound(f'no artefact has the id "{id}"', hint="start a new run of the pipeline", refs=[id])
            self.known[id] = produced_by(row)
        return self.known[id]


def produced_by(row: ArtefactRow) -> Produced:
    """A value counts by its content, so that an equal one cuts off early (SEMANTICS 5); anything else by its id."""
    if row.type != "value":
        return Produced(row.id, ["artefact", row.id])
    return Produced(row.id, value_token(row.record), row.record.body["format"])


def value_token(record: Record) -> list[Any]:
    """Format and content; for a file that an operation returned also its name, which the next one may look at."""
    body = record.body
    return ["value", body["format"], record.payloads[0].digest, *([body["file"]] if "file" in body else [])]


def load_input(workspace: Workspace, wire: Mapping[str, Any]) -> Any:
    """What the operation's function gets: a value, a bound artefact, a `jeyn.File` or `Secret`, or a list of these."""
    if "constant" in wire:
        return revived(wire["constant"])
    if "secret" in wire:
        return Secret(*wire["secret"])
    if "items" in wire:
        return [load_input(workspace, each) for each in wire["items"]]
    if "file" in wire:
        from jeyn.sdk.file import File

        local: Path = workspace.bound(wire["file"]).load()
        return File(local)
    loaded = _load(workspace, wire)
    return item_at(loaded, wire["index"]) if "index" in wire else loaded


def _load(workspace: Workspace, wire: Mapping[str, Any]) -> Any:
    if "value" in wire:
        format, digest = wire["value"]
        return decode_value(format, workspace.payloads.read(digest[7:]), workspace.serializers)
    artefact = workspace.bound(wire["artefact"])
    return artefact.load() if isinstance(artefact, Value) else artefact


def _whole(produced: Produced) -> Input:
    wire: dict[str, Any] = {"artefact": produced.id}
    if produced.format in _PLAIN:
        # Its token says all that loading it needs: no row has to be read.
        wire["value"] = produced.token[1:]
    return Input(wire, produced.token, (produced.id,))


def _list_of(inputs: list[Input]) -> Input:
    ids = tuple(dict.fromkeys(id for each in inputs for id in each.ids))
    return Input({"items": [each.wire for each in inputs]}, ["items", [each.token for each in inputs]], ids)


def _element(given: Input, value: Any, index: int) -> Input:
    """One element of a list; what JSON can hold counts by itself, so that a longer list keeps what was done."""
    if _is_json(value):
        return replace(_constant(value), ids=given.ids)
    return Input({**given.wire, "index": index}, ["element", given.token, index], given.ids)


def _is_json(value: Any) -> bool:
    """Whether JSON gives back the very same: no tuple, no numpy scalar, no other class that is only like these."""
    if type(value) is list:
        return all(map(_is_json, value))
    if type(value) is dict:
        return all(type(key) is str and _is_json(each) for key, each in value.items())
    return value is None or type(value) in (bool, int, float, str)


def _constant(value: Any) -> Input:
    """Its text counts: unlike a digest's canonical form it keeps 1 apart from 1.0, as a function may."""
    try:
        return Input({"constant": value}, ["constant", _as_text(value)])
    except (TypeError, ValueError, RecursionError) as exc:
        raise NotDigestible(
            f"the constant {value!r} cannot be part of a cache key ({exc})",
            hint="pass numbers, texts, lists and dicts of these, or the output of an operation",
        ) from exc


_as_text = json.JSONEncoder(sort_keys=True, ensure_ascii=False).encode
