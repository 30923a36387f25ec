"""Torch: rebuilding modules from an importable class, ties, dtypes, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jeyn.errors import Corrupt, Incompatible, NotAllowed, NotFound, NotSerializable
from jeyn.stores.serializers.table import SerializerTable
from jeyn.stores.serializers.torch import TorchModuleSerializer, TorchStateDictSerializer, TorchTensorSerializer
from tests.stores.serializers import samples

torch = pytest.importorskip("torch", reason="the torch serializers need torch")
torch_models = pytest.importorskip("tests.stores.serializers.torch_models", reason="the models need torch")


def again(module: Any) -> Any:
    return TorchModuleSerializer().from_bytes(TorchModuleSerializer().to_bytes(module))


def about(data: bytes) -> dict[str, Any]:
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert list(header["__metadata__"]) == ["jeyn"]
    found: dict[str, Any] = json.loads(header["__metadata__"]["jeyn"])
    return found


def with_about(data: bytes, **changes: Any) -> bytes:
    """The same tensors under a forged description."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"]["jeyn"] = json.dumps({**about(data), **changes})
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def test_the_table_finds_modules_state_dicts_and_tensors() -> None:
    table = SerializerTable()
    module = torch_models.Tied(3)
    assert table.for_object(module).id == "jeyn.torch-module"
    assert table.for_object(module.state_dict()).id == "jeyn.torch-state-dict"
    assert table.for_object(torch.zeros(1)).id == "jeyn.torch-tensor"
    table.register("torch.nn.Module", TorchModuleSerializer())
    assert table.for_object(module).id == "jeyn.torch-module"


def test_a_module_predicts_the_same_and_keeps_its_modes() -> None:
    model = samples.perceptron()
    loaded = again(model)
    rows = torch.ones(3, 4)
    assert torch.equal(loaded(rows), model(rows))
    assert not loaded.training and not loaded.norm.training
    assert [p.requires_grad for p in loaded.parameters()] == [p.requires_grad for p in model.parameters()]
    assert about(TorchModuleSerializer().to_bytes(model))["arguments"] == '{"inputs":4,"hidden":6}'


def test_dtypes_are_kept() -> None:
    model = torch_models.Perceptron(4).to(torch.bfloat16)
    loaded = again(model)
    assert {tensor.dtype for tensor in loaded.parameters()} == {torch.bfloat16}
    assert loaded.norm.num_batches_tracked.dtype == torch.int64


def test_tied_weights_are_stored_once_and_tied_again() -> None:
    loaded = again(samples.tied())
    assert loaded.encode.weight is loaded.decode.weight
    header = TorchModuleSerializer().to_bytes(samples.tied())
    assert header.count(b'"data_offsets"') == 1
    outside = torch_models.Perceptron(6, 6)
    outside.other = torch.nn.Linear(6, 6, bias=False)
    with pytest.raises(NotSerializable, match="other tensors"):
        TorchModuleSerializer().to_bytes(outside)


def test_weights_tied_after_building_are_tied_again() -> None:
    model = torch_models.Perceptron(2, 2)
    model.last.weight = model.first.weight
    loaded = again(model)
    assert loaded.last.weight is loaded.first.weight


def test_a_state_dict_keeps_order_views_and_sharing() -> None:
    state = samples.state_dict()
    loaded = TorchStateDictSerializer().from_bytes(TorchStateDictSerializer().to_bytes(state))
    assert list(loaded) == list(state)
    assert all(torch.equal(loaded[name], state[name]) for name in state)
    assert loaded["same"] is loaded["z"]
    assert loaded["a"] is not loaded["z"]


def test_saving_draws_no_random_numbers() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    model = samples.perceptron()
    torch.manual_seed(5)
    TorchModuleSerializer().to_bytes(model)
    assert torch.equal(torch.rand(1), expected)


def test_classes_that_cannot_be_imported_are_refused_on_save() -> None:
    class Local(torch.nn.Module):  # type: ignore[misc, name-defined]
        pass

    main = type("Net", (torch.nn.Module,), {"__module__": "__main__"})
    gone = type("Gone", (torch.nn.Module,), {"__module__": "tests.stores.serializers.torch_models"})
    double = type("Tied", (torch.nn.Module,), {"__module__": "tests.stores.serializers.torch_models"})
    for cls in (Local, main):
        with pytest.raises(NotSerializable, match="cannot be imported by another process"):
            TorchModuleSerializer().to_bytes(cls())
    with pytest.raises(NotFound, match="Gone"):
        TorchModuleSerializer().to_bytes(gone())
    with pytest.raises(NotSerializable, match="names another class"):
        TorchModuleSerializer().to_bytes(double())


def test_a_module_that_its_arguments_do_not_rebuild_is_refused_on_save() -> None:
    with pytest.raises(NotSerializable, match="other tensors") as caught:
        TorchModuleSerializer().to_bytes(torch_models.Forgetful(size=3))
    assert "config()" in caught.value.hint
    assert again(torch_models.Forgetful()).layer.weight.shape == (2, 2)
    with pytest.raises(NotSerializable, match="cannot be built"):
        TorchModuleSerializer().to_bytes(torch.nn.Linear(2, 3))


@pytest.mark.parametrize(
    ("reference", "error"),
    [
        ("tests.stores.serializers.torch_models:Other", NotAllowed),
        ("subprocess:Popen", NotAllowed),
        ("os:system", NotAllowed),
        ("no_such_package:Net", NotFound),
        ("tests.stores.serializers.torch_models:Gone", NotFound),
        ("os; import sys:x", Corrupt),
        ("..torch_models:Tied", Corrupt),
        ("", Corrupt),
    ],
)
def test_a_forged_class_is_never_called(reference: str, error: type[Exception]) -> None:
    data = TorchModuleSerializer().to_bytes(samples.tied())
    with pytest.raises(error):
        TorchModuleSerializer().from_bytes(with_about(data, **{"class": reference}))


def test_a_class_that_changed_is_incompatible() -> None:
    data = TorchModuleSerializer().to_bytes(samples.perceptron())
    with pytest.raises(Incompatible, match="cannot be built"):
        TorchModuleSerializer().from_bytes(with_about(data, arguments='{"width": 3}'))
    with pytest.raises(Incompatible, match="other tensors"):
        TorchModuleSerializer().from_bytes(with_about(data, arguments='{"inputs": 4, "hidden": 9}'))


def test_tensors_without_plain_data_are_refused() -> None:
    for tensor in (torch.eye(2).to_sparse(), torch.zeros(1, device="meta")):
        with pytest.raises(NotSerializable):
            TorchTensorSerializer().to_bytes(tensor)
    with pytest.raises(NotSerializable, match="not a tensor"):
        TorchStateDictSerializer().to_bytes({"a": torch.zeros(1), "extra": 3})
