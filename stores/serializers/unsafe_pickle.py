"""Pickle, for those who register it in as many words: loading a pickle runs whatever code is in it."""

from __future__ import annotations

import pickle
import pickletools
from collections.abc import Iterator
from typing import Any

from jeyn.errors import NotAllowed, NotSerializable
from jeyn.sdk.serializer import class_name
from jeyn.stores.serializers.decoding import decoding
from jeyn.stores.serializers.named import check_name


class UnsafePickleSerializer:
    """Any picklable object; artefacts carry the mark `unsafe`, and executors refuse them by default.

    It reads nothing until this process has registered it explicitly. Equal bytes are as good as pickle's: not for sets
    of strings, nor for objects that keep addresses.
    """

    id = "jeyn.unsafe-pickle"
    version = "1"
    unsafe = True

    def __init__(self) -> None:
        self._registered = False

    def on_register(self) -> None:
        """Called by the serializer table that this process registers it in."""
        self._registered = True

    def to_bytes(self, model_object: Any) -> bytes:
        try:
            data = pickle.dumps(model_object, protocol=5)
        except MemoryError:
            raise
        except Exception as exc:
            raise NotSerializable(
                f"a '{class_name(type(model_object))}' cannot be pickled: {exc}", hint="register a serializer for it"
            ) from exc
        for name in _names_in(data):
            check_name(name)
        return data

    def from_bytes(self, model_bytes: bytes) -> Any:
        if not self._registered:
            raise NotAllowed(
                "this process has not registered the pickle serializer, and loading a pickle runs the code in it",
                hint="if you trust the artefact: model_store.register_serializer(cls, UnsafePickleSerializer())",
            )
        with decoding(self.id):
            return pickle.loads(model_bytes)  # noqa: S301


def _names_in(data: bytes) -> Iterator[str]:
    """`module.name` of what a pickle of protocol 5 imports: two texts, or two that were remembered, before the step."""
    texts: list[str] = []
    memory: dict[int, str] = {}
    last = ""
    for step, argument, _ in pickletools.genops(data):
        if step.name.endswith("UNICODE"):
            last = str(argument)
            texts.append(last)
        elif step.name == "MEMOIZE":
            memory[len(memory)] = last
        elif step.name.endswith("GET"):
            last = memory.get(int(argument or 0), "")
            texts.append(last)
        elif step.name == "STACK_GLOBAL" and len(texts) >= 2:
            yield f"{texts[-2]}.{texts[-1]}"
            last = ""
        else:
            last = ""
