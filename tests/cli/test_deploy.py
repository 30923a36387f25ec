"""`jeyn deploy` and `jeyn schedule` beyond the contract on a cluster that is a folder: places, going back."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import call, forgetting

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
    assert len(lines(second)) == 4 and second["code"] != first["code"]

    back = deploy(flow, "--code", first["code"])
    assert (back["code"], back["plan"]) == (first["code"], first["plan"])
    assert json.loads(template.read_text())["spec"] == before
    assert (flow / "flow.py").read_text() != code  # the working folder is left alone


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
    assert answer.code == 6 and "v3.4.8" in answer.err and "v3.7.16" in answer.err
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
