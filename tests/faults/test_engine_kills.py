"""`kill -9` of the engine at any moment, then `--resume`: the artefacts are those of an undisturbed run.

A map that saves versions numbers them in its order, whichever of its items were done when the engine was killed.
"""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jeyn import Workspace
from jeyn.errors import NotFound
from jeyn.workflows.run import Run
from tests.workflows.projects import Project, outputs, states, until

FLOW = """
import random


def say(name: str) -> None:
    token = f"{name}-{random.SystemRandom().random()}"
    print("token", token)
    with open("printed", "a") as file:
        file.write(f"{token}\\n")


@operation
def ingest() -> DatasetBatch:
    say("ingest")
    return dataset_store.save_batch(points.get_new_batch())


@operation
def train(batch: DatasetBatch, by: float) -> ModelCheckpoint:
    say("train")
    return guess.update_minor(dataset=batch, model=np.array([batch.to_numpy()["x"].mean() * by, random.random()]))


@operation
def score(checkpoint: ModelCheckpoint, batch: DatasetBatch) -> float:
    say("score")
    found = float(checkpoint.load()[0]) + batch.rows
    model_store.save_evaluation(checkpoint, batch, {"score": found})
    return found


@operation(retries=1, backoff=0.01)
def total(scores: list) -> float:
    say("total")
    if not Path("stumbled").exists():
        Path("stumbled").touch()
        raise RuntimeError("the first time goes wrong")
    return sum(scores)


@operation(cache=False)
def bless(checkpoint: ModelCheckpoint, total: float) -> ModelCheckpoint:
    say("bless")
    model_store.bless(checkpoint, f"{total}")
    return checkpoint


@operation
def report(total: float, numbers: list) -> dict:
    say("report")
    return {"total": total, "numbers": numbers, "table": list(range(1000))}


@pipeline
def flow():
    batch = ingest()
    trained = train.bind(batch=batch).map(by=[1, 2, 3])
    scores = score.bind(batch=batch).map(checkpoint=trained)
    whole = total(scores)
    best = train.options(name="best")(batch, 4.0)
    return {"best": bless(best, whole), "report": report(whole, scores), "trained": trained}
"""


