"""Killed while it saves, imports, exports, sweeps or upgrades: nothing is lost or doubled, and doing it again works."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.killing import kill_many
from tests.faults.scenarios import Export, Import, NewCatalog, Save, Sweep, Upgrade
from tests.postgres_server import PostgresServer

SCENARIOS = (Save, Import, Export, Sweep, Upgrade)
FEW = {"sqlite": 4, "postgresql": 2}
MANY = 25

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def new_catalog(kind: str, request: pytest.FixtureRequest) -> Iterator[NewCatalog]:
    """Gives the address of another empty catalog each time."""
    if kind == "sqlite":
        yield lambda home: f"sqlite:///{home}/catalog.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    with ExitStack() as stack:
        yield lambda home: stack.enter_context(server.new_database())


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_kill_9_loses_and_doubles_nothing(
    scenario: Callable[..., Save], kind: str, new_catalog: NewCatalog, home: Path
) -> None:
    kill_many(scenario(home.parent, new_catalog), FEW[kind], seed=20, look_every=2)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))  # a test has 300 s
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_kill_9_loses_and_doubles_nothing_25_times(
    scenario: Callable[..., Save], seed: int, kind: str, new_catalog: NewCatalog, home: Path
) -> None:
    between = kill_many(scenario(home.parent, new_catalog), MANY, seed=seed, look_every=10)
    if scenario is Save:
        assert between > MANY // 10, "the kills came before or after all of the work"
