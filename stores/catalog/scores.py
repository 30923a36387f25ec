"""Metrics as the search language means them: what a checkpoint scored last, on any batch or on one.

The newest evaluation that has the metric is the highest source; training metrics have the lowest, the checkpoint
itself. An evaluation's own are kept with the checkpoint that it judged.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, or_, select

from jeyn.sdk.relationship import RelationshipType
from jeyn.stores.catalog.database import Database
from jeyn.stores.catalog.patience import patient
from jeyn.stores.catalog.tables import artefact, edge, metric

Condition = ColumnElement[bool]


def value_of(name: str, on: int | None = None) -> ColumnElement[Any]:
    """The metric of the artefact that a query is about; with `on`, as scored on the batch with this key."""
    return _newest(metric.c.value, name, on)


def source_of(name: str, on: int | None = None) -> ColumnElement[Any]:
    """The key of the evaluation that `value_of` is from, or the checkpoint's own for a training metric."""
    return _newest(metric.c.source, name, on)


def has(name: str, compare: Any, value: Any, on: int | None = None) -> Condition:
    """Whether the metric compares so with a value."""
    # The first half finds candidates by the index on values, the second asks whether that value is the newest.
    fitting = (metric.c.name == name, compare(metric.c.value, value))
    some = select(metric.c.subject).where(*fitting).union_all(select(metric.c.source).where(*fitting))
    return and_(artefact.c.key.in_(some), compare(value_of(name, on), value))


def is_scored_on(batch: int) -> Condition:
    """An evaluation on this batch, or a checkpoint that has one."""
    evaluation = artefact.alias("evaluation")
    on = (
        select(edge.c.child)
        .join(evaluation, evaluation.c.key == edge.c.child)
        .where(edge.c.parent == batch, edge.c.type == RelationshipType.source_batch.value)
        .where(evaluation.c.type == "evaluation")
    )
    judged = edge.alias("judged")
    subjects = select(judged.c.parent).where(
        judged.c.type == RelationshipType.evaluation_of.value, judged.c.child.in_(on)
    )
    return or_(artefact.c.key.in_(on), artefact.c.key.in_(subjects))


@patient
def batches_of(database: Database, evaluations: Collection[int]) -> dict[int, int]:
    """evaluation -> batch, of those that were made on one."""
    query = select(edge.c.child, edge.c.parent).where(
        edge.c.child.in_(sorted(evaluations)), edge.c.type == RelationshipType.source_batch.value
    )
    with database.read() as connection:
        return {row.child: row.parent for row in connection.execute(query)}


def _newest(column: ColumnElement[Any], name: str, on: int | None) -> ColumnElement[Any]:
    newest = select(column).where(metric.c.subject == artefact.c.key, metric.c.name == name)
    own = (
        select(column)
        .where(edge.c.child == artefact.c.key, edge.c.type == RelationshipType.evaluation_of.value)
        .where(metric.c.subject == edge.c.parent, metric.c.source == edge.c.child, metric.c.name == name)
    )
    if on is not None:
        newest, own = (each.where(_is_on(on)) for each in (newest, own))
    return func.coalesce(
        newest.order_by(metric.c.source.desc()).limit(1).scalar_subquery(),
        own.correlate(artefact).limit(1).scalar_subquery(),
    )


def _is_on(batch: int) -> Condition:
    made_on = edge.alias("made_on")
    return exists().where(
        made_on.c.child == metric.c.source,
        made_on.c.parent == batch,
        made_on.c.type == RelationshipType.source_batch.value,
    )
