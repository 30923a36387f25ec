"""What every serializer and value format of ours keeps: one byte form, exact round trips, Corrupt for damaged bytes."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jeyn.errors import Corrupt, JeynError, NotAllowed
from jeyn.sdk.serializer import ModelSerializer
from jeyn.stores.serializers import SerializerTable, decode_value, encode_value
from jeyn.stores.serializers.table import BUILT_INS
from jeyn.stores.serializers.unsafe_pickle import UnsafePickleSerializer
from tests.stores.serializers import samples

ROOT = Path(__file__).parents[3]
MODELS = samples.models()
# Any bytes are bytes, and the beginning of a text or of a file is one too.
UNSTRUCTURED = {"bytes", "text", "file"}


def serializer_of(name: str) -> Any:
    serializer = MODELS[name][0]()
    if isinstance(serializer, UnsafePickleSerializer):
        SerializerTable().register("builtins.dict", serializer)
    return serializer


def same(left: Any, right: Any) -> bool:
    """Equal in type, value and, for what has them, dtype and order."""
    if type(left) is not type(right):
        return False
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and left.shape == right.shape and bool((left == right).all())
    if isinstance(left, np.generic):
        return left.dtype == right.dtype and left == right
    if isinstance(left, Path):
        return left.name == right.name and left.read_bytes() == right.read_bytes()
    if isinstance(left, float):
        return repr(left) == repr(right)
    return same_by_library(left, right)


def same_by_library(left: Any, right: Any) -> bool:
    module = type(left).__module__.partition(".")[0]
    if module == "pyarrow":
        return bool(left.schema.equals(right.schema, check_metadata=True) and left.equals(right))
    if module == "pandas":
        return bool(left.equals(right) and left.index.identical(right.index)) and same_labels(left, right)
    if module == "polars":
        return bool(left.schema == right.schema and left.equals(right))
    if module == "torch":
        return bool(left.dtype == right.dtype and left.shape == right.shape and (left == right).all())
    if module == "tests":
        return all(same(value, right.state_dict()[name]) for name, value in left.state_dict().items())
    return same_estimator(left, right) if module == "sklearn" else bool(left == right)


def same_labels(left: Any, right: Any) -> bool:
    if left.ndim == 1:
        return bool(left.name == right.name and left.dtype == right.dtype)
    return bool(left.columns.identical(right.columns) and list(left.dtypes) == list(right.dtypes))


def same_estimator(left: Any, right: Any) -> bool:
    if hasattr(left, "predict"):
        return bool((left.predict(samples.ROWS) == right.predict(samples.ROWS)).all())
    if hasattr(left, "vocabulary_"):
        return bool(left.vocabulary_ == right.vocabulary_ and left.vocabulary == right.vocabulary)
    return bool((left._fit_X != right._fit_X).nnz == 0)


@pytest.fixture(scope="module")
def fresh_digests() -> list[dict[str, str]]:
    """The digests that two new processes make, with different hash seeds and heaps."""
    import json

    program = [sys.executable, "-m", "tests.stores.serializers.samples"]
    runs = [
        subprocess.Popen(
            program, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed, **extra}, stdout=subprocess.PIPE, text=True
        )
        for seed, extra in (("1", {}), ("4242", {"PYTHONMALLOC": "malloc", "MALLOC_PERTURB_": "165"}))
    ]
    outputs = [run.communicate(timeout=300)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    return [json.loads(output) for output in outputs]


@pytest.mark.parametrize("name", [f"model {name}" for name in MODELS] + [f"value {name}" for name in samples.VALUES])
def test_rule_04_the_same_object_gives_the_same_bytes_in_two_fresh_processes(
    name: str, fresh_digests: list[dict[str, str]]
) -> None:
    assert fresh_digests[0][name] == fresh_digests[1][name]


@pytest.mark.parametrize("name", MODELS)
def test_rule_04_bytes_survive_a_round_trip(name: str) -> None:
    serializer = serializer_of(name)
    data = serializer.to_bytes(MODELS[name][1]())
    assert serializer.to_bytes(serializer.from_bytes(data)) == data


@pytest.mark.parametrize("name", MODELS)
def test_a_model_comes_back_equal(name: str) -> None:
    serializer = serializer_of(name)
    model = MODELS[name][1]()
    assert isinstance(serializer, ModelSerializer)
    assert same(model, serializer.from_bytes(serializer.to_bytes(model)))


@pytest.mark.parametrize("name", samples.VALUES)
def test_rule_05_a_value_comes_back_exactly(name: str, tmp_path: Path) -> None:
    value = samples.VALUES[name]()
    encoded = encode_value(value)
    assert same(value, decode_value(encoded.format, encoded.data))
    copy = tmp_path / "copy"
    copy.write_bytes(encoded.data)
    assert same(value, decode_value(encoded.format, copy))


@pytest.mark.parametrize("name", sorted(set(MODELS) - UNSTRUCTURED))
def test_truncated_model_bytes_are_corrupt(name: str) -> None:
    serializer = serializer_of(name)
    data = serializer.to_bytes(MODELS[name][1]())
    for length in (0, 1, 7, len(data) // 3, len(data) // 2, len(data) - 1):
        with pytest.raises(Corrupt):
            serializer.from_bytes(data[:length])


@pytest.mark.parametrize("name", sorted(set(samples.VALUES) - {"text", "bytes", "integer", "float", "large integer"}))
def test_truncated_value_bytes_are_corrupt(name: str) -> None:
    encoded = encode_value(samples.VALUES[name]())
    for length in (0, 1, len(encoded.data) // 3, len(encoded.data) - 1):
        with pytest.raises(Corrupt):
            decode_value(encoded.format, encoded.data[:length])


@pytest.mark.parametrize("name", MODELS)
def test_garbage_and_flipped_bytes_raise_nothing_but_jeyn_errors(name: str) -> None:
    serializer = serializer_of(name)
    data = bytearray(serializer.to_bytes(MODELS[name][1]()))
    random = np.random.default_rng(11)
    damaged = [random.bytes(size) for size in (1, 64, 4096)]
    # Pickles are left out of the flips: one that is damaged may do anything, which is why they are refused.
    for position in random.integers(0, len(data), 0 if name == "pickle" else 40):
        flipped = data.copy()
        flipped[position] ^= 0x41
        damaged.append(bytes(flipped))
    for bytes_ in damaged:
        try:
            serializer.from_bytes(bytes_)
        except JeynError as error:
            assert str(error)


@pytest.mark.parametrize("name", samples.VALUES)
def test_garbage_and_flipped_values_raise_nothing_but_jeyn_errors(name: str) -> None:
    encoded = encode_value(samples.VALUES[name]())
    random = np.random.default_rng(12)
    damaged = [random.bytes(size) for size in (1, 64, 4096)]
    for position in random.integers(0, len(encoded.data), 30):
        flipped = bytearray(encoded.data)
        flipped[position] ^= 0x41
        damaged.append(bytes(flipped))
    for bytes_ in damaged:
        try:
            decode_value(encoded.format, bytes_)
        except JeynError as error:
            assert str(error)


class Bomb:
    """Unpickling it is noticed."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return exec, ("raise SystemExit('a pickle was loaded')",)


