"""A PostgreSQL that restarts, loses an answer or has few connections: waited for, nothing done twice, nothing lost."""

from __future__ import annotations

import ast
import multiprocessing
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from jeyn import DatasetFormula, Workspace
from jeyn.errors import Unreachable
from jeyn.workflows.run import Run
from tests.conftest import REQUIRE_POSTGRES
from tests.postgres_server import PORT, PostgresMissing, PostgresServer, running_postgres
from tests.stores.digits import DIGITS, Digits
from tests.workflows.projects import Project

FEW = 8
CATALOG = Path(__file__).parents[2] / "stores" / "catalog"
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
context = multiprocessing.get_context("fork")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server of this module's own, which it may restart, with few connections."""
    with ExitStack() as stack:
        try:
            found = stack.enter_context(running_postgres(settings={"max_connections": str(FEW)}))
        except PostgresMissing as error:
            import os

            if os.environ.get(REQUIRE_POSTGRES):
                pytest.fail(f"{REQUIRE_POSTGRES} is set, but {error}", pytrace=False)
            pytest.skip(str(error))
        yield found


@pytest.fixture
def url(server: PostgresServer) -> Iterator[str]:
    with server.new_database() as found:
        yield found


@pytest.fixture
def restarting(server: PostgresServer) -> Iterator[threading.Event]:
    """The server restarts again and again from the moment when this is set: in order, as a crash, and for longer."""
    begin, end, done = threading.Event(), threading.Event(), []

    def restart() -> None:
        begin.wait(60)
        for how, away in ((signal.SIGINT, 0.0), (signal.SIGQUIT, 0.0), (signal.SIGINT, 0.5), (signal.SIGQUIT, 0.3)):
            if end.wait(0.3):
                return
            server.restart(how, away)
            done.append(how)
        end.wait(120)  # the system ends the server when the thread that started it ends

    thread = threading.Thread(target=restart)
    thread.start()
    begin.done = done  # type: ignore[attr-defined]
    yield begin
    begin.set()
    end.set()
    thread.join(60)
    server.restart()


def moves(workspace: Workspace) -> list[str]:
    return [moved.reason for moved in reversed(workspace.alias_history("formula:digits@1.0.0", "chosen"))]


def test_rule_38_saves_go_on_when_the_server_restarts_and_each_happens_once(
    home: Path, url: str, restarting: threading.Event
) -> None:
    with Workspace.open(home=home, catalog=url) as workspace:
        for version in ("1.0.0", "2.0.0"):
            workspace.dataset_store.save_formula(DatasetFormula("digits", version=version, output_catalog=Digits))
        count = 0
        while len(restarting.done) < 4:  # type: ignore[attr-defined]
            workspace.set_alias(f"formula:digits@{count % 2 + 1}.0.0", "chosen", reason=str(count))
            count += 1
            restarting.set()
        assert moves(workspace) == [str(n) for n in range(count)]
        seqs = [event.seq for event in workspace.events(limit=10**6)]
        assert sorted(seqs) == list(range(1, count + 3))


class Proxy:
    """Between clients and the server: at a commit it breaks the connection, before the server has it or after."""

    def __init__(self, server: PostgresServer, folder: Path) -> None:
        self.behind = f"{server.folder}/.s.PGSQL.{PORT}"
        self.armed = ""
        self.every = 1  # commits
        self.seen = self.broken = 0
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(f"{folder}/.s.PGSQL.{PORT}")
        self.listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                behind = socket.socket(socket.AF_UNIX)
                behind.connect(self.behind)
                for source, target in ((client, behind), (behind, client)):
                    threading.Thread(target=self._pass, args=(source, target, source is client), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, is_client: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if is_client and self.armed and b"COMMIT" in data:
                    self.seen += 1
                    if self.seen % self.every == 0:
                        self._break(source, target, data, self.armed)
                        source.close()
                        return
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)
        source.close()

    def _break(self, client: socket.socket, behind: socket.socket, data: bytes, when: str) -> None:
        self.broken += 1
        client.shutdown(socket.SHUT_RDWR)
        if when == "after":
            behind.sendall(data)
            time.sleep(0.1)  # its answer reaches nobody
        behind.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("when", ["before", "after"])
