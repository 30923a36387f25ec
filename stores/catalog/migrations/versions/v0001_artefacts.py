"""Artefacts, edges, claims, histories, payload references, metrics, events and leases."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from jeyn.stores.catalog.triggers import POSTGRES_FUNCTION, protect

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
PROTECTED = {
    "artefact": (("id",), ("key",)),
    "edge": (("child", "parent", "type"),),
    "claim": (("owner", "number"),),
    "alias_move": (("key",),),
    "mark": (("key",),),
    "artefact_payload": (("artefact", "name"),),
    "batch_member": (("formula", "member"),),
    "metric": (("subject", "name", "source"),),
    "event": (("seq", "position"),),
}


def _who_and_when() -> list[sa.Column[Any]]:
    return [
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("at", Big, nullable=False),
        sa.Column("seq", Big, nullable=False),
    ]


def _part_of_key(name: str, type_: Any, *args: Any) -> sa.Column[Any]:
    return sa.Column(name, type_, *args, primary_key=True, autoincrement=False)


def _artefact() -> sa.ForeignKey:
    return sa.ForeignKey("artefact.key")


def upgrade() -> None:
    _create_artefacts()
    _create_histories()
    _create_contents()
    _create_outbox_and_leases()
    dialect = op.get_bind().dialect.name
    if dialect == "postgresql":
        op.execute(POSTGRES_FUNCTION)
    for table, keys in PROTECTED.items():
        for statement in protect(table, keys, dialect):
            op.execute(statement)


def _create_artefacts() -> None:
    op.create_table(
        "catalog_clock",
        _part_of_key("id", sa.Integer()),
        sa.Column("seq", Big, nullable=False),
        sa.Column("at", Big, nullable=False),
    )
    op.execute("INSERT INTO catalog_clock (id, seq, at) VALUES (1, 0, 0)")
    op.create_table(
        "artefact",
        sa.Column("key", Big, primary_key=True),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("schema", sa.String(80), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("quarantined", sa.Boolean(), nullable=False),
        *_who_and_when(),
        sa.UniqueConstraint("id", name="artefact_id"),
    )
    op.create_index("artefact_type_name", "artefact", ["type", "name"])
    op.create_table(
        "edge",
        _part_of_key("child", Big, _artefact()),
        _part_of_key("parent", Big, _artefact()),
        _part_of_key("type", sa.Integer()),
        sqlite_with_rowid=False,
    )
    op.create_index("edge_down", "edge", ["parent", "child", "type"])


def _create_histories() -> None:
    op.create_table(
        "claim",
        _part_of_key("owner", sa.String(300)),
        _part_of_key("number", sa.String(200)),
        sa.Column("major", Big, nullable=False),
        sa.Column("minor", Big, nullable=False),
        sa.Column("patch", Big, nullable=False),
        sa.Column("prerelease", sa.String(200), nullable=False),
        sa.Column("artefact", Big, _artefact(), nullable=False),
        *_who_and_when(),
        sqlite_with_rowid=False,
    )
    op.create_index("claim_order", "claim", ["owner", "major", "minor", "patch"])
    op.create_index("claim_artefact", "claim", ["artefact"])
    op.create_table(
        "alias_move",
        sa.Column("key", Big, primary_key=True),
        sa.Column("owner", sa.String(300), nullable=False),
        sa.Column("alias", sa.String(100), nullable=False),
        sa.Column("artefact", Big, _artefact()),
        sa.Column("verb", sa.String(20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        *_who_and_when(),
    )
    op.create_index("alias_move_history", "alias_move", ["owner", "alias", "key"])
    op.create_index("alias_move_artefact", "alias_move", ["artefact"])
    op.create_table(
        "mark",
        sa.Column("key", Big, primary_key=True),
        sa.Column("artefact", Big, _artefact(), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("present", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        *_who_and_when(),
    )
    op.create_index("mark_history", "mark", ["artefact", "kind", "key"])
    op.create_index("mark_kind", "mark", ["kind", "value"])


def _create_contents() -> None:
    op.create_table(
        "artefact_payload",
        _part_of_key("artefact", Big, _artefact()),
        _part_of_key("name", sa.String(1000)),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("size", Big, nullable=False),
        sa.Column("external", sa.Boolean(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("artefact_payload_digest", "artefact_payload", ["digest"])
    op.create_table(
        "batch_member",
        _part_of_key("formula", Big, _artefact()),
        _part_of_key("member", sa.String(300)),
        sa.Column("batch", Big, _artefact(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("batch_member_batch", "batch_member", ["batch"])
    op.create_table(
        "metric",
        _part_of_key("subject", Big, _artefact()),
        _part_of_key("name", sa.String(200)),
        _part_of_key("source", Big, _artefact()),
        sa.Column("value", sa.Float()),
        sqlite_with_rowid=False,
    )
    op.create_index("metric_value", "metric", ["name", "value"])


def _create_outbox_and_leases() -> None:
    op.create_table(
        "event",
        _part_of_key("seq", Big),
        _part_of_key("position", sa.Integer()),
        sa.Column("kind", sa.String(80), nullable=False),
        sa.Column("subject", sa.String(300), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("at", Big, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "lease",
        _part_of_key("digest", sa.String(64)),
        _part_of_key("holder", sa.String(80)),
        sa.Column("expires", Big, nullable=False),
    )
    op.create_table(
        "condemned",
        _part_of_key("digest", sa.String(64)),
        sa.Column("sweeper", sa.String(80), nullable=False),
        sa.Column("expires", Big, nullable=False),
    )
    op.create_table(
        "relay_cursor",
        _part_of_key("name", sa.String(80)),
        sa.Column("seq", Big, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
    )
