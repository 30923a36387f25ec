"""An export that is killed leaves nothing in its folder, and what it worked in goes with the next one or a sweep."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from jeyn import Workspace
from jeyn.errors import Corrupt
from jeyn.stores.care import bundle as exporting
from jeyn.stores.care import part
from jeyn.stores.care.bundle import export_bundle, import_bundle
from tests.stores.bundles import counts
from tests.stores.digits import a_batch, a_checkpoint

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
context = multiprocessing.get_context("fork")


def _export(home: Path, ref: str, path: Path, writing: Any) -> None:
    """Export, and stand still while the payloads are being written."""

    def wait(*_: Any, **__: Any) -> None:
        writing.set()
        time.sleep(120)

    exporting._payload = wait  # type: ignore[assignment]
    with Workspace.open(home=home) as workspace:
        export_bundle(workspace, ref, path)


def killed_export(home: Path, ref: str, path: Path) -> None:
    writing = context.Event()
    child = context.Process(target=_export, args=(home, ref, path, writing), daemon=True)
    child.start()
    assert writing.wait(60)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join(timeout=30)


@pytest.mark.parametrize("has_nameless", [True, False])
def test_a_killed_export_leaves_nothing_behind(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_nameless: bool
) -> None:
    if not has_nameless:  # as on some file systems
        monkeypatch.setattr(part, "_nameless", lambda _: None)
    out = tmp_path / "out"
    out.mkdir()
    with Workspace.open(home=home) as workspace:
        checkpoint = a_checkpoint(workspace, dataset=a_batch(workspace))
        killed_export(home, checkpoint.id, out / "a.bundle")
        assert [each.name for each in out.iterdir() if has_nameless or not each.name.endswith(".part")] == []
        staging = workspace.payloads.staging()
        assert [each for each in staging.iterdir() if each.name.startswith("export-")]
        export_bundle(workspace, checkpoint, out / "a.bundle")
        assert [each.name for each in out.iterdir()] == ["a.bundle"]
        assert list(staging.iterdir()) == []
        killed_export(home, checkpoint.id, out / "a.bundle")
        workspace.gc(yes=True)
        assert list(staging.iterdir()) == []
        export_bundle(workspace, checkpoint, out / "a.bundle")  # over the one that is there
        assert [each.name for each in out.iterdir()] == ["a.bundle"]


def test_exports_at_once_do_not_take_each_others_files(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with part.whole(out / "a") as first, part.whole(out / "a") as second:
        first.write(b"first")
        second.write(b"second")
    assert (out / "a").read_bytes() == b"first"  # the last to end
    with part.work_folder(out, "export-") as one, part.work_folder(out, "export-") as two:
        assert one.is_dir()
        assert two.is_dir()
    assert [each.name for each in out.iterdir()] == ["a"]


def test_lines_that_change_after_they_were_checked_are_not_taken(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Workspace.open(home=home) as workspace:
        path = tmp_path / "a.bundle"
        export_bundle(workspace, a_checkpoint(workspace, dataset=a_batch(workspace)), path)
    real = exporting.check_conflicts

    def changed_meanwhile(*args: Any) -> None:
        real(*args)
        data = path.read_bytes()
        path.write_bytes(data.replace(b'"0.1.0"', b'"9.1.0"'))
        assert path.read_bytes() != data

    monkeypatch.setattr(exporting, "check_conflicts", changed_meanwhile)
    with Workspace.open(tmp_path, home=tmp_path / "other") as other:
        before = counts(other)
        with pytest.raises(Corrupt, match="it changed while it was being read"):
            import_bundle(other, path)
        assert counts(other) == before
