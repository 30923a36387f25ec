"""Checks of encoders and vectorizers: each column that they number is one of those that they declare.

They build sparse matrices of their own numbers, whose compiled code does not look at them.
"""

from __future__ import annotations

from typing import Any

from jeyn.stores.serializers.bounds import array_of, require, whole


def _check_one_hot(model: Any) -> None:
    held = vars(model)
    if "_n_features_outs" not in held:
        return
    categories, outs = held["categories_"], held["_n_features_outs"]
    require(len(categories) == len(outs) == whole(held["n_features_in_"], "features"), "features")
    grouped = held["_default_to_infrequent_mappings"] if held.get("_infrequent_enabled") else [None] * len(outs)
    dropped = held.get("_drop_idx_after_grouping")
    dropped = [None] * len(outs) if dropped is None else dropped
    require(len(grouped) == len(outs) == len(dropped), "features")
    for each, mapping, drop, count in zip(categories, grouped, dropped, outs, strict=True):
        known = _grouped(each, mapping)
        if drop is not None:
            whole(drop, "categories", most=known - 1)
        require(whole(count, "categories") == known - (drop is not None), "categories")


def _grouped(categories: Any, mapping: Any) -> int:
    """How many columns a feature's categories have, those that are infrequent in one."""
    _check_order(categories)
    if mapping is None:
        return len(categories)
    places = array_of(mapping, 1, "iu", "categories")
    require(len(places) == len(categories) and int(places.min()) >= 0, "categories")
    return int(places.max()) + 1


def _check_order(categories: Any) -> None:
    """Numbers are looked up by halving, so they are sorted, with NaN last."""
    require(type(categories).__module__ == "numpy" and categories.ndim == 1, "categories")
    if categories.dtype.kind in "iuf":
        before, after = categories[:-1], categories[1:]
        require(bool(((before < after) | (after != after)).all()), "categories")


def _check_categories(model: Any) -> None:
    if "categories_" in vars(model):
        for each in vars(model)["categories_"]:
            _check_order(each)


def _check_vocabulary(model: Any) -> None:
    held = vars(model)
    if "vocabulary_" in held:
        _require_places(held["vocabulary_"], len(held["vocabulary_"]))


def _check_labels(model: Any) -> None:
    held = vars(model)
    if "classes_" in held:
        require(len(set(held["classes_"])) == len(held["classes_"]), "classes")
    if held.get("_cached_dict") is not None:
        _require_places(held["_cached_dict"], len(held["_cached_dict"]))


def _require_places(named: Any, count: int) -> None:
    require(isinstance(named, dict), "words")
    for place in dict.values(named):
        whole(place, "words", most=count - 1)


def _check_hasher(model: Any) -> None:
    whole(vars(model)["n_features"], "columns", least=1)


ESTIMATORS = {
    "sklearn.preprocessing._encoders.OneHotEncoder": _check_one_hot,
    "sklearn.preprocessing._encoders._BaseEncoder": _check_categories,
    "sklearn.preprocessing._label.MultiLabelBinarizer": _check_labels,
    "sklearn.feature_extraction.text._VectorizerMixin": _check_vocabulary,
    "sklearn.feature_extraction._dict_vectorizer.DictVectorizer": _check_vocabulary,
    "sklearn.feature_extraction._hash.FeatureHasher": _check_hasher,
    "sklearn.feature_extraction.text.HashingVectorizer": _check_hasher,
}
