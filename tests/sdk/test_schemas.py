"""Bodies of value artefacts, which are told at one look, and of all others."""

from __future__ import annotations

from typing import Any

import pytest

from jeyn.errors import Invalid
from jeyn.sdk import schemas
from jeyn.sdk.bodies import BODIES

VALUE = {"format": "json/1", "cache_key": "", "output": "return"}


def test_the_known_schemas_are_those_that_have_a_model() -> None:
    assert sorted(BODIES) == list(schemas.KNOWN)


@pytest.mark.parametrize(
    "change", [{"format": ""}, {"format": 1}, {"cache_key": None}, {"more": "x"}, {"output": b"return"}]
)
def test_a_look_lets_no_value_pass_that_its_model_refuses(change: dict[str, Any]) -> None:
    schemas.check_body("value/1", VALUE)
    with pytest.raises(Invalid, match=f'"{next(iter(change))}"'):
        schemas.check_body("value/1", VALUE | change)
