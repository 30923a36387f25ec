"""Runs, operations and attempts, and what went in and out of them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

Big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "run",
        sa.Column("key", Big, primary_key=True),
        sa.Column("id", sa.String(80), nullable=False),
        sa.Column("pipeline", sa.String(200), nullable=False),
        sa.Column("code", Big, sa.ForeignKey("artefact.key")),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("at", Big, nullable=False),
        sa.UniqueConstraint("id", name="run_id"),
    )
    op.create_table(
        "operation",
        sa.Column("key", Big, primary_key=True),
        sa.Column("run", Big, sa.ForeignKey("run.key"), nullable=False),
        sa.Column("name", sa.String(300), nullable=False),
        sa.Column("committed_by", Big),
        sa.UniqueConstraint("run", "name", name="operation_name"),
    )
    op.create_table(
        "attempt",
        sa.Column("key", Big, primary_key=True),
        sa.Column("operation", Big, sa.ForeignKey("operation.key"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("host", sa.String(200), nullable=False),
        sa.Column("at", Big, nullable=False),
        sa.UniqueConstraint("operation", "number", name="attempt_number"),
    )
    op.create_table(
        "operation_artefact",
        sa.Column("operation", Big, sa.ForeignKey("operation.key"), primary_key=True, autoincrement=False),
        sa.Column("direction", sa.String(3), primary_key=True),
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("position", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("artefact", Big, sa.ForeignKey("artefact.key"), nullable=False),
    )
    op.create_index("operation_artefact_artefact", "operation_artefact", ["artefact"])
