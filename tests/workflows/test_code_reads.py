# ruff: noqa: E501 - each case is one line
"""Files that a project's modules read while they are imported, with an effect and no value that tells their content."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jeyn.workflows.code.digest import function_code
from jeyn.workflows.code.values import HeldValues
from tests.workflows.projects import ROOT, Project, states

FLOW = """
import json
{head}

@operation
def one() -> str:
    {give}

@pipeline
def flow():
    return one()
"""
READ = 'json.loads(Path("p.json").read_text())["a"]'


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("TOLD", "")
    found = Project(tmp_path / "project").write('{"a": 1}', "p.json")
    monkeypatch.chdir(found.folder)
    return found


def run(project: Project) -> dict[str, str]:
    return states(project.run(workers=1).check())


# Each: what stands before the operation, and what the operation gives.
EFFECTS = {
    "the environment": (f'os.environ["TOLD"] = str({READ})', 'return os.environ["TOLD"]'),
    "a function that is called": (
        f'def setup():\n    os.environ["TOLD"] = str({READ})\nsetup()',
        'return os.environ["TOLD"]',
    ),
    "an option of a library": (
        f'import pandas as pd\npd.set_option("display.max_rows", {READ})',
        'return str(pd.get_option("display.max_rows"))',
    ),
    "a place without a value": (
        f"class Holder:\n    __slots__ = ()\n    told = []\nHolder.told.append({READ})",
        "return str(Holder.told)",
    ),
    "logging": (
        f'import logging\nlogging.getLogger("mine").setLevel({READ})',
        'return str(logging.getLogger("mine").level)',
    ),
    "another module": ("import settings", "return settings.told()"),
    "a module that is there for what it does": ("import plugin", 'return os.environ["TOLD"]'),
}
SETTINGS = f"import json, os\nfrom pathlib import Path\nos.environ['TOLD'] = str({READ})\ndef told(): return os.environ['TOLD']\n"


@pytest.mark.parametrize("name", EFFECTS)
def test_rule_36_a_file_that_an_effect_of_importing_reads_counts(project: Project, name: str) -> None:
    head, give = EFFECTS[name]
    project.write(FLOW.format(head=head, give=give))
    project.write(SETTINGS, "settings.py").write(SETTINGS, "plugin.py")
    assert run(project) == {"one": "succeeded"}
    first = project.last().outputs["return"]
    assert run(project) == {"one": "cached"}
    project.write('{"a": 23}', "p.json")

    assert run(project) == {"one": "succeeded"}
    assert "23" in project.last().outputs["return"] and "23" not in first
    project.write('{"a": 1}', "p.json")
    assert run(project) == {"one": "cached"} and project.last().outputs["return"] == first


def test_rule_36_dotenv_and_logging_files_count(project: Project) -> None:
    pytest.importorskip("dotenv")
    head = "import logging.config\nfrom dotenv import load_dotenv\nload_dotenv(override=True)\nlogging.config.fileConfig('log.ini')"
    project.write(FLOW.format(head=head, give='return os.environ["TOLD"] + str(logging.getLogger("mine").level)'))
    ini = "[loggers]\nkeys=root,mine\n[handlers]\nkeys=\n[formatters]\nkeys=\n[logger_root]\nhandlers=\n[logger_mine]\nhandlers=\nqualname=mine\nlevel="
    project.write("TOLD=a\n", ".env").write(f"{ini}INFO\n", "log.ini")
    assert run(project) == {"one": "succeeded"} and project.last().outputs["return"] == "a20"
    assert run(project) == {"one": "cached"}
    project.write("TOLD=b\n", ".env")
    assert run(project) == {"one": "succeeded"} and project.last().outputs["return"] == "b20"
    project.write(f"{ini}ERROR\n", "log.ini")
    assert run(project) == {"one": "succeeded"} and project.last().outputs["return"] == "b40"


def test_a_logging_configuration_of_the_project_leaves_jeyns_messages(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    head = "import logging.config\nlogger = logging.getLogger('jeyn.tried')\nlogging.config.dictConfig({'version': 1})"
    project.write(FLOW.format(head=head, give="logger.warning('told there'); return ''"))
    logging.getLogger("jeyn.tried")
    assert run(project) == {"one": "succeeded"}
    logging.getLogger("jeyn.tried").warning("told here")
    assert "told here" in caplog.text and "told there" in project.last().logs()


def reads(project: Project, head: str) -> set[str]:
    """The files that count for the operation, which uses what `CFG` is."""
    project.write(FLOW.format(head=head, give="return str(CFG)" if "CFG" in head else 'return ""'))
    with project.imported():
        code = function_code(sys.modules["pipeline"].one, root=project.folder)
    return {part.removesuffix(" (read at import)") for part in code.parts if part.endswith(" (read at import)")}


TAKE = "import os\nos.environ['TOLD'] = Path({path}).read_text()[:9]"


def test_rule_36_which_files_count(project: Project, tmp_path: Path) -> None:
    (tmp_path / "beside.txt").write_text("x")
    project.write("here", "conf/a.txt")
    assert reads(project, TAKE.format(path="'conf/' + 'a.txt'")) == {"conf/a.txt"}
    assert reads(project, TAKE.format(path="'../beside.txt'")) == {"../beside.txt"}
    assert reads(project, "import logging\nlogging.basicConfig(filename='run.log')\nlogging.error('x')") == set()
    assert reads(project, "Path('stamp').write_text('x')\n" + TAKE.format(path="'stamp'")) == set()
    assert reads(project, TAKE.format(path="'/proc/self/stat'")) == set()
    assert reads(project, TAKE.format(path="json.__file__")) == set()
    assert (
        reads(project, "import warnings\nwarnings.simplefilter('default')\nwarnings.warn('shown with its line')")
        == set()
    )
    optional = "try:\n    os.environ['TOLD'] = Path('local' + '.txt').read_text()\nexcept FileNotFoundError:\n    pass"
    assert reads(project, optional) == {"local.txt"}
    assert reads(project, "with open('p.json') as f:\n    CFG = json.load(f)") == set()
    # A value tells what was in the file, or a statement that no operation needs.
    assert (
        reads(
            project, "CFG = json.loads(Path('p.json').read_text())\nclass Read:\n    text = Path('p.json').read_text()"
        )
        == set()
    )


def test_rule_36_a_script_counts_them_as_the_command_line_does(project: Project) -> None:
    project.write(FLOW.format(head=EFFECTS["the environment"][0], give=EFFECTS["the environment"][1]))
    text = (project.folder / "pipeline.py").read_text()
    project.write(f"{text}\nif __name__ == '__main__':\n    flow.run().check()\n")
    assert run(project) == {"one": "succeeded"}
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for content, state in (('{"a": 1}', "cached"), ('{"a": 5}', "succeeded")):
        project.write(content, "p.json")
        script = subprocess.run([sys.executable, "pipeline.py"], cwd=project.folder, env=environment, timeout=120)
        assert script.returncode == 0
        assert states(project.last()) == {"one": state}


def test_rule_36_a_module_that_is_imported_late_counts_the_files_that_its_text_names(project: Project) -> None:
    project.write(SETTINGS, "settings.py")
    project.write(FLOW.format(head="", give="import settings\n    return settings.told()"))
    assert run(project) == {"one": "succeeded"}
    project.write('{"a": 9}', "p.json")
    assert run(project) == {"one": "succeeded"} and project.last().outputs["return"] == "9"


def test_rule_36_a_file_that_is_another_for_the_worker_is_not_what_the_cache_gives(project: Project) -> None:
    parts = {"p.json (read at import)": "sha256:of what the plan saw", "pipeline.py:one": "sha256:"}
    held = HeldValues(parts, run, project.folder)
    assert list(held.others) == ["p.json (read at import)"]
    gone = HeldValues({".env (read at import)": "sha256:"}, run, project.folder)
    assert gone.others == {".env (read at import)": "missing"}


HYDRA = "import importlib\ndef make(c):\n    m, _, n = c['target'].rpartition('.')\n    return getattr(importlib.import_module(m), n)()\n"
# Each: what stands before the operation, what it gives, the project's other files, and one edit of them.
ANYHOW: dict[str, tuple[str, str, dict[str, str], dict[str, str]]] = {
    "a property": (
        "class C:\n    def __init__(s, p): s.p = p\n    @property\n    def a(s): return Path(s.p).read_text()\nc = C('a.txt')\nX = c.a",
        "X",
        {"a.txt": "1"},
        {"a.txt": "2"},
    ),
    "a cache that is warm": (
        "import functools\n@functools.cache\ndef cfg(): return Path('a' + '.txt').read_text()\ncfg()",
        "cfg()",
        {"a.txt": "1"},
        {"a.txt": "2"},
    ),
    "data of a package": (
        "import pkgutil\nos.environ['TOLD'] = pkgutil.get_data('lib', 'd' + '.txt').decode()",
        "os.environ['TOLD']",
        {"lib/__init__.py": "", "lib/d.txt": "1"},
        {"lib/d.txt": "2"},
    ),
    "a template": (
        "import jinja2\nT = jinja2.Environment(loader=jinja2.FileSystemLoader('t')).get_template('a' + '.txt')",
        "T.render()",
        {"t/a.txt": "1"},
        {"t/a.txt": "2"},
    ),
    "an iterator": ("I = (x for x in Path('a' + '.txt').read_text())", "next(I)", {"a.txt": "1"}, {"a.txt": "2"}),
    "compiled code": (
        "C = compile(Path('a' + '.txt').read_text(), 'x', 'eval')",
        "eval(C)",
        {"a.txt": "1"},
        {"a.txt": "2"},
    ),
    "an object in a library": (
        "import logging\nclass F(logging.Filter):\n    def __init__(s, w): s.w = w\nL = logging.getLogger('q')\nL.addFilter(F(Path('a' + '.txt').read_text()))",
        "L.filters[0].w",
        {"a.txt": "1"},
        {"a.txt": "2"},
    ),
    "one file more in a folder": (
        "for each in sorted(Path('conf').glob('*.txt')):\n    os.environ[each.stem] = each.read_text()",
        "os.environ.get('b', '')",
        {"conf/a.txt": "1"},
        {"conf/b.txt": "2"},
    ),
    "a class that a text names": (
        "from make import make\nCFG = {'target': 'impl.models.A'}",
        "make(CFG).x",
        {"make.py": HYDRA, "impl/__init__.py": "", "impl/models.py": "class A: x = '1'\n"},
        {"impl/models.py": "class A: x = '2'\n"},
    ),
    "a class that a file names": (
        "from make import make\nCFG = json.loads(Path('c.json').read_text())",
        "make(CFG).x",
        {
            "make.py": HYDRA,
            "impl/__init__.py": "",
            "impl/models.py": "class A: x = '1'\n",
            "c.json": '{"target": "impl.models.A"}',
        },
        {"impl/models.py": "class A: x = '2'\n"},
    ),
    "a module by a table of names": (
        "import lib",
        "lib.f()",
        {
            "lib/__init__.py": "_M = {'f': '.impl'}\ndef __getattr__(n):\n    import importlib\n    return getattr(importlib.import_module(_M[n], __name__), n)\n",
            "lib/impl.py": "def f(): return '1'\n",
        },
        {"lib/impl.py": "def f(): return '2'\n"},
    ),
}


@pytest.mark.parametrize("name", ANYHOW)
def test_rule_36_wherever_what_was_read_is_kept(project: Project, name: str) -> None:
    head, give, files, edit = ANYHOW[name]
    project.write(FLOW.format(head=head, give=f"return {give}"))
    for path, text in files.items():
        project.write(text, path)

    def digest() -> str:
        before = dict(os.environ)
        try:
            with project.imported():
                return function_code(sys.modules["pipeline"].one, root=project.folder).digest
        finally:
            os.environ.clear()
            os.environ.update(before)

    first = digest()
    assert digest() == first
    for path, text in edit.items():
        project.write(text, path)
    assert digest() != first


def test_rule_36_a_class_that_a_file_names_runs_though_workers_cannot_see_it_in_the_text(project: Project) -> None:
    head, give, files, edit = ANYHOW["a class that a file names"]
    project.write(FLOW.format(head=head, give=f"return {give}"))
    for path, text in files.items():
        project.write(text, path)
    assert run(project) == {"one": "succeeded"} and run(project) == {"one": "cached"}
    for path, text in edit.items():
        project.write(text, path)
    assert run(project) == {"one": "succeeded"} and project.last().outputs["return"] == "2"
