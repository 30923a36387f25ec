"""PyTorch modules and state dicts as safetensors: weights as data, and the importable class that is built around them.

The format: https://huggingface.co/docs/safetensors. All that is ours stands in one metadata key, because safetensors
writes several in random order.
"""

from __future__ import annotations

import importlib
import inspect
import json
from typing import Any

from jeyn.errors import Corrupt, Incompatible, NotAllowed, NotFound, NotSerializable
from jeyn.sdk.serializer import class_name, class_names
from jeyn.stores.serializers.decoding import decoding, is_out_of_memory, no_memory
from jeyn.stores.serializers.extras import need
from jeyn.stores.serializers.json_values import decode_json, encode_json
from jeyn.stores.serializers.named import check_module

_KEY = "jeyn"
_MODULE = "torch.nn.modules.module.Module"


class TorchTensorSerializer:
    """One dense tensor; it comes back on the CPU."""

    id = "jeyn.torch-tensor"
    version = "1"

    def to_bytes(self, model_object: Any) -> bytes:
        return _to_safetensors({"tensor": model_object}, {})

    def from_bytes(self, model_bytes: bytes) -> Any:
        with decoding(self.id):
            tensors, _ = _from_safetensors(model_bytes)
            return tensors["tensor"]


class TorchStateDictSerializer:
    """A dict of named dense tensors, in its order; names that share one tensor share it again when it is loaded."""

    id = "jeyn.torch-state-dict"
    version = "1"

    def accepts(self, obj: Any) -> bool:
        return bool(obj) and all("torch.Tensor" in class_names(type(value)) for value in obj.values())

    def to_bytes(self, model_object: Any) -> bytes:
        return _to_safetensors(dict(model_object), {})

    def from_bytes(self, model_bytes: bytes) -> Any:
        with decoding(self.id):
            return _from_safetensors(model_bytes)[0]


class TorchModuleSerializer:
    """A `torch.nn.Module`: its state dict, its class as `module:qualname` and the arguments that build it.

    The arguments are what the module's `config()` returns (a dict of keywords, JSON values), none where it has no such
    method. Kept besides: which submodules train, which parameters are frozen and which are tied.
    """

    id = "jeyn.torch-module"
    version = "1"

    def to_bytes(self, model_object: Any) -> bytes:
        arguments = _arguments(model_object)
        reference = _class_reference(type(model_object))
        state = model_object.state_dict(keep_vars=True)
        _check_rebuilds(type(model_object), arguments, state)
        about = {
            "class": reference,
            "arguments": encode_json(arguments).decode(),
            "eval": [name for name, module in model_object.named_modules() if not module.training],
            "frozen": [name for name, tensor in model_object.named_parameters() if not tensor.requires_grad],
        }
        return _to_safetensors(dict(state), about)

    def read_back(self, model_bytes: bytes) -> Any:
        """As `from_bytes`, without drawing from the user's random numbers."""
        with need("torch", "torch").random.fork_rng(devices=[]):
            return self.from_bytes(model_bytes)

    def code_of(self, model_bytes: bytes) -> list[str]:
        """The class that the bytes are built into."""
        with decoding(self.id):
            return [_from_safetensors(model_bytes)[1]["class"].replace(":", ".")]

    def from_bytes(self, model_bytes: bytes) -> Any:
        with decoding(self.id):
            state, about = _from_safetensors(model_bytes)
            reference, arguments = about["class"], decode_json(about["arguments"].encode())
            evaluating, frozen = set(about["eval"]), set(about["frozen"])
        cls = _import_class(reference)
        _check_room(cls, arguments, state)
        module = _build(cls, arguments)
        _load_state(module, state)
        for name, part in module.named_modules():
            part.training = name not in evaluating
        for name, parameter in module.named_parameters():
            parameter.requires_grad_(name not in frozen)
        return module


def _arguments(module: Any) -> dict[str, Any]:
    config = getattr(type(module), "config", None)
    arguments = module.config() if callable(config) else {}
    if type(arguments) is not dict:
        raise NotSerializable(
            f"config() of '{class_name(type(module))}' returned {arguments!r}", hint="return a dict of keywords"
        )
    return arguments


def _class_reference(cls: type) -> str:
    """`module:qualname`; NotSerializable for classes that another process could not import."""
    try:
        check_module(cls)
    except NotSerializable as exc:
        exc.hint = f"{exc.hint}; or save module.state_dict()"
        raise
    reference = f"{cls.__module__}:{cls.__qualname__}"
    if _import_class(reference) is not cls:
        raise NotSerializable(f"'{reference}' names another class than the model's", hint="give the class its own name")
    return reference


def _import_class(reference: str) -> Any:
    """The class; NotFound where it is missing, NotAllowed unless it is a `torch.nn.Module`."""
    module_name, _, qualname = reference.partition(":")
    if not all(part.isidentifier() for part in [*module_name.split("."), *qualname.split(".")]):
        raise Corrupt(f"'{reference}' is not the name of a class")
    try:
        found: Any = importlib.import_module(module_name)
        for part in qualname.split("."):
            found = getattr(found, part)
    except Exception as exc:
        raise NotFound(
            f"the model's class '{reference}' cannot be imported: {exc}",
            hint="install the package it came from, in the version that saved it",
        ) from exc
    if not isinstance(found, type) or _MODULE not in class_names(found):
        raise NotAllowed(f"'{reference}' is not a torch.nn.Module", hint="the artefact was not written by Jeyn")
    return found


