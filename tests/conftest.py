"""Fixtures that every room's tests share: a home, a PostgreSQL database, and the test equipment."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from jeyn.stores.catalog import migrate
from tests.postgres_server import PostgresMissing, PostgresServer, running_postgres
from tests.quick_schema import QuickSchema

# Set where a missing server is a failure and never a skip, as in CI.
REQUIRE_POSTGRES = "JEYN_REQUIRE_POSTGRES"
# The folder of the test equipment; where it is set, a test that needs the equipment runs.
EQUIPMENT = "JEYN_TEST_EQUIPMENT"
# What a script runs in the background ignores Ctrl-C, and so would everything that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
LOCATIONS = ("JEYN_CATALOG", "JEYN_PAYLOADS", "JEYN_DATA")


@pytest.fixture(scope="session", autouse=True)
def quick_schema() -> Iterator[QuickSchema]:
    """In this process only the first empty catalog of each kind is migrated; the next ones repeat its statements."""
    quick = QuickSchema(migrate._run)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrate, "_run", quick)
        yield quick


@pytest.fixture
def own_heap() -> Iterator[None]:
    """What is timed does not pay for the garbage collector's looks at what all tests before it left."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home that does not exist yet; settings from the environment and the working folder lead nowhere else."""
    for name in (*LOCATIONS, *(each for each in os.environ if each.startswith("JEYN_DATABASE_"))):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("JEYN_HOME", str(tmp_path / ".jeyn"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / ".jeyn"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server for the whole session, started by the first test that asks."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(running_postgres())
        except PostgresMissing as error:
            if os.environ.get(REQUIRE_POSTGRES):
                pytest.fail(f"{REQUIRE_POSTGRES} is set, but {error}", pytrace=False)
            pytest.skip(str(error))
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The SQLAlchemy URL of an empty PostgreSQL database of the test's own."""
    with postgres_server.new_database() as url:
        yield url


@pytest.fixture(scope="session")
def equipment() -> Path:
    """The folder of the test equipment."""
    folder = os.environ.get(EQUIPMENT)
    if not folder:
        pytest.skip(f"{EQUIPMENT} names no folder with the test equipment")
    return Path(folder)
