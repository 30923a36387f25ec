"""One model and one value for each serializer and format of ours, and their digests when run as a program."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import tempfile
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from jeyn.stores.serializers import encode_value
from jeyn.stores.serializers.numpy import NumpyDictSerializer, NumpySerializer
from jeyn.stores.serializers.plain import BytesSerializer, FileSerializer, JsonSerializer, TextSerializer
from jeyn.stores.serializers.sklearn import SklearnSerializer
from jeyn.stores.serializers.torch import TorchModuleSerializer, TorchStateDictSerializer, TorchTensorSerializer
from jeyn.stores.serializers.unsafe_pickle import UnsafePickleSerializer

HAS_TORCH = importlib.util.find_spec("torch") is not None
ROWS = np.random.default_rng(7).normal(size=(60, 4))
LABELS = (ROWS[:, 0] + ROWS[:, 1] > 0).astype(int)
WORDS = {"the", "a", "of", "in", "on", "by", "with", "from"}


def gapped() -> np.ndarray:
    """A structured array with four bytes between its fields that hold whatever memory did."""
    array = np.frombuffer(np.random.default_rng().bytes(48), np.dtype([("a", "i4"), ("b", "f8")], align=True)).copy()
    array["a"], array["b"] = [1, 2, 3], [0.5, 1.5, 2.5]
    return array


def a_file() -> Path:
    path = Path(tempfile.mkdtemp()) / "picture.png"
    path.write_bytes(bytes(range(256)))
    return path


def pipeline() -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS, LABELS)


def forest() -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(12, random_state=3).fit(ROWS, LABELS)


def boosted() -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(max_iter=5, random_state=3).fit(ROWS, LABELS)


def neighbours() -> Any:
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(3, algorithm="kd_tree").fit(ROWS, LABELS)


def words() -> Any:
    """A vectorizer that keeps a set of strings, whose order is another in each process."""
    from sklearn.feature_extraction.text import CountVectorizer

    return CountVectorizer(vocabulary=WORDS).fit(["the cat on the mat", "a dog in a log"])


def sparse() -> Any:
    from scipy.sparse import random as random_matrix
    from sklearn.neighbors import NearestNeighbors

    return NearestNeighbors(algorithm="brute").fit(random_matrix(20, 5, 0.4, "csr", random_state=1))


def perceptron() -> Any:
    import torch

    from tests.stores.serializers.torch_models import Perceptron

    torch.manual_seed(1)
    model = Perceptron(inputs=4, hidden=6).eval()
    model.first.bias.requires_grad_(False)
    return model


def tied() -> Any:
    import torch

    from tests.stores.serializers.torch_models import Tied

    torch.manual_seed(2)
    return Tied(5)


def state_dict() -> Any:
    import torch

    weight = torch.arange(12.0).reshape(3, 4)
    return {"z": weight, "a": weight.t(), "same": weight, "half": weight.half()[:, ::2], "empty": torch.zeros(0, 2)}


def tensor() -> Any:
    import torch

    return torch.arange(6).reshape(2, 3).t()


Sample = tuple[Callable[[], Any], Callable[[], Any]]

MODELS: dict[str, Sample] = {
    "array": (NumpySerializer, lambda: ROWS[::2, 1:]),
    "scalar array": (NumpySerializer, lambda: np.array("text")),
    "structured array": (NumpySerializer, gapped),
    "arrays": (NumpyDictSerializer, lambda: {"w/1": ROWS, "b": LABELS, "ünï": np.zeros((0, 3), "f4")}),
    "bytes": (BytesSerializer, lambda: bytes(range(256))),
    "text": (TextSerializer, lambda: "weights ✓\n"),
    "json": (JsonSerializer, lambda: {"layers": [4, 8], "scale": (1.5, None)}),
    "file": (FileSerializer, a_file),
    "pipeline": (SklearnSerializer, pipeline),
    "forest": (SklearnSerializer, forest),
    "boosted": (SklearnSerializer, boosted),
    "neighbours": (SklearnSerializer, neighbours),
    "words": (SklearnSerializer, words),
    "sparse": (SklearnSerializer, sparse),
    "pickle": (UnsafePickleSerializer, lambda: {"a": [1, 2.5, "x"]}),
}
TORCH_MODELS: dict[str, Sample] = {
    "perceptron": (TorchModuleSerializer, perceptron),
    "tied": (TorchModuleSerializer, tied),
    "state dict": (TorchStateDictSerializer, state_dict),
    "tensor": (TorchTensorSerializer, tensor),
}


def table() -> Any:
    import pyarrow as pa

    columns = {
        "number": pa.array([1, None, 3], pa.int8()),
        "text": pa.array(["a", "", None]),
        "when": pa.array([1, 2, 3], pa.timestamp("ns", "UTC")),
        "price": pa.array([Decimal("1.50"), None, Decimal("2.25")], pa.decimal128(10, 2)),
    }
    return pa.table(columns).replace_schema_metadata({"origin": "test"})


def nested_table() -> Any:
    import pyarrow as pa

    columns = {
        "list": pa.array([[1, None], None, []], pa.list_(pa.int16())),
        "seconds": pa.array([1, None, 3], pa.timestamp("s")),
        "kind": pa.array(["a", "b", "a"]).dictionary_encode(),
        "pair": pa.array([{"x": 1.5}, None, {"x": None}]),
    }
    return pa.table(columns)


def labelled_frame() -> Any:
    import pandas as pd

    index = pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["key", None])
    columns = {"x": [1.5, None], 7: pd.Categorical(["u", "v"]), ("t", 1): pd.array([1, None], dtype="Int64")}
    return pd.DataFrame({k: pd.Series(v).array for k, v in columns.items()}, index=index)


def dated_frame() -> Any:
    import pandas as pd

    frame = pd.DataFrame(np.arange(6.0).reshape(3, 2), index=pd.date_range("2024-01-01", periods=3, freq="D", tz="UTC"))
    frame[1] = pd.Series(["x", None, "z"], index=frame.index, dtype=object)
    return frame


def series() -> Any:
    import pandas as pd

    return pd.Series([1, 2], index=["p", "q"], name="amount", dtype="uint8")


def polars_frame() -> Any:
    import polars as pl

    columns = {"n": [1, None], "t": ["x", "y"], "d": [date(2024, 1, 1), None]}
    return pl.DataFrame(columns)


def polars_nested() -> Any:
    import polars as pl

    kinds = pl.Series(["b", "a"], dtype=pl.Enum(["b", "a"]))
    return pl.DataFrame({"kind": kinds, "c": pl.Series(["u", "v"], dtype=pl.Categorical), "l": [[1], []]})


VALUES: dict[str, Callable[[], Any]] = {
    "none": lambda: None,
    "true": lambda: True,
    "integer": lambda: 3,
    "large integer": lambda: -(10**5000),
    "float": lambda: 1.0,
    "negative zero": lambda: -0.0,
    "infinite": lambda: float("-inf"),
    "text": lambda: "ünï\0 ",
    "bytes": lambda: b"\x00\xff",
    "list": lambda: [1, 1.0, True, None, "1", b"1", (1, (2,)), []],
    "dict": lambda: {"b": 1, "a": {"$": "int", "v": 2**60}, "": (), "$x": [float("inf")]},
    "scalars": lambda: [
        np.float32(0.1),
        np.int8(-3),
        np.datetime64("2024-01-01"),
        np.bool_(True),
        np.str_("x"),
        np.str_(),
    ],
    "array": lambda: ROWS,
    "bundle": lambda: {"rows": [ROWS, ROWS[:0]], "table": table(), "names": ("a",)},
    "table": table,
    "nested table": nested_table,
    "sliced table": lambda: nested_table().slice(1, 1),
    "empty table": lambda: table().slice(0, 0),
    "batch": lambda: table().to_batches()[0],
    "labelled frame": labelled_frame,
    "dated frame": dated_frame,
    "series": series,
    "polars": polars_frame,
    "polars nested": polars_nested,
    "estimator": pipeline,
}


def models() -> dict[str, Sample]:
    return {**MODELS, **(TORCH_MODELS if HAS_TORCH else {})}


def digests() -> dict[str, str]:
    """The sha256 of each sample's bytes, made here and now."""
    made = {f"model {name}": serializer().to_bytes(make()) for name, (serializer, make) in models().items()}
    made |= {f"value {name}": encode_value(make()).data for name, make in VALUES.items()}
    return {name: hashlib.sha256(data).hexdigest() for name, data in made.items()}


if __name__ == "__main__":
    print(json.dumps(digests()))
