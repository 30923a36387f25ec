"""Secrets in runs: read from the environment, counted by name, and nowhere in what a run leaves behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from jeyn.errors import NotFound, UsageError
from tests.workflows.projects import Project

PIPELINE = """
@operation
def fetch(token: jeyn.Secret) -> int:
    print("with", token)
    return len(token.value)

@pipeline
def fetching():
    return fetch(jeyn.Secret("api", "token"))

@operation
def both(one: jeyn.Secret, other: jeyn.Secret) -> None: ...

@pipeline
def mixed():
    both(jeyn.Secret("a-b", "c"), jeyn.Secret("a", "b-c"))
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project").write(PIPELINE)


def test_rule_18_a_secret_counts_by_name(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JEYN_SECRET_API_TOKEN", "a-hushed-token")
    first = project.run("fetching").check()
    assert first.outputs["return"] == len("a-hushed-token")
    monkeypatch.setenv("JEYN_SECRET_API_TOKEN", "another")
    again = project.run("fetching").check()
    assert [each.state for each in again.operations] == ["cached"]


def test_a_secret_is_nowhere_in_a_home(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JEYN_SECRET_API_TOKEN", "a-hushed-token")
    run = project.run("fetching").check()
    assert 'with Secret("api", "token")' in run.logs()
    files = [path for path in (project.folder / ".jeyn").rglob("*") if path.is_file()]
    assert files and not [path for path in files if b"a-hushed-token" in path.read_bytes()]


def test_a_secret_that_is_not_there_is_the_operation_s_error(project: Project) -> None:
    run = project.run("fetching")
    with pytest.raises(NotFound, match='"token" of "api"'):
        run.check()


def test_two_secrets_of_one_variable_are_refused(project: Project) -> None:
    with pytest.raises(UsageError, match="JEYN_SECRET_A_B_C"):
        project.run("mixed")
