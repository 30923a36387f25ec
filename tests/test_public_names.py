"""The public names: a new one, or one that goes, is a decision, so it shows up here."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import jeyn
from jeyn import formulas

ROOT = Path(__file__).parents[1]
NAMES = [
    "DataCatalog",
    "DatasetBatch",
    "DatasetFormula",
    "Dtypes",
    "Fatal",
    "Feature",
    "File",
    "FileBatch",
    "GenericBatch",
    "JeynError",
    "MlUseCase",
    "ModelCheckpoint",
    "Plan",
    "Reference",
    "Secret",
    "TableBatch",
    "Version",
    "VersionRange",
    "Workspace",
    "context",
    "dataset_store",
    "diff",
    "first",
    "impact",
    "lineage",
    "model_store",
    "open",
    "operation",
    "otherwise",
    "pipeline",
    "progress",
    "ref",
    "register_serializer",
    "search",
    "use",
    "when",
]


def test_rule_27_public_names_are_pinned() -> None:
    assert jeyn.__all__ == NAMES
    assert set(NAMES) <= set(dir(jeyn))


@pytest.mark.parametrize("name", NAMES)
def test_rule_27_public_name_resolves(name: str) -> None:
    value = getattr(jeyn, name)
    assert value is getattr(import_module(jeyn._MODULES[name]), name)
    assert getattr(jeyn, name) is value


def test_rule_27_stub_and_table_agree() -> None:
    body = ast.parse((ROOT / "jeyn/__init__.pyi").read_text()).body
    imports = {alias.name: node.module for node in body if isinstance(node, ast.ImportFrom) for alias in node.names}
    (names,) = (ast.literal_eval(node.value) for node in body if isinstance(node, ast.Assign))
    assert imports == jeyn._MODULES
    assert names == jeyn.__all__


def test_unknown_name_is_an_attribute_error_that_names_it() -> None:
    with pytest.raises(AttributeError, match="'dataset_shop'"):
        jeyn.dataset_shop  # noqa: B018


def test_formulas_are_pinned() -> None:
    assert formulas.__all__ == [
        "CompositeFormula",
        "ModelFormula",
        "SourceOptions",
        "SqlFormula",
        "StreamingFormula",
    ]


def test_rule_27_import_jeyn_loads_no_other_module() -> None:
    program = "import sys; before = set(sys.modules); import jeyn; print(*sorted(set(sys.modules) - before))"
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["jeyn", "jeyn.opened", "jeyn.own_imports"]
