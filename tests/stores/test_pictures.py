"""Pictures and pages of artefacts are well formed, whatever somebody called them."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from jeyn.sdk import html
from jeyn.stores.catalog.nodes import Node
from jeyn.stores.catalog.provenance import Maker
from jeyn.stores.lineage.svg import draw

NAMES = [
    "\x00\x01\x08\x0b\x1b[31m\x7f\x9f",
    "half \ud800 of a pair",
    "\udcff\udc80 bytes",
    "\ufffe \uffff",
    "]]><script>alert(1)</script>",
    "\"'&<>--><!-- <![CDATA[",
    "line\nline\r\ttab\u2028\u2029",
    "\u202egnp.exe",
    "&#0; &#x1f; &amp",
    "💚 " * 40,
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["dataset_batch", "made up"])
def test_an_svg_is_well_formed_whatever_is_in_a_name(name: str, kind: str) -> None:
    nodes = {key: _node(key, name, kind) for key in (1, 2)}
    picture = draw(nodes, [(1, 2, name)], root=2)
    root = ElementTree.fromstring(picture.encode())
    assert root.tag.endswith("svg")
    assert {each.tag.rpartition("}")[2] for each in root.iter()} <= {"svg", "g", "title", "rect", "text", "path"}
    assert len(root.findall(".//{*}g")) == 2


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_well_formed_whatever_is_in_a_name(name: str) -> None:
    page = html.card(name, [(name, name)], html.table([name], [[name]]), html.text_block(name), note=name)
    ElementTree.fromstring(f"<body>{page}</body>".encode())
    assert "<script" not in page


def _node(key: int, name: str, kind: str) -> Node:
    made_by = Maker(f"run-{name}", name, None)
    return Node(f"sha256:{key:064x}", kind, name, f"{name}@1.0.0", name, 1, made_by, name)
