"""Impact: what stands downstream of an artefact, and which contracts a changed catalog of a formula would break."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from jeyn.errors import UsageError
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.compatibility import CatalogDiff
from jeyn.sdk.reference import Reference
from jeyn.sdk.version import Version
from jeyn.stores.catalog.nodes import Node
from jeyn.stores.catalog.nodes import nodes as named
from jeyn.stores.catalog.reader import Reader
from jeyn.stores.lineage.contracts import Contracts
from jeyn.stores.lineage.dependants import Dependants, Path
from jeyn.stores.lineage.line import Broken
from jeyn.stores.lineage.next_version import next_version
from jeyn.stores.lineage.outdated import trained_on_superseded
from jeyn.stores.resolve import resolve

Verdict = Literal["breaks", "touched"]


@dataclass(frozen=True)
class Step:
    """One artefact on the way from what changes, and the type of the edge that led to it ("" at the start)."""

    ref: str
    edge: str

    def __str__(self) -> str:
        return f"→ {_short(self.ref)} ({self.edge})" if self.edge else _short(self.ref)


@dataclass(frozen=True)
class Affected:
    """One artefact downstream. `bump` is the one that mends it, at least a minor; "none" where it does fit.

    `label` is for people, also of what has no reference but its id.
    """

    id: str
    type: str
    ref: str
    verdict: Verdict
    reasons: tuple[str, ...]
    path: tuple[Step, ...]
    bump: str
    label: str

    def to_json(self) -> dict[str, Any]:
        path = [{"ref": step.ref, "edge": step.edge} for step in self.path]
        return vars(self) | {"reasons": list(self.reasons), "path": path}


@dataclass(frozen=True)
class AffectedAlias:
    """An alias that points to something affected, or to what changes itself."""

    ref: str
    target: str
    verdict: Verdict
    path: tuple[Step, ...]

    def to_json(self) -> dict[str, Any]:
        return vars(self) | {"path": [{"ref": step.ref, "edge": step.edge} for step in self.path]}


@dataclass(frozen=True)
class Impact:
    """What a change of `ref` reaches, in the order of saving. With a new catalog also what it breaks.

    `diff` and `bump` say what changes in the formula's catalog and how large a step that is from `ref`, `next_version`
    the smallest legal version that is free and `base` the one that it builds on; they are None, "none", None and None
    without a new catalog.
    """

    ref: str
    id: str
    items: tuple[Affected, ...]
    aliases: tuple[AffectedAlias, ...]
    diff: CatalogDiff | None = None
    bump: str = "none"
    next_version: str | None = None
    base: str | None = None

    def __iter__(self) -> Iterator[Affected]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    @property
    def breaks(self) -> list[Affected]:
        return [item for item in self.items if item.verdict == "breaks"]

    @property
    def touched(self) -> list[Affected]:
        return [item for item in self.items if item.verdict == "touched"]

    @property
    def is_breaking(self) -> bool:
        """Whether a contract downstream would break."""
        return bool(self.breaks)

    def __str__(self) -> str:
        return "\n".join(_lines(self))

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))

    def _repr_html_(self) -> str:
        from jeyn.sdk.html import card, table

        rows = [
            [i.verdict, i.label, "; ".join(i.reasons), i.bump, _path(i.path)] for i in (*self.breaks, *self.touched)
        ]
        rows += [[a.verdict, f"alias {a.ref}", f"is {a.target}", "", _path(a.path)] for a in self.aliases]
        listed = table(["", "what", "why", "bump that mends it", "by way of"], rows) if rows else ""
        said = [("would change", str(self.diff)), ("bump", _legal(self))] if self.diff and self.next_version else []
        note = f"{len(self.breaks)} would break, {len(self.touched)} touched"
        return card(f"impact of {self.ref}", said, listed, note=note)

    def to_json(self) -> dict[str, Any]:
        return {
            "ref": self.ref,
            "id": self.id,
            "is_breaking": self.is_breaking,
            "bump": self.bump,
            "next_version": self.next_version,
            "base": self.base,
            "diff": None if self.diff is None else str(self.diff),
            "items": [item.to_json() for item in self.items],
            "aliases": [alias.to_json() for alias in self.aliases],
        }


def impact(
    reader: Reader, ref: str | Reference, new_catalog: type[DataCatalog] | Mapping[str, Any] | None = None
) -> Impact:
    """What is downstream of `ref` with the path to each; with `new_catalog`, which contracts that formula would break.

    Raises `NotFound`, `Ambiguous`, and `UsageError` for a new catalog of what is no formula.
    """
    row = resolve(reader, ref)
    dependants = Dependants(reader, row.key)
    if new_catalog is None:
        return _gathered(reader, dependants, {}, {})
    if row.type != "dataset_formula":
        raise UsageError(f'"{ref}" is a {row.type}, which has no catalog to change', hint="name a formula")
    new = new_catalog if isinstance(new_catalog, type) else DataCatalog.from_json(new_catalog)
    diff = DataCatalog.from_json(row.record.body["output_catalog"]).diff(new)
    bump = diff.bump("output", version=Version.parse(row.record.body["version"]))
    following = next_version(reader, row, new)
    contracts = Contracts(reader, dependants, row, new, following)
    found = _gathered(reader, dependants, contracts.broken(), contracts.fed)
    version, base = str(following.version) if following.version else None, str(following.base)
    return replace(found, diff=diff, bump=bump, next_version=version, base=base if version else None)


def _gathered(reader: Reader, dependants: Dependants, broken: Mapping[int, Broken], fed: Mapping[int, Path]) -> Impact:
    paths = {**fed, **dependants.paths, **{key: found.path for key, found in broken.items()}}
    steps = {key for path in paths.values() for key, _ in path}
    nodes = dependants.nodes | named(reader.database, sorted(steps - dependants.nodes.keys()))
    root = nodes[dependants.root]
    downstream = sorted(paths.keys() - {dependants.root})
    old = trained_on_superseded(reader, [key for key in downstream if nodes[key].type == "model_checkpoint"])
    return Impact(
        ref=root.ref,
        id=root.id,
        items=tuple(
            _affected(nodes[key], broken.get(key), _steps(paths[key], nodes), old.get(key, ())) for key in downstream
        ),
        aliases=tuple(_aliases(reader, paths, nodes, broken)),
    )


def _affected(node: Node, broken: Broken | None, path: tuple[Step, ...], old: tuple[str, ...]) -> Affected:
    """`old` says of a model that it was trained on what a later batch replaced."""
    if broken is None:
        return Affected(node.id, node.type, node.ref, "touched", old, path, "none", node.label)
    reasons = (*broken.reasons, *old)
    return Affected(node.id, node.type, node.ref, "breaks", reasons, path, broken.bump, node.label)


def _steps(path: Path, nodes: Mapping[int, Node]) -> tuple[Step, ...]:
    return tuple(Step(nodes[key].ref, edge) for key, edge in path)


def _aliases(
    reader: Reader, paths: Mapping[int, Path], nodes: Mapping[int, Node], broken: Mapping[int, Broken]
) -> Iterator[AffectedAlias]:
    for owner, alias, key in sorted(reader.current_aliases()):
        if key in paths:
            verdict: Verdict = "breaks" if key in broken else "touched"
            yield AffectedAlias(f"{owner}@{alias}", nodes[key].ref, verdict, _steps(paths[key], nodes))


def _lines(found: Impact) -> Iterable[str]:
    if found.diff is not None:
        yield from (f"{found.ref} would change:", *_indented(str(found.diff)))
        if found.next_version:
            yield _legal(found)
    counts = f"{len(found.breaks)} would break, {len(found.touched)}" if found.diff is not None else str(len(found))
    yield f"{counts} downstream of {found.ref} {'are' if found.diff is None else 'more are'} touched"
    for item in (*found.breaks, *found.touched):
        yield f"{'BREAKS' if item.verdict == 'breaks' else 'touched'}  {item.label}"
        for reason in item.reasons:
            yield from _indented(reason)
        if item.verdict == "breaks":
            yield f"    a new {item.bump} of it mends that"
        yield f"    {_path(item.path)}"
    for alias in found.aliases:
        yield f"{'BREAKS' if alias.verdict == 'breaks' else 'touched'}  alias {alias.ref}, which is {alias.target}"


def _legal(found: Impact) -> str:
    """Which version may carry the change; legal or not, it may break what is below."""
    if found.ref.endswith(f"@{found.base}"):
        said = f"the smallest legal bump is a {found.bump}: {found.next_version}"
    else:
        said = f"the smallest legal version is {found.next_version}, above {found.base}"
    return f"{said}, which breaks what is below" if found.is_breaking else said


def _short(ref: str) -> str:
    return f"{ref[:15]}…" if ref.startswith("sha256:") else ref


def _indented(text: str) -> list[str]:
    return [f"    {line}" for line in text.splitlines()]


def _path(path: Sequence[Step]) -> str:
    return " ".join(map(str, path))
