"""The triggers that make a table append-only, as SQL for SQLite and PostgreSQL (SEMANTICS 12).

SQLite needs a third trigger beside UPDATE and DELETE: `INSERT OR REPLACE` removes the old row without firing either.
PostgreSQL's `ON CONFLICT DO UPDATE` does fire UPDATE, but TRUNCATE passes row triggers.
"""

from __future__ import annotations

from collections.abc import Sequence

REFUSAL = "jeyn: saved rows are immutable"

POSTGRES_FUNCTION = f"""
CREATE OR REPLACE FUNCTION jeyn_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '{REFUSAL} (% on %)', TG_OP, TG_TABLE_NAME; END $$
"""


def protect(table: str, keys: Sequence[Sequence[str]], dialect: str) -> list[str]:
    """The statements that make `table` append-only; `keys` are the column sets that identify a row."""
    return _postgres(table) if dialect == "postgresql" else _sqlite(table, keys)


def trigger_names(table: str, dialect: str) -> set[str]:
    """What `protect` creates; checked after every migration, since rebuilding a table drops its triggers."""
    verbs = ("change", "truncate") if dialect == "postgresql" else ("update", "delete", "insert")
    return {f"{table}_no_{verb}" for verb in verbs}


def _postgres(table: str) -> list[str]:
    return [
        f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION jeyn_refuse()",
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION jeyn_refuse()",
    ]


def _sqlite(table: str, keys: Sequence[Sequence[str]]) -> list[str]:
    refuse = f"BEGIN SELECT RAISE(ABORT, '{REFUSAL} ({table})'); END"
    same = " OR ".join(
        f"EXISTS (SELECT 1 FROM {table} WHERE {' AND '.join(f'{column} = NEW.{column}' for column in key)})"  # noqa: S608
        for key in keys
    )
    return [
        f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}",
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse}",
        f"CREATE TRIGGER {table}_no_insert BEFORE INSERT ON {table} WHEN {same} {refuse}",
    ]