def test_rule_38_what_is_committed_while_every_third_answer_is_lost_happens_once(
    home: Path, server: PostgresServer, url: str, when: str, tmp_path: Path
) -> None:
    proxy = Proxy(server, tmp_path)
    project = Project(tmp_path / "project").write(PIPELINE)
    there = url.replace(str(server.folder), str(tmp_path))
    project.workspace = Workspace.open(project.folder, home=home, catalog=there)
    with project.workspace as workspace:
        workspace.reader.names()
        proxy.armed, proxy.every = when, 3
        run = project.run("many", arguments={"count": 3})
        proxy.armed = ""
        assert proxy.broken >= 5
        check(workspace, run, steps=6)
        (event,) = (event for event in workspace.events(limit=10**6) if event.kind == "jeyn.run.started")
        assert event.subject == run.id
    proxy.listener.close()


@pytest.mark.parametrize("when", ["before", "after"])
def test_rule_38_a_log_whose_answer_is_lost_is_kept_once(
    home: Path, server: PostgresServer, url: str, when: str, tmp_path: Path
) -> None:
    proxy = Proxy(server, tmp_path)
    project = Project(tmp_path / "project").write(PIPELINE)
    there = url.replace(str(server.folder), str(tmp_path))
    project.workspace = Workspace.open(project.folder, home=home, catalog=there)
    with project.workspace as workspace:
        key = workspace.runs.get(project.run("one").id).key
        (row,) = workspace.runs.operations(key)
        (attempt,) = workspace.runs.attempts(row.key)
        proxy.armed, proxy.every = when, 3
        for n in range(8):
            workspace.runs.append_log(attempt.key, f"and {n}\n")
        assert proxy.broken >= 1
        proxy.armed = ""
        log = "".join(chunk.text for chunk in workspace.runs.log(key))
        assert [line for line in log.splitlines() if line.startswith("and")] == [f"and {n}" for n in range(8)]
    proxy.listener.close()


def check(workspace: Workspace, run: Run, steps: int) -> None:
    """It succeeded, each operation at the first attempt, and each said once what it had to say."""
    assert run.state == "succeeded", f"{run.error}\n{(run.error or {}).get('traceback')}"
    key = workspace.runs.get(run.id).key
    rows = workspace.runs.operations(key)
    assert {row.state for row in rows} == {"succeeded"}
    tried = Counter(each.operation_key for each in workspace.runs.attempts(*(row.key for row in rows)))
    assert set(tried.values()) == {1}, "work was lost and done again"
    log = "".join(chunk.text for chunk in workspace.runs.log(key))
    assert sum(line.startswith("step ") for line in log.splitlines()) == steps


PIPELINE = """
@operation
def step(n: int) -> int:
    print(f"step {n}.")
    return n + 1


@operation
def total(found: list[int]) -> int:
    time.sleep(0.5)
    return sum(found)


@operation(timeout=2)
def timed(n: int) -> int:
    time.sleep(0.5)
    return n


@pipeline
def one():
    return step(1)


@pipeline
def many(count: int):
    x = total(step.map(n=list(range(count))))
    for _ in range(count):
        x = step(x)
    return x


@pipeline
def limited():
    return timed(1)
"""


def test_rule_38_a_run_goes_on_when_the_server_restarts(
    home: Path, url: str, restarting: threading.Event, tmp_path: Path
) -> None:
    project = Project(tmp_path / "project").write(PIPELINE)
    project.workspace = Workspace.open(project.folder, home=home, catalog=url)
    with project.workspace as workspace:
        restarting.set()
        runs = [project.run("many", arguments={"count": 25}, cache=False)]
        while len(restarting.done) < 4:  # type: ignore[attr-defined]
            runs.append(project.run("many", arguments={"count": 25}, cache=False))
        for run in runs:
            check(workspace, run, steps=50)
        assert workspace.fsck().ok


