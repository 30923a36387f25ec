"""What a model serializer is: two methods under a stable id and version; ours live in `jeyn.stores.serializers`."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class ModelSerializer(Protocol):
    """Turns one kind of object into bytes and back.

    `id` is stored with every artefact and never changes; `version` (digits and dots) grows when the bytes change in a
    way that an older release cannot read, and `from_bytes` reads every older version. `to_bytes` is deterministic: the
    same object gives the same bytes in two fresh processes.

    Optional: `aliases` (older ids that it still reads), `unsafe` (reading runs code from the bytes) and
    `accepts(obj)` (False hands the object on to the next serializer of its class).
    """

    id: str
    version: str

    def to_bytes(self, model_object: Any) -> bytes: ...

    def from_bytes(self, model_bytes: bytes) -> Any: ...


REQUIRED_MEMBERS = ("id", "version", "to_bytes", "from_bytes")


def serializer_aliases(serializer: ModelSerializer) -> tuple[str, ...]:
    """The older ids that a serializer still reads."""
    return tuple(getattr(serializer, "aliases", ()))


def is_unsafe(serializer: ModelSerializer) -> bool:
    """Whether reading its bytes can run code that came with them."""
    return bool(getattr(serializer, "unsafe", False))


def class_name(cls: type) -> str:
    """`module.qualname`, the name under which serializers are registered."""
    return f"{cls.__module__}.{cls.__qualname__}"


def class_names(cls: type) -> tuple[str, ...]:
    """The names of a class and of its bases, nearest first, without `object`."""
    return tuple(class_name(base) for base in cls.__mro__ if base is not object)
