"""Several models as one: a dict, list or tuple whose parts are plain values, arrays, tables and models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jeyn.errors import NotAllowed, NotSerializable
from jeyn.stores.serializers.values import BUNDLE, code_in_bundle, decode_value, encode_value

if TYPE_CHECKING:
    from jeyn.stores.serializers.table import SerializerTable


class CollectionSerializer:
    """A dict, list or tuple, each part in the format of its own kind, as values of operations are stored."""

    id = "jeyn.collection"
    version = "1"

    def __init__(self, table: SerializerTable | None = None) -> None:
        self._table = table

    def accepts(self, obj: Any) -> bool:
        """Not what is derived from them: it would come back as a plain one."""
        return type(obj) in (dict, list, tuple)

    def within(self, table: SerializerTable, *_: Any) -> CollectionSerializer:
        """One whose parts are written and read as that table says."""
        return CollectionSerializer(table)

    def to_bytes(self, model_object: Any) -> bytes:
        encoded = encode_value(model_object, self._table)
        if encoded.unsafe:
            raise NotAllowed(
                "a pickle inside a collection would not be seen from outside", hint="save that model by itself"
            )
        if encoded.format != BUNDLE or not isinstance(encoded.data, bytes):
            raise NotSerializable(f"a collection cannot be '{encoded.format}'", hint="save it as what it is")
        return encoded.data

    def code_of(self, model_bytes: bytes) -> list[str]:
        """What its parts rely on by name, as each says it."""
        return sorted(set(code_in_bundle(model_bytes, self._table)))

    def from_bytes(self, model_bytes: bytes) -> Any:
        return decode_value(BUNDLE, model_bytes, self._table)
