"""The PostgreSQL that the other tests are given: empty, of their own, durable, and not on the network."""

from __future__ import annotations

import psycopg

from tests.postgres_server import PostgresServer


def connect(url: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(url.replace("+psycopg", ""))


def test_each_test_has_a_database_of_its_own(postgres_server: PostgresServer) -> None:
    with postgres_server.new_database() as first, postgres_server.new_database() as second:
        with connect(first) as one:
            one.execute("CREATE TABLE things (id int)")
        with connect(second) as two:
            assert two.execute("SELECT to_regclass('things')").fetchone() == (None,)


def test_it_is_durable_and_listens_on_its_socket_only(postgres_url: str) -> None:
    with connect(postgres_url) as connection:
        shown = {name: connection.execute(f"SHOW {name}").fetchone() for name in ("fsync", "listen_addresses")}
    assert shown == {"fsync": ("on",), "listen_addresses": ("",)}
