"""Scikit-learn estimators through skops, with our list of trusted types and one byte form.

The format: https://skops.readthedocs.io/en/stable/persistence.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jeyn.errors import Incompatible, NotAllowed, NotSerializable
from jeyn.sdk.serializer import class_name, class_names
from jeyn.stores.serializers.archive import unpack
from jeyn.stores.serializers.decoding import decoding
from jeyn.stores.serializers.extras import need
from jeyn.stores.serializers.named import check_importable, check_name, code_in, imported, name_of
from jeyn.stores.serializers.parts import STAND_INS, restored, stood_in
from jeyn.stores.serializers.skops_archive import settled
from jeyn.stores.serializers.skops_schema import SCHEMA, check_schema, name_in, nodes_of
from jeyn.stores.serializers.sound import check_model
from jeyn.stores.serializers.trusted import TRUSTED_TYPES

_ESTIMATOR = "sklearn.base.BaseEstimator"
# The floor in pyproject.toml, which an environment that was made by hand may miss.
_REVIEWED = (0, 16)
_LIBRARIES = {"sklearn", "numpy", "scipy", "pandas", "builtins", "lightgbm", "xgboost"}


class SklearnSerializer:
    """Estimators made of types that Jeyn trusts, and of those named in `trusted` (classes or `module.Class` names).

    With `project`, the estimators that modules below that folder define are trusted too. What an archive claims about
    itself is never trusted: an untrusted type is NotAllowed both on save and on load, and what no other process could
    import (a lambda, a class of `__main__` or of a notebook) is NotSerializable.
    """

    id = "jeyn.sklearn"
    version = "1"

    def __init__(self, trusted: Iterable[type | str] = (), project: Path | None = None) -> None:
        names = {item if isinstance(item, str) else class_name(item) for item in trusted}
        self.named = frozenset(names)
        self.trusted = frozenset(TRUSTED_TYPES | STAND_INS | names)
        self.project = project

    def joined(self, other: SklearnSerializer) -> SklearnSerializer:
        """One that trusts what either trusts."""
        if type(other) is not SklearnSerializer:
            return other
        return SklearnSerializer(self.named | other.named, other.project or self.project)

    def within(self, table: Any, project: Path, trusted: Iterable[str]) -> SklearnSerializer:
        """One that also trusts a project's own estimators, and what its jeyn.yaml trusts."""
        return SklearnSerializer(self.named | set(trusted), project) if type(self) is SklearnSerializer else self

    def to_bytes(self, model_object: Any) -> bytes:
        skops = _skops()
        for thing in code_in(model_object):
            if str(thing.__module__).partition(".")[0] not in _LIBRARIES and name_of(thing) not in STAND_INS:
                check_importable(thing)
        try:
            archive = skops.dumps(stood_in(model_object))
        except (NotAllowed, NotSerializable, MemoryError):
            raise
        except Exception as exc:
            raise NotSerializable(
                f"skops cannot store this '{class_name(type(model_object))}': {exc}",
                hint="model_store.register_serializer(its class, a serializer of your own)",
            ) from exc
        untrusted = skops.get_untrusted_types(data=archive)
        for name in untrusted:
            check_name(name)
        self._check(untrusted, unpack(archive, compressed=True))
        return settled(archive)

    def from_bytes(self, model_bytes: bytes) -> Any:
        skops = _skops()
        with decoding(self.id):
            members = unpack(model_bytes)
            types = skops.get_untrusted_types(data=model_bytes)
            trusted = self._check(types, members)
            check_schema(members, frozenset(set(types) - TRUSTED_TYPES - STAND_INS))
            for name in set(types) - TRUSTED_TYPES - STAND_INS:
                imported(name)
            try:
                model = skops.loads(model_bytes, trusted=sorted(trusted))
            except ImportError as exc:
                raise Incompatible(
                    f"the model needs something that is not here: {exc}",
                    hint="install the libraries in the versions that saved it",
                ) from exc
            model = restored(model)
            check_model(model)
            return model

    def code_of(self, model_bytes: bytes) -> list[str]:
        """The names of functions and classes beyond the libraries that the bytes rely on."""
        skops = _skops()
        with decoding(self.id):
            return sorted(set(skops.get_untrusted_types(data=model_bytes)) - TRUSTED_TYPES - STAND_INS)

    def _check(self, types: Iterable[str], members: dict[str, bytes]) -> frozenset[str]:
        """The types that are trusted for this archive. NotAllowed names those that are not."""
        untrusted = set(types) - self.trusted
        own = untrusted & self._own_estimators(untrusted, members)
        if untrusted - own:
            names = sorted(untrusted - own)
            listed = ", ".join(map(repr, names))
            raise NotAllowed(
                f"the model holds types that Jeyn does not trust: {listed}",
                hint="if you know them, write them in jeyn.yaml under trusted:, which holds for every process of the "
                "project, or model_store.register_serializer(the model's class, "
                f"SklearnSerializer(trusted={names}))",
            )
        return self.trusted | own

    def _own_estimators(self, names: set[str], members: dict[str, bytes]) -> set[str]:
        """Estimator classes that modules of the project define, and that the archive only makes instances of.

        Anything else of a project, such as a function that its modules import, could be called with what is in the
        archive.
        """
        if self.project is None or not names:
            return set()
        as_objects: dict[str, set[str]] = {}
        for node in nodes_of(json.loads(members[SCHEMA])):
            as_objects.setdefault(name_in(node), set()).add(node["__loader__"])
        found = {name for name in names if as_objects.get(name, set()) <= {"ObjectNode", "TypeNode"}}
        return {name for name in found if self._is_own_estimator(name)}

    def _is_own_estimator(self, name: str) -> bool:
        module, _, attribute = name.rpartition(".")
        if self.project is None or not _is_below(self.project, module):
            return False
        cls = imported(name)
        return (
            isinstance(cls, type)
            and _ESTIMATOR in class_names(cls)
            and (cls.__module__, cls.__name__) == (module, attribute)
        )


def _skops() -> Any:
    """skops.io; Incompatible for a version whose list of what runs no code was not reviewed."""
    from importlib.metadata import version

    skops = need("skops.io", "sklearn")
    found = version("skops")
    if tuple(int(part) for part in re.findall(r"[0-9]+", found)[:2]) < _REVIEWED:
        raise Incompatible(
            f"skops {found} may run code that an archive names when it is read",
            hint=f"pip install 'skops>={'.'.join(map(str, _REVIEWED))}'",
        )
    return skops


def _is_below(project: Path, module: str) -> bool:
    """Whether the module is a file of the project: by its place, before anything of it is imported."""
    parts = module.split(".")
    if not all(part.isidentifier() for part in parts):
        return False
    place = project.joinpath(*parts)
    return place.with_suffix(".py").is_file() or (place / "__init__.py").is_file()
