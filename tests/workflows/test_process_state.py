"""Every operation starts from the same process state: what one does to its process, the next one does not see."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.workflows.projects import Project, states, until

PROBE = """
import builtins, contextvars, csv, decimal, faulthandler, gc, locale, logging, random, resource, signal, socket
import asyncio, json, multiprocessing, os, ssl, sys, tempfile, threading, time, urllib.request, warnings
import numpy as np

logging.getLogger("ours").setLevel(logging.ERROR)  # what a module says when it is imported stays
os.environ["OURS"] = "said"
decimal.getcontext().prec = 11
warnings.filterwarnings("ignore", message="ours")
VARIABLE = contextvars.ContextVar("variable", default="none")

@operation
def probe(after: dict, name: str) -> dict:
    with warnings.catch_warnings(record=True) as said:
        warnings.warn("of the probe")
    loop = asyncio.get_event_loop_policy().get_event_loop()
    loop.close()
    root = logging.getLogger()
    return {
        "folder": os.getcwd(), "environ": dict(os.environ), "argv": sys.argv, "path": sys.path,
        "random": [random.random(), float(np.random.rand()), float(np.random.randn())],
        "signals": [str(signal.getsignal(each)) for each in (1, 2, 10, 12, 13, 14, 17)],
        "mask": [int(each) for each in signal.pthread_sigmask(signal.SIG_BLOCK, ())],
        "timers": [list(signal.getitimer(each)) for each in (0, 1, 2)],
        "filters": [str(each) for each in warnings.filters], "warned": [str(each.message) for each in said],
        "shows": warnings.showwarning.__qualname__, "locale": locale.setlocale(locale.LC_ALL),
        "zone": [time.tzname, time.localtime(0).tm_hour, time.strftime("%Z", time.localtime(0))],
        "logging": [root.level, root.manager.disable, [type(each).__name__ for each in root.handlers],
                    [[logging.getLogger(each).level, logging.getLogger(each).disabled,
                      len(logging.getLogger(each).handlers)] for each in ("ours", "noisy", "jeyn")]],
        "umask": os.umask(0o22), "limit": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "decimal": decimal.getcontext().prec, "numpy": [np.geterr()["divide"], np.get_printoptions()["precision"]],
        "sys": [sys.getrecursionlimit(), sys.getswitchinterval(), sys.get_int_max_str_digits(), sys.excepthook.__name__,
                str(sys.gettrace()), sys.stdout.closed, sys.stderr.closed, sys.stdout.encoding, sys.stdin.closed],
        "built": [len([]), hasattr(builtins, "mine"), type(print).__name__], "socket": socket.getdefaulttimeout(),
        "gc": [gc.isenabled(), gc.get_threshold()], "temp": tempfile.tempdir,
        "csv": [csv.field_size_limit(), next(csv.reader(["a;b,c"], "excel"))],
        "processes": multiprocessing.get_start_method(allow_none=True), "variable": VARIABLE.get(),
        "level": logging.getLevelName(5), "nice": os.getpriority(os.PRIO_PROCESS, 0), "module": str(json.dumps),
        "opener": str(urllib.request._opener), "https": ssl._create_default_https_context.__name__,
        "fault": faulthandler.is_enabled(), "process": os.getpid() and 0,
    }
