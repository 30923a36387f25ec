"""What items of a map would have committed, kept until the items before them have ended well."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

Big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "held_work",
        sa.Column("operation", Big, sa.ForeignKey("operation.key"), primary_key=True, autoincrement=False),
        sa.Column("attempt", Big, nullable=False),
        sa.Column("changes", sa.Text(), nullable=False),
        sa.Column("at", Big, nullable=False),
    )
