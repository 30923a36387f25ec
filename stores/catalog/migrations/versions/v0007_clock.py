"""What tells a pause from a clock that lies, and how times were put right where one had lied."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

Big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "clock_reading",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("at", Big, nullable=False),
        sa.Column("boot", sa.String(80), nullable=False),
        sa.Column("uptime", Big, nullable=False),
    )
    op.create_table(
        "clock_shift",
        sa.Column("key", Big, primary_key=True),
        sa.Column("first_seq", Big, nullable=False),
        sa.Column("last_seq", Big, nullable=False),
        sa.Column("shift", Big, nullable=False),
        sa.Column("not_before", Big, nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("at", Big, nullable=False),
        sa.Column("seq", Big, nullable=False),
    )
