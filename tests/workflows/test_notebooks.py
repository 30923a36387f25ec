"""Pipelines in a real notebook: cells run in an IPython shell, in a process of its own, and what a user sees."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

import jeyn
from jeyn.stores.code import code_payload

pytest.importorskip("IPython")

ROOT = Path(__file__).parents[2]
SESSION = Path(__file__).with_name("notebook_session.py")

IMPORTS = """\
%precision 3
import math
import jeyn
from jeyn import DataCatalog, DatasetBatch, Dtypes, Feature, MlUseCase, ModelCheckpoint, dataset_store, model_store
from jeyn.formulas import StreamingFormula"""
HELPER = """\
RATE = 2
def helper(x):
    return math.floor(x) * RATE"""
CATALOGS = """\
class Points(DataCatalog):
    x = Feature(Dtypes.FLOAT64, shape=(-1,))

class Means(DataCatalog):
    y = Feature(Dtypes.FLOAT64, shape=(-1,))"""
DECLARED = """\
points = StreamingFormula("points", version="1.0.0", output_catalog=Points, source="data/*.parquet")
reader = MlUseCase("reader", input_catalog=Points, output_catalog=Means)"""
INGEST = """\
@jeyn.operation
def ingest() -> DatasetBatch:
    return dataset_store.save_batch(points.get_new_batch())"""
TOTAL = """\
@jeyn.operation
def total(batch: DatasetBatch) -> float:
    print("totalling")
    return sum(jeyn.progress(batch.load()["x"].to_pylist())) * helper(1.5)"""
TRAIN = """\
@jeyn.operation
def train(batch: DatasetBatch, mean: float) -> ModelCheckpoint:
    return model_store.save_checkpoint(reader.update_minor(dataset=batch, model={"mean": mean}))"""
PIPELINE = """\
@jeyn.pipeline
def nightly():
    batch = ingest()
    return {"total": total(batch), "model": train(batch, total(batch))}"""
DEFINED = [IMPORTS, HELPER, CATALOGS, DECLARED, INGEST, TOTAL, TRAIN, PIPELINE]
RUN = "run = nightly.run()\nrun"
STATES = "[each.state for each in run.operations]"

WHOLE = {
    "first": RUN,
    "outputs": "run.outputs",
    "logs": "run.logs('total')",
    "second": RUN + "\n" + STATES,
    "new rate": "RATE = 3",
    "third": RUN + "\n" + STATES,
    "new outputs": "run.outputs['total']",
    "a plan": "nightly().pipeline",
    "the formula": "points",
    "the use case": "reader",
    "the catalog": "Points",
    "the checkpoint": "run.outputs['model']",
    "the batch": "run.outputs['model'].dataset",
    "the lineage": "jeyn.lineage(run.outputs['model'])",
    "the hits": "jeyn.search('type:model_checkpoint')",
    "progress": "list(jeyn.progress(range(3)))",
    "plain": "total.function.__name__, helper(2.5)",
}


def project(folder: Path) -> Path:
    import pyarrow
    from pyarrow import parquet

    (folder / "data").mkdir()
    (folder / "jeyn.yaml").write_text("name: notebook\n")
    (folder / "helpers.py").write_text("OFFSET = 10\n")
    parquet.write_table(pyarrow.table({"x": [1.0, 2.0]}), folder / "data" / "a.parquet")
    return folder


def process(folder: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("JEYN_")}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        env=clean | {"PYTHONPATH": str(ROOT), "IPYTHONDIR": str(folder / ".ipython")},
    )


def notebook(folder: Path, *cells: str) -> list[dict[str, Any]]:
    """What each cell shows in a new notebook."""
    done = process(folder, str(SESSION), stdin=json.dumps(cells))
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, dict[str, Any]]]:
    """One notebook from beginning to end, with its folder."""
    folder = project(tmp_path_factory.mktemp("notebook"))
    shown = notebook(folder, *DEFINED, *WHOLE.values())
    assert [each["error"] for each in shown] == [None] * len(shown)
    return folder, dict(zip(WHOLE, shown[len(DEFINED) :], strict=True))


def test_rule_22_cells_run_and_give_what_they_say(whole: tuple[Path, dict[str, dict[str, Any]]]) -> None:
    _, shown = whole
    assert shown["first"]["result"].endswith("succeeded>")
    assert "'total': 6.0" in shown["outputs"]["result"]
    assert shown["logs"]["result"] == "totalling\n"
    assert shown["progress"]["result"] == "[0, 1, 2]"  # outside an operation: only the items
    assert shown["plain"]["result"] == "('total', 6)"


def test_again_it_is_all_cache_and_a_changed_cell_is_what_runs(whole: tuple[Path, dict[str, dict[str, Any]]]) -> None:
    _, shown = whole
    assert set(json.loads(shown["second"]["result"].replace("'", '"'))) == {"cached"}
    ingest, *others = json.loads(shown["third"]["result"].replace("'", '"'))
    assert ingest == "cached"  # it does not use what changed
    assert "succeeded" in others
    assert shown["new outputs"]["result"] == "9.0"


def test_everything_has_an_html_repr(whole: tuple[Path, dict[str, dict[str, Any]]]) -> None:
    _, shown = whole
    for name in ("first", "the formula", "the use case", "the catalog", "the checkpoint", "the batch", "the lineage"):
        assert shown[name]["html"], name
    assert "ingest" in shown["first"]["html"] and "succeeded" in shown["first"]["html"]
    assert "reader@0.2.0" in shown["the hits"]["html"]
    assert "<svg" in shown["the lineage"]["html"]


def test_b6_the_code_of_the_run_has_the_notebooks_module(whole: tuple[Path, dict[str, dict[str, Any]]]) -> None:
    folder, shown = whole
    with jeyn.open(home=folder / ".jeyn", data=folder) as workspace:
        run = workspace.runs.get(shown["first"]["result"].split()[1])
        assert run.code is not None
        _, payload = code_payload(workspace, run.code)
    with tarfile.open(fileobj=BytesIO(payload)) as archive:
        names = archive.getnames()
        modules = [each for each in names if each.startswith("notebook_")]
        files = [archive.extractfile(module) for module in modules]
        sources = [file.read().decode() for file in files if file is not None]
    assert len(sources) == 3  # one for each operation
    assert sorted({*names} - {*modules}) == ["helpers.py", "jeyn.yaml"]
    (source,) = [each for each in sources if "def total(" in each]
    assert "def helper(x)" in source and "RATE = 2" in source and "%precision" not in source


def test_html_is_escaped(tmp_path: Path) -> None:
    named = CATALOGS.replace("FLOAT64, ", "FLOAT64, description='<script>', ", 1)
    cells = [IMPORTS, named, DECLARED, "Points", "points"]
    *_, catalog, formula = notebook(project(tmp_path), *cells)
    for shown in (catalog, formula):
        assert shown["error"] is None
        assert "&lt;script&gt;" in shown["html"] and "<script>" not in shown["html"]


def test_rule_22_a_live_global_without_source_is_an_error_that_names_it(tmp_path: Path) -> None:
    cells = [
        "import jeyn\nget_ipython().user_ns['ghost'] = object()",
        "@jeyn.operation\ndef haunted(): return str(ghost)",
        "@jeyn.pipeline\ndef flow(): return haunted()",
        "flow.run()",
    ]
    *_, shown = notebook(project(tmp_path), *cells)
    assert shown["error"].startswith('UsageError: "ghost", which "haunted" uses, has no source in the cells')
    assert "→ define it in a cell, or pass it to the operation as an input" in shown["error"]


def test_star_imports_magics_redefinitions_and_modules_of_the_project(tmp_path: Path) -> None:
    cells = [
        "from __future__ import annotations\nfrom jeyn import *\nfrom helpers import OFFSET\n%precision 3",
        "%%time\nclass Point:\n    def __init__(self, x): self.x = x",
        "@operation\ndef first() -> int:\n    return 1",
        "@operation\ndef first() -> int:\n    return Point(2).x + OFFSET",
        "files = !ls",
        "@pipeline\ndef flow():\n    return first()",
        "flow.run().outputs",
    ]
    *_, shown = notebook(project(tmp_path), *cells)
    assert (shown["error"], shown["result"]) == (None, "{'return': 12}")


FAILS = [
    "import jeyn\nfrom pathlib import Path",
    "@jeyn.operation\ndef first() -> int:\n    return 1",
    "@jeyn.operation\ndef second(x):\n    if not Path('ready').exists():\n"
    "        raise ValueError('not ready')\n    return x + 1",
    "@jeyn.pipeline\ndef flow():\n    return second(first())",
    "run = flow.run()\nrun.state, run.error['message']",
    "run.outputs",
    "run.logs('second')",
]


def test_rule_20_a_run_that_failed_in_a_notebook_is_resumed_elsewhere(tmp_path: Path) -> None:
    folder = project(tmp_path)
    *_, state, outputs, logs = notebook(folder, *FAILS)
    assert state["result"] == "('failed', 'ValueError: not ready')"
    assert outputs["error"] == "OperationFailed: ValueError: not ready"
    assert "raise ValueError('not ready')" in logs["result"]
    (folder / "ready").touch()
    done = process(folder, "-m", "jeyn.cli", "run", "--resume", "last")
    assert (done.returncode, done.stdout) == (0, "2\n"), done.stderr
    assert "1 adopted" in done.stderr.splitlines()[-1]


def effect_cells() -> dict[str, str]:
    """The cells of one notebook that does all sorts of things, by name."""
    parts = Path(__file__).with_name("notebook_effects.txt").read_text().removeprefix("=== ").split("\n=== ")
    return {part.partition("\n")[0]: part.partition("\n")[2] for part in parts}


EFFECTS = effect_cells()


@pytest.fixture(scope="module")
def effects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    shown = notebook(project(tmp_path_factory.mktemp("effects")), *EFFECTS.values())
    found = dict(zip(EFFECTS, shown, strict=True))
    assert {name for name, each in found.items() if each["error"]} == {"half"}, found
    return found


def test_rule_22_no_cell_is_run_again(effects: dict[str, dict[str, Any]]) -> None:
    assert effects["noted"]["result"] == "('cell\\n', 'the user has added to it')"


@pytest.mark.parametrize("name", ["taken", "loop", "top", "awaited", "halved", "magic", "rates", "redone"])
def test_rule_22_a_run_gives_what_the_notebook_shows(effects: dict[str, dict[str, Any]], name: str) -> None:
    ran, plain = ast.literal_eval(effects[name]["result"])
    assert ran == plain


def test_a_kernel_runs_again_whatever_its_cells_show(effects: dict[str, dict[str, Any]]) -> None:
    assert effects["again"]["result"] == "('succeeded', 6, 6)"
    assert effects["taken"]["result"] == "(10, 10)"  # 2 * 1 + 4, then 6 * 1 + 4


def test_rule_22_a_state_that_cannot_be_carried_names_its_cell(tmp_path: Path) -> None:
    cells = [
        "import jeyn, sqlite3",
        "db = sqlite3.connect(':memory:')",
        "@jeyn.operation\ndef ask() -> int: return db.execute('select 1').fetchone()[0]",
        "@jeyn.pipeline\ndef flow(): return ask()",
        "flow.run()",
        "db.close()\n@jeyn.operation\ndef listing() -> str:\n    found = !ls\n    return found[0]",
        "@jeyn.pipeline\ndef flow(): return listing()",
        "flow.run()",
        "@jeyn.operation\ndef use(): return kept\n@jeyn.pipeline\ndef flow(): return use()",
        "from jeyn import DataCatalog, DatasetFormula, Dtypes, Feature",
        "class P(DataCatalog):\n    x = Feature(Dtypes.INT64)\n"
        "p = DatasetFormula('p', version='1.0.0', output_catalog=P)\n"
        "kept = jeyn.dataset_store.save_batch(p.new_table({'x': [1]}))",
        "flow.run()",
    ]
    shown = notebook(project(tmp_path), *cells)
    assert shown[4]["error"].startswith(
        'UsageError: "db", which "ask" uses, is a sqlite3.Connection, made in the cell In [2], and cannot be carried'
    )
    assert '"listing" has a magic' in shown[7]["error"]
    assert '"kept", which "use" uses, is a jeyn.sdk.datasets.batch' in shown[11]["error"]
    assert "In [11]" in shown[11]["error"] and "jeyn.ref" in shown[11]["error"]


MOVES = [
    "import jeyn\nfrom IPython.core.displaypub import CapturingDisplayPublisher",
    "def inner(x):\n    raise ValueError(f'no {x}')",
    "@jeyn.operation\ndef count(n: int) -> int:\n    return sum(jeyn.progress(range(n)))",
    "@jeyn.operation\ndef last(x):\n    return inner('<b>' if x else x)",
    "@jeyn.pipeline\ndef good(n: int = 3): return count.map(n=[1, n])",
    "@jeyn.pipeline\ndef bad(): return last(count(2))",
    "run = good.run()",
    "run = bad.run()",
    "run.check()",
    "run.outputs",
    "shell = get_ipython()\nshell.kernel = None\nshell.display_pub = pub = CapturingDisplayPublisher()",
    "run = bad.run()",
    "[(each['update'], each['transient'], each['data']) for each in pub.outputs]",
    "good()",
]


@pytest.fixture(scope="module")
def moves(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return notebook(project(tmp_path_factory.mktemp("moves")), *MOVES)


def test_a_run_says_line_by_line_how_it_moves_where_text_is_all(moves: list[dict[str, Any]]) -> None:
    lines = moves[6]["printed"].splitlines()
    assert re.fullmatch(r"good-\S+: count", lines[0])
    assert any(re.match(r"  count\[1\] running  since \d\d:\d\d:\d\d", line) for line in lines)
    assert any(re.match(r"  count\[0\] succeeded  \d+\.\d s  0", line) for line in lines)
    assert "count: 2 items" in moves[6]["printed"]
    assert re.fullmatch(r"good-\S+ succeeded in \d+\.\d s: 2 succeeded", lines[-1])


def test_a_failed_run_and_its_check_show_the_users_traceback(moves: list[dict[str, Any]]) -> None:
    frames = [
        "in last\n",
        "return inner('<b>' if x else x)",
        "in inner\n",
        "raise ValueError(f'no {x}')",
        "ValueError: no <b>",
    ]
    shown = moves[7]["printed"]  # as it fails
    for cell in (moves[8], moves[9]):  # check() and outputs
        assert cell["error"].startswith("OperationFailed: ValueError: no <b>")
        assert 'in the operation "last":' in cell["printed"]
        for frame in frames:
            assert frame in cell["printed"] and frame in shown
    assert "last failed:" in shown and "runner.py" not in shown


def test_a_notebook_draws_a_run_in_one_place_again_and_again(moves: list[dict[str, Any]]) -> None:
    drawn = ast.literal_eval(moves[12]["result"])
    assert [update for update, _, _ in drawn] == [False] + [True] * (len(drawn) - 1)
    assert len({transient["display_id"] for _, transient, _ in drawn}) == 1
    html = [data["text/html"] for _, _, data in drawn]
    assert any("running" in each and "since" in each for each in html)
    assert "last failed:" in html[-1] and "&lt;b&gt;" in html[-1] and "<b>'" not in html[-1]
    assert "ValueError: no <b>" in drawn[-1][2]["text/plain"]


def test_a_plan_shows_itself(moves: list[dict[str, Any]]) -> None:
    assert "good(n=3)" in moves[13]["html"] and "each n=[1, 3]" in moves[13]["html"]
    assert "each n=[1, 3]" in moves[13]["printed"]  # the text that a terminal shows


SCRIPT = """
import jeyn
BASE = 4

