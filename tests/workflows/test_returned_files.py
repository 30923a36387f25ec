"""Files that operations return keep their names and suffixes, for who loads them and for the next operation."""

from __future__ import annotations

from pathlib import Path

from jeyn.sdk.artefact import PayloadRef
from jeyn.sdk.value import Value
from tests.workflows.argo.pods import Zygotes
from tests.workflows.conformance.engines import InterpretedRuns
from tests.workflows.projects import Project, outputs, states

FLOW = """
@operation
def draw(name: str) -> Path:
    place = jeyn.context().scratch / name
    place.write_bytes(b"\\x89PNG\\r\\n\\x1a\\n a picture")
    return place

@operation
def look(picture: Path) -> list:
    return [picture.name, picture.suffix, picture.is_file(), len(picture.read_bytes())]

@operation
def again(picture: Path) -> Path:
    return picture

@operation
def given(file: jeyn.File) -> str:
    return file.path.name

@pipeline
def flow(name: str = "Größe 1.tar.png"):
    picture = draw(name)
    return {"picture": picture, "seen": look(picture), "again": again(picture),
            "given": given(jeyn.File("in/table.csv"))}
"""


def test_a_file_keeps_its_name_and_suffix(tmp_path: Path, pods: Zygotes) -> None:
    project = Project(tmp_path / "local").write(FLOW).write("x\n1\n", "in/table.csv")
    run = project.run()
    found = run.check().outputs
    assert (found["picture"].name, found["picture"].suffix) == ("Größe 1.tar.png", ".png")
    assert found["picture"].read_bytes().endswith(b"a picture")
    assert found["again"].name == "Größe 1.tar.png"
    assert found["seen"] == ["Größe 1.tar.png", ".png", True, 18]
    assert found["given"] == "table.csv"

    other = project.run(arguments={"name": "plot.svg"})
    assert other.outputs["seen"][:2] == ["plot.svg", ".svg"]  # the same bytes, but not the same file to who looks
    assert states(project.run())["look"] == "cached"

    engine = InterpretedRuns(tmp_path, pods)
    engine.project.write("x\n1\n", "in/table.csv")
    assert engine.run(FLOW).ids == outputs(run)


def test_a_value_without_a_file_has_the_body_that_it_had() -> None:
    payload = PayloadRef("return", "sha256:" + "1" * 64, 3)
    body = Value(output="return", cache_key="k", format="file/1", payload=payload).record().body
    assert body == {"format": "file/1", "cache_key": "k", "output": "return"}
