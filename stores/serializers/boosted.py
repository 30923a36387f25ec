"""LightGBM and XGBoost models: the trees as the library itself writes them, and what its scikit-learn wrapper adds.

The formats: https://lightgbm.readthedocs.io (the text of `Booster.model_to_string`) and
https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html (UBJSON). Neither runs code when it is read.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import Any

from jeyn.errors import Corrupt
from jeyn.sdk.serializer import class_name, class_names
from jeyn.stores.serializers.archive import pack, unpack
from jeyn.stores.serializers.boosted_trees import check_lightgbm, check_xgboost
from jeyn.stores.serializers.decoding import decoding
from jeyn.stores.serializers.extras import need
from jeyn.stores.serializers.sklearn import SklearnSerializer

_ABOUT, _TREES, _WRAPPER = "about.json", "trees", "wrapper"


class _Boosted(ABC):
    """What both have in common: a booster alone, or a wrapper around one that is fitted or not."""

    version = "1"
    library = ""
    id = ""

    def accepts(self, obj: Any) -> bool:
        """Classes of the library itself: what a subclass adds, nobody knows."""
        return type(obj).__module__.partition(".")[0] == self.library

    def to_bytes(self, model_object: Any) -> bytes:
        about = {"class": class_name(type(model_object))}
        if type(model_object).__name__ == "Booster":
            return _packed(about, self._written(model_object), None)
        state = dict(vars(model_object))
        booster = state.pop("_Booster", None)
        return _packed(about, None if booster is None else self._written(booster), SklearnSerializer().to_bytes(state))

    def from_bytes(self, model_bytes: bytes) -> Any:
        with decoding(self.id):
            members = unpack(model_bytes)
            library = need(self.library, self.library)
            cls = _class(library, json.loads(members[_ABOUT])["class"])
            booster = self._read(library, members[_TREES]) if _TREES in members else None
            if _WRAPPER not in members:
                return booster
            state = SklearnSerializer().from_bytes(members[_WRAPPER])
            model = object.__new__(cls)
            vars(model).update(state)
            if booster is not None:
                model._Booster = booster
            return model

    @abstractmethod
    def _written(self, booster: Any) -> bytes: ...

    @abstractmethod
    def _read(self, library: Any, data: bytes) -> Any: ...


class LightGBMSerializer(_Boosted):
    """A LightGBM Booster or one of its scikit-learn models; training can go on from it with `init_model`."""

    id = "jeyn.lightgbm"
    library = "lightgbm"

    def _written(self, booster: Any) -> bytes:
        return str(booster.model_to_string(num_iteration=-1)).encode()

    def _read(self, library: Any, data: bytes) -> Any:
        text = data.decode()
        check_lightgbm(text)
        return library.Booster(model_str=text)


class XGBoostSerializer(_Boosted):
    """An XGBoost Booster or one of its scikit-learn models."""

    id = "jeyn.xgboost"
    library = "xgboost"

    def _written(self, booster: Any) -> bytes:
        return bytes(booster.save_raw("ubj"))

    def _read(self, library: Any, data: bytes) -> Any:
        check_xgboost(data)
        booster = library.Booster()
        booster.load_model(bytearray(data))
        return booster


def _packed(about: dict[str, str], trees: bytes | None, wrapper: bytes | None) -> bytes:
    members = [(_ABOUT, json.dumps(about).encode())]
    members += [(_TREES, trees)] if trees is not None else []
    members += [(_WRAPPER, wrapper)] if wrapper is not None else []
    return pack(members)


def _class(library: Any, name: str) -> Any:
    """A model of the library by its class; Corrupt for any other name."""
    found = getattr(library, name.rpartition(".")[2], None)
    models = {
        "lightgbm.sklearn.LGBMModel",
        "xgboost.sklearn.XGBModel",
        "lightgbm.basic.Booster",
        "xgboost.core.Booster",
    }
    if not isinstance(found, type) or not models & set(class_names(found)):
        raise Corrupt(f"{name!r} is no model of {library.__name__}", hint="the archive was altered; save it again")
    return found
