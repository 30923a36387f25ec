"""`jeyn deploy` and `jeyn schedule` beyond the contract on a cluster that is a folder: places, going back."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

import jeyn
from tests.cli.conftest import Answer, call, forgetting

pytestmark = pytest.mark.usefixtures("deployed")


def deploy(folder: Path, *arguments: str) -> dict[str, Any]:
    with forgetting(folder):
        answer = call("deploy", "adding", "--json", *arguments)
    assert answer.code == 0, answer.err + answer.out
    found: dict[str, Any] = answer.data
    return found


def lines(found: dict[str, Any]) -> list[str]:
    return [line for line in found["diff"].splitlines() if line[0] in "+-" and line[:3] not in ("+++", "---")]


def test_places_that_pods_cannot_reach(flow: Path) -> None:
    answer = call("deploy", "adding")
    assert answer.code == 6
    assert all(setting in answer.err for setting in ("data root", "catalog", "payload store", "JEYN_DATA"))
    assert not (flow / ".jeyn" / "payloads").exists()


def test_a_change_is_a_line_or_two_and_going_back_undoes_it(flow: Path, far_places: None, deployed: Path) -> None:
    template = deployed / "workflowtemplate-adding-flow"
    dry = deploy(flow, "--dry-run")
    assert not dry["applied"] and not template.exists()
    first = deploy(flow)
    assert first["applied"] and (first["code"], first["plan"]) == (dry["code"], dry["plan"])
    before = json.loads(template.read_text())["spec"]
    assert {each["what"] for each in deploy(flow)["changes"]} == {"same"}

    (flow / "notes.txt").write_text("nothing that an operation uses")
    assert len(lines(deploy(flow, "--dry-run"))) == 2
    (flow / "notes.txt").unlink()
    code = (flow / "flow.py").read_text()
    (flow / "flow.py").write_text(code.replace("return sum(numbers)", "return sum(numbers) + 1"))
    second = deploy(flow)
    assert len(lines(second)) == 2 and second["code"] != first["code"]

    back = deploy(flow, "--code", first["code"])
    assert (back["code"], back["plan"]) == (first["code"], first["plan"])
    assert json.loads(template.read_text())["spec"] == before
    assert (flow / "flow.py").read_text() != code  # the working folder is left alone


def test_a_sweep_leaves_what_is_deployed(flow: Path, far_places: None) -> None:
    def swept() -> set[str]:
        """What may be swept, by name; by itself a sweep takes neither code nor plans."""
        assert call("gc", "--grace", "0s", "--json").data["artefacts"] == []
        return {id for id in kept if call("gc", id, "--json").code == 0}

    def marks(id: str) -> list[tuple[bool, str]]:
        with jeyn.open() as workspace:
            return [(each.present, each.reason) for each in workspace.marks(id) if each.kind == "pin"]

    dry = deploy(flow, "--dry-run")
    with jeyn.open() as workspace:
        assert workspace.reader.row(dry["code"]) is None
    first = deploy(flow)
    kept = {first["code"], first["plan"]}
    assert not kept & swept()
    assert marks(first["code"]) == marks(first["plan"]) == [(True, 'the pipeline "flow" is deployed with it')]
    deploy(flow)
    assert len(marks(first["code"])) == 1  # it is pinned already

    with jeyn.open() as workspace:
        for id in kept:
            workspace.pin(id, present=False)
    assert kept <= swept()
    deploy(flow, "--dry-run")
    assert kept <= swept()
    deploy(flow, "--code", first["code"])
    assert not kept & swept()


WEEKLY = """
@jeyn.pipeline
def weekly():
    return total([1, 2])
