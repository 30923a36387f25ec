"""What `fsck` found: payloads whose bytes are in doubt, and rows that are buried as they stand."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

Big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# A value inside stored JSON as text; NULL where the text is no JSON, so that one such row fails no search.
JSON_TEXT = """
CREATE OR REPLACE FUNCTION jeyn_json_text(document text, VARIADIC path text[]) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN RETURN document::json #>> path; EXCEPTION WHEN OTHERS THEN RETURN NULL; END $$
"""


def upgrade() -> None:
    op.create_table(
        "suspect_payload",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("at", Big, nullable=False),
    )
    op.create_table(
        "tombstone",
        sa.Column("key", Big, primary_key=True),
        sa.Column("table", sa.String(40), nullable=False),
        sa.Column("row", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("at", Big, nullable=False),
        sa.Column("seq", Big, nullable=False),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(JSON_TEXT)
