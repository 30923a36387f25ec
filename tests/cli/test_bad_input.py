"""What is wrong before anything runs: files, pipelines, parameters, plans. One clear message, and nothing is left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.cli.conftest import call, forgetting
from tests.cli.newcomer import ONE, check_document, check_refused, flow, jeyn, write


class Case(NamedTuple):
    """What a newcomer has and types, and the exit code, error, message and hint that they get."""

    files: dict[str, str | bytes]
    args: str
    code: int
    error: str
    message: str
    hint: str


def body(*lines: str, head: str = "def flow():") -> str:
    """A pipeline with these lines."""
    return ONE + f"@jeyn.pipeline\n{head}\n" + "".join(f"    {line}\n" for line in lines)


def just(text: str | bytes, code: int, error: str, message: str, hint: str, args: str = "run flow.py") -> Case:
    return Case({"flow.py": text}, args, code, error, message, hint)


STRONG = body("return one()", head="def flow(strength: float = 1.0):")

FILES = {
    "missing": Case({}, "run flow.py", 3, "NOT_FOUND", 'there is no file "flow.py"', "jeyn new NAME"),
    "misspelt": Case({"flow.py": flow()}, "run flwo.py", 3, "NOT_FOUND", '"flwo.py"', 'did you mean "flow.py"?'),
    "folder": Case({"sub/a.py": ""}, "run sub", 2, "USAGE_ERROR", '"sub" is a folder', "a.py"),
    "text": Case({"flow.txt": ""}, "run flow.txt", 2, "USAGE_ERROR", "no Python file", ".py"),
    "no name": just(flow(), 2, "USAGE_ERROR", '"flow.py:" names no pipeline', "pipeline.py:function", "run flow.py:"),
    "unknown command": just(flow(), 2, "USAGE_ERROR", 'did you mean "run"?', "--help", "rnu flow.py"),
    "unknown option": just(flow(), 2, "USAGE_ERROR", "--sett", "--help", "run flow.py --sett a=1"),
    "no pipeline": just(ONE, 2, "USAGE_ERROR", '"flow.py" has no pipeline', "@pipeline"),
    "a function": just(
        flow(before="def plain(): ..."), 2, "USAGE_ERROR", '"plain" in "flow.py"', "@pipeline", "run flow.py:plain"
    ),
    "an operation": just(flow(), 2, "USAGE_ERROR", '"one" in "flow.py"', "@pipeline", "run flow.py:one"),
    "unknown": just(flow(), 3, "NOT_FOUND", 'has no "flwo"', 'did you mean "flow"?', "run flow.py:flwo"),
    "several": just(
        flow(before="@jeyn.pipeline\ndef first(): return one()"),
        2,
        "USAGE_ERROR",
        '"flow.py" has 2 pipelines: first, flow',
        "flow.py:first",
    ),
    "syntax": just(
        flow(before="def broken(:"),
        2,
        "USAGE_ERROR",
        '"flow.py", line 10: invalid syntax\n    def broken(:\n               ^',
        "mend",
    ),
    "syntax elsewhere": Case(
        {"flow.py": "import helper\n" + flow(), "helper.py": "x = 1\nfor\n"},
        "run flow.py",
        2,
        "USAGE_ERROR",
        '"helper.py", line 2: invalid syntax',
        "mend",
    ),
    "indentation": just(flow(before="def f():\n  a\n    b"), 2, "USAGE_ERROR", '"flow.py", line 12: unexp', "mend"),
    "zeros": just(b"x = 1\0\n", 2, "USAGE_ERROR", '"flow.py"', "UTF-8"),
    "no distribution": just(
        "import nonesuch_dist.sub\n" + flow(),
        1,
        "OPERATION_FAILED",
        "No module named 'nonesuch_dist'",
        "pip install nonesuch_dist",
    ),
    "relative import": Case(
        {"pkg/__init__.py": "", "pkg/flow.py": "from . import helper\n" + flow(), "pkg/helper.py": ""},
        "run pkg/flow.py",
        1,
        "OPERATION_FAILED",
        "from . import helper",
        "put a jeyn.yaml into its parent",
    ),
    "import raises": just(
        "def f():\n    raise KeyError('top')\n\nf()\n",
        1,
        "OPERATION_FAILED",
        "KeyError: 'top'",
        "mend the line it names",
    ),
    "import exits": just("import sys\nsys.exit(3)\n", 1, "OPERATION_FAILED", "SystemExit: 3", "importable"),
    "no text": just(
        "class E(Exception):\n    def __str__(self): raise RuntimeError\nraise E\n",
        1,
        "OPERATION_FAILED",
        "flow.E",
        "mend the line it names",
    ),
    "run on import": just(
        flow() + "flow.run()\n", 2, "USAGE_ERROR", '"flow" is run while its own file', "if __name__ =="
    ),
    "dots": Case({"a.b.py": flow()}, "run a.b.py", 2, "USAGE_ERROR", '"a.b.py" cannot be imported', "rename"),
    "Python's name": Case({"random.py": flow()}, "run random.py", 2, "USAGE_ERROR", "Python's own module", "rename"),
    "an installed name": Case({"numpy.py": flow()}, "run numpy.py", 2, "USAGE_ERROR", '"numpy", which is', "rename"),
}

BODIES = {
    "an index": just(body("{}['k']"), 1, "OPERATION_FAILED", "line 12, in flow\n    {}['k']", "mend the line it names"),
    "an exit": just(body("import sys", "sys.exit(0)"), 1, "OPERATION_FAILED", "SystemExit: 0", "mend the line"),
    "endless": just(
        flow("again()", "def again(): return again()"), 1, "OPERATION_FAILED", "RecursionError", "mend the line"
    ),
    "two of one name": just(
        flow("two()", "one()\n@jeyn.operation(name='one')\ndef two(): return 2").replace(
            "return two", "one(); return two"
        ),
        2,
        "PLAN_INVALID",
        'two operations are called "one": flow:one',
        '@operation(name="…")',
    ),
    "bool": just(
        body("if one(): return one()"), 2, "USAGE_ERROR", '"flow.py", line 12: "one" has no value', "jeyn.when"
    ),
    "loop": just(body("for x in one(): one(x)"), 2, "USAGE_ERROR", "cannot be unpacked or iterated", "op.map("),
    "text": just(body("return one(f'{one()}')"), 2, "USAGE_ERROR", "written into a text", "pass the handle"),
    "an array": just(
        "import numpy\n" + flow("one(numpy.zeros(3))"), 2, "NOT_DIGESTIBLE", '"x" of the operation "one"', ".tolist()"
    ),
    "an open file": just(
        "import sys\n" + flow("one(sys.__stderr__)"), 2, "NOT_DIGESTIBLE", "TextIOWrapper", "jeyn.File"
    ),
    "a path": just("import pathlib\n" + flow("one(pathlib.Path())"), 2, "NOT_DIGESTIBLE", "Path", "jeyn.File"),
    "too many": just(flow("one(1, 2, 3)"), 2, "PLAN_INVALID", "is given 3 arguments and takes 1", "parameters: x"),
    "unknown argument": just(flow("one(y=1)"), 2, "PLAN_INVALID", 'has no parameter "y"', "its parameters: x"),
    "too few": just(
        flow("two()", "@jeyn.operation\ndef two(a): return a"), 2, "PLAN_INVALID", 'is not given "a"', "a=…"
    ),
    "another type": just(flow("one('text')"), 6, "WRONG_TYPE", "'text' (str)", "annotations"),
    "a store": just(
        body("return one(jeyn.dataset_store.get_batch('x@latest'))"), 2, "USAGE_ERROR", '"dataset_store"', "jeyn.ref("
    ),
    "another home": just(body("return one(jeyn.open())"), 2, "USAGE_ERROR", "stores cannot be read", "jeyn.ref("),
    "a search": just(body("return one(jeyn.search('x'))"), 2, "USAGE_ERROR", "stores cannot be read", "jeyn.ref("),
    "itself": just(flow("flow()"), 2, "PLAN_INVALID", "calls itself: flow → flow", "Python loop"),
    "each other": just(
        flow("other()", "@jeyn.pipeline\ndef other(): return flow()"),
        2,
        "PLAN_INVALID",
        "calls itself: flow → other → flow",
        "Python loop",
        "run flow.py:flow",
    ),
    "a run": just(
        flow("inner.run()", "@jeyn.pipeline\ndef inner(): return one()"),
        2,
        "USAGE_ERROR",
        "is run while a pipeline is recorded",
        "inner(…)",
        "run flow.py:flow",
    ),
    "a constant": just(flow("5"), 2, "PLAN_INVALID", "returns 5", "return an output"),
    "a local operation": just(
        flow("make()()", "def make():\n    @jeyn.operation\n    def inner(): ...\n    return inner"),
        2,
        "USAGE_ERROR",
        '"inner" is defined inside another function',
        "top level",
    ),
    "a lambda": just(flow(before="op = jeyn.operation(lambda: 1)"), 2, "USAGE_ERROR", "line 10: @operation", "def"),
}

PARAMETERS = {
    "unknown": just(
        STRONG, 2, "USAGE_ERROR", 'no parameter "strenth"', 'did you mean "strength"?', "run flow.py --set strenth=2"
    ),
    "mistyped": just(STRONG, 2, "USAGE_ERROR", '"strength" cannot be "abc"', "0.5", "run flow.py --set strength=abc"),
    "no value": just(STRONG, 2, "USAGE_ERROR", 'has no "="', "--set name=value", "run flow.py --set strength"),
    "no name": just(STRONG, 2, "USAGE_ERROR", 'has no "="', "--set name=value", "run flow.py --set =1"),
    "twice": just(
        STRONG, 2, "USAGE_ERROR", '"strength" twice', "leave one", "run flow.py --set strength=1 --set strength=2"
    ),
    "not given": just(
        body("return one()", head="def flow(strength: int):"), 2, "PLAN_INVALID", 'given "strength"', "--set strength=…"
    ),
}

SETTINGS = {
    "unknown key": Case(
        {"flow.py": flow(), "jeyn.yaml": "name: x\npipelins:\n  a: b\n"},
        "run flow.py",
        2,
        "USAGE_ERROR",
        '"jeyn.yaml" line 2: "pipelins" is an unknown key',
        'did you mean "pipelines"?',
    ),
    "no YAML": Case(
        {"flow.py": flow(), "jeyn.yaml": "name: x\n  bad: [1\n"}, "run flow.py", 2, "USAGE_ERROR", "line 2", "mend"
    ),
    "a wrong type": Case(
        {"flow.py": flow(), "jeyn.yaml": "name: x\noperations:\n  one:\n    retries: lots\n"},
        "run flow.py",
        2,
        "USAGE_ERROR",
        '"jeyn.yaml" line 4: "operations.one.retries" is \'lots\'',
        "correct",
    ),
    "no text": Case({"flow.py": flow(), "jeyn.yaml": b"\xff\xfe"}, "run flow.py", 2, "USAGE_ERROR", "YAML", "UTF-8"),
    "a pipeline that is not there": Case(
        {"jeyn.yaml": "pipelines:\n  nightly: gone.py:flow\n"},
        "run nightly",
        3,
        "NOT_FOUND",
        '"nightly" of jeyn.yaml is "gone.py:flow"',
        "jeyn.yaml",
    ),
}

ALL = {
    f"{kind}: {name}": case
    for kind, cases in (("file", FILES), ("body", BODIES), ("parameter", PARAMETERS), ("jeyn.yaml", SETTINGS))
    for name, case in cases.items()
}


@pytest.mark.parametrize("name", ALL)
def test_what_cannot_run_is_one_clear_message_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    case = ALL[name]
    write(tmp_path, case.files)
    answer = jeyn(tmp_path, *case.args.split())
    check_refused(answer, case.code, case.message, case.hint)
    left = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")}
    assert left == {Path(each).parts[0] for each in case.files}


@pytest.mark.parametrize("name", ALL)
def test_and_the_same_as_a_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    case = ALL[name]
    monkeypatch.chdir(write(tmp_path, case.files))
    monkeypatch.delenv("JEYN_HOME", raising=False)
    with forgetting(tmp_path):
        answer = call(*case.args.split(), "--json")
    document = check_document(answer, case.code, case.error, case.message)
    assert case.hint in document["error"]["hint"]
    assert document["data"] is None


def test_ctrl_c_while_the_file_is_imported(tmp_path: Path) -> None:
    write(tmp_path, {"flow.py": "raise KeyboardInterrupt\n"})
    check_refused(jeyn(tmp_path, "run", "flow.py"), 130, "interrupted", "run it again")


def test_a_huge_message_is_cut(tmp_path: Path) -> None:
    write(tmp_path, {"flow.py": "raise ValueError('begin' + 'x' * 1_000_000 + 'end')\n"})
    answer = jeyn(tmp_path, "run", "flow.py")
    check_refused(answer, 1, "characters left out", "mend the line it names")
    assert len(answer.err) < 25_000
    assert "ValueError: beginx" in answer.err and "xend\n" in answer.err


# Plans that were edited by hand.

PLANNED = flow("two(one())", "@jeyn.operation\ndef two(x): return x")


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = write(tmp_path_factory.mktemp("planned"), {"flow.py": PLANNED})
    answer = jeyn(folder, "plan", "flow.py", "--json")
    assert answer.code == 0, answer.err
    return json.dumps(answer.data["plan"])


def edited(plan: str, operation: int, **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(plan)
    found["operations"][operation].update(changes)
    return found


EDITS: dict[str, tuple[int, dict[str, Any], int, str, str]] = {
    "no function": (0, {"function": "flow:gone"}, 6, '"flow:gone", which is not there', "make the plan anew"),
    "no module": (0, {"function": "gone:one"}, 6, '"gone:one", which is not there', "make the plan anew"),
    "someone else's": (0, {"function": "os:system"}, 6, '"os:system", which is no operation', "make the plan anew"),
    "the library's": (0, {"function": "subprocess:run"}, 6, '"subprocess:run", which is no', "make the plan anew"),
    "a circle": (0, {"inputs": {"x": {"kind": "output", "operation": "two"}}}, 2, "one → two → one", "cut one"),
    "no operation": (1, {"inputs": {"x": {"kind": "output", "operation": "three"}}}, 2, '"three"', "name of an oper"),
    "no input": (1, {"inputs": {}}, 2, '"two" is not given "x"', "x=…"),
    "more": (0, {"inputs": {"z": {"kind": "constant", "value": 1}}}, 2, '"one" has no parameter "z"', "parameters: x"),
    "one name": (1, {"name": "one"}, 2, 'two operations are called "one"', "rename"),
    "a key": (1, {"colour": "red"}, 5, '"operations.1.colour"', "jeyn plan"),
    "outside": (0, {"inputs": {"x": {"kind": "file", "path": "../../etc/passwd"}}}, 8, "outside the project", "copy"),
    "a reference": (0, {"inputs": {"x": {"kind": "ref", "reference": "!!"}}}, 2, "is not a reference", "use"),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_plan_that_was_edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plan: str, name: str) -> None:
    operation, changes, code, message, hint = EDITS[name]
    write(tmp_path, {"flow.py": PLANNED, "plan.json": json.dumps(edited(plan, operation, **changes))})
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JEYN_HOME", raising=False)
    with forgetting(tmp_path):
        check_refused(call("run", "plan.json"), code, message, hint)


def test_a_plan_of_other_code(tmp_path: Path, plan: str) -> None:
    write(tmp_path, {"flow.py": PLANNED.replace("return x\n", "return x + 1\n"), "plan.json": plan})
    check_refused(jeyn(tmp_path, "run", "plan.json"), 6, '"flow.py:one" changed since', "start a new run")