@pytest.mark.parametrize("identifier", sorted({built_in.id for built_in in BUILT_INS} - {"jeyn.bytes"}))
def test_no_serializer_loads_a_pickle(identifier: str) -> None:
    if "torch" in identifier:
        pytest.importorskip("torch", reason="the torch serializers need torch")
    if "onnx" in identifier:
        pytest.importorskip("onnx", reason="the onnx serializer needs onnx")
    with pytest.raises(Corrupt):
        SerializerTable().by_id(identifier).from_bytes(pickle.dumps(Bomb()))


def test_no_value_format_loads_a_pickle() -> None:
    for format in (
        "json/1",
        "bundle/1",
        "npy/1",
        "table+parquet/1",
        "table+arrow/1",
        "pandas+arrow/1",
        "polars+arrow/1",
    ):
        with pytest.raises(Corrupt):
            decode_value(format, pickle.dumps(Bomb()))


def test_the_pickle_serializer_reads_only_after_it_was_registered() -> None:
    serializer, table = UnsafePickleSerializer(), SerializerTable()
    data = serializer.to_bytes({"a": 1})
    with pytest.raises(NotAllowed, match="has not registered"):
        serializer.from_bytes(data)
    with pytest.raises(NotAllowed, match="runs the code"):
        table.by_id("jeyn.unsafe-pickle", "1")
    table.register("builtins.set", serializer)
    assert table.by_id("jeyn.unsafe-pickle", "1").from_bytes(data) == {"a": 1}
    assert encode_value({1}, table).unsafe and not encode_value([1], table).unsafe
