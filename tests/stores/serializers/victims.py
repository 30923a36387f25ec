"""Models whose archives are altered, and how they answer; run as a program, it loads what was altered and asks."""

from __future__ import annotations

import contextlib
import faulthandler
import json
import resource
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jeyn.errors import JeynError
from jeyn.stores.serializers.values import decode_value, encode_value
from tests.stores.serializers import blocks, samples
from tests.stores.serializers.mutations import mutated

X, Y = samples.ROWS, samples.LABELS
THREE = np.arange(60) % 3
TEXTS = ["the cat on the mat", "a dog in a log", "on the log"] * 4
ROOM = 3 << 30
METHODS = (
    "predict",
    "predict_proba",
    "decision_function",
    "transform",
    "inverse_transform",
    "score_samples",
    "kneighbors",
    "radius_neighbors",
    "apply",
    "decision_path",
    "sample",
)


def _sparse(rows: Any = X) -> Any:
    from scipy.sparse import csr_matrix

    return csr_matrix(np.where(np.abs(rows) > 0.5, rows, 0))


def _words() -> Any:
    return np.array([["a", "x"], ["b", "y"], ["c", "y"], ["a", "z"]] * 5, dtype=object)


def _made(path: str, *given: Any, **options: Any) -> Any:
    from importlib import import_module

    module, _, name = path.rpartition(".")
    return getattr(import_module(f"sklearn.{module}"), name)(**options).fit(*given)


