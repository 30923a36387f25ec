"""Runs every benchmark and says which limits hold: `python benchmarks/run.py [--long]`; exit 1 where one does not.

Each module prints what it measured, with both sides of a ratio measured in the same run, and its versions.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
# What each holds (its issue line), and the arguments of the long variant where there is one.
BENCHMARKS = {
    "imports": "A18",
    "validation": "A4",
    "payloads": "A17",
    "lineage": "A16",
    "saves": "A14",
}
LONG = {"saves": ["--long"]}


def main(long: bool) -> int:
    missed = []
    for name, line in BENCHMARKS.items():
        if long and name not in LONG:
            continue
        print(f"── {line} {name} ──", flush=True)
        arguments = LONG[name] if long else []
        done = subprocess.run([sys.executable, str(HERE / f"{name}.py"), *arguments], check=False)
        if done.returncode:
            missed.append(name)
    print("every limit holds" if not missed else f"missed: {', '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main("--long" in sys.argv[1:]))
