"""scripts/setup.sh and the Makefile: what is refused, what is installed, and what pip's settings become."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("sdk", "stores", "workflows", "deploy", "components")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The files that set-up reads, in a folder of their own."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "constraints.txt", "Makefile"):
        shutil.copy(ROOT / name, tmp_path / name)
    for room in ROOMS:
        (tmp_path / "jeyn" / room).mkdir(parents=True)
    return tmp_path


def program(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)
    return path


def set_up(checkout: Path, profile: str = "test", **environment: str) -> subprocess.CompletedProcess[str]:
    command = ["bash", str(checkout / "scripts/setup.sh"), profile]
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHON", "MAKE_GOAL")}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=clean | environment, timeout=60)


@pytest.mark.parametrize("version", ["3.10", "3.14", "2.7"])
def test_other_pythons_are_refused_by_name(checkout: Path, version: str) -> None:
    python = program(checkout, "python", f"echo {version}")
    refused = set_up(checkout, PYTHON=str(python))
    assert refused.returncode == 1
    assert f'"{python}" is Python {version}' in refused.stderr
    assert "3.11, 3.12 or 3.13" in refused.stderr
    assert not (checkout / ".venv").exists()


def test_a_python_that_is_not_there_is_refused_by_name(checkout: Path) -> None:
    refused = set_up(checkout, PYTHON="/no/such/python")
    assert refused.returncode == 1
    assert '"/no/such/python"' in refused.stderr


def test_a_checkout_without_symbolic_links_is_refused(checkout: Path) -> None:
    (checkout / "jeyn/sdk").rmdir()
    (checkout / "jeyn/sdk").write_text("../sdk")
    refused = set_up(checkout)
    assert refused.returncode == 1
    assert "git clone -c core.symlinks=true" in refused.stderr


def test_an_unknown_profile_is_refused(checkout: Path) -> None:
    refused = set_up(checkout, "everything")
    assert refused.returncode == 1
    assert '"everything"' in refused.stderr


def made_ready(checkout: Path, profile: str, **environment: str) -> None:
    """Runs set-up with a uv that only notes how it is called."""
    tools = checkout / "tools"
    tools.mkdir(exist_ok=True)
    program(tools, "uv", FAKE_UV)
    path = f"{tools}:{os.environ['PATH']}"
    finished = set_up(checkout, profile, PATH=path, CALLS=str(checkout / "calls"), **environment)
    assert finished.returncode == 0, finished.stderr


FAKE_UV = """
case "$*" in
  *--help) echo --group ;;
  venv*) echo venv >>"$CALLS"; mkdir -p .venv/bin
         printf '#!/bin/bash\\ncase "$*" in *version_info*) echo 3.11 ;; esac\\n' >.venv/bin/python
         chmod +x .venv/bin/python ;;
  *" --offline "*) if [ -n "${FAIL:-}${COLD:-}" ]; then exit 1; fi; echo "$*" >>"$CALLS" ;;
  *) if [ -n "${FAIL:-}" ]; then exit 1; fi; echo "$*" >>"$CALLS" ;;