VICTIMS: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "tree": (lambda: _made("tree.DecisionTreeClassifier", X, THREE), lambda: X),
    "tree of two outputs": (lambda: _made("tree.ExtraTreeRegressor", X, X[:, :2], max_depth=4), lambda: X),
    "forest": (lambda: _made("ensemble.RandomForestClassifier", X, THREE, n_estimators=3), lambda: X),
    "isolation": (lambda: _made("ensemble.IsolationForest", X, n_estimators=3, max_features=0.5), lambda: X),
    "bagging": (lambda: _made("ensemble.BaggingClassifier", X, Y, n_estimators=3, max_features=2), lambda: X),
    "embedding": (lambda: _made("ensemble.RandomTreesEmbedding", X, n_estimators=3), lambda: X),
    "gradient": (lambda: _made("ensemble.GradientBoostingClassifier", X, THREE, n_estimators=3), lambda: X),
    "gradient on sparse": (lambda: _made("ensemble.GradientBoostingRegressor", X, Y, n_estimators=3), _sparse),
    "histogram": (lambda: _made("ensemble.HistGradientBoostingClassifier", X, THREE, max_iter=3), lambda: X),
    "categories": (
        lambda: blocks.categories(categorical_features="from_dtype"),
        lambda: blocks.frame()[["a", "k"]],
    ),
    "kd tree": (lambda: _made("neighbors.KNeighborsClassifier", X, THREE, algorithm="kd_tree"), lambda: X),
    "ball tree": (lambda: _made("neighbors.RadiusNeighborsRegressor", X, Y, algorithm="ball_tree"), lambda: X),
    "minkowski": (blocks.minkowski, lambda: blocks.X),
    "brute": (lambda: _made("neighbors.KNeighborsClassifier", X, THREE, algorithm="brute"), lambda: X),
    "brute radius": (
        lambda: _made("neighbors.RadiusNeighborsClassifier", X, THREE, algorithm="brute", radius=4.0),
        lambda: X,
    ),
    "sparse neighbours": (samples.sparse, lambda: X[:, [0, 1, 2, 3, 0]]),
    "novelty": (lambda: _made("neighbors.LocalOutlierFactor", X, novelty=True), lambda: X),
    "density": (lambda: _made("neighbors.KernelDensity", X), lambda: X),
    "svc": (lambda: _made("svm.SVC", X, THREE), lambda: X),
    "svr on sparse": (lambda: _made("svm.NuSVR", _sparse(), Y), _sparse),
    "svc on sparse": (lambda: _made("svm.SVC", _sparse(), THREE, kernel="linear"), _sparse),
    "outliers": (lambda: _made("svm.OneClassSVM", X), lambda: X),
    "kmeans": (lambda: _made("cluster.KMeans", X, n_clusters=3, n_init=1), lambda: X),
    "minibatch": (lambda: _made("cluster.MiniBatchKMeans", X, n_clusters=3, n_init=1), _sparse),
    "bisecting": (lambda: _made("cluster.BisectingKMeans", X, n_clusters=4), lambda: X),
    "birch": (lambda: _made("cluster.Birch", X, threshold=1.0), lambda: X),
    "mean shift": (lambda: _made("cluster.MeanShift", X, bandwidth=2.0), lambda: X),
    "affinity": (lambda: _made("cluster.AffinityPropagation", X), lambda: X),
    "agglomeration": (lambda: _made("cluster.FeatureAgglomeration", X), lambda: X),
    "one hot": (lambda: _made("preprocessing.OneHotEncoder", _words(), max_categories=2, drop="first"), _words),
    "one hot, unknown": (lambda: _made("preprocessing.OneHotEncoder", _words(), handle_unknown="ignore"), _words),
    "ordinal": (lambda: _made("preprocessing.OrdinalEncoder", _words()), _words),
    "target": (lambda: _made("preprocessing.TargetEncoder", _words(), np.arange(20.0)), _words),
    "bins": (
        lambda: (
            _made("preprocessing.KBinsDiscretizer", X, quantile_method="averaged_inverted_cdf")
            if _takes("preprocessing.KBinsDiscretizer", "quantile_method")
            else _made("preprocessing.KBinsDiscretizer", X)
        ),
        lambda: X,
    ),
    "powers": (lambda: _made("preprocessing.PolynomialFeatures", X), lambda: X),
    "powers of sparse": (lambda: _made("preprocessing.PolynomialFeatures", _sparse(), degree=3), _sparse),
    "quantiles": (lambda: _made("preprocessing.QuantileTransformer", X, n_quantiles=10), lambda: X),
    "spline": (lambda: _made("preprocessing.SplineTransformer", X), lambda: X),
    "periodic spline": (lambda: _made("preprocessing.SplineTransformer", X, extrapolation="periodic"), lambda: X),
    "labels": (lambda: _made("preprocessing.LabelBinarizer", list("abc")), lambda: list("abca")),
    "sparse labels": (
        lambda: _made("preprocessing.LabelBinarizer", list("abc"), sparse_output=True),
        lambda: list("abca"),
    ),
    "many labels": (
        lambda: _made("preprocessing.MultiLabelBinarizer", [["a", "b"], ["c"]], sparse_output=True),
        lambda: [["a"], ["c", "b"]],
    ),
    "counts": (samples.words, lambda: TEXTS),
    "tfidf": (lambda: _made("feature_extraction.text.TfidfVectorizer", TEXTS), lambda: TEXTS),
    "hashed texts": (lambda: _made("feature_extraction.text.HashingVectorizer", TEXTS, n_features=64), lambda: TEXTS),
    "hashed": (
        lambda: _made("feature_extraction.FeatureHasher", n_features=8),
        lambda: [{"a": 1.0, "b": 2}, {"c": "d"}],
    ),
    "dicts": (
        lambda: _made("feature_extraction.DictVectorizer", [{"a": 1.0, "b": 2}, {"c": "d"}]),
        lambda: [{"a": 1.0, "b": 2}, {"c": "d"}],
    ),
    "projection": (lambda: _made("random_projection.SparseRandomProjection", X, n_components=3), lambda: X),
    "sparse coefficients": (lambda: _made("linear_model.SGDClassifier", X, THREE).sparsify(), lambda: X),
    "lasso on sparse": (lambda: _made("linear_model.Lasso", _sparse(), Y, alpha=0.01), _sparse),
    "isotonic": (lambda: _made("isotonic.IsotonicRegression", X[:, 0], Y), lambda: X[:, 0]),
    "calibrated": (lambda: _made("calibration.CalibratedClassifierCV", X, Y, method="isotonic", cv=2), lambda: X),
    "process": (lambda: _made("gaussian_process.GaussianProcessRegressor", X, Y), lambda: X),
    "process of classes": (lambda: _made("gaussian_process.GaussianProcessClassifier", X, THREE), lambda: X),
    "mixture": (lambda: _made("mixture.GaussianMixture", X, n_components=2), lambda: X),
    "perceptron": (
        lambda: _made("neural_network.MLPClassifier", X, THREE, hidden_layer_sizes=(4,), max_iter=3),
        lambda: X,
    ),
    "factors": (lambda: _made("decomposition.NMF", np.abs(X), n_components=2), lambda: np.abs(X)),
    "topics": (lambda: _made("decomposition.LatentDirichletAllocation", np.abs(X), n_components=2), lambda: np.abs(X)),
    "dictionary": (lambda: _made("decomposition.DictionaryLearning", X, n_components=3, max_iter=3), lambda: X),
    "isomap": (lambda: _made("manifold.Isomap", X), lambda: X),
    "missing": (lambda: _made("impute.KNNImputer", np.where(X > 1, np.nan, X)), lambda: np.where(X > 1, np.nan, X)),
    "pipeline": (samples.pipeline, lambda: X),
    "columns": (blocks.selector, blocks.frame),
    "functions": (blocks.functions, lambda: blocks.X),
    "search": (blocks.random_search, lambda: blocks.X),
    "random state": (
        lambda: _made("neighbors.KNeighborsRegressor", X, Y).set_params(n_jobs=None) and _with_generators(),
        lambda: X,
    ),
    "array": (lambda: X, lambda: None),
    "arrays": (lambda: {"a": X, "b": Y}, lambda: None),
    "structured array": (samples.gapped, lambda: None),
    "table": (samples.table, lambda: None),
    "nested table": (samples.nested_table, lambda: None),
    "labelled frame": (samples.labelled_frame, lambda: None),
    "dated frame": (samples.dated_frame, lambda: None),
    "series": (samples.series, lambda: None),
    "polars": (samples.polars_frame, lambda: None),
    "polars nested": (samples.polars_nested, lambda: None),
    "json": (samples.VALUES["dict"], lambda: None),
    "bundle": (samples.VALUES["bundle"], lambda: None),
}
FOUND = blocks.BOOSTED.keys() & blocks.blocks().keys()
if samples.HAS_TORCH:
    VICTIMS |= {
        "torch module": (samples.perceptron, lambda: None),
        "torch tied": (samples.tied, lambda: None),
        "torch state dict": (samples.state_dict, lambda: None),
    }
