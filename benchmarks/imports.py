"""What `import jeyn` costs beside starting the interpreter (A18), and `jeyn --help` beside importing click (B15)."""

from __future__ import annotations

import platform
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

ROUNDS = 40
LIMIT = 2.0
MOST_TIMES_CLICK = 1.5

PASS = (sys.executable, "-c", "pass")
IMPORT = (sys.executable, "-c", "import jeyn")
CLICK = (sys.executable, "-c", "import click")
HELP = (str(Path(sys.executable).with_name("jeyn")), "--help")


def seconds(command: tuple[str, ...]) -> float:
    """Wall-clock seconds of a command in a process of its own."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def alternated(rounds: int, *commands: tuple[str, ...]) -> list[float]:
    """Medians in seconds over alternating runs; a first run of each compiles and warms the caches."""
    for command in commands:
        seconds(command)
    runs = [[seconds(command) for command in commands] for _ in range(rounds)]
    return [median(column) for column in zip(*runs, strict=True)]


def measure(rounds: int = ROUNDS) -> dict[str, float | str]:
    """The medians, and their ratios."""
    bare, imported = alternated(rounds, PASS, IMPORT)
    click, shown = alternated(rounds, CLICK, HELP)
    return {
        "python -c pass (s)": bare,
        "import jeyn (s)": imported,
        "ratio": imported / bare,
        "limit": LIMIT,
        "import click (s)": click,
        "jeyn --help (s)": shown,
        "ratio of help": shown / click,
        "limit of help": MOST_TIMES_CLICK,
        "python": platform.python_version(),
    }


def main() -> int:
    found = measure()
    for name, value in found.items():
        print(f"  {name:20} {value:.4f}" if isinstance(value, float) else f"  {name:20} {value}")
    return 0 if float(found["ratio"]) <= LIMIT and float(found["ratio of help"]) <= MOST_TIMES_CLICK else 1


if __name__ == "__main__":
    sys.exit(main())
