"""What the same kind of save costs in ml-metadata and in MLflow tracking, each in a virtual environment of its own."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from environments import Environment, last_line

# Both get a database path and a count on the command line, and print the median of one save in seconds.
TIMED = """
def median_of(save, count):
    import statistics, time
    times = []
    for i in range(count + 20):
        start = time.perf_counter()
        save(i)
        times.append(time.perf_counter() - start)
    return statistics.median(times[20:])

import json, sys
print(json.dumps([median_of(save, int(sys.argv[2])), version]))
"""
ML_METADATA = """
import sys
import ml_metadata
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as pb

version = ml_metadata.__version__
config = pb.ConnectionConfig()
config.sqlite.filename_uri, config.sqlite.connection_mode = sys.argv[1], 3
store = MetadataStore(config)
kind = pb.ArtifactType(name="Evaluation")
kind.properties["accuracy"] = pb.DOUBLE
artefact_type = store.put_artifact_type(kind)
execution_type = store.put_execution_type(pb.ExecutionType(name="evaluate"))
(model,) = store.put_artifacts([pb.Artifact(type_id=artefact_type, name="model")])

def save(i):
    made = pb.Artifact(type_id=artefact_type, name=f"evaluation-{i}")
    made.properties["accuracy"].double_value = i / 1000
    source = pb.Artifact(id=model, type_id=artefact_type, name="model")
    events = [(source, pb.Event(type=pb.Event.INPUT)), (made, pb.Event(type=pb.Event.OUTPUT))]
    store.put_execution(pb.Execution(type_id=execution_type), events, [])
"""
MLFLOW = """
import logging, sys
logging.disable()
import mlflow
from mlflow.tracking import MlflowClient

version = mlflow.__version__
client = MlflowClient(tracking_uri="sqlite:///" + sys.argv[1])
experiment = client.create_experiment("evaluations")
model = client.create_run(experiment).info.run_id

def save(i):
    run = client.create_run(experiment, tags={"mlflow.parentRunId": model})
    client.log_metric(run.info.run_id, "accuracy", i / 1000)
"""


@dataclass(frozen=True)
class Peer:
    """A peer: where it is installed, and the program that saves one artefact with one relationship and one metric.

    MLflow has no call that does both, so there it is two: a run with its parent, and the metric.
    """

    name: str
    environment: Environment
    program: str


PEERS = (
    Peer("ml-metadata", Environment("ml_metadata", ("ml-metadata",)), ML_METADATA),
    Peer("MLflow tracking", Environment("mlflow", ("mlflow-skinny", "sqlalchemy", "alembic")), MLFLOW),
)


@dataclass(frozen=True)
class Timing:
    """Seconds of one save, or why there are none; `durability` is what the peer's own database says."""

    name: str
    seconds: float | None
    version: str = ""
    durability: str = ""
    problem: str = ""


def time_peer(peer: Peer, count: int) -> Timing:
    python = peer.environment.python()
    if isinstance(python, str):
        return Timing(peer.name, None, problem=python)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "peer.db"
        command = [str(python), "-c", peer.program + TIMED, str(path), str(count)]
        shown = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
        if shown.returncode:
            return Timing(peer.name, None, problem=last_line(shown.stderr))
        seconds, version = json.loads(shown.stdout.splitlines()[-1])
        return Timing(peer.name, seconds, version, _durability(path))


def _durability(path: Path) -> str:
    """The journal mode is kept in the file; neither peer sets `synchronous`, so it is SQLite's own, FULL."""
    with closing(sqlite3.connect(path)) as connection:
        (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
    return f"journal_mode={journal}, synchronous=FULL (SQLite's default)"
