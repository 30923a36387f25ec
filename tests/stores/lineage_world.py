"""A small catalog to ask questions about: written record by record through `commit`, on SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from jeyn.sdk.artefact import Edge, PayloadRef, Record
from jeyn.sdk.canonical import sha256_of
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.feature import Feature
from jeyn.sdk.relationship import RelationshipType as R
from jeyn.sdk.version import Version
from jeyn.stores.catalog.changes import AliasMove, EpochClaim, Mark, NewArtefact, VersionClaim
from jeyn.stores.catalog.commit import commit
from jeyn.stores.catalog.database import Database
from jeyn.stores.catalog.migrate import ensure_current
from jeyn.stores.catalog.reader import Reader

SERIALIZER = {"id": "jeyn.numpy", "version": "1", "unsafe": False}


class Digits(DataCatalog):
    pixels = Feature(Dtypes.FLOAT32, shape=(-1, 64))
    label = Feature(Dtypes.INT64)


class Scores(DataCatalog):
    score = Feature(Dtypes.FLOAT32)


@dataclass
class World:
    """Makes artefacts of every type; each method gives the id."""

    database: Database
    actor: str = "ann"

    @property
    def reader(self) -> Reader:
        return Reader(self.database)

    def save(self, record: Record, **beside: Any) -> str:
        return commit(self.database, [NewArtefact(record, **beside)], self.actor)[0].id

    def formula(
        self,
        name: str,
        version: str = "1.0.0",
        catalog: type[DataCatalog] = Digits,
        recipe: Mapping[str, Any] | None = None,
        sources: Sequence[tuple[R, str]] = (),
    ) -> str:
        body = {
            "version": version,
            "output_catalog": catalog.to_json(),
            "recipe": dict(recipe or {"kind": "generic", "parameters": {}}),
        }
        return self.save(
            Record("dataset_formula/1", name, body),
            edges=tuple(Edge(kind, id) for kind, id in sources),
            claim=VersionClaim(f"formula:{name}", "exact", exact=Version.parse(version)),
        )

    def composite(self, name: str, refs: Sequence[str], catalog: type[DataCatalog], version: str = "1.0.0") -> str:
        return self.formula(name, version, catalog, {"kind": "composite", "formulas": list(refs)})

    def model_formula(
        self,
        name: str,
        source: str,
        checkpoint: str,
        catalog: type[DataCatalog],
        keep: Sequence[str] = (),
        version: str = "1.0.0",
    ) -> str:
        recipe = {"kind": "model", "source": source, "checkpoint": checkpoint, "apply": "predict", "keep": list(keep)}
        return self.formula(name, version, catalog, recipe)

    def batch(
        self,
        formula: str,
        content: str,
        sources: Sequence[str] = (),
        quarantined: bool = False,
        facts: Mapping[str, Any] | None = None,
        kind: str = "table",
    ) -> str:
        name = self.row(formula).name
        parents = [Edge(R.formula_batch, formula), *(Edge(R.source_batch, id) for id in sources)]
        payload = PayloadRef("data", sha256_of(content.encode()), len(content))
        return self.save(
            Record("dataset_batch/1", name, {"kind": kind}, tuple(parents), (payload,)),
            claim=None if quarantined else EpochClaim(f"batch:{formula.removeprefix('sha256:')}"),
            quarantined=quarantined,
            facts=facts or {},
        )

    def use_case(self, name: str) -> str:
        return self.save(Record("use_case/1", name, {}))

    def checkpoint(
        self,
        name: str,
        version: str,
        batch: str,
        content: str = "",
        inputs: type[DataCatalog] = Digits,
        outputs: type[DataCatalog] = Scores,
        parents: Sequence[str] = (),
        metrics: Mapping[str, float] | None = None,
        unsafe: bool = False,
    ) -> str:
        content = content or f"{name} {version}"
        body = {
            "input_catalog": inputs.to_json(),
            "output_catalog": outputs.to_json(),
            "serializer": SERIALIZER | {"unsafe": unsafe},
        }
        edges = [Edge(R.use_case_checkpoint, self.use_case(name)), Edge(R.batch_checkpoint, batch)]
        edges += [Edge(R.checkpoint_parent, id) for id in parents]
        payload = PayloadRef("model", sha256_of(content.encode()), len(content))
        return self.save(
            Record("model_checkpoint/1", name, body, tuple(edges), (payload,)),
            claim=VersionClaim(f"checkpoint:{name}", "exact", exact=Version.parse(version)),
            metrics=metrics or {},
            facts={"metrics": dict(metrics or {})},
        )

    def evaluation(self, checkpoint: str, batch: str, metrics: Mapping[str, float]) -> str:
        parents = (Edge(R.evaluation_of, checkpoint), Edge(R.source_batch, batch))
        record = Record("evaluation/1", self.row(checkpoint).name, {"metrics": dict(metrics)}, parents)
        return self.save(record, metrics=metrics)

    def bless(self, checkpoint: str, alias: str = "blessed") -> None:
        owner = f"checkpoint:{self.row(checkpoint).name}"
        commit(self.database, [AliasMove(owner, alias, checkpoint, "bless", "good")], self.actor)

    def mark(self, id: str, kind: str, value: str = "", present: bool = True) -> None:
        commit(self.database, [Mark(id, kind, value, present)], self.actor)

    def row(self, id: str) -> Any:
        found = self.reader.row(id)
        assert found is not None
        return found

    def key(self, id: str) -> int:
        return int(self.row(id).key)


@contextmanager
def new_world(url: str) -> Iterator[World]:
    database = Database(url)
    try:
        ensure_current(database)
        yield World(database)
    finally:
        database.dispose()


def catalog_of(**features: Feature) -> type[DataCatalog]:
    return DataCatalog.of("Made", features)
