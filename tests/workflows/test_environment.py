"""The environment of a run, and which distributions a module comes from."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
import sys
import time

from jeyn.workflows.code.environment import environment, installed, versions_for


def test_the_environment_is_plain_text() -> None:
    found = environment()
    assert set(found) == {"python", "platform", "jeyn", "distributions"}
    assert found["python"] == platform.python_version()
    assert found["jeyn"] == importlib.metadata.version("jeyn")
    assert found["distributions"].startswith("sha256:")


def test_installed_agrees_with_the_standard_library() -> None:
    known = {
        each.metadata["Name"].lower().replace("_", "-"): each.version for each in importlib.metadata.distributions()
    }
    assert {name: installed()[name] for name in ("numpy", "pyarrow", "pyyaml")} == {
        name: known[name] for name in ("numpy", "pyarrow", "pyyaml")
    }
    assert set(installed()) == {name.replace(".", "-") for name in known}


def test_modules_are_found_by_what_they_are_imported_as() -> None:
    assert versions_for("yaml") == {"pyyaml": importlib.metadata.version("pyyaml")}
    assert versions_for("sklearn").keys() == {"scikit-learn"}
    assert versions_for("no_such_module") == {}


def test_a_fresh_process_agrees_and_is_quick() -> None:
    script = "from jeyn.workflows.code.environment import environment; print(environment()['distributions'])"
    found = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == environment()["distributions"]
    began = time.perf_counter()
    environment()
    assert time.perf_counter() - began < 0.01