"""
DIRTIERS = {
    "folder": "os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')",
    "elsewhere": "os.chdir('/')",
    "environ": "os.environ['NEW'] = '1'; os.environ['OURS'] = 'other'; del os.environ['PATH']",
    "environ_replaced": "os.environ = {'ONLY': 'this'}",
    "environ_cleared": "os.environ.clear()",
    "argv": "sys.argv = ['x', '--flag']; sys.path.insert(0, '/nowhere')",
    "random": "random.seed(1); np.random.set_bit_generator(np.random.PCG64(3)); np.random.rand(7); random.gauss(0, 1)",
    "signals": "[signal.signal(each, print) for each in (2, 10, 12, 15)]; signal.signal(17, signal.SIG_IGN)",
    "mask": "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGUSR1])",
    "alarm": "signal.signal(14, lambda *_: os._exit(9)); signal.setitimer(0, 0.05)",
    "alarm_by_default": "signal.alarm(1); signal.setitimer(1, 0.5)",
    "filters": "warnings.simplefilter('error'); warnings.showwarning = print",
    "filters_reset": "warnings.resetwarnings(); logging.captureWarnings(True); warnings.warn('of the probe')",
    "locale": "locale.setlocale(locale.LC_ALL, 'C')",
    "zone": "os.environ['TZ'] = 'Asia/Tokyo'; time.tzset(); time.localtime()",
    "zone_only": "os.environ['TZ'] = 'Asia/Tokyo'; time.tzset(); del os.environ['TZ']",
    "logging": "logging.disable(50); logging.getLogger('noisy').setLevel(50); logging.getLogger('ours').setLevel(10)",
    "logging_handlers": "logging.root.handlers.clear(); logging.getLogger('noisy').addHandler(logging.StreamHandler())",
    "logging_config": "import logging.config; logging.config.dictConfig({'version': 1, 'root': {'level': 'DEBUG'}})",
    "umask": "os.umask(0o77); resource.setrlimit(7, (99, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))",
    "decimal": "decimal.getcontext().prec = 3; decimal.setcontext(decimal.Context(prec=2))",
    "numpy": "np.seterr(all='raise'); np.set_printoptions(precision=2)",
    "sys": "sys.setrecursionlimit(5000); sys.setswitchinterval(1); sys.set_int_max_str_digits(0)",
    "hooks": "sys.excepthook = print; sys.path_hooks.clear(); sys.meta_path.clear()",
    "trace": "sys.settrace(lambda *_: None); sys.setprofile(None)",
    "stdout": "sys.stdout.close()",
    "streams": "sys.stderr.close(); sys.stdin.close(); sys.stdout = open(os.devnull, 'w')",
    "descriptors": "os.close(1); os.close(2)",
    "encoding": "sys.stdout.reconfigure(encoding='latin-1')",
    "builtins": "builtins.len = lambda _: 7; builtins.mine = 1",
    "socket": "socket.setdefaulttimeout(0.01); gc.disable(); gc.set_threshold(1); csv.field_size_limit(5)",
    "dialects": "csv.register_dialect('excel', delimiter=';')",
    "dialect_gone": "csv.unregister_dialect('excel')",
    "temp": "tempfile.tempdir = '/nowhere'; faulthandler.enable(); faulthandler.dump_traceback_later(0.1, exit=True)",
    "processes": "multiprocessing.set_start_method('forkserver', force=True)",
    "loop": "asyncio.run(asyncio.sleep(0))",
    "levels": "logging.addLevelName(5, 'TRACE'); logging.addLevelName(30, 'Careful')",
    "nice": "os.nice(3); os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1])",
    "opener": "urllib.request.install_opener(urllib.request.build_opener())",
    "https": "ssl._create_default_https_context = ssl._create_unverified_context",
    "modules": "import types; sys.modules['json'] = types.SimpleNamespace(dumps=1); del sys.modules['csv']",
    "variable": "VARIABLE.set('mine')",
}


def flow(dirtiers: dict[str, str]) -> str:
    """Each dirtier, and a probe after it, in one line: a single worker runs them in this order."""
    text, body = PROBE, "    found = probe.options(name='first')({}, 'first')\n    all = {'first': found}\n"
    for name, code in dirtiers.items():
        text += f"\n@operation\ndef do_{name}(after: dict) -> dict:\n    {code}\n    return {{}}\n"
        body += f"    found = all['{name}'] = probe.options(name='after-{name}')(do_{name}(found), '{name}')\n"
    return f"{text}\n@pipeline\ndef flow():\n{body}    return all\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


def without_seed(found: dict[str, object]) -> str:
    """The seed is of the operation's key, which differs here by the probe's own input."""
    return json.dumps({**found, "random": None}, sort_keys=True, indent=1)


def test_rule_35_every_operation_starts_from_the_same_process_state(project: Project) -> None:
    project.write(flow(DIRTIERS))
    run = project.run(workers=1, cache=False)
    assert set(states(run).values()) == {"succeeded"}, run.error
    found = run.outputs
    assert found["first"]["folder"] == str(project.folder)
    assert found["first"]["environ"]["OURS"] == "said" and found["first"]["decimal"] == 11
    assert found["first"]["logging"][3][0] == [40, False, 0]
    for name in DIRTIERS:
        assert without_seed(found[name]) == without_seed(found["first"]), name


def test_rule_35_random_numbers_are_those_of_the_operation_alone(project: Project) -> None:
    text = """
