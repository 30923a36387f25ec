"""Completion as the shells ask for it: bash really completes, zsh and fish by click's protocol."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import call

ROOT = Path(__file__).parents[2]


@pytest.fixture
def environment(project: Path, tmp_path: Path) -> dict[str, str]:
    """A PATH on which `jeyn` is this one."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "jeyn"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m jeyn.cli "$@"\n')
    program.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


def in_bash(environment: dict[str, str], *words: str) -> list[str]:
    """What bash offers for the last of these words."""
    typed = " ".join(f'"{word}"' for word in words)
    program = (
        f'eval "$(jeyn completion bash)"; COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; '
        "eval \"$(complete -p jeyn | sed 's/.*-F \\([^ ]*\\) .*/\\1/') jeyn\"; "
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    found = subprocess.run(
        ["bash", "--norc", "-c", program], capture_output=True, text=True, check=True, env=environment, timeout=60
    )
    assert found.stderr == ""
    return found.stdout.split()


def by_protocol(environment: dict[str, str], instruction: str, words: str, word: str) -> list[str]:
    asked = {"_JEYN_COMPLETE": instruction, "COMP_WORDS": words, "COMP_CWORD": word}
    found = subprocess.run(["jeyn"], capture_output=True, text=True, check=True, env=environment | asked, timeout=60)
    assert found.stderr == ""
    return found.stdout.strip().splitlines()


def test_bash_completes_commands_options_and_references(environment: dict[str, str]) -> None:
    assert in_bash(environment, "jeyn", "li") == ["lineage"]
    assert in_bash(environment, "jeyn", "alias", "h") == ["history"]
    assert in_bash(environment, "jeyn", "lineage", "--pl") == ["--plot"]
    assert in_bash(environment, "jeyn", "show", "digit-reader@0") == ["digit-reader@0.1.0", "digit-reader@0.2.0"]
    assert in_bash(environment, "jeyn", "completion", "z") == ["zsh"]


def test_zsh_completes_with_a_description(environment: dict[str, str]) -> None:
    assert by_protocol(environment, "zsh_complete", "jeyn lin", "1") == [
        "plain",
        "lineage",
        "Show what an artefact came from, or what came from it.",
    ]
    found = by_protocol(environment, "zsh_complete", "jeyn bless digit-reader@b", "2")
    assert found == ["plain", "digit-reader@blessed", "_"]


def test_fish_completes_references(environment: dict[str, str]) -> None:
    found = "\n".join(by_protocol(environment, "fish_complete", "jeyn show", "digits"))
    assert "digits@1.0.0" in found and "digits@trusted" in found and "reader" not in found


def test_a_folder_without_a_catalog_completes_nothing_and_stays_empty(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    assert by_protocol(environment, "zsh_complete", "jeyn show dig", "2") == []
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize(
    ("shell", "holds"),
    [("bash", "complete -o nosort"), ("zsh", "#compdef jeyn"), ("fish", "complete --no-files --command jeyn")],
)
def test_the_script_registers_itself_for_jeyn(shell: str, holds: str) -> None:
    script = call("completion", shell).out
    assert holds in script and f"_JEYN_COMPLETE={shell}_complete" in script
    assert call("completion", shell, "--json").data == {"shell": shell, "script": script.removesuffix("\n")}
