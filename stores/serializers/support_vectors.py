"""Checks of support vector machines, as libsvm reads them: https://github.com/cjlin1/libsvm (`struct svm_model`)."""

from __future__ import annotations

from typing import Any

from jeyn.stores.serializers.bounds import array_of, require, require_within, whole

_MACHINE = "sklearn.svm._base.BaseLibSVM"
_CLASSIFIER = "sklearn.svm._base.BaseSVC"


def _check_machine(model: Any) -> None:
    held = vars(model)
    if "_n_support" not in held:
        return
    require("_impl" not in held and "_sparse_kernels" not in held, "kernels")
    counts = array_of(held["_n_support"], 1, "i", "support vectors")
    support = array_of(held["support_"], 1, "i", "support vectors")
    classes, vectors = len(counts), len(support)
    require(classes >= 2 and bool((counts >= 0).all()), "classes")
    if _is_classifier(model):
        require(int(counts.sum()) == vectors, "support vectors")
    _check_vectors(held, vectors)
    _check_factors(held, classes, vectors)


def _is_classifier(model: Any) -> bool:
    from jeyn.sdk.serializer import class_names

    return _CLASSIFIER in class_names(type(model))


def _check_vectors(held: dict[str, Any], vectors: int) -> None:
    kept = held["support_vectors_"]
    if isinstance(held["kernel"], str) and held["kernel"] != "precomputed":
        # Without vectors there is an empty array of another width.
        features = whole(held["n_features_in_"], "features")
        require(kept.shape[0] == vectors and (vectors == 0 or kept.shape[1] == features), "support vectors")
        return
    require(kept.shape[0] in (0, vectors), "support vectors")
    require_within(held["support_"], whole(held["shape_fit_"][0], "rows"), "rows")


def _check_factors(held: dict[str, Any], classes: int, vectors: int) -> None:
    factors, pairs = held["_dual_coef_"], classes * (classes - 1) // 2
    if held["_sparse"]:
        require(factors.data.size == (classes - 1) * vectors, "support vectors")
        require(held["support_vectors_"].format == "csr", "support vectors")
    else:
        require(array_of(factors, 2, "f", "classes").shape == (classes - 1, vectors), "support vectors")
        array_of(held["support_vectors_"], 2, "f", "support vectors")
    require(array_of(held["_intercept_"], 1, "f", "classes").size == pairs, "classes")
    for name in ("_probA", "_probB"):
        require(array_of(held[name], 1, "f", "classes").size in (0, pairs), "classes")
    require(held["_probA"].size == held["_probB"].size, "classes")


ESTIMATORS = {_MACHINE: _check_machine}
