"""What the tests of bundles share: how to see that nothing was written."""

from __future__ import annotations

from jeyn import Workspace
from jeyn.stores.catalog.tables import metadata
from tests.stores.conftest import execute


def counts(workspace: Workspace) -> dict[str, int]:
    """How many rows each table has."""
    return {
        table.name: execute(workspace.database, f"SELECT count(*) FROM {table.name}")[0][0]
        for table in metadata.sorted_tables
    }
