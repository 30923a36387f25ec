"""What runs, operations and attempts are doing, what they logged, which results can be taken over; small payloads."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

Big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    # Columns are added and nothing is copied: other tables refer to these rows.
    _add(
        "run",
        sa.Column("plan", sa.Text()),
        sa.Column("parameters", sa.Text()),
        sa.Column("pins", sa.Text()),
        sa.Column("environment", sa.Text()),
        sa.Column("engine", sa.String(40)),
        sa.Column("state", sa.String(20)),
        sa.Column("host", sa.String(200)),
        sa.Column("pid", sa.Integer()),
        sa.Column("heartbeat", Big),
        sa.Column("started", Big),
        sa.Column("ended", Big),
        sa.Column("error", sa.Text()),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("resumed_from", Big),
    )
    _add(
        "operation",
        sa.Column("item", sa.Integer(), nullable=False, server_default="-1"),
        sa.Column("position", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("function", sa.String(500)),
        sa.Column("state", sa.String(20)),
        sa.Column("cache_key", sa.String(64)),
        sa.Column("origin", Big),
        sa.Column("started", Big),
        sa.Column("ended", Big),
        sa.Column("error", sa.Text()),
        sa.Column("effects", sa.Text()),
    )
    op.create_index("operation_function", "operation", ["function"])
    _add(
        "attempt",
        sa.Column("pid", sa.Integer()),
        sa.Column("state", sa.String(20)),
        sa.Column("ended", Big),
        sa.Column("error", sa.Text()),
    )
    _create_tables()


def _add(table: str, *columns: sa.Column[Any]) -> None:
    for column in columns:
        op.add_column(table, column)


def _create_tables() -> None:
    op.create_table(
        "log_chunk",
        sa.Column("key", Big, primary_key=True),
        sa.Column("attempt", Big, sa.ForeignKey("attempt.key"), nullable=False),
        sa.Column("at", Big, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
    )
    op.create_index("log_chunk_attempt", "log_chunk", ["attempt"])
    op.create_table(
        "cache_entry",
        sa.Column("operation", Big, sa.ForeignKey("operation.key"), primary_key=True, autoincrement=False),
        sa.Column("cache_key", sa.String(64), nullable=False),
        sa.Column("observations", sa.Text(), nullable=False),
        sa.Column("components", sa.Text(), nullable=False),
        sa.Column("at", Big, nullable=False),
        sa.Column("seq", Big, nullable=False),
    )
    op.create_index("cache_entry_cache_key", "cache_entry", ["cache_key"])
    op.create_table(
        "small_payload",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("at", Big, nullable=False),
        sqlite_with_rowid=False,
    )
