"""The code package: which files are in it, that it is the same bytes for the same files, and its unpacking."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import subprocess
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

import jeyn
from jeyn.errors import Corrupt, Invalid, NotAllowed, UsageError
from jeyn.sdk.canonical import sha256_of
from jeyn.stores.code import code_payload, save_code
from jeyn.workflows.code import package as package_module
from jeyn.workflows.code.archive import unpack_code
from jeyn.workflows.code.package import CodePackage, package_code


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def names(package: CodePackage) -> set[str]:
    return {path for path, _size, _digest in package.files}


def pack(root: Path, **options: Any) -> CodePackage:
    return package_code(root, kept=(root / ".jeyn",), **options)


@pytest.fixture
def project(root: Path, write: Any) -> Path:
    write("pipeline.py", "x = 1\n")
    write("lib/models.py", "y = 1\n")
    write("README.md", "read\n")
    write("picture.png", "png")
    write(".jeyn/catalog.json", "{}")
    write("env/pyvenv.cfg", "")
    write("env/lib/installed.py", "")
    write("lib/__pycache__/models.py", "")
    return root


@pytest.fixture
def repository(project: Path, write: Any) -> Path:
    write(".gitignore", "ignored/\n*.log\n")
    write("ignored/secret.py", "")
    git(project, "init", "-q")
    git(project, "add", "pipeline.py", "README.md", ".gitignore", "jeyn.yaml")
    git(project, "commit", "-qm", "first")
    return project


def test_without_git_files_count_by_suffix(project: Path) -> None:
    package = pack(project)
    assert names(package) == {"pipeline.py", "lib/models.py", "README.md", "jeyn.yaml"}
    assert (package.commit, package.dirty) == (None, False)


def test_with_git_tracked_and_untracked_files_count(repository: Path) -> None:
    package = pack(repository)
    assert names(package) == {"pipeline.py", "README.md", ".gitignore", "jeyn.yaml", "lib/models.py", "picture.png"}
    assert package.commit is not None and len(package.commit) == 40
    assert package.dirty


def test_dirty_is_about_the_packages_files(repository: Path, write: Any) -> None:
    git(repository, "add", "lib/models.py", "picture.png")
    git(repository, "commit", "-qm", "second")
    assert not pack(repository).dirty
    write("a.log", "ignored")
    assert not pack(repository).dirty
    write("pipeline.py", "x = 2\n")
    assert pack(repository).dirty
    write("pipeline.py", "x = 1\n")
    (repository / "README.md").unlink()
    package = pack(repository)
    assert package.dirty and "README.md" not in names(package)


def test_a_root_below_the_repository_has_its_own_files_only(repository: Path, write: Any) -> None:
    write("sub/p.py", "")
    git(repository, "add", "sub")
    git(repository, "commit", "-qm", "third")
    package = pack(repository / "sub")
    assert names(package) == {"p.py"} and package.commit and not package.dirty
    write("sub/p.py", "z = 1\n")
    assert pack(repository / "sub").dirty


def test_a_root_that_the_repository_ignores_stands_for_itself(repository: Path) -> None:
    package = pack(repository / "ignored")
    assert names(package) == {"secret.py"} and package.commit is None


def test_a_submodule_is_skipped(repository: Path) -> None:
    inner = repository / "inner"
    inner.mkdir()
    (inner / "m.py").write_text("")
    git(inner, "init", "-q")
    git(inner, "add", ".")
    git(inner, "commit", "-qm", "inner")
    git(repository, "add", "inner")
    assert not {path for path in names(pack(repository)) if path.startswith("inner")}


@pytest.mark.parametrize("kind", ["project", "repository"])
def test_jeynignore_and_data_are_left_out(request: pytest.FixtureRequest, kind: str, write: Any) -> None:
    root = request.getfixturevalue(kind)
    write(".jeynignore", "lib/*\n!lib/kept.py\n/README.md\n")
    write("lib/kept.py", "")
    write("data/day-1.json", "{}")
    write("data/notes.txt", "")
    found = names(pack(root, excluded_patterns=["data/**/*.json"]))
    assert {"lib/kept.py", "data/notes.txt", ".jeynignore"} <= found
    assert not {"lib/models.py", "README.md", "data/day-1.json"} & found
    assert "data/day-1.json" not in names(pack(root, data=root / "data", excluded_patterns=["*.json"]))


@pytest.mark.parametrize("kind", ["project", "repository"])
def test_links_that_leave_the_root_are_left_out(request: pytest.FixtureRequest, kind: str, tmp_path: Path) -> None:
    root = request.getfixturevalue(kind)
    (tmp_path / "outside.py").write_text("secret")
    (root / "out.py").symlink_to(tmp_path / "outside.py")
    (root / "inside.py").symlink_to(root / "pipeline.py")
    (root / "linked").symlink_to("lib")
    package = pack(root)
    assert "out.py" not in names(package) and {"inside.py", "linked"} <= names(package)
    folder = unpack_code(package.payload, package.digest, tmp_path / "code")
    assert (folder / "inside.py").read_text() == "x = 1\n"
    assert (folder / "linked/models.py").read_text() == "y = 1\n"


def test_the_same_files_are_the_same_bytes(repository: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    shutil.copytree(repository, other)
    for place in other.rglob("*"):
        os.utime(place, (1, 1))
    (other / "lib").chmod(0o700)
    first, second = pack(repository), pack(other)
    assert first.digest == second.digest and first.payload == second.payload and first.tar == second.tar
    (other / "pipeline.py").chmod(0o755)
    assert pack(other).digest != first.digest


def test_names_of_every_kind_go_round(project: Path, write: Any, tmp_path: Path) -> None:
    long = "/".join(["folder" * 8] * 4) + "/été ☀.py"
    write(long, "z = 3\n")
    package = pack(project, extra={"notebook_1.py": "a = 1\n"})
    folder = unpack_code(package.payload, package.digest, tmp_path / "code")
    assert (folder / long).read_text() == "z = 3\n"
    assert (folder / "notebook_1.py").read_text() == "a = 1\n"
    assert {each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file()} == names(package)


def test_a_file_that_is_too_large_is_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "big.json").write_bytes(b"0" * 3000)
    monkeypatch.setattr(package_module, "LARGEST_PACKAGE", 2000)
    with pytest.raises(Invalid, match=r'biggest: "big\.json".*') as caught:
        pack(project)
    assert ".jeynignore" in caught.value.hint
    with (project / "huge.json").open("wb") as file:
        file.truncate(10 * 2**20 + 1)
    with pytest.raises(Invalid, match=r'too large.*"huge\.json" \(10\.0 MB\)'):
        pack(project)
    (project / ".jeynignore").write_text("*.json\n")
    assert "huge.json" not in names(pack(project))


def test_unpacking_again_writes_nothing(project: Path, tmp_path: Path) -> None:
    package = pack(project)
    package.write(tmp_path / "package.tar.gz")
    folder = unpack_code(tmp_path / "package.tar.gz", package.digest, tmp_path / "code")
    assert folder == tmp_path / "code" / package.digest[7:]
    before = {path: path.lstat().st_ctime_ns for path in folder.rglob("*")}
    assert unpack_code(tmp_path / "package.tar.gz", package.digest, tmp_path / "code") == folder
    assert {path: path.lstat().st_ctime_ns for path in folder.rglob("*")} == before
    assert [each.name for each in (tmp_path / "code").iterdir()] == [folder.name]


def test_damaged_packages_are_refused(project: Path, tmp_path: Path) -> None:
    package = pack(project)
    for bad in (package.payload[:-20], b"no gzip", gzip.compress(package.tar + b"\0"), b""):
        with pytest.raises(Corrupt):
            unpack_code(bad, package.digest, tmp_path / "code")
    with pytest.raises(UsageError):
        unpack_code(package.payload, "sha256:../../etc", tmp_path / "code")
    assert not list(tmp_path.glob("code/*"))


@pytest.mark.parametrize(("name", "link"), [("../out.py", ""), ("in.py", "../../../etc/passwd"), ("in.py", "/etc")])
def test_names_that_escape_are_refused(tmp_path: Path, name: str, link: str) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = (tarfile.SYMTYPE, link) if link else (tarfile.REGTYPE, "")
        archive.addfile(info)
    with pytest.raises(NotAllowed):
        unpack_code(gzip.compress(out.getvalue()), sha256_of(out.getvalue()), tmp_path / "code")
    assert not list(tmp_path.glob("code/*")) and not (tmp_path / "out.py").exists()


def test_a_package_is_kept_once(project: Path, home: Path, tmp_path: Path) -> None:
    os.chdir(project)
    package = pack(project)
    with jeyn.open(home=home) as workspace:
        saved = save_code(workspace, package)
        commits = workspace.events()
        assert save_code(workspace, pack(project)).id == saved.id
        assert workspace.events() == commits
        digest, payload = code_payload(workspace, saved.id)
    assert (unpack_code(payload, digest, tmp_path / "code") / "pipeline.py").read_text() == "x = 1\n"


def test_two_hundred_files_are_quick(repository: Path, write: Any) -> None:
    for number in range(200):
        write(f"many/m{number}.py", "x = 1\n" * 200)
    git(repository, "add", ".")
    pack(repository)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        pack(repository)
        times.append(time.perf_counter() - began)
    assert min(times) < 0.2, times  # measured 0.03; the limit allows for a busy machine
