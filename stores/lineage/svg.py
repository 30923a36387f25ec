"""The picture of a lineage: a layered graph as one self-contained SVG, drawn without any library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jeyn.printable import markup
from jeyn.stores.catalog.nodes import Node

Edge = tuple[int, int, str]

MAX_NODES = 400
BOX, GAP, ROW = (210, 40), 90, 56
MARGIN = 20
LABEL = 30
COLOURS = {
    "dataset_formula": "#dbeafe",
    "dataset_batch": "#dcfce7",
    "use_case": "#fef9c3",
    "model_checkpoint": "#fee2e2",
    "evaluation": "#f3e8ff",
}


def draw(nodes: Mapping[int, Node], edges: Sequence[Edge], root: int) -> str:
    """Nodes by key, edges as (parent, child, type): parents on the left. Keys grow from parent to child."""
    kept = _nearest(nodes, edges, root)
    drawn = [(parent, child, kind) for parent, child, kind in edges if parent in kept and child in kept]
    places = _places(sorted(kept), drawn)
    width = max(x for x, _ in places.values()) + BOX[0] + MARGIN
    height = max(y for _, y in places.values()) + BOX[1] + MARGIN
    left_out = len(nodes) - len(kept)
    note = f'<text x="{MARGIN}" y="{height + 10}">… and {left_out} more</text>' if left_out else ""
    shapes = [
        *(_line(places[parent], places[child], kind) for parent, child, kind in drawn),
        *(_box(places[key], nodes[key], key == root) for key in sorted(kept)),
        note,
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height + MARGIN}" '
        f'viewBox="0 0 {width} {height + MARGIN}" font-family="sans-serif" font-size="11">' + "".join(shapes) + "</svg>"
    )


def _nearest(nodes: Mapping[int, Node], edges: Sequence[Edge], root: int) -> set[int]:
    """The root and the nodes nearest to it, as many as a picture can hold."""
    around: dict[int, list[int]] = {}
    for parent, child, _ in edges:
        around.setdefault(parent, []).append(child)
        around.setdefault(child, []).append(parent)
    kept, queue = {root: None}, [root]
    for here in queue:
        for there in sorted(around.get(here, [])):
            if there not in kept and there in nodes and len(kept) < MAX_NODES:
                kept[there] = None
                queue.append(there)
    return set(kept)


def _places(keys: Sequence[int], edges: Sequence[Edge]) -> dict[int, tuple[int, int]]:
    """A column for each node behind its last parent, and a row in it."""
    column = dict.fromkeys(keys, 0)
    # Parents are saved before their children, so by key every parent's column is settled first.
    for parent, child, _ in sorted(edges, key=lambda edge: (edge[1], edge[0])):
        column[child] = max(column[child], column[parent] + 1)
    used: dict[int, int] = {}
    places = {}
    for key in keys:
        row = used.get(column[key], 0)
        used[column[key]] = row + 1
        places[key] = (MARGIN + column[key] * (BOX[0] + GAP), MARGIN + row * ROW)
    return places


def _line(start: tuple[int, int], end: tuple[int, int], kind: str) -> str:
    x1, y1, x2, y2 = start[0] + BOX[0], start[1] + BOX[1] // 2, end[0], end[1] + BOX[1] // 2
    bend = GAP // 2
    path = f"M{x1} {y1} C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
    return f'<path d="{path}" fill="none" stroke="#94a3b8"><title>{markup(kind)}</title></path>'


def _box(place: tuple[int, int], node: Node, is_root: bool) -> str:
    x, y = place
    made = f", made by {node.made_by}" if node.made_by else ""
    below = f"{node.type} · {node.made_by.operation}" if node.made_by else node.type
    return (
        f"<g><title>{markup(node.ref)} {markup(node.id)}{markup(made)}</title>"
        f'<rect x="{x}" y="{y}" width="{BOX[0]}" height="{BOX[1]}" rx="6" fill="{COLOURS.get(node.type, "#f1f5f9")}" '
        f'stroke="#334155" stroke-width="{2 if is_root else 1}"/>'
        f'<text x="{x + 8}" y="{y + 17}">{markup(_cut(node.label))}</text>'
        f'<text x="{x + 8}" y="{y + 32}" fill="#64748b">{markup(_cut(below))}</text></g>'
    )


def _cut(text: str) -> str:
    return text if len(text) <= LABEL else text[: LABEL - 1] + "…"