VICTIMS |= {name: (blocks.BOOSTED[name][1], lambda name=name: _rows_for(name)) for name in sorted(FOUND)}


def _rows_for(name: str) -> Any:
    if name != "xgboost booster":
        return blocks.X
    import xgboost

    return xgboost.DMatrix(blocks.X)


def _takes(path: str, option: str) -> bool:
    from importlib import import_module
    from inspect import signature

    module, _, name = path.rpartition(".")
    return option in signature(getattr(import_module(f"sklearn.{module}"), name)).parameters


def _with_generators() -> Any:
    from sklearn.mixture import GaussianMixture

    return GaussianMixture(2, random_state=np.random.RandomState(3)).fit(X)


def asked(model: Any, rows: Any) -> int:
    """How many of its methods answer. What it raises is its answer."""
    answered = 0
    for method in METHODS:
        found: Any = None
        with contextlib.suppress(Exception):
            found = getattr(model, method, None)
        if callable(found):
            with contextlib.suppress(Exception):
                answer = found() if method == "sample" else found(_given(model, method, rows))
                for part in answer if isinstance(answer, tuple) else (answer,):
                    part.toarray() if hasattr(part, "toarray") else np.array(part)
                answered += 1
    return answered


def _given(model: Any, method: str, rows: Any) -> Any:
    return model.transform(rows) if method == "inverse_transform" else rows


def main(jobs: list[tuple[str, int, int]], keep: str = "") -> Iterator[str]:
    """A line before and after each: what happened, or nothing more where the process ended."""
    for name, first, end in jobs:
        make, rows = VICTIMS[name]
        np.random.seed(7)
        encoded = encode_value(make())
        data, given = encoded.data, rows()
        asked(decode_value(encoded.format, data), given)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, resource.RLIM_INFINITY))
        for seed in range(first, end):
            yield f"try\t{name}\t{seed}"
            altered = mutated(data, seed)
            try:
                model = decode_value(encoded.format, altered)
            except JeynError as exc:
                yield f"{type(exc).__name__}\t{exc.exit_code}\t{str(exc)[:150]!r}"
            except Exception as exc:
                yield f"raised\t{type(exc).__name__}\t{str(exc)[:150]!r}"
            else:
                yield f"loaded\t{asked(model, given)}\t"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    faulthandler.enable()
    for line in main(json.loads(sys.argv[1])):
        print(line, flush=True)