esac
"""


def calls(checkout: Path) -> list[str]:
    return (checkout / "calls").read_text().splitlines()


def test_a_ready_venv_is_left_alone(checkout: Path) -> None:
    made_ready(checkout, "test")
    assert len(calls(checkout)) == 2
    made_ready(checkout, "test")
    made_ready(checkout, "demo")
    assert len(calls(checkout)) == 2


def test_demo_installs_neither_torch_nor_postgres(checkout: Path) -> None:
    made_ready(checkout, "demo")
    assert "[all]" not in calls(checkout)[1]
    made_ready(checkout, "test")
    assert "[all]" in calls(checkout)[2]


def test_a_changed_dependency_is_installed_into_the_same_venv(checkout: Path) -> None:
    made_ready(checkout, "test")
    (checkout / "constraints.txt").write_text("")
    made_ready(checkout, "test")
    assert [call.split()[0] for call in calls(checkout)] == ["venv", "pip", "pip"]


def test_an_interrupted_set_up_is_done_again_from_the_start(checkout: Path) -> None:
    tools = checkout / "tools"
    tools.mkdir()
    program(tools, "uv", FAKE_UV)
    path = f"{tools}:{os.environ['PATH']}"
    interrupted = set_up(checkout, PATH=path, CALLS=str(checkout / "calls"), FAIL="yes")
    assert interrupted.returncode != 0
    (checkout / ".venv/left-over").touch()
    made_ready(checkout, "test")
    assert [call.split()[0] for call in calls(checkout)] == ["venv", "venv", "pip"]
    assert not (checkout / ".venv/left-over").exists()


def test_packages_are_compiled_and_constrained(checkout: Path) -> None:
    made_ready(checkout, "test")
    assert "--compile-bytecode" in calls(checkout)[1]
    assert "--constraint constraints.txt" in calls(checkout)[1]


def marker(checkout: Path) -> list[str]:
    return (checkout / ".venv/.jeyn-ready").read_text().splitlines()


def test_packages_come_from_the_cache_if_they_can_and_the_marker_says_so(checkout: Path) -> None:
    made_ready(checkout, "demo")
    assert "--offline" in calls(checkout)[1]
    assert re.fullmatch(r"\d+ s with packages from the cache", marker(checkout)[3])


def test_packages_are_fetched_when_the_cache_lacks_them(checkout: Path) -> None:
    made_ready(checkout, "demo", COLD="yes")
    assert [call.split()[0] for call in calls(checkout)] == ["venv", "pip"]
    assert "--offline" not in calls(checkout)[1]
    assert re.fullmatch(r"\d+ s with packages fetched", marker(checkout)[3])


@pytest.fixture
def demo(checkout: Path) -> list[str]:
    """What `make demo` prints where all is set up, with a jeyn and a python that only say how they are called."""
    made_ready(checkout, "demo")
    (checkout / "examples/digits").mkdir(parents=True)
    program(checkout / ".venv/bin", "jeyn", 'echo "jeyn was called: $*"')
    program(
        checkout / ".venv/bin",
        "python",
        'case "$*" in *version_info*) echo 3.11 ;; *) echo "python was called: $*" ;; esac',
    )
    command = ["bash", str(checkout / "scripts/demo.sh")]
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHON", "MAKE_GOAL")}
    return subprocess.run(
        command, capture_output=True, text=True, check=True, env=clean, timeout=60
    ).stdout.splitlines()


def test_the_demo_shows_what_it_types_and_then_does_it(demo: list[str]) -> None:
    called = {"python arrive.py", "jeyn run pipeline.py", "jeyn lineage digit-reader@blessed"}
    assert {line.removeprefix("$ ") for line in demo if line.startswith("$ ")} == called | {"cd examples/digits"}
    assert {line.replace(" was called:", "") for line in demo if " was called:" in line} == called


def test_the_demo_says_how_long_it_took_with_set_up_apart(demo: list[str]) -> None:
    (line,) = [line for line in demo if line.startswith("This took")]
    time = r"\d+\.\d s"
    made = r"\d+ s with packages from the cache"
    assert re.fullmatch(rf"This took {time}, of which set-up {time} \(\.venv was made in {made}\)\.", line)


@pytest.fixture(scope="module")
def pip_settings() -> ModuleType:
    spec = spec_from_file_location("pip_settings", ROOT / "scripts/pip_settings.py")
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pips_settings_reach_uv(pip_settings: ModuleType) -> None:
    listing = "\n".join(
        [
            "global.index-url='https://global.example/simple'",
            ":env:.index-url='https://mirror.example/simple'",
            "install.find-links='/wheels\\n/more'",
            "global.cert='/etc/ca.pem'",
            "global.trusted-host='a.example b.example'",
            "download.cert='/ignored.pem'",
        ]
    )
    assert pip_settings.uv_environment(pip_settings.parse(listing), {}) == {
        "UV_DEFAULT_INDEX": "https://mirror.example/simple",
        "UV_FIND_LINKS": "/wheels,/more",
        "UV_INSECURE_HOST": "a.example b.example",
        "SSL_CERT_FILE": "/etc/ca.pem",
    }


def test_what_is_set_for_uv_wins(pip_settings: ModuleType) -> None:
    settings = {"index-url": "https://pip.example/simple"}
    assert pip_settings.uv_environment(settings, {"UV_DEFAULT_INDEX": "https://uv.example/simple"}) == {}


def test_help_lists_every_target() -> None:
    shown = subprocess.run(["make", "-C", ROOT], capture_output=True, text=True, check=True).stdout
    listed = {line.split()[1] for line in shown.splitlines() if line.startswith("  make ")}
    targets = {line.split(":")[0] for line in (ROOT / "Makefile").read_text().splitlines() if line[:1].islower()}
    assert listed == {name for name in targets if name != "export PYTHON"}
    assert {"demo", "test", "check", "check-long", "bench", "bench-long", "clean"} <= listed
