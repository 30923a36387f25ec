"""What the tests of pods share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workflows.argo.pods import Zygotes
from tests.workflows.argo.world import World


@pytest.fixture
def world(tmp_path: Path, pods: Zygotes) -> World:
    return World(tmp_path, pods)
