"""Payloads of any size go in and out in bounded memory, measured in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jeyn.stores.payloads import FilePayloads

MB = 1 << 20

# Growth is the highest resident size while working, less the one before; everything is used once first, so that
# neither imports nor thread stacks count.
MEASURE = """
import pathlib, re, sys
from jeyn.stores.payloads import hash_file, open_payloads

store, folder = open_payloads(sys.argv[1]), pathlib.Path(sys.argv[2])

def status(field):
    return int(re.search(field + r":\\s+(\\d+) kB", pathlib.Path("/proc/self/status").read_text())[1]) / 1024

def in_and_out(path):
    hashed = hash_file(path)
    assert store.put(hashed.digest, hashed)
    store.delete(hashed.digest)
    assert store.put(hashed.digest, path)
    buffer = bytearray(1 << 18)
    with store.open(hashed.digest) as reader:
        while reader.readinto(buffer):
            pass
    store.fetch(hashed.digest, folder / "fetched")
    assert hash_file(folder / "fetched").digest == hashed.digest
    (folder / "fetched").unlink()
    store.delete(hashed.digest)

in_and_out(folder / "small")
before = status("VmRSS")
pathlib.Path("/proc/self/clear_refs").write_text("5")
in_and_out(folder / "large")
print(status("VmHWM") - before)
"""


def growth(url: str, folder: Path, size: int) -> float:
    """MB by which a process grows that puts, reads and fetches a payload of `size` bytes."""
    (folder / "small").write_bytes(os.urandom(1000))
    block = os.urandom(MB)
    with (folder / "large").open("wb") as file:
        for n in range(size // MB):
            file.write(n.to_bytes(8) + block[8:])
    command = [sys.executable, "-W", "error", "-c", MEASURE, url, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200)
    (folder / "large").unlink()
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


SIZES = [256 * MB, pytest.param(2048 * MB, marks=pytest.mark.long)]
linux = pytest.mark.skipif(sys.platform != "linux", reason="the highest resident size is read from /proc")


@linux
@pytest.mark.parametrize("size", SIZES)
def test_a_folder_takes_a_large_payload_in_64_mb(tmp_path: Path, size: int) -> None:
    assert growth(FilePayloads(tmp_path / "payloads").url, tmp_path, size) <= 64


@linux
@pytest.mark.parametrize("size", SIZES)
def test_s3_takes_a_large_payload_in_256_mb(s3_url: str, tmp_path: Path, size: int) -> None:
    assert growth(s3_url, tmp_path, size) <= 256
