"""A catalog as the first Jeyn left it, with a row in every table that is append-only."""

from __future__ import annotations

from jeyn.sdk.artefact import Edge, Record
from jeyn.sdk.canonical import sha256_of
from jeyn.sdk.relationship import RelationshipType
from jeyn.stores.catalog.database import Database
from tests.stores.conftest import execute
from tests.stores.digits import DIGITS

FORMULA = DIGITS.record()
BATCH = Record("dataset_batch/1", "digits", {"kind": "table"}, (Edge(RelationshipType.formula_batch, FORMULA.id),))
DIGEST = sha256_of(b"old bytes")[7:]
OLD_ROWS = [
    "INSERT INTO edge (child, parent, type) VALUES (2, 1, 1)",
    "INSERT INTO claim (owner, number, major, minor, patch, prerelease, artefact, actor, at, seq) "
    "VALUES ('formula:digits', '1.0.0', 1, 0, 0, '', 1, 'ada', 10, 1)",
    "INSERT INTO claim (owner, number, major, minor, patch, prerelease, artefact, actor, at, seq) "
    f"VALUES ('batch:{FORMULA.id[7:]}', '1', 1, 0, 0, '', 2, 'ada', 20, 2)",
    "INSERT INTO alias_move (owner, alias, artefact, verb, reason, actor, at, seq) "
    "VALUES ('formula:digits', 'good', 1, 'alias', 'why not', 'ada', 30, 3)",
    "INSERT INTO mark (artefact, kind, value, present, reason, actor, at, seq) "
    "VALUES (2, 'tag', 'gold', true, '', 'ada', 40, 4)",
    f"INSERT INTO artefact_payload (artefact, name, digest, size, external) VALUES (2, 'x', '{DIGEST}', 9, false)",
    "INSERT INTO batch_member (formula, member, batch) VALUES (1, 'm', 2)",
    "INSERT INTO metric (subject, name, source, value) VALUES (2, 'accuracy', 2, 0.5)",
    "INSERT INTO event (seq, position, kind, subject, data, actor, at) "
    "VALUES (1, 0, 'jeyn.formula.saved', 'x', '{}', 'ada', 10)",
    "UPDATE catalog_clock SET seq = 4, at = 40",
]


def fill(database: Database) -> None:
    """Its rows, in a catalog at the first revision."""
    insert = (
        "INSERT INTO artefact (id, type, schema, name, document, facts, quarantined, actor, at, seq) "
        "VALUES (:id, :type, :schema, 'digits', :document, '{}', false, 'ada', :key, :key)"
    )
    for key, record in enumerate((FORMULA, BATCH), start=1):
        values = {"id": record.id[7:], "type": record.type, "schema": record.schema, "key": key}
        execute(database, insert, values | {"document": record.document.decode()})
    for statement in OLD_ROWS:
        execute(database, statement)
