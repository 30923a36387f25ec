"""Secrets in runs: read from the environment, counted by name, and nowhere in what a run leaves behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from jeyn.errors import Invalid, NotFound, UsageError
from jeyn.workflows.mask import masked
from jeyn.workflows.watch import Event, Printed
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


# What operations do with one all the same.

CARELESS = """
@operation
def prints(token: jeyn.Secret) -> int:
    print("a", token.value, "b")
    os.write(2, token.value.encode() + b"\\n")
    raise ValueError(f"refused: {token.value!r}")

@operation
def returns(tokens: list[jeyn.Secret]) -> dict:
    return {"token": tokens[0].value}

@operation
def dies(token: jeyn.Secret) -> int:
    print("before", token.value, flush=True)
    os._exit(3)

@pipeline
def printing():
    return prints(jeyn.Secret("api", "token"))

@pipeline
def returning():
    return returns([jeyn.Secret("api", "token")])

@pipeline
def dying():
    return dies(jeyn.Secret("api", "token"))
"""
HUSHED = "a-hushed\\token"


@pytest.fixture
def careless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("JEYN_SECRET_API_TOKEN", HUSHED)
    return Project(tmp_path / "careless").write(CARELESS)


def forms() -> tuple[str, str]:
    return HUSHED, repr(HUSHED)[1:-1]


def kept_in(project: Project) -> list[Path]:
    """Files of the home in which the secret is, bare or as `repr` writes it."""
    files = [path for path in (project.folder / ".jeyn").rglob("*") if path.is_file()]
    assert files
    return [path for path in files if any(form.encode() in path.read_bytes() for form in forms())]


def test_a_secret_that_is_printed_or_raised_is_stars(careless: Project) -> None:
    seen: list[Event] = []
    run = careless.run("printing", watch=seen.append)
    assert run.state == "failed" and "a ************** b\n**************\n" in run.logs()
    error = run.error or {}
    assert "refused: '***" in error["message"] and "refused: '***" in error["traceback"]
    shown = "".join(event.text for event in seen if isinstance(event, Printed))
    assert "a ***" in shown and not [form for form in forms() if form in repr(seen)]
    assert kept_in(careless) == []


def test_what_a_process_that_died_had_printed_is_masked_too(careless: Project) -> None:
    run = careless.run("dying")
    assert run.state == "failed" and run.logs() == "before **************\n"
    assert kept_in(careless) == []


def test_a_secret_that_is_returned_is_refused(careless: Project) -> None:
    run = careless.run("returning")
    with pytest.raises(Invalid, match=r'returned what Secret\("api", "token"\) holds'):
        run.check()
    assert kept_in(careless) == []


@pytest.mark.parametrize(
    ("secret", "text", "shown"),
    [
        ("abc", "abc in every log", "abc in every log"),
        ("begin-key\nbody-of-it\n-\n", "x begin-key\nbody-of-it -", "x *********\n********** -"),
        ("schlüssel", "ein schlüssel", "ein **********"),
        ("tokens-long", "tokens-long token", "*********** token"),
    ],
)
def test_what_is_masked(monkeypatch: pytest.MonkeyPatch, secret: str, text: str, shown: str) -> None:
    monkeypatch.setenv("JEYN_SECRET_API_TOKEN", secret)
    assert masked(text) == shown
    assert len(shown.encode()) == len(text.encode())  # where a log goes on is counted in bytes


def test_the_longer_of_two_secrets_is_masked_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JEYN_SECRET_A_SHORT", "hushed")
    monkeypatch.setenv("JEYN_SECRET_B_LONG", "hushed-token")
    assert masked("hushed-token hushed") == "************ ******"
