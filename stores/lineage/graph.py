"""Lineage: what an artefact came from, or what came from it, as a graph to walk, print, draw and send."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from jeyn.errors import NotFound
from jeyn.sdk.relationship import RelationshipType
from jeyn.stores.catalog import closure
from jeyn.stores.catalog.closure import Direction
from jeyn.stores.catalog.nodes import Node, nodes
from jeyn.stores.catalog.provenance import OperationTrace, operations_of
from jeyn.stores.catalog.reader import Reader
from jeyn.stores.lineage.svg import draw

__all__ = ["Lineage", "Node", "OperationTrace", "trace_downstream", "trace_upstream"]

VIA = "via"
WIDTH = 100
MAX_LINES = 400
MIN_LABEL = 24


def trace_upstream(reader: Reader, id: str, depth: int | None = None, types: Sequence[str] = ()) -> Lineage:
    """What the artefact with this whole id came from; raises `NotFound`."""
    return _trace(reader, id, "up", depth, types)


def trace_downstream(reader: Reader, id: str, depth: int | None = None, types: Sequence[str] = ()) -> Lineage:
    """What came from the artefact with this whole id; raises `NotFound`."""
    return _trace(reader, id, "down", depth, types)


def _trace(reader: Reader, id: str, direction: Direction, depth: int | None, types: Sequence[str]) -> Lineage:
    row = reader.row(id)
    if row is None:
        raise NotFound(f'no artefact has the id "{id}"', hint="search shows what there is", refs=[id])
    return Lineage(reader, row.key, direction, depth, tuple(types))


class Lineage:
    """The nodes that a walk found, the root left out, in the order of saving; rows are read when first asked for.

    With `types` only those are nodes, and an edge that leads through others is named "via".
    """

    def __init__(
        self, reader: Reader, key: int, direction: Direction, depth: int | None = None, types: Sequence[str] = ()
    ) -> None:
        self._reader = reader
        self._database = reader.database
        self._key = key
        self._depth = depth
        self._types = tuple(types)
        self.direction: Direction = direction

    def __iter__(self) -> Iterator[Node]:
        return iter(self._nodes.values())

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, what: object) -> bool:
        """By node, id or reference."""
        return what in self._names or any(what == node for node in self)

    def __repr__(self) -> str:
        return f"<Lineage {'up' if self.direction == 'up' else 'down'}stream of {self.root.ref}: {len(self)} artefacts>"

    @cached_property
    def root(self) -> Node:
        """Where the walk began."""
        return nodes(self._database, [self._key])[self._key]

    @cached_property
    def ids(self) -> list[str]:
        """The ids of the nodes, in the order of saving."""
        if self._depth is not None or "_nodes" in self.__dict__:
            return [node.id for node in self]
        return closure.closure_ids(self._database, self.direction, self._key, self._types)

    @cached_property
    def edges(self) -> list[tuple[str, str, str]]:
        """(parent id, child id, type) between the nodes and the root."""
        id = {key: node.id for key, node in self._nodes.items()} | {self._key: self.root.id}
        return [(id[parent], id[child], kind) for parent, child, kind in self._edges]

    @cached_property
    def operations(self) -> list[OperationTrace]:
        """The operations of runs that a node or the root went into or came out of."""
        return operations_of(self._database, [*self._keys, self._key])

    @cached_property
    def _keys(self) -> list[int]:
        return closure.walk(self._database, self.direction, [self._key], self._depth, self._types)

    @cached_property
    def _nodes(self) -> dict[int, Node]:
        return nodes(self._database, self._keys)

    @cached_property
    def _aliases(self) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}
        for _, alias, key in sorted(self._reader.current_aliases()):
            found.setdefault(key, []).append(alias)
        return found

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(name for node in self for name in (node.id, node.ref))

    @cached_property
    def _edges(self) -> list[tuple[int, int, str]]:
        passed = self._keys
        if self._types:
            passed = closure.walk(self._database, self.direction, [self._key], self._depth)
        found = closure.edges_among(self._database, {*passed, self._key})
        named = [(parent, child, edge_name(kind)) for parent, child, kind in found]
        here = {*self._nodes, self._key}  # a damaged catalog has edges of what is not there
        if self._types:
            return _contracted(named, here)
        return [each for each in named if each[0] in here and each[1] in here]

    @cached_property
    def _next(self) -> dict[int, list[tuple[int, str]]]:
        """One step away from the root: (key, type of edge), in the order of saving."""
        steps: dict[int, list[tuple[int, str]]] = {}
        for parent, child, kind in self._edges:
            here, there = (child, parent) if self.direction == "up" else (parent, child)
            steps.setdefault(here, []).append((there, kind))
        return {here: sorted(there) for here, there in steps.items()}

    def __str__(self) -> str:
        return self.tree()

    def tree(self, width: int = WIDTH) -> str:
        """The graph as a tree, at most `width` characters wide; what several paths reach is shown once."""
        lines = [_clip(self._line(self._key, self.root), width)]
        seen = {self._key}
        stack = _entries(self._next.get(self._key, []), "")
        while stack:
            if len(lines) >= MAX_LINES:
                left = len(self._keys) - len(seen) + 1
                lines.append(f"… and {left} more: ask for a depth, or for JSON")
                break
            key, kind, prefix, is_last = stack.pop()
            branch, inner = ("└── ", "    ") if is_last else ("├── ", "│   ")
            shown, inner, node = prefix + branch, prefix + inner, self._nodes[key]
            if key in seen:
                shown += f"{node.label}  ({kind}) ↑ shown above"
            else:
                shown += self._line(key, node, kind)
                seen.add(key)
                deeper = self._next.get(key, [])
                if len(inner) + MIN_LABEL > width and deeper:
                    shown += " …"
                else:
                    stack.extend(_entries(deeper, inner))
            lines.append(_clip(shown, width))
        if lost := len(self._keys) - len(self._nodes):
            lines.append(f"… and {lost} that are not there: jeyn fsck")
        return "\n".join(lines)

    def _line(self, key: int, node: Node, kind: str = "") -> str:
        edge, aliases = f"({kind})" if kind else "", " ".join(self._aliases.get(key, ()))
        made = f"made by {node.made_by}" if node.made_by else ""
        return "  ".join(part for part in (node.label, edge, f"◀ {aliases}" if aliases else "", made) if part)

    def to_json(self) -> dict[str, Any]:
        """{"root", "direction", "nodes", "edges", "operations"}, all of plain values."""
        return {
            "root": self._json(self._key, self.root),
            "direction": self.direction + "stream",
            "nodes": [self._json(key, node) for key, node in self._nodes.items()],
            "edges": [{"parent": parent, "child": child, "type": kind} for parent, child, kind in self.edges],
            "operations": [
                {"run": o.run, "name": o.name, "inputs": list(o.inputs), "outputs": list(o.outputs)}
                for o in self.operations
            ],
        }

    def _json(self, key: int, node: Node) -> dict[str, Any]:
        return {
            "id": node.id,
            "type": node.type,
            "name": node.name,
            "ref": node.ref,
            "number": node.number,
            "at": node.at,
            "aliases": self._aliases.get(key, []),
            "made_by": node.made_by and node.made_by.to_json(),
        }

    def svg(self) -> str:
        """A self-contained picture in layers, parents on the left."""
        return draw({**self._nodes, self._key: self.root}, self._edges, self._key)

    def _repr_html_(self) -> str:
        from jeyn.sdk.html import scrolled

        return scrolled(self.svg())


def _entries(steps: Sequence[tuple[int, str]], prefix: str) -> list[tuple[int, str, str, bool]]:
    """For a stack: the first step on top."""
    last = len(steps) - 1
    return [(key, kind, prefix, n == last) for n, (key, kind) in reversed(list(enumerate(steps)))]


def _contracted(edges: Sequence[tuple[int, int, str]], shown: set[int]) -> list[tuple[int, int, str]]:
    """The edges between shown nodes; a path through hidden ones becomes one edge."""
    parents: dict[int, list[int]] = {}
    found = {(parent, child, kind) for parent, child, kind in edges if parent in shown and child in shown}
    for parent, child, _ in edges:
        parents.setdefault(child, []).append(parent)
    for child in shown:
        seen: set[int] = set()
        stack = [parent for parent in parents.get(child, []) if parent not in shown]
        while stack:
            hidden = stack.pop()
            for parent in parents.get(hidden, []):
                if parent in shown:
                    found.add((parent, child, VIA))
                elif parent not in seen:
                    seen.add(parent)
                    stack.append(parent)
    return sorted(found)


def edge_name(kind: int) -> str:
    """The name of a stored edge type."""
    # A newer Jeyn may have written an edge that this one has no name for; it is traversed all the same.
    return RelationshipType(kind).name if kind in RelationshipType._value2member_map_ else f"relationship_{kind}"


def _clip(line: str, width: int) -> str:
    return line if len(line) <= width else line[: width - 1] + "…"