def _check_rebuilds(cls: type, arguments: dict[str, Any], state: dict[str, Any]) -> None:
    """Refuse on save what could not be loaded: the class must give the same tensors from these arguments."""
    hint = "give it a config() method that returns the keyword arguments it was built with, or save its state_dict()"
    try:
        inspect.signature(cls).bind(**arguments)
        blank = _blank_state(cls, arguments)
    except Exception as exc:
        if is_out_of_memory(exc):
            raise no_memory(f"build '{class_name(cls)}'") from exc
        raise NotSerializable(f"'{class_name(cls)}' cannot be built from {arguments!r}: {exc}", hint=hint) from exc
    if {name: _shape(tensor) for name, tensor in blank.items()} != {n: _shape(t) for n, t in state.items()}:
        raise NotSerializable(
            f"'{class_name(cls)}' built from {arguments!r} has other tensors than this model", hint=hint
        )


def _blank_state(cls: type, arguments: dict[str, Any]) -> dict[str, Any]:
    """The state of a new module, without drawing from the user's random numbers."""
    torch = need("torch", "torch")
    try:
        with torch.device("meta"):
            return dict(cls(**arguments).state_dict())
    except Exception:
        # Some constructors read their tensors, which the meta device does not have.
        with torch.random.fork_rng(devices=[]):
            return dict(cls(**arguments).state_dict())


def _check_room(cls: Any, arguments: dict[str, Any], state: dict[str, Any]) -> None:
    """Incompatible where building the module would take other tensors than the bytes hold: perhaps all of memory."""
    try:
        with need("torch", "torch").device("meta"):
            blank = dict(cls(**arguments).state_dict())
    except Exception:  # building it tells why, or it reads its tensors, which the meta device does not have
        return
    wanted, given = ({name: _shape(tensor) for name, tensor in each.items()} for each in (blank, state))
    if wanted != given:
        names = sorted(name for name in wanted.keys() | given.keys() if wanted.get(name) != given.get(name))
        raise Incompatible(
            f"'{class_name(cls)}' has other tensors than the artefact: {', '.join(names[:5])}",
            hint="install the version of its package that saved it",
        )


def _shape(tensor: Any) -> tuple[int, ...] | None:
    return tuple(tensor.shape) if "torch.Tensor" in class_names(type(tensor)) else None


def _build(cls: Any, arguments: dict[str, Any]) -> Any:
    try:
        return cls(**arguments)
    except Exception as exc:
        if is_out_of_memory(exc):
            raise no_memory(f"build '{class_name(cls)}'") from exc
        raise Incompatible(
            f"'{class_name(cls)}' cannot be built from {arguments!r} any more: {type(exc).__name__}: {exc}",
            hint="install the version of its package that saved it",
        ) from exc


def _load_state(module: Any, state: dict[str, Any]) -> None:
    try:
        module.load_state_dict(state, strict=True, assign=True)
    except RuntimeError as exc:
        raise Incompatible(
            f"'{class_name(type(module))}' has other tensors than the artefact: {exc}",
            hint="install the version of its package that saved it",
        ) from exc
    _tie(module, state)


def _tie(module: Any, state: dict[str, Any]) -> None:
    """Make parameters one object again that share a tensor; assigning gave each name a parameter of its own."""
    first: dict[int, Any] = {}
    for name, tensor in state.items():
        holder, _, attribute = name.rpartition(".")
        part = module.get_submodule(holder)
        shared = first.setdefault(id(tensor), getattr(part, attribute))
        if shared is not getattr(part, attribute):
            setattr(part, attribute, shared)


def _to_safetensors(tensors: dict[str, Any], about: dict[str, Any]) -> bytes:
    """Shared tensors are stored once, under the first of their names; all are copied to the CPU, contiguous."""
    safetensors = need("safetensors.torch", "torch")
    stored: dict[Any, str] = {}
    names = {name: stored.setdefault(_storage(name, tensor), name) for name, tensor in tensors.items()}
    plain = {name: _plain(tensors[name]) for name in stored.values()}
    try:
        return bytes(safetensors.save(plain, metadata={_KEY: json.dumps({**about, "names": list(names.items())})}))
    except MemoryError:
        raise
    except Exception as exc:
        raise NotSerializable(
            f"safetensors cannot store these tensors: {exc}", hint="convert them to dense ones"
        ) from exc


def _storage(name: str, tensor: Any) -> Any:
    """What makes two tensors one: the same memory seen in the same way."""
    if type(name) is not str or "torch.Tensor" not in class_names(type(tensor)):
        raise NotSerializable(f"{name!r} is a '{class_name(type(tensor))}', not a tensor", hint="save tensors by name")
    if tensor.layout is not need("torch", "torch").strided or tensor.is_quantized or tensor.is_meta:
        raise NotSerializable(f"the tensor {name!r} is sparse, quantized or has no data", hint="make it dense first")
    if tensor.numel() == 0:
        return name
    return (tensor.device, tensor.data_ptr(), tensor.dtype, tuple(tensor.shape), tensor.stride())


def _plain(tensor: Any) -> Any:
    return tensor.detach().resolve_conj().resolve_neg().to("cpu").contiguous().clone()


def _from_safetensors(data: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tensors under all their names, in order, and what was written about them; call inside `decoding`."""
    safetensors = need("safetensors.torch", "torch")
    tensors = safetensors.load(data)
    length = int.from_bytes(data[:8], "little")
    about = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][_KEY])
    return {name: tensors[stored] for name, stored in about.pop("names")}, about
