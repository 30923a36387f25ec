"""A process that has imported what a pod needs and forks one for each line it is told: pods that start in milliseconds.

Only the main thread is there when it forks, and nothing is open. Each child is a process like a pod's: its own
environment, output and exit code.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import traceback
from typing import Any

import jeyn.workflows.pins
import jeyn.workflows.pod
import jeyn.workflows.runner

for name in ("pyarrow", "numpy", "jeyn.stores.catalog.migrate", "jeyn.workflows.code.environment"):
    __import__(name)


def child(told: dict[str, Any]) -> int:
    log = os.open(told["log"], os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.setsid()
    os.environ.clear()
    os.environ.update(told["env"])
    os.chdir(told["folder"])
    try:
        return jeyn.workflows.pod.Pod(jeyn.workflows.pod.arguments(told["args"])).run()
    except SystemExit as exc:
        return exc.code if isinstance(exc.code, int) else 1
    except BaseException:
        traceback.print_exc()
        return 1


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    gc.freeze()
    for line in sys.stdin:
        told = json.loads(line)
        pid = os.fork()
        if not pid:
            code = child(told)
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            os._exit(code)
        print(json.dumps({"pid": pid}), file=answers, flush=True)
        _, status = os.waitpid(pid, 0)
        print(json.dumps({"code": os.waitstatus_to_exitcode(status)}), file=answers, flush=True)


if __name__ == "__main__":
    main()
