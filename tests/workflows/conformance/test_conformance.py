"""One suite for every engine (SEMANTICS 9, 16-21, 23): the same pipelines, the same states, ids and exit codes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.workflows.argo.pods import Zygotes
from tests.workflows.conformance.cases import CASES, Case
from tests.workflows.conformance.engines import Engine, InterpretedRuns, LocalRuns, Outcome

MakeEngine = Callable[[Path], Engine]


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Case], Outcome]:
    """What comes of a case on the local engine, which each engine is compared with."""

    @cache
    def known(name: str) -> Outcome:
        case = next(case for case in CASES if case.name == name)
        return carried_out(case, LocalRuns(tmp_path_factory.mktemp("local")))

    return lambda case: known(case.name)


def carried_out(case: Case, engine: Engine) -> Outcome:
    for _ in range(case.times):
        found = engine.run(case.source, data=case.data, arguments=case.arguments)
    return found


def as_expected(case: Case, found: Outcome) -> None:
    assert found.states == case.states, found.error
    assert (found.state, found.exit_code) == (case.state, case.exit_code), found.error
    assert case.error in found.error


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_local(case: Case, local: Callable[[Case], Outcome]) -> None:
    as_expected(case, local(case))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_interpreted(case: Case, local: Callable[[Case], Outcome], pods: Zygotes, tmp_path: Path) -> None:
    found = carried_out(case, InterpretedRuns(tmp_path, pods))
    as_expected(case, found)
    assert found.ids == local(case).ids
