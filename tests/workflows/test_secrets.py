"""Secrets in runs: read from the environment, counted by name, and nowhere in what a run leaves behind."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from jeyn.errors import Invalid, NotFound, UsageError
from jeyn.workflows.mask import masked
from jeyn.workflows.spool import recover, spool_path
from jeyn.workflows.watch import Event, Printed, Progress
from tests.workflows.projects import Project, is_gone, until

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


def test_what_cannot_be_saved_is_kept_for_rescue_without_secrets_only(careless: Project) -> None:
    careless.write(
        """
class Client:
    def __init__(self, token):
        self.token = token

@operation
def returns(token: jeyn.Secret, own: str) -> object:
    return Client(own or token.value)

@pipeline
def flow(own: str = ""):
    return returns(jeyn.Secret("api", "token"), own)
"""
    )
    folder = careless.folder / ".jeyn" / "rescue"
    assert careless.run("flow").state == "failed" and not list(folder.glob("*.pickle"))
    assert kept_in(careless) == []
    assert careless.run("flow", arguments={"own": "no secret"}).state == "failed"
    assert list(folder.glob("*.pickle"))


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


# An engine that is killed, and who finds what its worker had written.

TALKATIVE = """
import ctypes
import subprocess

@operation
def talk(token: jeyn.Secret) -> int:
    Path("pid").write_text(f"{os.getpid()} {os.getppid()}")
    text = token.value
    print("by print", text, flush=True)
    libc = ctypes.CDLL(None)
    libc.puts(b"from C " + text.encode())
    libc.fflush(None)
    subprocess.run(f"printf 'from a shell %s\\n' '{text}' >&2", shell=True, check=True)
    os.write(1, b"split " + text[:5].encode())
    os.write(2, text[5:].encode() + b"\\n")
    os.environ.pop("JEYN_SECRET_API_TOKEN")
    os.write(1, b"cut off " + text[:10].encode())
    Path("said").touch()
    time.sleep(60)
    return 1

@pipeline
def flow():
    return talk(jeyn.Secret("api", "token"))
"""
SAID = "by print {0}\nfrom C {0}\nfrom a shell {0}\nsplit {0}\ncut off {1}".format("*" * 14, "*" * 10)
PLAIN = "a-hushed-token"


@contextlib.contextmanager
def started(folder: Path) -> Iterator[tuple[Project, int, int]]:
    """A run in a process of its own, whose operation has said all; the numbers of its worker and its engine."""
    project = Project(folder).write(TALKATIVE)
    process = project.start("run", "pipeline.py", JEYN_SECRET_API_TOKEN=PLAIN)
    worker = 0
    try:
        project.wait_for("said", 60)
        worker, engine = (int(each) for each in (project.folder / "pid").read_text().split())
        assert engine == process.pid
        yield project, worker, engine
    finally:
        process.kill()
        process.communicate(timeout=30)
        if worker:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker, signal.SIGKILL)


def traces_of(project: Project, text: str) -> list[Path]:
    files = [path for path in (project.folder / ".jeyn").rglob("*") if path.is_file()]
    assert files
    return [path for path in files if text.encode() in path.read_bytes()]


def test_who_copies_what_a_killed_engine_left_needs_to_know_no_secret(tmp_path: Path) -> None:
    with started(tmp_path / "project") as (project, worker, engine):
        os.kill(engine, signal.SIGKILL)
        until(lambda: is_gone(worker), 30)  # it has noticed, and written down what it knows to mask
        assert traces_of(project, PLAIN[:10]) == []
        run = project.last()
        recover(project.workspace, run.row)  # this process has never had the variable
        assert run.logs() == SAID
        assert traces_of(project, PLAIN[:10]) == []


def test_a_worker_and_its_engine_that_are_killed_at_once_leave_no_secret(tmp_path: Path) -> None:
    with started(tmp_path / "project") as (project, worker, engine):
        until(lambda: spool_path(project.folder / ".jeyn", project.last().id, worker).exists())
        os.kill(engine, signal.SIGSTOP)
        os.killpg(worker, signal.SIGKILL)
        os.kill(engine, signal.SIGKILL)
        until(lambda: is_gone(worker) and is_gone(engine))
        recover(project.workspace, project.last().row)
        assert project.last().logs().startswith(f"by print {'*' * 14}\n")
        assert traces_of(project, PLAIN[:10]) == []


def test_what_was_written_without_masks_is_left_out_and_a_line_says_so(tmp_path: Path) -> None:
    with started(tmp_path / "project") as (project, worker, engine):
        run = project.last()
        until(lambda: project.workspace.runs.attempts(run.operations[0].key))
        os.killpg(worker, signal.SIGKILL)
        os.kill(engine, signal.SIGKILL)
        until(lambda: is_gone(worker) and is_gone(engine))
        place = spool_path(project.folder / ".jeyn", run.id, worker)
        place.unlink(missing_ok=True)
        copied = project.workspace.runs.logged_bytes(project.workspace.runs.attempts(run.operations[0].key)[-1].key)
        place.with_suffix(".log").write_bytes(b"-" * copied + f"as it came: {PLAIN}\n".encode())
        recover(project.workspace, run.row)
        assert "[27 bytes of output are left out: a version of Jeyn wrote them that did not mask secrets]" in run.logs()
        assert traces_of(project, PLAIN) == []


def test_what_cannot_be_masked_is_left_out_and_a_line_says_so(project: Project) -> None:
    project.write(
        """
