"""What is mapped over, by position: arrays and series of every library, and a refusal with the cure for tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import jeyn
from jeyn.errors import UsageError
from tests.workflows.argo.pods import Zygotes
from tests.workflows.conformance.engines import InterpretedRuns
from tests.workflows.projects import Project, outputs

HEAD = """
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

SERIES = pd.Series([30, 10, 20], index=["c", "a", "b"])

@operation
def double(x) -> float:
    return float(x) * 2

@operation
def kind(x) -> str:
    return type(x).__name__ + (f"{x.tolist()}" if hasattr(x, "tolist") else "")
"""
LISTS = {
    "pd.Series([30, 10, 20]).sort_values()": [20, 40, 60],
    "SERIES.sort_values()": [20, 40, 60],
    "SERIES": [60, 20, 40],
    "pd.Series([1, 2, 3], index=[1, 1, 1])": [2, 4, 6],
    "pd.Series([1.5, 2], index=pd.date_range('2024-01-01', periods=2))": [3, 4],
    "pd.Series([], dtype=float)": [],
    "pd.Index([3, 1])": [6, 2],
    "pd.RangeIndex(3)": [0, 2, 4],
    "np.array([3, 1])": [6, 2],
    "pa.array([3, 1])": [6, 2],
    "pa.chunked_array([[3], [1, 2]])": [6, 2, 4],
    "pa.table({'x': [3, 1]})['x']": [6, 2],
    "pl.Series('x', [3, 1])": [6, 2],
    "[3, 1]": [6, 2],
    "(3, 1)": [6, 2],
}
REFUSED = {
    "pd.DataFrame({'x': [1, 2]})": 'frame.to_dict("records")',
    "SERIES.to_frame('x')": 'frame["name"]',
    "pl.DataFrame({'x': [1, 2]})": "frame.to_dicts()",
    "pa.table({'x': [1, 2], 'y': [3, 4]})": "table.to_pylist()",
    "pa.RecordBatch.from_pydict({'x': [1, 2]})": "batch.to_pylist()",
    "{'a': 1}": "list(….values())",
    "'text'": "a list of texts",
    "b'bytes'": "a list of texts",
    "np.array(3)": "only lists, arrays, series",
    "3": "only lists, arrays, series",
}


def source(values: list[str]) -> str:
    """A pipeline that maps over each, as the output of an operation and as known already."""
    text, body = HEAD, ""
    for at, value in enumerate(values):
        if not any(
            each in value for each in ("Index(", "pl.Series", "pa.array", "pa.chunked", "['x']")
        ):  # which nothing stores
            text += f"\n@operation\ndef make_{at}():\n    return {value}\n"
            body += f"    found['made {at}'] = double.options(name='made-{at}').map(x=make_{at}())\n"
        if value in LISTS:
            body += f"    found['known {at}'] = double.options(name='known-{at}').map(x={value})\n"
    return f"{text}\n@pipeline\ndef flow():\n    found = {{}}\n{body}    return found\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


def test_rule_23_arrays_and_series_are_mapped_by_position(project: Project) -> None:
    run = project.write(source(list(LISTS))).run(workers=1)
    assert run.state == "succeeded", run.error
    for name, found in run.outputs.items():
        value = list(LISTS)[int(name.split()[1])]
        assert found == LISTS[value], (name, value)
    assert len(run.outputs) > 1.5 * len(LISTS)


def test_tables_and_what_is_no_list_are_refused_with_the_cure(project: Project) -> None:
    run = project.write(source(list(REFUSED))).run(workers=1)
    assert run.exit_code == 5
    errors = {each.name: dict(each.error or {}) for each in run.operations if each.state == "failed"}
    assert len(errors) == len(REFUSED)
    for at, (value, cure) in enumerate(REFUSED.items()):
        error = errors[f"made-{at}"]
        assert '"x" is mapped, but what it is given is' in error["message"] and "not a list" in error["message"], value
        assert cure in error["hint"], value


def double(x: object) -> None: ...


@pytest.mark.parametrize(("value", "cure"), [*REFUSED.items(), ("{1, 2}", "sorted(…)"), ("iter([1])", "list(…)")])
def test_what_is_known_and_no_list_is_refused_with_the_cure(value: str, cure: str) -> None:
    names: dict[str, Any] = {"np": np, "pd": pd, "pl": pl, "pa": pa, "SERIES": pd.Series([3, 1], index=["c", "a"])}
    with pytest.raises(UsageError, match="and no list") as refused:
        jeyn.operation(double).map(x=eval(value, names))
    assert cure in refused.value.hint


def test_the_rows_of_a_matrix(project: Project) -> None:
    text = "\n@operation\ndef rows():\n    return np.arange(4).reshape(2, 2)\n"
    project.write(HEAD + text + "\n@pipeline\ndef flow():\n    return kind.map(x=rows())\n")
    assert project.run().outputs["return"] == ["ndarray[0, 1]", "ndarray[2, 3]"]


def test_pods_take_the_same_items(tmp_path: Path, pods: Zygotes) -> None:
    text = source(["SERIES.sort_values()"])
    found = InterpretedRuns(tmp_path, pods).run(text)
    local = Project(tmp_path / "local").write(text)
    assert found.state == "succeeded", found.error
    assert found.ids == outputs(local.run("flow"))
