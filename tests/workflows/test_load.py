"""From what a person writes to a pipeline: every spelling that works, and one clear message for each that does not."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from jeyn.errors import JeynError, NotFound, OperationFailed, UsageError
from jeyn.workflows.load import load_pipeline, module_name, module_of_main
from jeyn.workflows.traceback import user_traceback

ONE = """\
from jeyn import operation, pipeline

@operation
def one() -> int:
    return 1

@pipeline
def nightly():
    return one()
"""
TWO = ONE + "\n@pipeline\ndef weekly():\n    return one()\n"


def failure(target: str, kind: type[JeynError] = UsageError) -> JeynError:
    with pytest.raises(kind) as caught:
        load_pipeline(target)
    assert type(caught.value) is kind
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("target", ["pipeline.py", "./pipeline.py", "pipeline.py:nightly"])
def test_a_file_gives_its_pipeline(write: Any, root: Path, target: str) -> None:
    path = write("pipeline.py", ONE)
    loaded = load_pipeline(target)
    assert loaded.pipeline is loaded.module.nightly
    assert (loaded.root, loaded.path, loaded.module.__name__) == (root, path, "pipeline")
    assert load_pipeline(target).module is loaded.module


def test_rule_30_the_module_is_named_from_the_project_root(
    write: Any, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("flows/day/p.py", "from flows.day.part import nightly as imported\n" + ONE)
    write("flows/day/part.py", ONE)
    monkeypatch.chdir(root / "flows")
    loaded = load_pipeline("day/p.py")
    assert (loaded.module.__name__, loaded.root) == ("flows.day.p", root)
    assert loaded.pipeline.function.__module__ == "flows.day.p"
    assert sys.path[0] == str(root)


def test_a_file_outside_any_project_is_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "alone.py").write_text(ONE)
    assert load_pipeline("alone.py").root == tmp_path


@pytest.mark.parametrize("value", ["flows/p.py:nightly", "flows/p.py"])
def test_a_name_of_the_project_file(write: Any, root: Path, value: str) -> None:
    write("jeyn.yaml", f"pipelines:\n  train: {value}\n  lost: gone.py:x\n")
    write("flows/p.py", ONE)
    assert load_pipeline("train").module.__name__ == "flows.p"
    assert "gone.py" in failure("lost", NotFound).message
    assert failure("trian", NotFound).hint == 'did you mean "train"?'


def test_a_missing_file_suggests_one_that_is_there(write: Any) -> None:
    write("pipeline.py", ONE)
    error = failure("pipelin.py", NotFound)
    assert '"pipelin.py"' in error.message and error.hint == 'did you mean "pipeline.py"?'


def test_a_folder_and_other_files_are_refused(write: Any) -> None:
    write("flows/p.py", ONE)
    write("notes.txt", "")
    assert "p.py" in failure("flows").hint
    assert '"notes.txt" is no Python file' in failure("notes.txt").message
    failure(":nightly")
    failure("pipeline.py:")


def test_a_file_without_a_pipeline(write: Any) -> None:
    write("pipeline.py", "x = 1\n")
    assert "has no pipeline" in failure("pipeline.py").message


def test_several_pipelines_are_listed(write: Any) -> None:
    write("pipeline.py", TWO)
    error = failure("pipeline.py")
    assert "nightly, weekly" in error.message and "pipeline.py:nightly" in error.hint
    assert load_pipeline("pipeline.py:weekly").pipeline.function.__name__ == "weekly"


def test_a_function_that_is_no_pipeline(write: Any) -> None:
    write("pipeline.py", ONE + "\ndef plain():\n    pass\n")
    assert '"plain"' in failure("pipeline.py:plain").message
    assert failure("pipeline.py:nightli", NotFound).hint == 'did you mean "nightly"?'


def test_a_syntax_error_shows_the_line(write: Any) -> None:
    write("pipeline.py", "x = 1\n\ndef broken():\n    return (1 +* 2)\n")
    lines = failure("pipeline.py").message.splitlines()
    assert lines[0].startswith('"pipeline.py", line 4: ')
    assert lines[1] == "    return (1 +* 2)"
    assert lines[2].index("^") == lines[1].index("*")


@pytest.mark.parametrize("text", ["\tx\n  y\n", "x = '\n", "é = '\udcff'\n", "x = 1\0\n"])
def test_text_that_is_no_python_is_one_message(root: Path, text: str) -> None:
    (root / "pipeline.py").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(JeynError) as caught:
        load_pipeline("pipeline.py")
    assert "pipeline.py" in caught.value.message


def test_an_exception_shows_the_users_frames_only(write: Any) -> None:
    write(
        "lib.py",
        "def fail():\n    try:\n        {}['key']\n    except KeyError as e:\n        raise ValueError('no') from e\n",
    )
    write("pipeline.py", "import lib\nlib.fail()\n")
    message = failure("pipeline.py", OperationFailed).message
    assert "lib.fail()" in message and "KeyError: 'key'" in message and message.endswith("ValueError: no")
    assert "importlib" not in message and "load.py" not in message


def test_leaving_the_program_while_importing_is_a_failure(write: Any) -> None:
    write("pipeline.py", "raise SystemExit(0)\n")
    assert "SystemExit" in failure("pipeline.py", OperationFailed).message


def test_a_missing_distribution_says_what_to_install(write: Any) -> None:
    write("pipeline.py", "import no_such_thing.part\n")
    assert "pip install no_such_thing" in failure("pipeline.py", OperationFailed).hint


def test_a_module_beside_the_file_says_how_to_import_it(write: Any) -> None:
    write("flows/p.py", "import near\n")
    write("flows/near.py", "")
    assert "from flows import near" in failure("flows/p.py", OperationFailed).hint


def test_an_error_of_ours_says_where(write: Any) -> None:
    write("pipeline.py", "from jeyn import Version\n\nv = Version.parse('x')\n")
    with pytest.raises(UsageError, match=r'^"pipeline\.py", line 3: ') as caught:
        load_pipeline("pipeline.py")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", ["random.py", "numpy.py", "json/p.py"])
def test_rule_22_a_name_that_is_taken_is_refused(write: Any, name: str) -> None:
    write(name, ONE)
    error = failure(name)
    assert "taken" in error.message and "rename" in error.hint


def test_rule_22_a_module_that_was_imported_from_elsewhere_is_refused(
    write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("my_flow.py", ONE)
    other = ModuleType("my_flow")
    other.__file__ = "/elsewhere/my_flow.py"
    monkeypatch.setitem(sys.modules, "my_flow", other)
    assert "/elsewhere/my_flow.py" in failure("my_flow.py").message


def test_another_project_on_the_path_takes_no_name(write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_flow.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    path = write("my_flow.py", ONE)
    assert load_pipeline("my_flow.py").path == path


def test_names_that_cannot_be_imported(root: Path) -> None:
    assert module_name(root / "01-train.py", root) == "01-train"
    assert module_name(root / "a/__init__.py", root) == "a"
    with pytest.raises(UsageError):
        module_name(root / "v1.2/p.py", root)
    with pytest.raises(UsageError):
        module_name(root.parent / "p.py", root)


def test_rule_22_a_script_has_a_module_name(write: Any, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    main = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    with pytest.raises(UsageError, match="no file"):
        module_of_main(root)
    main.__file__ = str(write("flows/p.py", ONE))
    assert module_of_main(root) == "flows.p"


def test_a_traceback_without_the_users_frames_is_its_last_line(root: Path) -> None:
    try:
        int("x")
    except ValueError as exc:
        assert user_traceback(exc, root) == "ValueError: invalid literal for int() with base 10: 'x'"


def test_a_traceback_keeps_cells_and_leaves_the_environment_out(root: Path, write: Any) -> None:
    write(".venv/pyvenv.cfg", "")
    library = write(".venv/lib/site.py", "def call(f):\n    return f()\n")
    names: dict[str, Any] = {}
    exec(compile(library.read_text(), str(library), "exec"), names)
    exec(compile("def cell():\n    raise KeyError('k')\n", "<ipython-input-3-abc>", "exec"), names)
    with pytest.raises(KeyError) as caught:
        names["call"](names["cell"])
    text = user_traceback(caught.value, root)
    assert "<ipython-input-3-abc>" in text and ".venv" not in text and text.endswith("KeyError: 'k'")


@pytest.mark.parametrize(
    "place", ["src/shop/__init__.py", "src/shop.py", "lib/shop/__init__.py", "packages/src/shop.py"]
)
def test_a_module_of_a_folder_that_is_not_on_the_path_is_no_strangers_package(write: Any, place: str) -> None:
    write(place, "PRICE = 1\n")
    write("pipeline.py", "import shop\n")
    with pytest.raises(OperationFailed) as caught:
        load_pipeline("pipeline.py")
    folder = place.partition("/shop")[0]
    assert f'"shop" is in "{folder}/" of the project' in caught.value.hint
    assert f"PYTHONPATH={folder}" in caught.value.hint and "pip install shop" not in caught.value.hint
    assert "pip install -e ." in caught.value.hint


def test_a_module_that_nobody_has_is_to_be_installed(write: Any) -> None:
    write("pipeline.py", "import nobody_has_this\n")
    with pytest.raises(OperationFailed) as caught:
        load_pipeline("pipeline.py")
    assert "pip install nobody_has_this" in caught.value.hint