@operation
def spoil() -> int:
    import random
    import numpy as np
    random.seed(7), np.random.seed(7), np.random.rand(5), np.random.set_bit_generator(np.random.SFC64())
    return 1

@operation
def draw(count: int = 1) -> list:
    import random
    import numpy as np
    return [random.random(), float(np.random.rand()), float(np.random.randn())]

@pipeline
def alone():
    return draw()

@pipeline
def flow():
    with jeyn.when(spoil() == 1):
        return draw()
"""
    project.write(text)
    alone = project.run("alone", cache=False).outputs["return"]  # NumPy is imported by the function itself
    assert project.run("flow", workers=1, cache=False).outputs["return"] == alone
    assert project.run("alone", cache=False, isolated=True).outputs["return"] == alone


def test_rule_35_options_of_libraries_are_those_of_the_operation_alone(project: Project) -> None:
    project.write(
        """
import logging

@operation
def change() -> dict:
    import pandas as pd, torch
    pd.set_option("display.max_rows", 3, "mode.string_storage", "python")
    torch.use_deterministic_algorithms(True), torch.set_default_dtype(torch.float64)
    logging.raiseExceptions = False
    logging.setLogRecordFactory(lambda *a, **k: 1 / 0)
    return {}

@operation
def look(after: dict) -> list:
    import pandas as pd, torch
    logging.getLogger("a").warning("a record")
    return [pd.get_option("display.max_rows"), pd.get_option("mode.string_storage"), str(torch.get_default_dtype()),
            torch.are_deterministic_algorithms_enabled(), logging.raiseExceptions]

@pipeline
def flow():
    first = look.options(name="first")({})
    return {"first": first, "second": look.options(name="second")(change())}
"""
    )
    found = project.run(workers=1).outputs
    assert found["first"] == found["second"] == [60, "auto", "torch.float32", False, True]


def test_rule_35_generators_of_the_projects_modules_start_again(project: Project) -> None:
    project.write(
        """
import random
import numpy as np
import torch
ONE, TWO, THREE = random.Random(7), np.random.default_rng(7), np.random.RandomState(7)
FOUR = torch.Generator().manual_seed(7)

@operation
def draw(after: list) -> list:
    return [ONE.random(), TWO.random(), THREE.random(), float(torch.rand(1, generator=FOUR))]

@operation
def late(after: list) -> list:
    import drawn
    return [drawn.ONE.random()]

@pipeline
def flow():
    first = draw.options(name="first")([])
    third = late.options(name="third")(first)
    return {"first": first, "second": draw.options(name="second")(first), "third": third,
            "fourth": late.options(name="fourth")(third)}
