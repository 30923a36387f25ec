"""What `import jeyn` costs beside starting the interpreter (A18: at most twice `python -c pass`)."""

from __future__ import annotations

import platform
import subprocess
import sys
import time
from statistics import median

ROUNDS = 40
LIMIT = 2.0


def seconds(program: str) -> float:
    """Wall-clock seconds that a fresh interpreter takes for `program`."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True)
    return time.perf_counter() - start


def measure(rounds: int = ROUNDS) -> dict[str, float | str]:
    """Medians in seconds over alternating runs, and their ratio; a first run of each compiles and warms the caches."""
    programs = ("pass", "import jeyn")
    for program in programs:
        seconds(program)
    runs = [[seconds(program) for program in programs] for _ in range(rounds)]
    bare, imported = (median(column) for column in zip(*runs, strict=True))
    return {
        "python -c pass (s)": bare,
        "import jeyn (s)": imported,
        "ratio": imported / bare,
        "limit": LIMIT,
        "python": platform.python_version(),
    }


def main() -> int:
    found = measure()
    for name, value in found.items():
        print(f"  {name:20} {value:.4f}" if isinstance(value, float) else f"  {name:20} {value}")
    return 0 if float(found["ratio"]) <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
