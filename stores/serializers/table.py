"""The serializer table: which serializer writes an object, and which one reads an id. The process has one of them.

Jeyn's own are declared by name and imported on use; those of other packages come from entry points of the group
`jeyn.serializers` (the entry's name is the class's name), which are looked at only when nothing else fits.
"""

from __future__ import annotations

import copy
import importlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from jeyn.errors import Conflict, NewerSchema, NotAllowed, NotFound, NotSerializable, UsageError
from jeyn.sdk.serializer import (
    REQUIRED_MEMBERS,
    ModelSerializer,
    class_name,
    class_names,
    is_unsafe,
    serializer_aliases,
)
from jeyn.stores.serializers.named import check_importable

GROUP = "jeyn.serializers"
_UNSAFE_PICKLE = "jeyn.unsafe-pickle"
_ROOM = "jeyn.stores.serializers"


@dataclass(frozen=True)
class BuiltIn:
    """A serializer of ours: the class it is for, its id, and where it is."""

    class_name: str
    id: str
    path: str


# In this order for one class: the first that accepts the object writes it.
BUILT_INS = (
    BuiltIn("builtins.bytes", "jeyn.bytes", f"{_ROOM}.plain:BytesSerializer"),
    BuiltIn("builtins.str", "jeyn.text", f"{_ROOM}.plain:TextSerializer"),
    BuiltIn("pathlib.Path", "jeyn.file", f"{_ROOM}.plain:FileSerializer"),
    BuiltIn("pathlib._local.Path", "jeyn.file", f"{_ROOM}.plain:FileSerializer"),  # its name in Python 3.13
    BuiltIn("numpy.ndarray", "jeyn.numpy", f"{_ROOM}.numpy:NumpySerializer"),
    BuiltIn("builtins.dict", "jeyn.numpy-dict", f"{_ROOM}.numpy:NumpyDictSerializer"),
    BuiltIn("builtins.dict", "jeyn.torch-state-dict", f"{_ROOM}.torch:TorchStateDictSerializer"),
    BuiltIn("builtins.dict", "jeyn.json", f"{_ROOM}.plain:JsonSerializer"),
    BuiltIn("builtins.list", "jeyn.json", f"{_ROOM}.plain:JsonSerializer"),
    BuiltIn("builtins.tuple", "jeyn.json", f"{_ROOM}.plain:JsonSerializer"),
    BuiltIn("builtins.dict", "jeyn.collection", f"{_ROOM}.collection:CollectionSerializer"),
    BuiltIn("builtins.list", "jeyn.collection", f"{_ROOM}.collection:CollectionSerializer"),
    BuiltIn("builtins.tuple", "jeyn.collection", f"{_ROOM}.collection:CollectionSerializer"),
    BuiltIn("lightgbm.basic.Booster", "jeyn.lightgbm", f"{_ROOM}.boosted:LightGBMSerializer"),
    BuiltIn("lightgbm.sklearn.LGBMModel", "jeyn.lightgbm", f"{_ROOM}.boosted:LightGBMSerializer"),
    BuiltIn("xgboost.core.Booster", "jeyn.xgboost", f"{_ROOM}.boosted:XGBoostSerializer"),
    BuiltIn("xgboost.sklearn.XGBModel", "jeyn.xgboost", f"{_ROOM}.boosted:XGBoostSerializer"),
    BuiltIn("onnx.onnx_ml_pb2.ModelProto", "jeyn.onnx", f"{_ROOM}.onnx:OnnxSerializer"),
    BuiltIn("sklearn.base.BaseEstimator", "jeyn.sklearn", f"{_ROOM}.sklearn:SklearnSerializer"),
    BuiltIn("torch.nn.modules.module.Module", "jeyn.torch-module", f"{_ROOM}.torch:TorchModuleSerializer"),
    BuiltIn("torch.Tensor", "jeyn.torch-tensor", f"{_ROOM}.torch:TorchTensorSerializer"),
)
_PUBLIC_NAMES = {"torch.nn.Module": "torch.nn.modules.module.Module"}

FindEntryPoints = Callable[[], Iterable[EntryPoint]]