def test_rule_38_time_in_which_the_catalog_is_away_is_not_the_operations(
    home: Path, server: PostgresServer, url: str, tmp_path: Path
) -> None:
    project = Project(tmp_path / "project").write(PIPELINE)
    project.workspace = Workspace.open(project.folder, home=home, catalog=url)
    with project.workspace as workspace:
        began, over = threading.Event(), threading.Event()

        def watch(event: Any) -> None:
            if getattr(event, "state", "") == "running":
                began.set()

        def away() -> None:
            began.wait(60)
            time.sleep(0.2)
            server.restart(away=4)
            over.wait(60)

        thread = threading.Thread(target=away)
        thread.start()
        run = project.run("limited", watch=watch)
        rows = workspace.runs.operations(workspace.runs.get(run.id).key)
        tried = workspace.runs.attempts(*(row.key for row in rows))
        over.set()
        thread.join(60)
        server.restart()
        assert run.state == "succeeded", f"{run.error}\n{(run.error or {}).get('traceback')}"
        assert len(tried) == 1


def _save_many(home: Path, url: str, process: int, saves: int, start: Any, done: Any) -> None:
    problem = ""
    start.wait(timeout=120)
    try:
        with Workspace.open(home=home, catalog=url) as workspace:
            workspace.dataset_store.save_formula(DIGITS)
            for n in range(saves):
                workspace.set_alias("formula:digits@1.0.0", f"of-{process}-{n}")
            done.put(problem)
            start.wait(timeout=120)  # nobody ends, so that nobody's connection becomes free by that
    except BaseException as exc:
        done.put(f"{type(exc).__name__}: {exc}")


def test_32_writers_with_few_connections_wait_for_one(home: Path, url: str) -> None:
    writers, saves = 32, 4
    start, done = context.Barrier(writers + 1), context.Queue()
    children = [
        context.Process(target=_save_many, args=(home, url, n, saves, start, done), daemon=True) for n in range(writers)
    ]
    for child in children:
        child.start()
    start.wait(timeout=120)
    problems = [done.get(timeout=200) for _ in children]
    assert [problem for problem in problems if problem] == []
    with Workspace.open(home=home, catalog=url) as workspace:
        assert sum(event.kind == "jeyn.alias.moved" for event in workspace.events(limit=10**6)) == writers * saves
    start.wait(timeout=120)
    for child in children:
        child.join(timeout=30)


def test_every_transaction_of_the_catalog_is_patient() -> None:
    """A function that opens one is called again as a whole; what hands out rows one by one cannot be."""
    found = {}
    for path in sorted(CATALOG.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and _opens_transaction(node):
                is_patient = any("patient" in ast.unparse(each) for each in node.decorator_list)
                found[f"{path.stem}.{node.name}"] = is_patient or _hands_out(node)
    assert len(found) > 50
    assert [name for name, ok in found.items() if not ok] == ["migrate.upgrade"]  # of SQLite, or by hand


def _opens_transaction(node: ast.FunctionDef) -> bool:
    calls = (each.func for each in ast.walk(node) if isinstance(each, ast.Call))
    kinds = ("read", "write", "write_soft", "exclusive")
    return any(
        isinstance(each, ast.Attribute) and each.attr in kinds and "database" in ast.unparse(each.value)
        for each in calls
    )


def _hands_out(node: ast.FunctionDef) -> bool:
    return any(isinstance(each, ast.Yield | ast.YieldFrom) for each in ast.walk(node))


def test_a_server_that_was_never_there_is_told_at_once(home: Path, tmp_path: Path) -> None:
    began = time.monotonic()
    with Workspace.open(home=home, catalog=f"postgresql+psycopg://postgres@/x?host={tmp_path}") as workspace:
        with pytest.raises(Unreachable, match="cannot be reached"):
            _ = workspace.reader.names()
    assert time.monotonic() - began < 5


def test_patience_has_an_end_that_the_settings_say(
    home: Path, server: PostgresServer, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JEYN_STORE_PATIENCE", "1s")
    with Workspace.open(home=home, catalog=url) as workspace:
        workspace.dataset_store.save_formula(DIGITS)
        server.stop()
        try:
            began = time.monotonic()
            with pytest.raises(Unreachable, match="cannot be reached"):
                workspace.set_alias("formula:digits@1.0.0", "chosen")
            assert 0.5 < time.monotonic() - began < 20
        finally:
            server.start()
