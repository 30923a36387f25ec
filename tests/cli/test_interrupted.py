"""Ctrl-C where nothing listens yet: while `jeyn` is imported, and in the user's own imports."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.newcomer import COMMAND, ENVIRONMENT, check_refused, jeyn, write

PRESSED = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"
STOPPED = -signal.SIGINT  # a shell calls it 130
DROPPED = """
import os, signal, time

class Final:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0)  # here it is raised, and dropped

Final()
time.sleep(20)
"""


def test_while_jeyn_is_imported_it_ends_without_a_word(tmp_path: Path) -> None:
    # As a library: a file of the project's own is not what Jeyn imports.
    write(tmp_path, {"site-packages/click.py": PRESSED})
    path = f"{tmp_path / 'site-packages'}:{ENVIRONMENT['PYTHONPATH']}"
    assert jeyn(tmp_path, "--help", PYTHONPATH=path) == (STOPPED, "", "")


def test_what_a_script_runs_in_the_background_ignores_it(tmp_path: Path) -> None:
    write(tmp_path, {"site-packages/click.py": PRESSED + "raise SystemExit('still here')\n"})
    ignoring = ("/bin/sh", "-c", 'trap "" INT; exec "$@"', "sh")
    path = f"{tmp_path / 'site-packages'}:{ENVIRONMENT['PYTHONPATH']}"
    assert jeyn(tmp_path, "--help", prefix=ignoring, PYTHONPATH=path) == (1, "", "still here\n")


@pytest.mark.parametrize("delay", [0.0, 0.03, 0.06, 0.1, 0.2, 0.3])
def test_at_any_early_moment_nothing_of_ours_is_shown(tmp_path: Path, delay: float) -> None:
    write(tmp_path, {"flow.py": "import time\ntime.sleep(60)\n"})
    command = [*COMMAND, "run", "flow.py"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert out == ""
    # Python itself, as it begins, may end with a traceback and 1; all that follows is ours.
    assert process.returncode in (STOPPED, 130, 1), err
    assert "jeyn/cli/main.py" not in err and "site-packages" not in err, err
    assert err.count("error: ") <= 1 and ("error: interrupted" in err or process.returncode != 130), err


def test_an_interrupt_that_python_drops_is_sent_again(tmp_path: Path) -> None:
    write(tmp_path, {"flow.py": DROPPED})
    began = time.monotonic()
    check_refused(jeyn(tmp_path, "run", "flow.py"), 130, "interrupted", "run it again")
    assert time.monotonic() - began < 15


def test_other_errors_in_a_finaliser_are_told_as_ever(tmp_path: Path) -> None:
    write(tmp_path, {"flow.py": "class Final:\n    def __del__(self): 1 / 0\n\nFinal()\nraise SystemExit\n"})
    assert "Exception ignored in" in jeyn(tmp_path, "run", "flow.py").err