Open = Callable[[Path], Project]
PATIENCE = 60  # seconds that what was killed may hold its pipes, and a run may take


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def opened(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Gives a new project with a catalog of its own."""
    server = request.getfixturevalue("postgres_server") if request.param == "postgresql" else None
    with contextlib.ExitStack() as stack:

        def new(folder: Path) -> Project:
            project = Project(folder)
            if server is not None:
                catalog = stack.enter_context(server.new_database())
                (folder / "jeyn.yaml").write_text(f"name: tried\ncatalog: {catalog}\n")
                project.workspace = Workspace.open(project.folder)
            return project

        yield new


def project_in(folder: Path, opened: Open) -> Project:
    project = opened(folder).write(FLOW, data=True)
    project.arrive("a.csv", 1, 2)
    project.arrive("b.csv", 5)
    return project


def made(run: Run) -> dict[str, Any]:
    """Everything that a run gave: the ids of each operation's outputs, and the versions of what it returned."""
    run.check()
    versions = [each.ref for each in (run.outputs["best"], *run.outputs["trained"])]
    return {"ids": outputs(run), "blessed": run.workspace.alias("guess@blessed").id, "versions": sorted(versions)}


def last_of(project: Project) -> Run | None:
    with contextlib.suppress(NotFound):
        return project.last()
    return None


def workers_in(folder: Path) -> list[int]:
    """Processes of ours whose working folder it is."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (place / "cwd").readlink() == folder and b"jeyn.workflows" in (place / "cmdline").read_bytes():
                found.append(int(place.name))
    return found


def run_and_kill(project: Project, seconds: float, *arguments: str, early: bool = False) -> bool:
    """Kill `jeyn run` so long after the run began (`early`: its process); whether it was over before that."""
    before = len(project.workspace.runs.list(100))
    process = project.start("run", *(arguments or ("pipeline.py",)))
    try:
        if not early:
            until(lambda: process.poll() is not None or len(project.workspace.runs.list(100)) > before)
        process.wait(seconds)
        return process.returncode == 0
    except subprocess.TimeoutExpired:
        process.kill()
        return False
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE)


def check_after_kill(project: Project) -> None:
    until(lambda: not workers_in(project.folder), 10)  # they notice that nobody waits for them
    assert set(project.workspace.fsck().counts) <= {"orphaned"}


def survive(project: Project, moment: float, again: float | None, *, early: bool) -> tuple[Run, int]:
    """Kill a run at a moment, perhaps the resumed one too, and go on until it is done; how many kills landed."""
    landed = 0
    over = run_and_kill(project, moment, early=early)
    check_after_kill(project)
    run = last_of(project)
    if over:
        assert run is not None
        return run, 0
    landed += 1
    if run is not None and again is not None and run.state != "succeeded":
        landed += not run_and_kill(project, again, "--resume", run.id)
        check_after_kill(project)
        run = last_of(project)
    if run is None:
        return project.run(), landed
    return (run if run.state == "succeeded" else project.resume(run)), landed


def kill_at(moments: int, tmp_path: Path, seed: int, opened: Open) -> None:
    undisturbed = project_in(tmp_path / "undisturbed", opened)
    assert run_and_kill(undisturbed, 120)
    row = undisturbed.last().row
    duration = ((row.ended or 0) - row.at) / 1_000_000
    expected = made(undisturbed.last())
    chance = random.Random(seed)
    reached: set[str] = set()
    landed = 0
    for number in range(4 * moments):
        if landed >= moments and reached:
            break
        moment = duration * (number % moments + chance.random()) / moments  # uniform: one in each slice
        again = chance.uniform(0, duration) if number % 3 == 0 else None
        project = project_in(tmp_path / f"killed-{number}", opened)
        run, kills = survive(project, moment, again, early=number % 5 == 4)
        landed += kills
        assert made(run) == expected, f"killed after {moment:.3f} s of {duration:.3f} s, then {again}"
        assert set(project.workspace.fsck().counts) <= {"orphaned"}
        every = [Run(project.workspace, row.id) for row in project.workspace.runs.list(100)]
        assert all("running" not in states(each).values() and each.state != "running" for each in every)
        logs = "".join(each.logs() for each in every)
        wrong = {token: count for token in project.touched("printed") if (count := logs.count(token)) != 1}
        assert not wrong, f"the log lost or repeated {wrong}; killed after {moment:.3f} s, then {again}"
        reached |= {name for name, state in states(run).items() if state == "adopted"}
        project.workspace.close()
    assert reached, "no kill came in the middle of a run"
    assert landed >= moments
    print(f"{landed} kills of a run landed")


def test_a_killed_engine_loses_nothing(tmp_path: Path, opened: Open) -> None:
    kill_at(4, tmp_path, 1, opened)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 12))  # a test has 300 s
def test_a_killed_engine_loses_nothing_at_many_moments(tmp_path: Path, opened: Open, seed: int) -> None:
    kill_at(10, tmp_path, seed, opened)


IN_TURN = """
@operation
def ingest() -> DatasetBatch:
    return points.get_new_batch()


@operation
def train(batch: DatasetBatch, by: int) -> ModelCheckpoint:
    with open("trained", "a") as file:
        file.write(f"{by}\\n")
    while by == 0 and not Path("go").exists():
        time.sleep(0.01)
    return guess.update_minor(dataset=batch, model=np.array([float(by)]))


@pipeline
def flow():
    return train.bind(batch=ingest()).map(by=[0, 1, 2, 3])
"""


def kill_while_items_wait(times: int, folder: Path, opened: Open) -> None:
    chance = random.Random(times)
    landed = 0
    for number in range(times):
        project = opened(folder / str(number)).write(IN_TURN, data=True)
        project.arrive("a.csv", 1, 2)
        process = project.start("run", "pipeline.py")
        try:
            until(lambda project=project: "1" in project.touched("trained"), PATIENCE)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(chance.uniform(0, 0.6))  # about as long as the second item takes to come to where it waits
        finally:
            process.kill()
            process.communicate(timeout=PATIENCE)
        landed += process.returncode == -signal.SIGKILL
        check_after_kill(project)
        assert not project.versions(), "an item went ahead of the one before it"
        (project.folder / "go").touch()
        run = project.resume(project.last()).check()
        assert [str(each.version) for each in run.outputs["return"]] == ["0.1.0", "0.2.0", "0.3.0", "0.4.0"]
        assert project.versions() == [("0.1.0", 0.0), ("0.2.0", 1.0), ("0.3.0", 2.0), ("0.4.0", 3.0)]
        project.workspace.close()
    assert landed == times, "the first item waits, so that each run was there to be killed"


def test_rule_02_items_that_wait_for_their_turn_commit_nothing_once_the_engine_is_gone(
    tmp_path: Path, opened: Open
) -> None:
    kill_while_items_wait(1, tmp_path, opened)


@pytest.mark.long
@pytest.mark.parametrize("part", range(10))  # a test has 300 s
def test_rule_02_holds_for_100_kills(tmp_path: Path, opened: Open, part: int) -> None:
    kill_while_items_wait(10, tmp_path, opened)


MAP = """
import random


@operation
def ingest() -> DatasetBatch:
    return points.get_new_batch()


@operation(retries=1, backoff=0.01)
def train(batch: DatasetBatch, by: int) -> ModelCheckpoint:
    time.sleep(random.SystemRandom().uniform(0, 0.2))
    if by % 3 == 1 and not Path("mended").exists():
        raise ValueError("not yet")
    return guess.update_minor(dataset=batch, model=np.array([float(by)]))


@pipeline
def flow():
    return train.bind(batch=ingest()).map(by=[0, 1, 2, 3, 4, 5, 6, 7])
"""


def kill_a_map(times: int, folder: Path, opened: Open, seed: int) -> None:
    """Items that fail for good, are held and are killed: whenever, the numbers are those of the map's order."""
    chance = random.Random(seed)
    landed = 0
    for number in range(5 * times):
        if landed >= times:
            break
        project = opened(folder / str(number)).write(MAP, data=True)
        project.arrive("a.csv", 1, 2)
        for moment in (chance.uniform(0, 2), chance.uniform(0, 3)):
            run = last_of(project)
            resumed = ("--resume", run.id) if run is not None else ()
            landed += not _ran(project, moment, *resumed)
            check_after_kill(project)
            assert in_map_order(project.versions()), "the models of later items have lower versions"
        (project.folder / "mended").touch()
        run = last_of(project)
        (project.resume(run) if run is not None else project.run()).check()
        assert project.versions() == [(f"0.{at + 1}.0", float(at)) for at in range(8)]
        project.workspace.close()
    assert landed >= times
    print(f"{landed} kills of a map landed")


def _ran(project: Project, seconds: float, *arguments: str) -> bool:
    """Whether a run came to its end, which is a failure here, before it was killed."""
    before = len(project.workspace.runs.list(100))
    process = project.start("run", *(arguments or ("pipeline.py",)))
    try:
        until(lambda: process.poll() is not None or len(project.workspace.runs.list(100)) > before, PATIENCE)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        return process.poll() is not None
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE)


def in_map_order(versions: list[tuple[str, float]]) -> bool:
    models = [model for _, model in versions]
    return models == [float(at) for at in range(len(models))]


def test_rule_02_a_map_with_failed_and_killed_items_is_numbered_in_its_order(tmp_path: Path, opened: Open) -> None:
    kill_a_map(1, tmp_path, opened, seed=3)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10))  # a test has 300 s
def test_rule_02_a_map_is_numbered_in_its_order_after_100_kills(tmp_path: Path, opened: Open, seed: int) -> None:
    kill_a_map(10, tmp_path, opened, seed)
