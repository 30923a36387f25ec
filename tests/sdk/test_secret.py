"""`jeyn.Secret`: its name is all that a plan, a print or an error ever shows."""

from __future__ import annotations

import pytest

import jeyn
from jeyn import operation, pipeline
from jeyn.errors import NotFound, UsageError
from jeyn.sdk.plan import Items, Plan, SecretInput


@operation
def fetch(token: jeyn.Secret, others: list[jeyn.Secret] | None = None) -> str:
    return token.value


@pipeline
def fetching():
    return fetch(jeyn.Secret("api", "token"), [jeyn.Secret("db", "user"), jeyn.Secret("db", "password")])


@operation
def takes_text(token: str) -> None: ...


@pipeline
def mistaken():
    takes_text(jeyn.Secret("api", "token"))


@pipeline
def fetching_with(token: jeyn.Secret = jeyn.Secret("api", "token")):  # noqa: B008
    return fetch(token)


def test_a_plan_knows_names_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JEYN_SECRET_API_TOKEN", "hush")
    plan = fetching()
    (planned,) = plan.operations
    assert planned.inputs["token"] == SecretInput(name="api", key="token")
    assert planned.inputs["others"] == Items(
        items=(SecretInput(name="db", key="user"), SecretInput(name="db", key="password"))
    )
    assert plan.problems == ()
    assert "hush" not in plan.dump()
    assert Plan.from_json(plan.dump()) == plan


def test_a_parameter_of_a_pipeline_may_be_a_secret() -> None:
    plan = fetching_with()
    assert plan.operations[0].inputs["token"] == SecretInput(name="api", key="token")
    assert plan.parameters["token"].value == "secret api/token"


def test_its_value_is_read_where_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = jeyn.Secret("my-api", "token.v2")
    monkeypatch.setenv("JEYN_SECRET_MY_API_TOKEN_V2", "hush")
    assert secret.value == fetch(secret) == "hush"
    assert repr(secret) == f"{secret}" == 'Secret("my-api", "token.v2")'
    monkeypatch.delenv("JEYN_SECRET_MY_API_TOKEN_V2")
    with pytest.raises(NotFound, match=r'"token\.v2" of "my-api"') as caught:
        _ = secret.value
    assert "JEYN_SECRET_MY_API_TOKEN_V2" in caught.value.hint and "kubectl create secret" in caught.value.hint


def test_a_function_that_takes_text_is_told_of_before_it_runs() -> None:
    (problem,) = mistaken().problems
    assert problem.error == "WrongType" and '"token" as str' in problem.message


@pytest.mark.parametrize(
    ("name", "key"), [("", "a"), ("Upper", "a"), ("a b", "c"), ("a", ""), ("a", "b/c"), ("a" * 300, "b")]
)
def test_names_that_kubernetes_cannot_have_are_refused(name: str, key: str) -> None:
    with pytest.raises(UsageError, match=r"is not the (name|key) of a secret"):
        jeyn.Secret(name, key)


def test_secrets_are_equal_by_name() -> None:
    assert jeyn.Secret("a", "b") == jeyn.Secret("a", "b") != jeyn.Secret("a", "c")
    assert len({jeyn.Secret("a", "b"), jeyn.Secret("a", "b")}) == 1
