"""What `pods.py` runs in a pod: processes as pods start them and processes that only import, in turn; prints JSON.

Given as the text of a `python -c`, so it needs nothing but Python. The one argument is JSON: `command`, which lacks the
name of an operation, `operations`, `imports` and `folder`. Times are seconds: each process is taken from its start
to its end, and of a pod's the user's function is left out, which says in the file TIMES when it was called and when it
returned. The first of each kind is left out too: it warms the disk's cache, and the first pod makes the run's row.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def timed(command: list[str], **variables: str) -> tuple[float, float]:
    """When a process was started, and when it was seen to have ended."""
    start = time.time()
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False)
    end = time.time()
    if done.returncode:
        sys.exit(f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return start, end


def pod(command: list[str], operation: str, folder: str) -> float:
    """A pod's process on an empty home, less the user's function."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        times = Path(place) / "times"
        places = {"JEYN_HOME": f"{place}/home", "JEYN_OUT": f"{place}/out", "TIMES": str(times)}
        start, end = timed([*command, f"--operation={operation}"], **places)
        called, returned = map(float, times.read_text().split())
    return (called - start) + (end - returned)


def imports(modules: str) -> float:
    start, end = timed([sys.executable, "-P", "-u", "-c", f"import {modules}"])
    return end - start


def main(told: dict) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {"pods": [], "imports": []}
    for operation in told["operations"]:
        found["pods"].append(pod(told["command"], operation, told["folder"]))
        found["imports"].append(imports(told["imports"]))
    return {kind: seconds[1:] for kind, seconds in found.items()}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
