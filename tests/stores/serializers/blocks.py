"""Models that people really build, each with what it answers; run as a program, the digests of their bytes."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from jeyn.stores.serializers.saving import written
from jeyn.stores.serializers.table import SerializerTable

RNG = np.random.default_rng(5)
X = np.abs(RNG.normal(size=(80, 3)))
Y = (X[:, 0] > 0.6).astype(int)
Answer = Callable[[Any], Any]


def frame() -> Any:
    import pandas as pd

    words = ["x", "y", "z", "x"] * 20
    return pd.DataFrame(X, columns=["a", "b", "c"]).assign(k=pd.Categorical(words), n=np.arange(80) % 5)


def predicted(model: Any) -> Any:
    return model.predict(X)


def on_frame(model: Any) -> Any:
    return model.predict(frame())


def selector() -> Any:
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    chosen = make_column_transformer(
        (StandardScaler(), make_column_selector(dtype_include=np.number)),
        (OneHotEncoder(), make_column_selector(dtype_include=["category", object], pattern="k")),
    )
    return make_pipeline(chosen, LogisticRegression()).fit(frame(), Y)


def spline(**options: Any) -> Any:
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import SplineTransformer

    return make_pipeline(SplineTransformer(**options), Ridge()).fit(X, Y)


def categories(**options: Any) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(max_iter=4, random_state=1, **options).fit(frame()[["a", "k"]], Y)


def random_search() -> Any:
    from scipy import stats
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.model_selection import RandomizedSearchCV

    ranges = {"max_depth": stats.randint(2, 5), "min_samples_split": stats.uniform(0.1, 0.3)}
    return RandomizedSearchCV(RandomForestRegressor(3, random_state=1), ranges, n_iter=2, random_state=0).fit(X, Y)


def search_in_pipeline() -> Any:
    from scipy.stats import loguniform
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import RandomizedSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    ranges = [{"alpha": loguniform(1e-3, 10)}, {"alpha": [1.0, 2.0]}]
    return make_pipeline(StandardScaler(), RandomizedSearchCV(Ridge(), ranges, n_iter=3, random_state=0)).fit(X, Y)


def functions() -> Any:
    from functools import partial

    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    clipped = FunctionTransformer(partial(np.clip, a_min=0.1, a_max=1.0))
    return make_pipeline(FunctionTransformer(np.log1p), clipped, Ridge()).fit(X, Y)


def minkowski() -> Any:
    from sklearn.neighbors import KNeighborsRegressor

    return KNeighborsRegressor(3, metric="minkowski", p=3, algorithm="ball_tree").fit(X, Y)


def imputer() -> Any:
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline

    return make_pipeline(IterativeImputer(max_iter=2, random_state=0), Ridge()).fit(np.where(X > 2, np.nan, X), Y)


def several() -> Any:
    from sklearn.linear_model import Ridge

    return {"models": (Ridge().fit(X, Y), [Ridge(2.0).fit(X, Y)]), "threshold": 0.5, "rows": X[:2]}


def lightgbm(in_pipeline: bool = False) -> Any:
    from lightgbm import LGBMClassifier

    model = LGBMClassifier(n_estimators=4, min_child_samples=2, verbose=-1, random_state=0, n_jobs=1)
    return behind_scaler(model) if in_pipeline else model.fit(X, np.array(["no", "yes"])[Y])


def booster() -> Any:
    import lightgbm

    return lightgbm.train({"verbose": -1, "seed": 1, "num_threads": 1}, lightgbm.Dataset(X, Y), num_boost_round=3)


def xgboost(in_pipeline: bool = False) -> Any:
    from xgboost import XGBClassifier

    model = XGBClassifier(n_estimators=4, max_depth=2, random_state=0, n_jobs=1)
    return behind_scaler(model) if in_pipeline else model.fit(X, Y)


def xgboost_booster() -> Any:
    import xgboost

    return xgboost.train({"max_depth": 2, "seed": 1, "nthread": 1}, xgboost.DMatrix(X, Y), num_boost_round=3)


def behind_scaler(model: Any) -> Any:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), model).fit(X, Y)


def onnx_model() -> Any:
    from onnx import TensorProto, helper

    node = helper.make_node("Add", ["x", "one"], ["y"])
    one = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None]) for name in ("x", "y")]
    return helper.make_model(helper.make_graph([node], "plus", [ends[0]], [ends[1]], [one]))


def with_dmatrix(model: Any) -> Any:
    import xgboost

    return model.predict(xgboost.DMatrix(X))


BLOCKS: dict[str, tuple[Callable[[], Any], Answer]] = {
    "selector": (selector, on_frame),
    "spline": (spline, predicted),
    "periodic spline": (lambda: spline(extrapolation="periodic", knots="quantile"), predicted),
    "sparse spline": (lambda: spline(sparse_output=True, n_knots=4), predicted),
    "categories": (lambda: categories(categorical_features="from_dtype"), lambda m: m.predict(frame()[["a", "k"]])),
    "random search": (random_search, predicted),
    "search in a pipeline": (search_in_pipeline, predicted),
    "functions": (functions, predicted),
    "minkowski": (minkowski, predicted),
    "imputer": (imputer, predicted),
    "several": (several, lambda m: [m["models"][0].predict(X), m["models"][1][0].predict(X), m["rows"]]),
}
BOOSTED: dict[str, tuple[str, Callable[[], Any], Answer]] = {
    "lightgbm": ("lightgbm", lightgbm, predicted),
    "lightgbm in a pipeline": ("lightgbm", lambda: lightgbm(in_pipeline=True), predicted),
    "lightgbm booster": ("lightgbm", booster, predicted),
    "xgboost": ("xgboost", xgboost, predicted),
    "xgboost in a pipeline": ("xgboost", lambda: xgboost(in_pipeline=True), predicted),
    "xgboost booster": ("xgboost", xgboost_booster, with_dmatrix),
    "onnx": ("onnx", onnx_model, lambda m: m.SerializeToString(deterministic=True)),
}


def blocks() -> dict[str, tuple[Callable[[], Any], Answer]]:
    """Those whose libraries are installed."""
    found = {
        name: (make, answer) for name, (module, make, answer) in BOOSTED.items() if importlib.util.find_spec(module)
    }
    return BLOCKS | found


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    made = {name: written(SerializerTable(), make())[1] for name, (make, _) in blocks().items()}
    print(json.dumps({name: hashlib.sha256(data).hexdigest() for name, data in made.items()}))
