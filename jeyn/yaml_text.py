"""YAML that people write, read within bounds: a few lines of anchors may stand for more than any memory holds."""

from __future__ import annotations

import copy
from typing import Any

import yaml
from yaml.constructor import ConstructorError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

MOST_BYTES = 1 << 20
DEEPEST = 50  # levels
MOST_VALUES = 100_000  # with each anchor counted wherever it is used
MOST_DIGITS = 100
SHOWN = 100  # characters
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


class OutOfBounds(yaml.MarkedYAMLError):
    """It is YAML, and more than a file for people needs; `problem_mark` is where."""


def load(text: str) -> tuple[Node | None, Any]:
    """The root node, whose marks tell lines, and the value. Raises `yaml.YAMLError`, `ValueError`, `OutOfBounds`."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None, None
        # Merging changes nodes, and then an overridden key seems to be in the line of the anchor.
        return node, loader.construct_document(copy.deepcopy(node) if "<<" in text else node)
    finally:
        loader.dispose()


class _Loader(yaml.SafeLoader):
    """Looks at each node when it is put together: what it holds has been, so that an anchor's size is known."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._sizes: dict[int, tuple[int, int]] = {}  # by node: values, levels
        self._level = 0

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        mark = event.start_mark
        self._level += 1
        try:
            if self._level > DEEPEST:
                raise OutOfBounds(None, None, f"it is nested in more than {DEEPEST} levels", mark)
            node = super().compose_node(parent, index)
        finally:
            self._level -= 1
        if node is None or id(node) in self._sizes:
            return node
        if isinstance(event, yaml.AliasEvent):  # of what is not put together yet
            raise OutOfBounds(None, None, "an anchor is used inside itself", mark)
        self._sizes[id(node)] = self._measured(node, mark)
        return node

    def construct_object(self, node: Node, deep: bool = False) -> Any:
        """Raises `ConstructorError` with its line for a text that is not what its tag says, as in `!!bool perhaps`."""
        try:
            return super().construct_object(node, deep)
        except (AttributeError, LookupError, TypeError, ValueError, OverflowError) as exc:
            kind, shown = node.tag.rpartition(":")[2], str(node.value)[:SHOWN]
            raise ConstructorError(None, None, f'"{shown}" is no {kind}', node.start_mark) from exc

    def _measured(self, node: Node, mark: Any) -> tuple[int, int]:
        inner = [self._sizes[id(each)] for each in _inner(node)]
        values, levels = 1 + sum(each[0] for each in inner), 1 + max((each[1] for each in inner), default=0)
        if values > MOST_VALUES:
            raise OutOfBounds(None, None, f"its anchors make more than {MOST_VALUES:,} values of it", mark)
        if levels > DEEPEST:
            raise OutOfBounds(None, None, f"its anchors nest it in more than {DEEPEST} levels", mark)
        if isinstance(node, ScalarNode) and node.tag in _NUMBERS and len(node.value) > MOST_DIGITS:
            problem = f"a number has {len(node.value):,} digits, and {MOST_DIGITS} is the most"
            raise OutOfBounds(None, None, problem, mark)
        return values, levels


def _inner(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [each for pair in node.value for each in pair]
    return list(node.value) if isinstance(node, SequenceNode) else []
