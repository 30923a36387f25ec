"""Passwords in addresses of databases and stores: none is printed, wherever it stands and whatever is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

import jeyn
from jeyn.address import HIDDEN, shown, without_secrets
from jeyn.errors import JeynError
from jeyn.settings import Settings
from tests.cli.conftest import call

SECRET = "hunter2"
LEAKING = (
    f"postgresql://ada:{SECRET}@127.0.0.1:1/team",
    f"postgresql://{SECRET}@127.0.0.1:1/team",
    f"postgresql://127.0.0.1:1/team?password={SECRET}",
    f"postgresql://127.0.0.1:1?password={SECRET}",
    f"postgresql://ada@127.0.0.1:1/team?sslmode=disable&sslpassword={SECRET}",
    f"postgresql://127.0.0.1:1/team?passfile=/{SECRET}",
    f"postgresql://127.0.0.1:1/team?strange={SECRET}",
    f"postgresql://ada:{SECRET}/x@127.0.0.1:1/team",
    f"postgresql://ada:a@{SECRET}@127.0.0.1:1/team",
    f"postgresql://ada:a/{SECRET}@127.0.0.1:1/team",
    f"postgresql://ada:a?{SECRET}@127.0.0.1:1/team",
    f"postgresql://ada:a#{SECRET}@127.0.0.1:1/team",
    f"postgresql://ada:{SECRET}@127.0.0.1:port/team",
    f"postgresql://ada:{SECRET}@[::1/team",
    f"postgresql+nodriver://ada:{SECRET}@127.0.0.1/team",
    f"mysql://ada:{SECRET}@127.0.0.1/team",
    f"postgresql//ada:{SECRET}@127.0.0.1/team",
    f"host=127.0.0.1 password={SECRET}",
    f"ada:{SECRET}@127.0.0.1",
    f"sqlite://ada:{SECRET}@127.0.0.1/",
    f"sqlite:////nowhere/at/all/catalog.db?key={SECRET}",
)
STORES = (
    f"s3://key:{SECRET}@bucket/prefix",
    f"s3://bucket/prefix?secret={SECRET}",
    f"s3://bucket/prefix#{SECRET}",
    f"ftp://key:{SECRET}@host/prefix",
    f"s3://key:{SECRET}@[bucket/prefix",
    f"file:///nowhere?key={SECRET}",
)


@pytest.mark.parametrize("address", LEAKING)
def test_no_command_prints_what_is_secret_in_the_address_of_a_catalog(
    address: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JEYN_CATALOG", address)
    for words in (["doctor"], ["db", "check"], ["db", "upgrade"], ["ls"], ["run", "greetings.py:greeting"]):
        for options in ([], ["--json"]):
            found = call(*words, *options)
            assert SECRET not in found.out + found.err, words


@pytest.mark.parametrize("variable", ["JEYN_PAYLOADS", "JEYN_DATA", "JEYN_ARGO_SERVER"])
@pytest.mark.parametrize("address", STORES)
def test_no_command_prints_what_is_secret_in_the_address_of_a_store(
    address: str, variable: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, address)
    for words in (["doctor"], ["run", "greetings.py:greeting"], ["run", "greetings.py:greeting", "--on", "argo"]):
        found = call(*words)
        assert SECRET not in found.out + found.err, words


@pytest.mark.parametrize("address", LEAKING)
def test_a_source_database_keeps_its_secret_in_errors(address: str, tmp_path: Path) -> None:
    from jeyn.stores.sources.source_database import snapshot

    with pytest.raises(JeynError) as caught, snapshot(address):
        pass
    assert SECRET not in str(caught.value)


def test_settings_do_not_show_addresses(tmp_path: Path) -> None:
    found = Settings.load(tmp_path, catalog=LEAKING[0])
    assert SECRET not in repr(found)
    with jeyn.open(home=tmp_path / "home") as workspace:
        assert "catalog.db" in workspace.database.shown


def test_an_address_says_where() -> None:
    assert (
        shown("postgresql://ada:x@db.example.org:5432/team?sslmode=require") == "postgresql://db.example.org:5432/team"
    )
    assert shown("postgresql://[::1]:5432/team") == "postgresql://[::1]:5432/team"
    assert shown("sqlite:////srv/a@b/catalog.db") == "sqlite:////srv/a@b/catalog.db"
    assert shown("s3://bucket/a/b") == "s3://bucket/a/b"
    assert shown("postgresql://a:b/c@host/team") == f"postgresql://{HIDDEN}"
    assert shown("host=db password=x") == shown("ada:x@db") == shown("ada:x") == HIDDEN
    assert shown("some/folder") == "some/folder" and shown("s3:bucket") == "s3:bucket"


def test_what_a_driver_repeats_becomes_stars_in_every_form() -> None:
    said = "option a%20b, option a b, sslmode require"
    address = "postgresql://host/team?sslmode=require&sslpassword=a%20b"
    assert without_secrets(said, address) == "option ***, option ***, sslmode require"