@operation
def dies(token: jeyn.Secret) -> int:
    os.environ["JEYN_SECRET_API_TOKEN"] = "found-elsewhere"
    print("with", token.value, flush=True)
    os._exit(3)

@pipeline
def flow():
    return dies(jeyn.Secret("api", "token"))
"""
    )
    seen: list[Event] = []
    run = project.run("flow", watch=seen.append)
    line = (
        "[21 bytes of output are left out: they may hold the secret in JEYN_SECRET_API_TOKEN, which is not set here]\n"
    )
    assert run.logs() == line and "found-elsewhere" not in repr(seen)
    assert traces_of(project, "found-elsewhere") == []


def test_nothing_that_an_operation_saves_or_says_has_a_secret(careless: Project) -> None:
    """Descriptions of progress, reasons, metrics, names of outputs, models, tables and files."""
    careless.write(
        """
def rows():
    return dataset_store.save_batch(points.get_new_batch())

@operation
def says(token: jeyn.Secret) -> int:
    jeyn.context().report_progress(1, 2, f"asking with {token.value}")
    time.sleep(0.3)
    return 1

@operation
def saves(token: jeyn.Secret, how: str) -> object:
    text = token.value
    if how == "metrics":
        return guess.update_minor(dataset=rows(), model=np.zeros(1), metrics={text: 1.0})
    if how == "a model":
        return guess.update_minor(dataset=rows(), model=np.array([text]))
    if how == "a tag":
        saved = model_store.save_checkpoint(guess.update_minor(dataset=rows(), model=np.zeros(2)))
        model_store.bless(saved, f"as {text} said")
        return saved
    if how == "a search":
        jeyn.search(f'"{text}"')
        return 1
    if how == "a file":
        place = jeyn.context().scratch / "report.txt"
        place.write_text(f"with {text}")
        return place
    if how == "a table":
        import pyarrow
        return pyarrow.table({"url": [f"url://{text}@host"] * 100})
    if how == "a frame":
        import pandas
        return pandas.DataFrame({text: [1.0]})
    import dataclasses
    return {"inner": [(f"url://{text}@host",)]} if how == "a result" else {text: 1}

@pipeline
def flow():
    says(jeyn.Secret("api", "token"))
    saves.bind(token=jeyn.Secret("api", "token")).map(
        how=["metrics", "a model", "a tag", "a search", "a file", "a table", "a frame", "a result", "a key"]
    )
""",
        data=True,
    )
    careless.arrive("one.csv", 1.0)
    seen: list[Event] = []
    run = careless.run("flow", watch=seen.append)
    items = [each for each in run.operations if each.name.startswith("saves[")]
    for each in items:
        assert each.state == "failed", each.name
        assert each.error and "for all to read" in each.error["message"], (each.name, each.error)
    texts = [event.description for event in seen if isinstance(event, Progress) and event.description]
    assert texts == [f"asking with {'*' * 14}"]
    assert kept_in(careless) == [] and HUSHED not in repr(seen)


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


def test_a_secret_of_an_environment_that_a_plain_dict_replaced_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"JEYN_SECRET_BANK_PIN": "hidden-away", "OTHER": "shown"})
    assert masked("hidden-away and shown") == "*********** and shown"