"""


def test_what_the_file_no_longer_has_is_told_and_pruned(flow: Path, far_places: None, deployed: Path) -> None:
    def send(target: str, *arguments: str) -> Answer:
        with forgetting(flow):
            answer = call("deploy", target, *arguments)
        assert answer.code == 0, answer.err + answer.out
        return answer

    def there() -> set[str]:
        return {each.name for each in deployed.iterdir() if "workflow" in each.name}

    others = there()  # another project's
    code = (flow / "flow.py").read_text()
    (flow / "flow.py").write_text(code + WEEKLY)
    (flow / "other.py").write_text(f"import jeyn\nfrom flow import total\n{WEEKLY.replace('weekly', 'other')}")
    send("flow.py:weekly")
    with forgetting(flow):
        assert call("schedule", "flow.py:weekly", "--cron", "@daily").code == 0
    send("other.py")
    mine = {"workflowtemplate-adding-weekly", "cronworkflow-adding-weekly", "workflowtemplate-adding-other"}
    assert there() == others | mine
    assert send("adding", "--json").data["stale"] == []  # each file has its own

    (flow / "flow.py").write_text(code + WEEKLY.replace("weekly", "monthly"))
    told = send("adding")
    assert "no longer has the pipelines of adding-weekly; --prune removes them" in told.err
    assert send("adding", "--code", send("adding", "--json").data["code"], "--json").data["stale"] == []
    dry = send("adding", "--prune", "--dry-run")
    assert "-  name: adding-weekly" in dry.out and mine < there()
    removed = send("adding", "--prune", "--json").data
    gone = [each["name"] for each in removed["changes"] if each["what"] == "removed"]
    assert (gone, removed["stale"]) == (["adding-weekly", "adding-weekly"], [])
    assert there() == others | {"workflowtemplate-adding-flow", "workflowtemplate-adding-other"}

    (flow / "other.py").unlink()
    assert send("adding", "--json").data["stale"] == ["adding-other"]
    assert there() == others | {"workflowtemplate-adding-flow", "workflowtemplate-adding-other"}


def test_an_earlier_package_says_nothing_of_what_is_stale(flow: Path, far_places: None, deployed: Path) -> None:
    first = deploy(flow)
    with forgetting(flow):
        answer = call("deploy", "adding", "--code", first["code"], "--prune")
    assert answer.code == 2 and "an earlier package" in answer.err
    (flow / "jeyn.yaml").write_text("pipelines:\n  adding: flow.py:flow\n")
    with forgetting(flow):
        answer = call("deploy", "adding", "--prune")
    assert answer.code == 2 and "has no name" in answer.err


def test_what_is_no_code_package_is_refused(flow: Path, far_places: None) -> None:
    plan = deploy(flow)["plan"]
    answer = call("deploy", "adding", "--code", plan)
    assert answer.code == 3 and "is no code package, but a value" in answer.err


class _Old(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"version": "v3.4.8"}')

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def old_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    server = HTTPServer(("127.0.0.1", 0), _Old)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("JEYN_ARGO_SERVER", f"http://127.0.0.1:{server.server_port}")
    yield
    server.shutdown()
    server.server_close()


def test_an_argo_that_is_too_old(flow: Path, far_places: None, old_server: None, deployed: Path) -> None:
    answer = call("deploy", "adding")
    assert answer.code == 6 and "v3.4.8" in answer.err and "v3.7.0" in answer.err
    assert not (deployed / "workflowtemplate-adding-flow").exists()


def test_a_namespace_that_is_not_there(flow: Path, far_places: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JEYN_ARGO_NAMESPACE", "nowhere")
    answer = call("deploy", "adding")
    assert answer.code == 3 and '"nowhere"' in answer.err and "kubectl create namespace" in answer.err


def test_without_kubectl(flow: Path, far_places: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(flow))
    answer = call("deploy", "adding")
    assert answer.code == 3 and "install kubectl" in answer.err
    assert call("schedule", "ls").code == 3


def test_a_word_that_is_no_command_is_a_pipeline(flow: Path) -> None:
    assert "not deployed" in call("schedule", "adding", "--cron", "@daily").err
    assert 'there is no command "pauze"' in call("schedule", "pauze").err
    told = call("schedule", "pauze", "adding")
    assert told.code == 2