class SerializerTable:
    """Serializers by class name and by id; what is registered goes before what is built in."""

    def __init__(
        self,
        built_ins: Sequence[BuiltIn] = BUILT_INS,
        find_entry_points: FindEntryPoints = lambda: entry_points(group=GROUP),
    ) -> None:
        self._built_ins = tuple(built_ins)
        self._find_entry_points = find_entry_points
        self._entry_points_read = False
        self._broken: list[str] = []
        self._by_class: dict[str, ModelSerializer] = {}
        self._by_id: dict[str, ModelSerializer] = {}
        self._loaded: dict[str, ModelSerializer] = {}
        self._project: tuple[Path, tuple[str, ...]] | None = None

    def of_project(self, root: Path, trusted: Sequence[str] = ()) -> SerializerTable:
        """The same table, whatever is registered in either of them; its serializers trust a project's own types too."""
        twin = copy.copy(self)
        twin._project = (root, tuple(trusted))
        return twin

    def register(
        self,
        cls_or_name: type | str,
        serializer: ModelSerializer,
        backward_compatibility_class_names: Sequence[str] = (),
    ) -> None:
        """Use a serializer for a class, given itself or as `module.Class`, and for the older names of that class.

        UsageError names what the serializer lacks; Conflict when another kind of serializer has its id.
        """
        _check_serializer(serializer)
        self._check_id_is_free(serializer)
        name = cls_or_name if isinstance(cls_or_name, str) else class_name(cls_or_name)
        for registered in (name, *backward_compatibility_class_names):
            self._by_class[_PUBLIC_NAMES.get(registered, registered)] = serializer
        for identifier in (serializer.id, *serializer_aliases(serializer)):
            held = self._by_id.get(identifier)
            # Whoever trusts one more type must not lose those that were trusted before.
            joined = getattr(held, "joined", None)
            self._by_id[identifier] = joined(serializer) if joined else serializer
        on_register = getattr(serializer, "on_register", None)
        if on_register is not None:
            on_register()

    @property
    def registered(self) -> dict[str, ModelSerializer]:
        """What was registered, by class name; not what is built in."""
        return dict(self._by_class)

    def for_object(self, obj: Any) -> ModelSerializer:
        """The serializer of the object's nearest class; NotSerializable names its type and how to register one."""
        serializer = self.find(obj)
        if serializer is None:
            check_importable(type(obj))
            raise NotSerializable(
                f"nothing knows how to store a '{class_name(type(obj))}'{self._broken_note()}",
                hint="model_store.register_serializer(its class or 'module.Class', a serializer), or serializers: in "
                "jeyn.yaml, which holds for every process of the project",
            )
        return serializer

    def find(self, obj: Any) -> ModelSerializer | None:
        """Like `for_object`, None where nothing fits."""
        found = self._find_among_known(obj)
        if found is None and self._read_entry_points():
            found = self._find_among_known(obj)
        return found and self._in_project(found)

    def knows(self, cls: type) -> bool:
        """Whether some serializer takes objects of this class; it may still refuse one of them."""
        self._read_entry_points()
        built_in = {each.class_name for each in self._built_ins}
        return any(name in self._by_class or name in built_in for name in class_names(cls))

    def by_id(self, id: str, version: str | None = None) -> ModelSerializer:
        """The serializer that reads an artefact's serializer id and version.

        NotFound when the id is unknown, NewerSchema when the artefact was written by a newer version of it, NotAllowed
        for the pickle serializer unless this process registered it.
        """
        serializer = self._known_id(id)
        if serializer is None and self._read_entry_points():
            serializer = self._known_id(id)
        if serializer is None:
            raise self._unknown_id(id)
        if version is not None and _numbers(version) > _numbers(serializer.version):
            raise NewerSchema(
                f"the artefact was written by '{id}' version '{version}', here is version '{serializer.version}'",
                hint="upgrade the package that has this serializer",
            )
        return self._in_project(serializer)

    def _in_project(self, serializer: ModelSerializer) -> ModelSerializer:
        within = getattr(serializer, "within", None)
        return serializer if within is None or self._project is None else within(self, *self._project)

    def _find_among_known(self, obj: Any) -> ModelSerializer | None:
        for name in class_names(type(obj)):
            for serializer in self._for_class(name):
                if getattr(serializer, "accepts", _accepts_all)(obj):
                    return serializer
        return None

    def _for_class(self, name: str) -> Iterable[ModelSerializer]:
        if name in self._by_class:
            yield self._by_class[name]
        for built_in in self._built_ins:
            if built_in.class_name == name:
                yield self._by_id.get(built_in.id) or self._load(built_in)

    def _known_id(self, id: str) -> ModelSerializer | None:
        if id in self._by_id:
            return self._by_id[id]
        return next((self._load(built_in) for built_in in self._built_ins if built_in.id == id), None)

    def _load(self, built_in: BuiltIn) -> ModelSerializer:
        if built_in.id not in self._loaded:
            module, _, name = built_in.path.partition(":")
            self._loaded[built_in.id] = getattr(importlib.import_module(module), name)()
        return self._loaded[built_in.id]

    def _check_id_is_free(self, serializer: ModelSerializer) -> None:
        for identifier in (serializer.id, *serializer_aliases(serializer)):
            holder = self._known_id(identifier)
            # By name: running a notebook cell again makes a new class of the same serializer.
            if holder is not None and class_name(type(holder)) not in class_names(type(serializer)):
                raise Conflict(
                    f"the serializer id '{identifier}' belongs to '{class_name(type(holder))}'",
                    hint=f"give '{class_name(type(serializer))}' an id of its own",
                )

    def _read_entry_points(self) -> bool:
        """Register what installed packages offer, once; False when that was done before."""
        if self._entry_points_read:
            return False
        self._entry_points_read = True
        for entry in self._find_entry_points():
            try:
                self._offer(entry)
            except Exception as exc:
                # One broken package must not hide the others; it is named where something is missed.
                self._broken.append(f"'{entry.name}' ({entry.value}): {exc}")
        return True

    def _offer(self, entry: EntryPoint) -> None:
        loaded = entry.load()
        serializer = loaded() if isinstance(loaded, type) else loaded
        _check_serializer(serializer)
        if is_unsafe(serializer):
            raise NotAllowed("an unsafe serializer is used only when it is registered explicitly")
        if entry.name not in self._by_class and serializer.id not in self._by_id:
            self.register(entry.name, serializer)

    def _unknown_id(self, id: str) -> NotFound | NotAllowed:
        if id == _UNSAFE_PICKLE:
            return NotAllowed(
                "the artefact is a pickle, and loading a pickle runs the code in it",
                hint="if you trust it: model_store.register_serializer(its class, UnsafePickleSerializer())",
            )
        offered = ", ".join(sorted(entry.name for entry in self._find_entry_points())) or "none"
        return NotFound(
            f"no serializer has the id '{id}'{self._broken_note()}",
            hint="model_store.register_serializer(the model's class, the serializer), or install the package whose "
            f"entry point '{GROUP}' has it (installed: {offered})",
        )

    def _broken_note(self) -> str:
        return f"; these entry points failed: {'; '.join(self._broken)}" if self._broken else ""


# The process's own table, one of three ambient things (SEMANTICS 26).
_PROCESS_TABLE = SerializerTable()
register_serializer = _PROCESS_TABLE.register


def default_table() -> SerializerTable:
    """The process's table, which `register_serializer` adds to."""
    return _PROCESS_TABLE


def _check_serializer(serializer: Any) -> None:
    missing = [member for member in REQUIRED_MEMBERS if not hasattr(serializer, member)]
    if isinstance(serializer, type) or missing:
        what = "is a class, not an instance" if isinstance(serializer, type) else f"has no {', '.join(missing)}"
        raise UsageError(f"the serializer {serializer!r} {what}", hint=f"it needs {', '.join(REQUIRED_MEMBERS)}")
    if not isinstance(serializer.id, str) or not serializer.id:
        raise UsageError(f"the serializer id {serializer.id!r} is not a name", hint="give a string that never changes")
    _numbers(serializer.version)


def _numbers(version: Any) -> tuple[int, ...]:
    if not isinstance(version, str) or re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})*", version) is None:
        raise UsageError(f"the serializer version {version!r} is not digits and dots", hint="use '1', then '2'")
    return tuple(map(int, version.split(".")))


def _accepts_all(obj: Any) -> bool:
    return True