"""
    ).write("import random\nONE = random.Random(7)\n", "drawn.py")
    run = project.run(workers=1)
    found = run.outputs
    assert found["first"] == found["second"] and found["third"] == found["fourth"]
    assert "another value" not in run.logs()
    assert set(states(project.run(workers=1)).values()) == {"cached"}


def test_rule_35_isolated_is_a_new_process_for_each(project: Project) -> None:
    project.write(
        "SEEN = []\n\n@operation\ndef one(after: list) -> list:\n    SEEN.append(1)\n"
        "    return [*after, os.getpid(), len(SEEN)]\n\n@operation\ndef number(x: int) -> list:\n"
        "    return [os.getpid()]\n\n@pipeline\ndef flow():\n    return one(one(one([]))), number.map(x=[1, 2, 3, 4])\n"
    )
    run = project.run(isolated=True, workers=2)
    pids, items = run.outputs.values()
    assert pids[1::2] == [1, 1, 1]
    assert len({*pids[::2], *(each[0] for each in items)}) == 7
    reused = project.run(workers=1, cache=False).outputs
    assert reused["0"][1::2] == [1, 2, 3]  # what Python objects hold is not put back
    assert not list((project.folder / ".jeyn/spool").iterdir())


def test_work_that_goes_on_has_its_process_for_itself(project: Project) -> None:
    project.write(
        "import threading\n\ndef later():\n    time.sleep(1)\n    Path('done').touch()\n\n"
        "@operation\ndef one() -> int:\n    threading.Thread(target=later).start()\n    return os.getpid()\n\n"
        "@operation\ndef two(before: int) -> bool:\n    return before == os.getpid()\n\n"
        "@pipeline\ndef flow():\n    return two(one())\n"
    )
    assert project.run(workers=1).outputs["return"] is False
    until((project.folder / "done").exists)


def test_no_alarm_of_an_operation_rings_after_it(project: Project) -> None:
    project.write(
        "import signal\n\nclass Slow:\n    pass\n\n@operation\ndef one() -> int:\n"
        "    signal.signal(signal.SIGALRM, lambda *_: os._exit(3))\n    signal.setitimer(signal.ITIMER_REAL, 0.2)\n"
        "    return 1\n\n@operation\ndef two(x: int) -> int:\n    time.sleep(0.5)\n    return x\n\n"
        "@pipeline\ndef flow():\n    return two(one())\n"
    )
    assert project.run(workers=1).state == "succeeded"


def test_a_pool_of_forked_processes_leaves_no_word_in_the_log(project: Project) -> None:
    project.write(
        "import multiprocessing\n\ndef double(x):\n    return 2 * x\n\n@operation\ndef one() -> list:\n"
        "    for _ in range(10):\n        with multiprocessing.get_context('fork').Pool(2) as pool:\n"
        "            found = pool.map(double, [1, 2])\n    return found\n\n"
        "@pipeline\ndef flow():\n    return one()\n"
    )
    run = project.run()
    assert (run.outputs["return"], run.logs()) == ([2, 4], "")


def test_a_forked_child_that_is_told_to_stop_at_once_ends(project: Project) -> None:
    """Or a pool that ends before one of its processes took its first step waits for it for ever."""
    project.write(
        "import os, signal, time\n\n@operation\ndef one() -> list:\n    found = []\n    for _ in range(20):\n"
        "        child = os.fork()\n        if not child:\n            time.sleep(20)\n            os._exit(7)\n"
        "        os.kill(child, signal.SIGTERM)\n"
        "        found.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
        "        if found[-1] != -signal.SIGTERM:\n            break\n    return found\n\n"
        "@pipeline\ndef flow():\n    return one()\n"
    )
    assert project.run().outputs["return"] == [-15] * 20


def test_a_closed_stdout_is_the_operations_own(project: Project) -> None:
    project.write(
        "import logging\n\n@operation\ndef one() -> int:\n    print('before')\n    sys.stdout.close()\n"
        "    sys.stderr.close()\n    return 1\n\n@operation\ndef two(x: int) -> int:\n    print('after')\n"
        "    logging.warning('logged')\n    raise ValueError('told')\n\n@pipeline\ndef flow():\n    return two(one())\n"
    )
    run = project.run(workers=1)
    assert states(run) == {"one": "succeeded", "two": "failed"}
    assert run.logs("one") == "before\n"
    assert "after\n" in run.logs("two") and "logged" in run.logs("two") and "ValueError: told" in run.logs("two")
