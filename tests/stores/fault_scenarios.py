"""What happens on a full disk and in a read-only home, each run by itself in a private mount namespace.

`unshare -m python -m tests.stores.fault_scenarios full_disk FOLDER` mounts, checks by assertion, and ends with the
namespace, mounts and all.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import jeyn
from jeyn import Workspace
from jeyn.errors import JeynError, NoSpace, NotAllowed
from tests.stores.digits import READER, a_batch, a_checkpoint

MB = 1 << 20


def full_disk(folder: Path) -> None:
    home = folder / "home"
    home.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(home)], check=True)
    ballast = home / "ballast"
    ballast.write_bytes(bytes(MB))
    with jeyn.open(home=home) as workspace:
        batch = a_batch(workspace)
        kept = [a_checkpoint(workspace, dataset=batch)]
        _until_no_space(workspace, kept, lambda n: big_model(workspace, batch, n))
        _all_load(workspace, kept)
        _fill(ballast)
        _until_no_space(workspace, kept, lambda n: workspace.model_store.save_evaluation(kept[0], None, {"n": n}))
        _all_load(workspace, kept)
        ballast.unlink()
        kept.append(workspace.model_store.save_evaluation(kept[0], None, {"again": 1}))
        kept.append(a_checkpoint(workspace, 7, dataset=batch))
        _all_load(workspace, kept)
    with jeyn.open(home=home) as workspace:
        _all_load(workspace, kept)
        findings = workspace.fsck()
        assert set(findings.counts) <= {"orphaned"}, str(findings)


def big_model(workspace: Workspace, batch: Any, n: int) -> Any:
    """A megabyte that nothing else shares."""
    model = np.random.default_rng(n).integers(0, 256, MB, dtype=np.uint8)
    return workspace.model_store.save_checkpoint(READER.update_patch(dataset=batch, model=model))


def _until_no_space(workspace: Workspace, kept: list[Any], save: Callable[[int], Any]) -> None:
    for n in range(10_000):
        try:
            kept.append(save(n))
        except NoSpace as full:
            assert (full.exit_code, full.retry_helps) == (7, True)
            assert "space" in full.hint
            return
    raise AssertionError("the disk never got full")


def _fill(path: Path) -> None:
    with path.open("ab", buffering=0) as file:
        for size in (MB, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                pass


def _all_load(workspace: Workspace, kept: list[Any]) -> None:
    for artefact in kept:
        found = workspace.get(artefact.id)
        if found.type == "model_checkpoint":
            assert found.load().size, found


def read_only_home(folder: Path) -> None:
    home = folder / "home"
    with jeyn.open(home=home) as workspace:
        batch = a_batch(workspace)
        checkpoint = a_checkpoint(workspace, dataset=batch)
    before = _contents(home)
    subprocess.run(["mount", "--bind", str(home), str(home)], check=True)
    subprocess.run(["mount", "-o", "remount,ro,bind", str(home)], check=True)
    assert not os.access(home, os.W_OK)
    with jeyn.open(home=home) as workspace:
        for write in (
            lambda: a_batch(workspace, 2),
            lambda: workspace.model_store.save_checkpoint(READER.update_patch(dataset=batch, model=np.zeros(2))),
            lambda: workspace.model_store.save_use_case(READER),
            lambda: workspace.set_alias(checkpoint, "good"),
            lambda: workspace.keep(b"some bytes", "x"),
        ):
            _refused(write)
        try:
            assert workspace.get(checkpoint.ref).load().tolist() == [1.0]
            print("reading works")
        except NotAllowed as exc:
            # SQLite in WAL needs to make a file beside the catalog, also to read it.
            assert exc.hint and "cannot be" in exc.message
            print("reading is refused:", exc.message)
    subprocess.run(["umount", str(home)], check=True)
    assert _contents(home) == before
    with jeyn.open(home=home) as workspace:
        assert workspace.get(checkpoint.ref).load().tolist() == [1.0]
        assert a_batch(workspace, 2).epoch == 2


def new_home_on_a_read_only_disk(folder: Path) -> None:
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(disk)], check=True)
    with jeyn.open(home=disk / "home") as workspace:
        _refused(lambda: a_batch(workspace))
        _refused(lambda: workspace.get("digits"))


def _refused(act: Callable[[], Any]) -> None:
    try:
        act()
    except NotAllowed as exc:
        assert exc.exit_code == 8
        assert exc.hint
    except JeynError as exc:
        raise AssertionError(f"{type(exc).__name__} instead of NotAllowed: {exc}") from exc
    else:
        raise AssertionError("a read-only home was written to")


def _contents(home: Path) -> dict[str, bytes]:
    passing = ("-wal", "-shm")
    files = (path for path in home.rglob("*") if path.is_file() and not path.name.endswith(passing))
    return {path.relative_to(home).as_posix(): path.read_bytes() for path in files}


SCENARIOS = {each.__name__: each for each in (full_disk, read_only_home, new_home_on_a_read_only_disk)}

if __name__ == "__main__":
    # Nothing that is mounted here reaches anybody else.
    subprocess.run([shutil.which("mount") or "mount", "--make-rprivate", "/"], check=True)
    SCENARIOS[sys.argv[1]](Path(sys.argv[2]))
    print("held")
