"""Scikit-learn estimators through skops, with our list of trusted types and one byte form.

The format: https://skops.readthedocs.io/en/stable/persistence.html
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jeyn.errors import NotAllowed, NotSerializable
from jeyn.sdk.serializer import class_name
from jeyn.stores.serializers.archive import unpack
from jeyn.stores.serializers.decoding import decoding
from jeyn.stores.serializers.extras import need
from jeyn.stores.serializers.skops_archive import settled
from jeyn.stores.serializers.trees import check_trees
from jeyn.stores.serializers.trusted import TRUSTED_TYPES


class SklearnSerializer:
    """Estimators made of types that Jeyn trusts, and of those named in `trusted` (classes or `module.Class` names).

    What an archive claims about itself is never trusted: an untrusted type is NotAllowed both on save and on load.
    """

    id = "jeyn.sklearn"
    version = "1"

    def __init__(self, trusted: Iterable[type | str] = ()) -> None:
        names = {item if isinstance(item, str) else class_name(item) for item in trusted}
        self.trusted = frozenset(TRUSTED_TYPES | names)

    def to_bytes(self, model_object: Any) -> bytes:
        skops = need("skops.io", "sklearn")
        try:
            archive = skops.dumps(model_object)
        except Exception as exc:
            raise NotSerializable(
                f"skops cannot store this '{class_name(type(model_object))}': {exc}",
                hint="model_store.register_serializer(its class, a serializer of your own)",
            ) from exc
        self._check(skops.get_untrusted_types(data=archive))
        return settled(archive)

    def from_bytes(self, model_bytes: bytes) -> Any:
        skops = need("skops.io", "sklearn")
        with decoding(self.id):
            unpack(model_bytes)
            self._check(skops.get_untrusted_types(data=model_bytes))
            model = skops.loads(model_bytes, trusted=sorted(self.trusted))
            check_trees(model)
            return model

    def _check(self, types: Iterable[str]) -> None:
        untrusted = sorted(set(types) - self.trusted)
        if untrusted:
            raise NotAllowed(
                f"the model holds types that Jeyn does not trust: {', '.join(map(repr, untrusted))}",
                hint="if you know them: model_store.register_serializer(the model's class, "
                f"SklearnSerializer(trusted={untrusted}))",
            )
