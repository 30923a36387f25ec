"""SEMANTICS 25, 26, 27 and 30: bound objects, the ambient things, `__init__` files, and the project root."""

from __future__ import annotations

import ast
import asyncio
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import jeyn
from jeyn import Workspace
from jeyn.errors import Unsaved, UsageError
from jeyn.sdk.workspace import current_workspace
from jeyn.settings import Settings, project_root
from jeyn.stores.serializers import default_table
from tests.stores.digits import DIGITS, READER, Digits, a_batch, a_checkpoint, rows

ROOT = Path(__file__).parents[2]
ROOMS = ("jeyn", "sdk", "stores", "workflows", "deploy")
SOURCES = sorted(p for room in ROOMS for p in (ROOT / room).rglob("*.py") if not any(q.is_symlink() for q in p.parents))

# 25. What a store returns is bound to it.


def test_rule_25_what_a_store_returns_can_load(workspace: Workspace) -> None:
    batch, checkpoint = a_batch(workspace), a_checkpoint(workspace)
    assert workspace.get(batch.id).load().column("x").to_pylist() == rows(1)["x"].tolist()
    assert workspace.get(checkpoint.id).load().tolist() == [1.0]
    assert checkpoint.dataset.load().num_rows == 10


def test_rule_25_an_unsaved_checkpoint_gives_its_model_from_memory(home: Path) -> None:
    model = np.array([1.0])
    assert READER.update_minor(dataset=DIGITS.new_table(rows(1)), model=model).load() is model
    assert not home.exists()


def test_rule_25_an_unsaved_batch_gives_its_table_from_memory(home: Path) -> None:
    assert DIGITS.new_table(rows(1)).load().num_rows == 10
    with pytest.raises(Unsaved):
        next(iter(DIGITS.new_table(rows(1)).iter_batches()))
    assert not home.exists()


def test_rule_25_the_binding_is_outside_equality_and_json(workspace: Workspace, tmp_path: Path) -> None:
    mine = a_checkpoint(workspace)
    with jeyn.open(home=tmp_path / "elsewhere") as other:
        theirs = a_checkpoint(other)
        assert mine == theirs
        assert hash(mine) == hash(theirs)
        assert mine != a_checkpoint(other, seed=2)
    assert str(tmp_path).encode() not in mine.record().document
    assert mine.use_case == READER


def test_rule_25_bound_objects_are_pickled_as_a_place_and_reopened_lazily(workspace: Workspace) -> None:
    artefacts = [
        a_batch(workspace),
        a_checkpoint(workspace),
        workspace.get("formula:digits"),
        workspace.get(READER.ref),
    ]
    for artefact in artefacts:
        data = pickle.dumps(artefact)
        assert len(data) < 20_000
        copy = pickle.loads(data)
        assert (copy, copy.ref, type(copy)) == (artefact, artefact.ref, type(artefact))
        assert "database" not in copy.saved.workspace.__dict__
    batch, checkpoint = (pickle.loads(pickle.dumps(each)) for each in artefacts[:2])
    assert batch.load().equals(artefacts[0].load())
    assert checkpoint.load().tolist() == [1.0]
    assert checkpoint.input_catalog == Digits.only("x")
    for copy in (batch, checkpoint):
        copy.saved.workspace.close()


