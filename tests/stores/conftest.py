"""What the store tests share: an empty workspace on each database, and raw SQL into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

import jeyn
from jeyn import Workspace
from jeyn.stores.catalog.database import Database

Sql = Callable[..., list[Any]]


@pytest.fixture(params=["sqlite", "postgresql"])
def catalog_url(request: pytest.FixtureRequest, home: Path) -> str:
    """The address of an empty catalog, of each kind in turn."""
    return f"sqlite:///{home}/catalog.db" if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def workspace(catalog_url: str, home: Path) -> Iterator[Workspace]:
    """An empty workspace; its payloads are files in the home on both databases."""
    with jeyn.open(home=home, catalog=catalog_url, data=home.parent / "data", actor="ada") as opened:
        yield opened


@pytest.fixture
def sql(workspace: Workspace) -> Sql:
    """Run one statement past the API, committed at once; gives its rows."""

    def run(statement: str, **parameters: Any) -> list[Any]:
        return execute(workspace.database, statement, parameters)

    return run


def execute(database: Database, statement: str, parameters: Mapping[str, Any] | None = None) -> list[Any]:
    with database.exclusive() as connection:
        found = connection.execute(text(statement), dict(parameters or {}))
        return list(found.all()) if found.returns_rows else []
