"""The identity of a payload store, on every kind that keeps one (SEMANTICS 39)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import jeyn
from jeyn.errors import Invalid
from jeyn.stores.catalog.payload_store import known_store
from jeyn.stores.payloads import open_payloads
from tests.stores.digits import a_batch

ONE, TWO = "1" * 32, "2" * 32


@pytest.mark.parametrize("name", ["file", "s3"])
def test_rule_39_a_store_keeps_the_first_identity_that_it_is_given(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = (tmp_path / "store").as_uri() if name == "file" else request.getfixturevalue("s3_url")
    assert open_payloads(url).identity() is None
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda each: open_payloads(url).identify(each), [ONE, TWO, ONE, TWO]))
    assert len(found) == 1
    assert open_payloads(url).identity() == found.pop()
    assert not list(open_payloads(url).list()), "an identity is no payload"


def test_a_store_in_a_bucket_has_an_identity_too(s3_url: str, home: Path) -> None:
    with jeyn.open(home=home, payloads=s3_url) as workspace:
        a_batch(workspace)
        known = known_store(workspace.database)
        assert known is not None
        assert known.identity == open_payloads(s3_url).identity()
    with jeyn.open(home=home, payloads=f"{s3_url}/elsewhere") as wrong, pytest.raises(Invalid, match="no identity"):
        a_batch(wrong, seed=2)