def test_rule_25_a_pickle_opens_in_a_fresh_process(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "batch.pickle").write_bytes(pickle.dumps(a_batch(workspace)))
    program = "import pickle, sys; b = pickle.load(open(sys.argv[1], 'rb')); print(b.ref, b.load().num_rows, b.epoch)"
    command = [sys.executable, "-W", "ignore", "-c", program, str(tmp_path / "batch.pickle")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    shown = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.split() == ["batch:digits@1.0.0/1", "10", "1"]


def _save_in_child(workspace: Workspace, seed: int, done: Any) -> None:
    done.put((a_batch(workspace, seed).epoch, workspace.get("digits@1.0.0/1").load().num_rows))


# Forking with threads is what is tested here; later Pythons warn about it.
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_rule_25_connections_are_disposed_at_fork(workspace: Workspace) -> None:
    a_batch(workspace, 1)
    context = multiprocessing.get_context("fork")
    done = context.Queue()
    with workspace.database.read() as connection:
        before = connection.exec_driver_sql("SELECT count(*) FROM artefact").scalar_one()
        children = [context.Process(target=_save_in_child, args=(workspace, seed, done)) for seed in (2, 3)]
        for child in children:
            child.start()
        epochs = sorted(done.get(timeout=60) for _ in children)
        for child in children:
            child.join(timeout=60)
        assert connection.exec_driver_sql("SELECT count(*) FROM artefact").scalar_one() == before
    assert epochs == [(2, 10), (3, 10)]
    assert [child.exitcode for child in children] == [0, 0]
    assert a_batch(workspace, 4).epoch == 4


def test_rule_25_threads_share_a_workspace(workspace: Workspace) -> None:
    epochs: list[int] = []
    threads = [threading.Thread(target=lambda s=s: epochs.append(a_batch(workspace, s).epoch)) for s in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(epochs) == [1, 2, 3, 4, 5, 6, 7, 8]


# 26. Three ambient things, each in one file.


def test_rule_26_the_current_workspace_is_a_context_variable(workspace: Workspace, home: Path) -> None:
    assert current_workspace() is None
    with jeyn.use(workspace):
        assert jeyn.context() is workspace
        assert jeyn.dataset_store.save_batch(DIGITS.new_table(rows(1))).epoch == 1
        seen: list[Any] = []
        thread = threading.Thread(target=lambda: seen.append(current_workspace()))
        thread.start()
        thread.join()
        assert seen == [None]
    assert current_workspace() is None


def test_rule_26_tasks_do_not_see_each_others(workspace: Workspace, tmp_path: Path) -> None:
    other = jeyn.open(home=tmp_path / "other")

    async def inside(mine: Workspace) -> bool:
        with jeyn.use(mine):
            await asyncio.sleep(0.01)
            return jeyn.context() is mine

    async def both() -> list[bool]:
        return await asyncio.gather(inside(workspace), inside(other))

    assert asyncio.run(both()) == [True, True]


def test_rule_26_it_is_set_from_settings(home: Path) -> None:
    batch = jeyn.dataset_store.save_batch(DIGITS.new_table(rows(1)))
    assert batch.saved is not None
    assert jeyn.context().settings.home == home
    assert jeyn.context() is jeyn.context()
    assert jeyn.model_store.save_checkpoint(READER.update_minor(dataset=batch, model=np.array([1.0]))).is_new
    jeyn.context().close()


def test_rule_26_the_serializer_table_is_the_processs(workspace: Workspace) -> None:
    # What is registered in either of them is in both; a workspace's own knows its project beside that.
    own, shared = vars(workspace.serializers), vars(default_table())
    assert own["_by_class"] is shared["_by_class"] and own["_by_id"] is shared["_by_id"]


def test_rule_26_nothing_else_is_ambient() -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in AMBIENT
    }
    assert found <= {"sdk/workspace.py", "sdk/plan.py", "sdk/recorder.py"}
    assert "sdk/workspace.py" in found


AMBIENT = ("ContextVar", "local")


def test_rule_26_the_environment_is_read_by_the_settings_only() -> None:
    readers = {
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
    }
    # What puts the environment back after an operation, and what tells it from a module's own values, decides nothing.
    assert readers - {"workflows/process_state.py", "workflows/code/values.py"} <= {"jeyn/settings.py"}


# 27. `__init__` files only re-export (what is public, and that importing is pure, has tests of its own).


@pytest.mark.parametrize(
    "path", [p for p in SOURCES if p.name == "__init__.py"], ids=lambda p: p.relative_to(ROOT).as_posix()
)
def test_rule_27_only_the_front_door_has_logic(path: Path) -> None:
    if path == ROOT / "jeyn" / "__init__.py":
        assert "__getattr__" in path.read_text()
        return
    for node in ast.parse(path.read_text()).body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_all = isinstance(node, ast.Assign) and [getattr(t, "id", "") for t in node.targets] == ["__all__"]
        assert is_docstring or is_all or isinstance(node, ast.ImportFrom), ast.unparse(node)


def test_rule_27_formulas_re_exports_from_the_sdk() -> None:
    for node in ast.parse((ROOT / "jeyn" / "formulas.py").read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module != "__future__":
            assert (node.module or "").startswith("jeyn.sdk")


# 30. The project root.


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`tmp_path/project/team/deep`, with no settings from outside."""
    for name in ("JEYN_HOME", "JEYN_CATALOG", "JEYN_PAYLOADS", "JEYN_DATA", "JEYN_ACTOR"):
        monkeypatch.delenv(name, raising=False)
    deep = tmp_path / "project" / "team" / "deep"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    return tmp_path / "project"


@pytest.mark.parametrize("marker", ["jeyn.yaml", "pyproject.toml", ".git"])
def test_rule_30_the_root_is_the_nearest_marked_ancestor(tree: Path, marker: str) -> None:
    (tree / "pyproject.toml").touch()
    below = tree / "team" / marker
    below.mkdir() if marker == ".git" else below.touch()
    assert project_root(tree / "team" / "deep") == tree / "team"
    pipeline = tree / "team" / "deep" / "pipeline.py"
    pipeline.touch()
    assert project_root(pipeline) == tree / "team"


def test_rule_30_without_a_marker_it_is_the_folder(tree: Path) -> None:
    assert project_root(tree / "team") == tree / "team"


def test_rule_30_a_project_file_further_up_wins_over_other_marks(tree: Path) -> None:
    (tree / "jeyn.yaml").touch()
    (tree / "team" / ".git").touch()  # as in a worktree or a submodule
    (tree / "team" / "deep" / "pyproject.toml").touch()
    assert project_root(tree / "team" / "deep") == tree


def test_rule_30_a_bare_home_marks_only_the_folder_that_it_is_in(tree: Path) -> None:
    (tree / "pyproject.toml").touch()
    (tree / "team" / ".jeyn").mkdir()
    assert project_root(tree / "team") == tree / "team"
    assert project_root(tree / "team" / "deep") == tree


@pytest.mark.parametrize("marker", [".jeyn", ".git"])
def test_rule_30_the_users_home_is_no_project(tree: Path, marker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tree / "team"))
    (tree / "team" / marker).mkdir()
    assert project_root(tree / "team" / "deep") == tree / "team" / "deep"
    (tree / "pyproject.toml").touch()
    assert project_root(tree / "team") == tree
    (tree / "team" / "jeyn.yaml").touch()  # said in as many words
    assert project_root(tree / "team") == tree / "team"


def test_rule_30_paths_start_at_the_root(tree: Path) -> None:
    (tree / "jeyn.yaml").write_text("data: samples\n")
    found = Settings.load()
    assert found.root == tree
    assert found.home == tree / ".jeyn"
    assert found.data == str(tree / "samples")
    assert found.catalog == f"sqlite:///{tree}/.jeyn/catalog.db"
    assert found.payloads == f"file://{tree}/.jeyn/payloads"


def test_rule_30_arguments_win_over_the_environment_and_that_over_the_file(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / "jeyn.yaml").write_text("home: from-file\ndata: from-file\ncatalog: sqlite:///file.db\n")
    assert Settings.load().home == tree / "from-file"
    monkeypatch.setenv("JEYN_HOME", "from-env")
    monkeypatch.setenv("JEYN_CATALOG", "sqlite:///env.db")
    assert Settings.load().home == tree / "from-env"
    assert Settings.load().catalog == f"sqlite:///{tree}/env.db"
    assert Settings.load(home=tree / "given", catalog="sqlite:///given.db").home == tree / "given"
    # What Python gives starts where the program stands.
    assert Settings.load(catalog="sqlite:///given.db").catalog == f"sqlite:///{tree}/team/deep/given.db"


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("sqlite:///cat.db", "sqlite:///{root}/cat.db"),
        ("sqlite:///./a/../cat.db?timeout=5", "sqlite:///{root}/cat.db?timeout=5"),
        ("sqlite+pysqlite:///cat.db", "sqlite+pysqlite:///{root}/cat.db"),
        ("sqlite:///file:cat.db?mode=ro&uri=true", "sqlite:///file:{root}/cat.db?mode=ro&uri=true"),
        ("sqlite:////elsewhere/cat.db", "sqlite:////elsewhere/cat.db"),
        ("postgresql://host/cat.db", "postgresql://host/cat.db"),
    ],
)
def test_rule_30_relative_addresses_of_databases_start_at_the_root(
    tree: Path, said: str, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / "jeyn.yaml").write_text(f"catalog: {said}\ndatabases: {{shop: '{said}'}}\n")
    meant = meant.format(root=tree)
    assert (Settings.load().catalog, Settings.load().databases["shop"]) == (meant, meant)
    monkeypatch.setenv("JEYN_CATALOG", said)
    monkeypatch.setenv("JEYN_DATABASE_OTHER", said)
    assert (Settings.load().catalog, Settings.load().databases["other"]) == (meant, meant)


@pytest.mark.parametrize("said", ["file:bytes", "bytes", "./bytes", "file:./bytes"])
def test_rule_30_a_relative_payload_store_starts_at_the_root(
    tree: Path, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / "jeyn.yaml").touch()
    monkeypatch.setenv("JEYN_PAYLOADS", said)
    monkeypatch.setenv("JEYN_DATA", "samples")
    with jeyn.open() as workspace:
        a_batch(workspace)
        assert workspace.settings.data == str(tree / "samples")
    assert any((tree / "bytes").iterdir())


@pytest.mark.parametrize("text", ["- a list\n", "hoem: typo\n", "data: [unclosed\n", "!!python/object:os.system {}\n"])
def test_rule_30_a_bad_project_file_is_a_usage_error(tree: Path, text: str) -> None:
    (tree / "jeyn.yaml").write_text(text)
    with pytest.raises(UsageError, match=r"jeyn\.yaml") as refused:
        Settings.load()
    assert refused.value.exit_code == 2


def test_rule_30_a_workspace_opens_where_the_project_is(tree: Path) -> None:
    (tree / "pyproject.toml").touch()
    with jeyn.open() as workspace:
        a_batch(workspace)
    assert (tree / ".jeyn" / "catalog.db").exists()
    assert (tree / ".jeyn" / "payloads").is_dir()