def timed(function):
    import functools
    @functools.wraps(function)
    def wrapper(*args, **named):
        return function(*args, **named) + BASE
    return wrapper

@jeyn.operation
@timed
def work(x: int) -> int:
    return x * BASE

@jeyn.pipeline
def flow(x: int = 2):
    return work(x)

if __name__ == "__main__":
    BASE = 5
    said = flow.run().outputs["return"], work(2)
"""


def test_scripts_edited_modules_and_secrets_in_a_kernel(tmp_path: Path) -> None:
    folder = project(tmp_path)
    (folder / "script.py").write_text(SCRIPT)
    (folder / "tools.py").write_text("OFFSET = 10\ndef more(): return OFFSET\n")
    cells = [
        "%run script.py",
        "said, (flow.run().outputs['return'], work(2))",
        "import jeyn, tools, importlib, os, sys\nfrom pathlib import Path",
        "os.environ['SOME_API_KEY'] = 'sk-1234567890'",
        "@jeyn.operation\ndef use() -> int: return tools.more()\n@jeyn.pipeline\ndef uses(): return use()",
        "uses.run().outputs['return'], use()",
        "Path('tools.py').write_text('OFFSET = 21\\ndef more(): return OFFSET + 1\\n')",
        "uses.run()",
        "importlib.reload(tools)",
        "uses.run().outputs['return'], use()",
        "tools.OFFSET = 7",
        "uses.run().outputs['return'], use()",
        "key = os.environ['SOME_API_KEY']\n@jeyn.operation\ndef use() -> int: return len(key)",
        "uses.run()",
    ]
    shown = notebook(folder, *cells)
    errors = {number: each["error"] for number, each in enumerate(shown) if each["error"]}
    assert set(errors) == {7, 13}, (errors, shown[0]["printed"])
    assert shown[1]["result"] == "((15, 15), (15, 15))"
    assert shown[5]["result"] == "(10, 10)"
    assert errors[7].startswith('UsageError: "tools.py" was edited after this notebook had imported it')
    assert "importlib.reload(sys.modules['tools'])" in errors[7]
    assert shown[9]["result"] == "(22, 22)"
    assert shown[11]["result"] == "(8, 8)"
    assert '"key" holds what the environment variable "SOME_API_KEY" holds' in errors[13]
    assert "sk-1234567890" not in errors[13]


def test_what_cells_register_with_libraries_and_with_jeyn_is_there_in_workers(tmp_path: Path) -> None:
    cells = [
        "import jeyn, json, pandas as pd",
        "class Note:\n    def __init__(self, text): self.text = text",
        "class NoteSerializer:\n    id = 'note'\n    version = '1'\n"
        "    def to_bytes(self, note): return note.text.encode()\n"
        "    def from_bytes(self, data): return Note(data.decode())",
        "jeyn.register_serializer(Note, NoteSerializer())",
        "@pd.api.extensions.register_dataframe_accessor('geo')\nclass Geo:\n"
        "    def __init__(self, frame): self.frame = frame\n    def size(self): return len(self.frame) * 10",
        "@jeyn.operation\ndef write(text: str): return Note(text)",
        "@jeyn.operation\ndef read(note) -> str: return note.text + str(pd.DataFrame({'x': [1, 2]}).geo.size())",
        "@jeyn.pipeline\ndef flow():\n    note = write('hello')\n    return {'note': note, 'read': read(note)}",
        "outputs = flow.run(workers=1).outputs\noutputs['note'].text, outputs['read']",
    ]
    shown = notebook(project(tmp_path), *cells)
    assert [each["error"] for each in shown] == [None] * len(shown), shown[-1]["printed"]
    assert shown[-1]["result"] == "('hello', 'hello20')"


def test_what_is_imported_from_folders_that_a_cell_named_is_found_by_workers(tmp_path: Path) -> None:
    for name in ("libs/beside.py", "project/src/within.py"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("X = 1\n")
    folder = tmp_path / "project"
    (folder / "jeyn.yaml").write_text("")
    edit = "from pathlib import Path; Path('../libs/beside.py').write_text('def x(): return 2')"
    cells = [
        "import jeyn, sys; sys.path += ['../libs', 'src']",
        "import beside, within",
        "@jeyn.operation\ndef give() -> list:\n    return [beside.X, within.X]",
        "@jeyn.pipeline\ndef flow():\n    return give()",
        "flow.run().check().outputs",
        "beside.X = 5\nflow.run().check().outputs",
        edit,
        "flow.run()",
    ]
    answers = notebook(folder, *cells)
    assert [each["result"] for each in answers[4:6]] == ["{'return': [1, 1]}", "{'return': [5, 1]}"]
    assert '"../libs/beside.py" was edited after this notebook had imported it' in str(answers[-1]["error"])
