"""Every leaf of the command line keeps the contract of jeyn/cli/output.py; a leaf without a row here fails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import click
import pytest

from jeyn.cli.main import main
from tests.cli.conftest import call


@dataclass(frozen=True)
class Case:
    """Whole command lines of one leaf: those that succeed, and those that fail, with their exit code."""

    good: tuple[str, ...]
    bad: Mapping[str, int] = field(default_factory=dict)


CASES = {
    "new": Case(("new another",), {"new ../escape": 2, "new .": 2, "new .jeyn": 2}),
    "run": Case(
        ("run greetings.py:greeting", "run greetings.py:greeting --set who=all --no-cache"),
        {
            "run": 2,
            "run nothing.py": 3,
            "run greetings.py:greeting --set what=all": 2,
            "run greetings.py:stumbling": 1,
            "run --resume nothing": 3,
        },
    ),
    "plan": Case(("plan greetings.py:greeting",), {"plan nothing.py": 3, "plan greetings.py:greet": 2}),
    "compile": Case(
        ("compile greetings.py:greeting", "compile greetings.py:greeting --set who=all --cron @daily"),
        {"compile nothing.py": 3, "compile greetings.py:greet": 2, "compile greetings.py:greeting --cron daily": 2},
    ),
    "deploy": Case(
        ("deploy greetings.py:greeting --dry-run", "deploy greetings.py:greeting --set who=all --force"),
        {"deploy nothing.py": 3, "deploy greetings.py:greeting --code sha256:00000000": 3, "deploy": 2},
    ),
    "schedule add": Case(
        (
            "schedule greetings.py:greeting --cron @daily",
            "schedule add greetings.py:greeting --cron @hourly --timezone Europe/Berlin --concurrency allow",
        ),
        {
            "schedule greetings.py:stumbling --cron @daily": 3,
            "schedule greetings.py:greeting --cron daily": 2,
            "schedule greetings.py:greeting --cron @daily --timezone Moon": 2,
            "schedule greetings.py:greeting": 2,
        },
    ),
    "schedule ls": Case(("schedule ls",), {"schedule ls extra": 2}),
    "schedule pause": Case(("schedule pause digits-greeting",), {"schedule pause nothing": 3}),
    "schedule resume": Case(("schedule resume digits-greeting",), {"schedule resume nothing": 3}),
    "schedule rm": Case(("schedule rm digits-greeting",), {"schedule rm nothing": 3}),
    "runs": Case(("runs", "runs last", "runs --state failed"), {"runs nothing": 3, "runs --state odd": 2}),
    "logs": Case(
        ("logs greeting-", "logs greeting- greet", "logs greeting- --follow"), {"logs nothing": 3, "logs last other": 3}
    ),
    "cancel": Case(("cancel last",), {"cancel nothing": 3, "cancel greeting-": 4, "cancel": 2}),
    "ls": Case(("ls", "ls batch --limit 1", "ls --name dig*", "ls --name no/such"), {"ls --limit 0": 2}),
    "show": Case(
        ("show digit-reader@blessed", "show usecase:digit-reader", "show formula:digits", "show digits@1.0.0/1"),
        {"show nothing": 3, "show @": 2, "show": 2},
    ),
    "search": Case(
        ("search metrics.accuracy>0.9", "search --limit 2 type:checkpoint", "search -- -tag:gold"),
        {"search colour:red": 2, "search upstream:nothing": 3, "search": 2, "search --order up dig": 2},
    ),
    "lineage": Case(
        (
            "lineage digit-reader@blessed",
            "lineage formula:digits --down --depth 1",
            "lineage digit-reader@blessed --type formula --plot lineage.svg",
        ),
        {"lineage nothing": 3, "lineage digit-reader@9.9.9": 3, "lineage digits --depth 0": 2},
    ),
    "impact": Case(
        (
            "impact formula:digits",
            "impact formula:digits --new-catalog catalog.json",
            "impact formula:digits --new-catalog catalogs:Thin",
        ),
        {
            "impact nothing": 3,
            "impact formula:digits --new-catalog nothing.json": 3,
            "impact formula:digits --new-catalog nothing:Thin": 2,
            "impact formula:digits --new-catalog catalogs:Thick": 2,
            "impact formula:digits --new-catalog jeyn.yaml": 2,
            "impact digit-reader@blessed --new-catalog catalog.json": 2,
        },
    ),
    "diff": Case(
        ("diff digit-reader@0.1.0 digit-reader@0.2.0",),
        {"diff digits digit-reader@0.1.0": 2, "diff digits nothing": 3},
    ),
    "bless": Case(
        ("bless digit-reader@0.1.0 --reason better --over digit-reader@0.2.0", "bless digit-reader@0.1.0"),
        {"bless nothing": 3, "bless digit-reader@0.1.0 --over none": 4},
    ),
    "rollback": Case(("rollback digit-reader --reason worse",), {"rollback nothing": 3}),
    "rescue": Case(
        ("rescue .jeyn/rescue/kept.pickle",),
        {"rescue nothing": 3, "rescue digit-reader@0.1.0": 3, "rescue": 2, "rescue --mend": 2},
    ),
    "alias set": Case(
        ("alias set digit-reader@0.1.0 shadow --reason try",),
        {"alias set nothing shadow": 3, "alias set digit-reader shadow": 2, "alias set digits@1.0.0 1.0.0": 2},
    ),
    "alias rm": Case(("alias rm digits trusted",), {"alias rm digits nothing": 3, "alias rm nothing trusted": 3}),
    "alias ls": Case(("alias ls digits", "alias ls digit-reader"), {"alias ls nothing": 3, "alias ls": 2}),
    "alias history": Case(("alias history digit-reader", "alias history digits other"), {"alias history nothing": 3}),
    "export": Case(
        ("export digit-reader@blessed new.bundle", "export digit-reader@blessed second.bundle --yes"),
        {"export nothing new.bundle": 3, "export digit-reader@blessed second.bundle": 4},
    ),
    "import": Case(
        ("import second.bundle", "--home other import second.bundle --aliases --keep ours --yes"),
        {"import nothing.bundle": 2, "import jeyn.yaml": 5, "import second.bundle --keep theirs": 2},
    ),
    "gc": Case(
        ("gc", "gc --yes --grace 0s --keep digits", "gc --keep 20", "gc digit-reader@0.1.0"),
        {"gc --grace soon": 2, "gc --keep nothing": 3, "gc nothing": 3, "gc digits": 2, "gc digit-reader@blessed": 8},
    ),
    "fsck": Case(("fsck", "fsck --repair", "fsck --repair --yes"), {"fsck --mend": 2, "--home file fsck": 8}),
    "db check": Case(("db check",), {"--home nowhere db check": 3, "db check extra": 2}),
    "db adopt-payloads": Case(
        ("db adopt-payloads", "db adopt-payloads --yes"),
        {"db adopt-payloads extra": 2, "--home file db adopt-payloads": 8},
    ),
    "db upgrade": Case(("db upgrade", "--home nowhere db upgrade"), {"--home file db upgrade": 8}),
    "doctor": Case(
        ("doctor", "--home nowhere doctor"), {"--home file doctor": 5, "doctor extra": 2, "doctor --on moon": 2}
    ),
    "completion": Case(
        ("completion bash", "completion zsh", "completion fish"), {"completion tcsh": 2, "completion": 2}
    ),
}


def leaves(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        if isinstance(found, click.Group):
            yield from leaves(found, (*path, name))
        else:
            yield " ".join((*path, name)), found


LEAVES = dict(leaves(main))
GOOD = [line for case in CASES.values() for line in case.good]
BAD = [(line, code) for case in CASES.values() for line, code in case.bad.items()]


def test_every_leaf_has_a_case_that_succeeds_and_one_that_fails() -> None:
    assert sorted(LEAVES) == sorted(CASES)
    assert [name for name, case in CASES.items() if not (case.good and case.bad)] == []


@pytest.mark.parametrize("name", LEAVES)
def test_help_tells_what_a_leaf_and_each_option_does(name: str) -> None:
    answer = call(*name.split(), "--help")
    assert (answer.code, answer.err) == (0, "")
    assert LEAVES[name].help
    options = [param for param in LEAVES[name].params if isinstance(param, click.Option)]
    assert "--json" in [option.opts[0] for option in options]
    for option in options:
        assert option.help and option.opts[-1] in answer.out


@pytest.fixture
def project(project: Path, line: str, request: pytest.FixtureRequest) -> Path:
    """With a cluster for what needs one."""
    if line.startswith(("deploy", "schedule")):
        request.getfixturevalue("deployed")
    if line.startswith("deploy"):
        request.getfixturevalue("far_places")
    return project


@pytest.mark.parametrize("group", ["", "alias", "db", "schedule"])
def test_a_group_lists_its_commands_with_the_help_of_its_table(group: str) -> None:
    shown = call(*group.split(), "--help").out
    inside = [name for name in LEAVES if name.startswith(group)]
    assert inside and all(name.split()[len(group.split())] in shown for name in inside)
    alone = call(*group.split())
    assert (alone.code, alone.out) == (2, "") and shown.strip() in alone.err


@pytest.mark.parametrize("line", GOOD)
def test_a_success_is_text_on_stdout(project: Path, line: str) -> None:
    answer = call(*line.split())
    assert answer.code == 0, answer.err
    assert answer.out.strip()
    assert "error:" not in answer.err


@pytest.mark.parametrize("line", GOOD)
def test_a_success_is_one_json_document(project: Path, line: str) -> None:
    answer = call("--json", *line.split()) if line.startswith("--json") else call(*_with_json(line))
    assert answer.code == 0, answer.err
    document = answer.document
    assert sorted(document) == list(document) == ["data", "error", "ok", "schema"]
    assert (document["schema"], document["ok"], document["error"]) == ("jeyn/v1", True, None)
    assert isinstance(document["data"], dict) and document["data"]


@pytest.mark.parametrize(("line", "code"), BAD)
def test_a_failure_is_a_message_and_what_to_do_on_stderr(project: Path, line: str, code: int) -> None:
    answer = call(*line.split())
    assert answer.code == code, answer.err
    message, *hints = answer.err[answer.err.index("error: ") :].strip().splitlines()
    assert len(message) > len("error: ") and hints
    assert all(hint.startswith("  → ") and len(hint) > len("  → ") for hint in hints)
    # A user's own operation may show its traceback, and what was found before it is there too.
    assert code == 1 or "Traceback" not in answer.err
    assert answer.out == "" or code == 5


@pytest.mark.parametrize(("line", "code"), BAD)
def test_a_failure_is_one_json_document_too(project: Path, line: str, code: int) -> None:
    answer = call(*_with_json(line))
    assert answer.code == code
    document = answer.document
    assert (document["schema"], document["ok"]) == ("jeyn/v1", False)
    assert sorted(document["error"]) == ["code", "hint", "message", "refs"]
    assert document["error"]["code"].isupper() and document["error"]["message"] and document["error"]["hint"]
    assert "error:" not in answer.err


def _with_json(line: str) -> list[str]:
    words = line.split()
    # Behind "--" all words are arguments.
    place = words.index("--") if "--" in words else len(words)
    return [*words[:place], "--json", *words[place:]]
