"""What differs between two artefacts, as people and as machines read it."""

from __future__ import annotations

import re

import pytest

from jeyn import Workspace
from jeyn.errors import UsageError
from jeyn.formulas import StreamingFormula
from tests.stores.digits import Digits, a_batch, a_checkpoint

DIGEST = r"sha256:[0-9a-f]{12}…"


def test_a_checkpoint_differs_in_bytes_and_in_parents_by_their_names(workspace: Workspace) -> None:
    old = a_checkpoint(workspace, seed=1)
    new = a_checkpoint(workspace, seed=2, dataset=a_batch(workspace, seed=2), metrics={"accuracy": 0.5})
    found = workspace.diff(old, new)
    assert re.fullmatch(
        "checkpoint:digit-reader@0.1.0 → checkpoint:digit-reader@0.2.0\n"
        f"  payload model: {DIGEST} → {DIGEST}\n"
        "  parents:\n"
        r"    - batch:digits@1.0.0/1  \(batch_checkpoint\)\n"
        r"    \+ batch:digits@1.0.0/2  \(batch_checkpoint\)\n"
        r"  \+ metrics.accuracy: 0.5",
        str(found),
    ), str(found)
    changed = found.to_json()["changes"]
    assert list(changed) == ["payload model", "parents", "metrics"]
    assert len(set(changed["parents"]["old"]) & set(changed["parents"]["new"])) == 2


def test_a_recipe_differs_key_by_key_and_a_catalog_feature_by_feature(workspace: Workspace) -> None:
    here, there = (
        workspace.dataset_store.save_formula(
            StreamingFormula(name, version="1.0.0", output_catalog=catalog, source=f"{name}/*.parquet")
        )
        for name, catalog in (("here", Digits), ("there", Digits.only("x")))
    )
    lines = str(workspace.diff(here, there)).splitlines()
    assert lines[:3] == [
        "formula:here@1.0.0 → formula:there@1.0.0",
        "  recipe.source: here/*.parquet → there/*.parquet",
        "  output_catalog:",
    ]
    assert "    - label int64 (-1,)" in lines[3:] and all(line.startswith("    ") for line in lines[3:])
    assert str(workspace.diff(here, here)) == "formula:here@1.0.0 and formula:here@1.0.0 do not differ"
    with pytest.raises(UsageError, match="cannot be compared"):
        workspace.diff(here, a_batch(workspace))
