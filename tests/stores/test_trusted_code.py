"""Code that a checkpoint relies on by name: its digest is kept beside the id, and a change of it is told."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import jeyn
from jeyn import ModelCheckpoint, Workspace
from jeyn.stores.serializers.code_digest import changed, digests_of
from tests.cli.conftest import call
from tests.stores.digits import READER, a_batch

pytest.importorskip("sklearn", reason="a function inside a model of scikit-learn")
CODE = '''
"""What the model does."""
from rates import RATE, unused
import rates


def scaled(x):
    """Doc."""
    return helper(x) * RATE


def helper(x):
    return x + 1  # one


def other(x):
    return x
'''


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "jeyn.yaml").write_text("trusted: [own_code.scaled]\n")
    (tmp_path / "own_code.py").write_text(CODE)
    (tmp_path / "rates.py").write_text("RATE = 2.0\nunused = 1\n")
    yield tmp_path
    for name in ("own_code", "rates"):
        sys.modules.pop(name, None)


def save(workspace: Workspace) -> ModelCheckpoint:
    from own_code import scaled  # type: ignore[import-not-found]
    from sklearn.preprocessing import FunctionTransformer

    model = FunctionTransformer(scaled)
    return workspace.model_store.save_checkpoint(READER.update_minor(dataset=a_batch(workspace), model=model))


def warned(do: Callable[[], Any]) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        do()
    return [str(each.message) for each in caught if "own_code" in str(each.message)]


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


EDITS = {
    "the function": ("own_code.py", "* RATE", "* RATE * 2", True),
    "what it calls": ("own_code.py", "x + 1", "x + 2", True),
    "what it imports": ("rates.py", "RATE = 2.0", "RATE = 3.0", True),
    "a comment": ("own_code.py", "# one", "# another", False),
    "a docstring": ("own_code.py", "Doc.", "Document.", False),
    "another function": ("own_code.py", "return x\n", "return -x\n", False),
}


@pytest.mark.parametrize("what", EDITS)
def test_loading_warns_when_the_code_is_not_what_it_was(project: Path, what: str) -> None:
    file, old, new, matters = EDITS[what]
    with jeyn.open() as workspace:
        checkpoint = save(workspace)
        load = workspace.model_store.get_checkpoint(checkpoint.ref).load
        assert warned(load) == [] and "changed since" not in call("show", checkpoint.ref).out
        edit(project / file, old, new)
        told = warned(load)
        assert bool(told) == matters
        shown = call("show", checkpoint.ref)
        assert ("changed since" in shown.out) == matters and "own_code.scaled" in shown.out
        data = call("show", checkpoint.ref, "--json").data
        assert data["code_changed"] == (["own_code.scaled"] if matters else [])
        assert list(data["facts"]["code"]) == ["own_code.scaled"]
        if matters:
            assert '"own_code.scaled"' in told[0] and checkpoint.ref in told[0]


def test_the_same_model_saved_with_other_code_is_the_same_checkpoint_with_that_code(project: Path) -> None:
    with jeyn.open() as workspace:
        first = save(workspace)
        edit(project / "own_code.py", "x + 1", "x + 2")
        again = save(workspace)
        assert (again.id, again.version, again.is_new) == (first.id, first.version, False)
        assert warned(workspace.model_store.get_checkpoint(first.ref).load) == []
        marks = len(workspace.marks(first.ref))
        save(workspace)
        assert len(workspace.marks(first.ref)) == marks, "the same again writes nothing"
        edit(project / "own_code.py", "x + 2", "x + 3")
        assert warned(workspace.model_store.get_checkpoint(first.ref).load)


def test_a_collection_of_models_knows_the_code_of_each(project: Path) -> None:
    from own_code import scaled
    from sklearn.preprocessing import FunctionTransformer

    with jeyn.open() as workspace:
        model = {"one": [FunctionTransformer(np.log1p)], "two": ({"inner": FunctionTransformer(scaled)}, 1.5)}
        made = READER.update_minor(dataset=a_batch(workspace), model=model)
        saved = workspace.model_store.save_checkpoint(made)
        assert list(saved.facts["code"]) == ["own_code.scaled"]
        load = workspace.model_store.get_checkpoint(saved.ref).load
        assert warned(load) == []
        edit(project / "own_code.py", "x + 1", "x + 2")
        assert warned(load)


def test_what_is_gone_is_changed_and_what_is_installed_is_left_out(project: Path) -> None:
    assert digests_of(["numpy.clip", "json.dumps", "own_code", "nowhere.at_all"], project) == {}
    then = digests_of(["own_code.scaled"], project)
    (project / "own_code.py").write_text("def scaled(:")
    assert changed(then, project) == ["own_code.scaled"]
    (project / "own_code.py").unlink()
    assert changed(then, project) == ["own_code.scaled"]


def test_a_model_without_code_of_the_project_says_nothing(project: Path) -> None:
    with jeyn.open() as workspace:
        made = READER.update_minor(dataset=a_batch(workspace), model=np.array([1.0]))
        saved = workspace.model_store.save_checkpoint(made)
        assert "code" not in saved.facts and "relies on" not in call("show", saved.ref).out
