"""Writing an object so that it can be loaded: whatever is written is read back before it counts as saved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jeyn.errors import JeynError, NotSerializable
from jeyn.sdk.serializer import ModelSerializer, class_name

if TYPE_CHECKING:
    from jeyn.stores.serializers.table import SerializerTable


def written(table: SerializerTable, obj: Any) -> tuple[ModelSerializer, bytes]:
    """The object's serializer and its bytes, read back once.

    Raises `NotSerializable`, also for what could be written and not read, and `NotAllowed` for what is not trusted.
    """
    serializer = table.for_object(obj)
    data = serializer.to_bytes(obj)
    check_reads(serializer, data, obj)
    return serializer, data


def check_reads(serializer: ModelSerializer, data: bytes, obj: Any) -> None:
    """NotSerializable unless the bytes can be read, for one load; bytes, text, files and arrays are what they are."""
    if getattr(serializer, "is_plain", False):
        return
    read = getattr(serializer, "read_back", serializer.from_bytes)
    try:
        loaded = read(data)
    except MemoryError:
        raise
    except Exception as exc:
        said = exc.message if isinstance(exc, JeynError) else f"{type(exc).__name__}: {exc}"
        raise NotSerializable(
            f"what '{serializer.id}' wrote of this '{class_name(type(obj))}' cannot be read back: {said}",
            hint=(exc.hint if isinstance(exc, JeynError) else "")
            or "mend its from_bytes, which must read what to_bytes writes",
        ) from exc
    if loaded is None and obj is not None:
        raise NotSerializable(
            f"what '{serializer.id}' wrote of this '{class_name(type(obj))}' is read back as None",
            hint="return the object from its from_bytes",
        )
