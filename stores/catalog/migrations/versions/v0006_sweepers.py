"""Which process holds a condemnation: it ends with it."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

Big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("condemned", sa.Column("host", sa.String(400)))
    op.add_column("condemned", sa.Column("pid", Big))
    op.add_column("condemned", sa.Column("started", Big))
