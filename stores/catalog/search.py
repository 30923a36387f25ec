"""The filter language as SQL: every value is a parameter, and the same statements run on SQLite and PostgreSQL."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ColumnElement,
    Float,
    Select,
    and_,
    bindparam,
    case,
    cast,
    exists,
    false,
    func,
    null,
    or_,
    select,
    text,
    true,
)
from sqlalchemy.types import Text

from jeyn.sdk.reference import Alias, Exact, Latest, Range, Selector
from jeyn.sdk.relationship import RelationshipType
from jeyn.sdk.version import Version
from jeyn.sdk.version_range import Comparator, VersionRange
from jeyn.stores.catalog import scores
from jeyn.stores.catalog.closure import Direction, reached
from jeyn.stores.catalog.database import Database
from jeyn.stores.catalog.patience import patient
from jeyn.stores.catalog.reader import is_marked
from jeyn.stores.catalog.tables import alias_move, artefact, claim, edge, mark

if TYPE_CHECKING:  # the grammar's package imports this module
    from jeyn.stores.search.grammar import Filter, Term

Condition = ColumnElement[bool]
Pick = Any

_COMPARE: Mapping[str, Callable[[Any, Any], Condition]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
# An age is compared: younger than seven days is later than seven days ago.
_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "="}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ENOUGH = 4000


@dataclass(frozen=True)
class Order:
    """By "created", "name" or "metrics.<name>"; a metric's order leaves out what does not have it."""

    field: str
    descending: bool


@dataclass(frozen=True)
class Query:
    """A parsed search: `roots` are the keys that the terms `upstream:` and `downstream:` mean, by position.

    `now` is microseconds, UTC. The terms at the positions `left_out` are checked by the caller. With `on`, metrics are
    those of evaluations on the batch with this key.
    """

    terms: Filter
    roots: Mapping[int, Sequence[int]]
    now: int
    order: Order
    left_out: frozenset[int] = frozenset()
    on: int | None = None


@dataclass(frozen=True)
class Match:
    """A found row; `sort` is its value in the order asked for, `source` the key of what a metric is from."""

    key: int
    sort: int | float | str
    facts: str
    source: int | None = None


@patient
def find(database: Database, query: Query, limit: int, after: tuple[Any, int] | None = None) -> list[Match]:
    """The first `limit` matches beyond a (sort value, key)."""
    statement = _statement(query, database, limit, after)
    with database.read() as connection:
        rows = connection.execute(statement).all()
    return [Match(row.key, row.sort, row.facts, row.source) for row in rows]


@patient
def is_small(database: Database, direction: Direction, roots: Sequence[int], enough: int = _ENOUGH) -> bool:
    """Whether the closure has no more than `enough` nodes; the walk stops there."""
    some = select(reached(direction).c.key).limit(enough + 1).subquery()
    with database.read() as connection:
        count: int = connection.execute(select(func.count()).select_from(some), {"roots": list(roots)}).scalar_one()
    return count <= enough


@patient
def leads_to(database: Database, key: int, direction: Direction, roots: Sequence[int]) -> bool:
    """Whether a walk from `key` in this direction meets one of `roots`; it stops as soon as it does.

    A parent is always saved before its child, so its key is smaller: what lies beyond the roots is never visited, and
    SQLite takes the nodes nearest to them first.
    """
    limit = min(roots) if direction == "up" else max(roots)
    order = _NEAREST_FIRST[direction] if database.is_sqlite else ""
    query = text(_GUIDED[direction].format(order=order)).bindparams(bindparam("roots", expanding=True))
    with database.read() as connection:
        return connection.execute(query, {"key": key, "end": limit, "roots": list(roots)}).first() is not None


# As text, because the ORDER BY of a recursion, which makes its queue a priority queue, is SQLite's own.
_GUIDED: Mapping[Direction, str] = {
    "up": (
        "WITH RECURSIVE walked(key) AS (SELECT parent FROM edge WHERE child = :key AND parent >= :end UNION "
        "SELECT edge.parent FROM walked JOIN edge ON edge.child = walked.key WHERE edge.parent >= :end {order}) "
        "SELECT key FROM walked WHERE key IN :roots LIMIT 1"
    ),
    "down": (
        "WITH RECURSIVE walked(key) AS (SELECT child FROM edge WHERE parent = :key AND child <= :end UNION "
        "SELECT edge.child FROM walked JOIN edge ON edge.parent = walked.key WHERE edge.child <= :end {order}) "
        "SELECT key FROM walked WHERE key IN :roots LIMIT 1"
    ),
}
_NEAREST_FIRST: Mapping[Direction, str] = {"up": "ORDER BY 1", "down": "ORDER BY 1 DESC"}


@patient
def formula_keys(database: Database, kinds: Sequence[str]) -> list[int]:
    """The keys of all formulas of these kinds, in the order of saving."""
    kind = _text(artefact.c.document, ("body", "recipe", "kind"), database.dialect)
    query = select(artefact.c.key).where(artefact.c.type == "dataset_formula", kind.in_(kinds))
    with database.read() as connection:
        return list(connection.execute(query.order_by(artefact.c.key)).scalars())


@patient
def matching(database: Database, kind: str, name: str, selector: Selector | None, epoch: int | None) -> list[int]:
    """The keys of all artefacts that a reference with a range may mean; for batches all epochs, or the one given."""
    owned = "checkpoint" if kind == "checkpoint" else "formula"
    chosen = select(claim.c.artefact).where(claim.c.owner == f"{owned}:{name}")
    match selector:
        case Range(versions):
            chosen = chosen.where(in_range(database, versions))
        case Exact(version):
            chosen = chosen.where(claim.c.number == str(version))
        case Alias() | Latest() | None:
            raise AssertionError("only versions name several artefacts")
    query = chosen
    if kind == "batch":
        number = claim.c.owner.startswith("batch:") if epoch is None else _is_epoch(operator.eq, epoch)
        of_formula = select(edge.c.child).where(
            edge.c.type == RelationshipType.formula_batch.value, edge.c.parent.in_(chosen)
        )
        query = select(claim.c.artefact).where(number, claim.c.artefact.in_(of_formula))
    with database.read() as connection:
        return sorted(set(connection.execute(query).scalars()))


@patient
def in_range(database: Database, versions: VersionRange) -> Condition:
    """`VersionRange.contains` over the claim table."""
    release = and_(claim.c.prerelease == "", *(_bound(comparator) for comparator in versions.comparators))
    floors = [comparator.floor for comparator in versions.comparators if comparator.prerelease]
    if not floors:
        return release
    # A prerelease counts only beside a comparator that names one of the same core, and SQL cannot order them.
    cores = [_versions(operator.eq, (floor.major, floor.minor, floor.patch)) for floor in floors]
    query = select(claim.c.number).distinct().where(claim.c.prerelease != "", or_(*cores))
    query = query.where(~claim.c.owner.startswith("batch:"))
    with database.read() as connection:
        numbers = connection.execute(query).scalars().all()
    return or_(release, claim.c.number.in_([text for text in numbers if versions.contains(Version.parse(text))]))


def _bound(comparator: Comparator) -> Condition:
    """What a release must be for one comparator: with x for a release, x < 1.2.0-rc.1 is x < 1.2.0."""
    op, parts, floor = comparator.operator, comparator.parts, comparator.floor
    core = (floor.major, floor.minor, floor.patch)
    is_whole, is_named = len(parts) == 3, bool(comparator.prerelease)
    if op == ">=":
        return _versions(operator.ge, core)
    if op == "<":
        return _versions(operator.lt, core)
    if op == ">":
        if not is_whole:
            return _versions(operator.ge, _above(parts, len(parts)))
        return _versions(operator.ge if is_named else operator.gt, core)
    if op == "<=":
        if not is_whole:
            return _versions(operator.lt, _above(parts, len(parts)))
        return _versions(operator.lt if is_named else operator.le, core)
    if op == "" and is_whole:
        return false() if is_named else _versions(operator.eq, core)
    fixed = (1 if parts[0] else 2) if op == "^" else 2
    return and_(_versions(operator.ge, core), _versions(operator.lt, _above(parts, min(len(parts), fixed))))


def _above(parts: Sequence[int], fixed: int) -> tuple[int, int, int]:
    """The first version whose leading `fixed` parts are above these."""
    raised = (*parts[: fixed - 1], parts[fixed - 1] + 1, 0, 0)
    return raised[0], raised[1], raised[2]


def _versions(compare: Callable[[Any, Any], Condition], core: tuple[int, int, int]) -> Condition:
    """Three integers compared in order, spelled out: not every SQLite compares rows."""
    columns = (claim.c.major, claim.c.minor, claim.c.patch)
    if compare is operator.eq:
        return and_(*(column == part for column, part in zip(columns, core, strict=True)))
    strict = operator.gt if compare in (operator.gt, operator.ge) else operator.lt
    major, minor, patch = columns
    return or_(
        strict(major, core[0]),
        and_(major == core[0], strict(minor, core[1])),
        and_(major == core[0], minor == core[1], compare(patch, core[2])),
    )


def _statement(query: Query, database: Database, limit: int, after: tuple[Any, int] | None) -> Select[Any]:
    sort, present, source = _sort(query.order, query.on)
    conditions = [*_conditions(query, database), present]
    if after is not None:
        value, key = after
        beyond = operator.lt if query.order.descending else operator.gt
        conditions.append(or_(beyond(sort, value), and_(sort == value, beyond(artefact.c.key, key))))
    ends = (sort.desc(), artefact.c.key.desc()) if query.order.descending else (sort.asc(), artefact.c.key.asc())
    found = select(artefact.c.key, sort.label("sort"), artefact.c.facts, source.label("source")).where(*conditions)
    return found.order_by(*ends).limit(limit)


def _sort(order: Order, on: int | None) -> tuple[ColumnElement[Any], Condition, ColumnElement[Any]]:
    """What is sorted by, whether it is there, and the key of what it is from."""
    if order.field == "created":
        return artefact.c.at, true(), null()
    if order.field == "name":
        return artefact.c.name, true(), null()
    name = order.field.removeprefix("metrics.")
    value = scores.value_of(name, on)
    return value, value.is_not(None), scores.source_of(name, on)


def _conditions(query: Query, database: Database) -> list[Condition]:
    asked = {term.value for term in query.terms if term.field == "is"}
    conditions: list[Condition] = []
    if "quarantined" not in asked:
        conditions.append(~_is_quarantined())
    for position, term in enumerate(query.terms):
        if position in query.left_out:
            continue
        condition = _condition(term, query, database, position)
        conditions.append(~func.coalesce(condition, false()) if term.negated else condition)
    return conditions


def _condition(term: Term, query: Query, database: Database, position: int) -> Condition:
    dialect, roots = database.dialect, query.roots.get(position, ())
    group, _, rest = term.field.partition(".")
    match group:
        case "type" | "name" | "actor":
            return _compared_text(artefact.c[group], term)
        case "kind":
            recipe = _text(artefact.c.document, ("body", "recipe", "kind"), dialect)
            return _compared_text(func.coalesce(recipe, _text(artefact.c.document, ("body", "kind"), dialect)), term)
        case "created":
            return _created(term, query.now)
        case "is":
            return _is(str(term.value), dialect)
        case "tag":
            return artefact.c.key.in_(_tagged(term))
        case "alias":
            return artefact.c.key.in_(_aliased(term))
        case "version" if isinstance(term.value, VersionRange):
            return _has_version(database, term.value)
        case "epoch":
            return artefact.c.key.in_(select(claim.c.artefact).where(_is_epoch(_COMPARE[term.op], term.value)))
        case "metrics":
            return scores.has(rest, _COMPARE[term.op], term.value, query.on)
        case "on":
            return or_(*map(scores.is_scored_on, roots))
        case "stats":
            feature, _, statistic = rest.rpartition(".")
            value = _statistic(feature, statistic, dialect)
            return _COMPARE[term.op](value, term.value)
        case _:
            # What has it upstream is what a walk down from it reaches.
            direction: Direction = "down" if group == "upstream" else "up"
            return artefact.c.key.in_(select(reached(direction, roots=roots, name=f"reached_{position}").c.key))


def _compared_text(column: ColumnElement[Any], term: Term) -> Condition:
    value = str(term.value)
    if term.op == "glob":
        return column.ilike("%".join(map(_literal, value.split("*"))), escape="\\")
    if term.op == "contains":
        return column.ilike(f"%{_literal(value)}%", escape="\\")
    return column == value


def _literal(part: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", part)


def _created(term: Term, now: int) -> Condition:
    if isinstance(term.value, timedelta):
        moment = now - term.value // timedelta(microseconds=1)
        return _COMPARE[_FLIPPED[term.op]](artefact.c.at, moment)
    if isinstance(term.value, datetime):
        return _COMPARE[term.op](artefact.c.at, (term.value - _EPOCH) // timedelta(microseconds=1))
    raise TypeError(f"{term.value!r} is no age and no moment")


def _is(what: str, dialect: str) -> Condition:
    if what == "quarantined":
        return _is_quarantined()
    if what == "tombstoned":
        return is_marked(artefact.c.key, "tombstone")
    checkpoint = _text(artefact.c.document, ("body", "serializer", "unsafe"), dialect)
    return func.coalesce(checkpoint, _text(artefact.c.document, ("body", "unsafe"), dialect)).in_(("1", "true"))


def _is_quarantined() -> Condition:
    # Content that was quarantined once and was saved well later has a claim.
    return and_(artefact.c.quarantined, ~exists().where(claim.c.artefact == artefact.c.key))


def _tagged(term: Term) -> Pick:
    later = mark.alias("later")
    same = (later.c.artefact == mark.c.artefact, later.c.kind == "tag", later.c.value == mark.c.value)
    return select(mark.c.artefact).where(
        mark.c.kind == "tag",
        _compared_text(mark.c.value, term),
        mark.c.present,
        ~exists().where(*same, later.c.key > mark.c.key),
    )


def _aliased(term: Term) -> Pick:
    later = alias_move.alias("later")
    same = (later.c.owner == alias_move.c.owner, later.c.alias == alias_move.c.alias)
    return select(alias_move.c.artefact).where(
        _compared_text(alias_move.c.alias, term),
        alias_move.c.artefact.is_not(None),
        ~exists().where(*same, later.c.key > alias_move.c.key),
    )


def _has_version(database: Database, versions: VersionRange) -> Condition:
    """A formula or checkpoint at such a version, or a batch of a formula at one."""
    held = select(claim.c.artefact).where(~claim.c.owner.startswith("batch:"), in_range(database, versions))
    batches = select(edge.c.child).where(edge.c.type == RelationshipType.formula_batch.value, edge.c.parent.in_(held))
    return or_(artefact.c.key.in_(held), and_(artefact.c.type == "dataset_batch", artefact.c.key.in_(batches)))


def _is_epoch(compare: Callable[[Any, Any], Condition], epoch: Any) -> Condition:
    return and_(claim.c.owner.startswith("batch:"), compare(claim.c.major, epoch))


def _statistic(feature: str, statistic: str, dialect: str) -> ColumnElement[Any]:
    """A number of `facts.statistics`; other types (a time's minimum is text) are no numbers and match nothing."""
    found = _number_at(("statistics", feature, statistic), dialect)
    if not feature.startswith("$"):
        return found
    # Written with one more "$", and in older catalogs as it is.
    return func.coalesce(_number_at(("statistics", f"${feature}", statistic), dialect), found)


def _number_at(path: Sequence[str], dialect: str) -> ColumnElement[Any]:
    if dialect == "postgresql":
        # Python writes NaN and Infinity, which no JSON reader of PostgreSQL takes.
        facts = func.regexp_replace(artefact.c.facts, r"([:\[,] ?)(NaN|-?Infinity)", r"\1null", "g")
        value = _text(facts, path, dialect)
        return case((value.op("~")(r"^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$"), cast(value, Float)), else_=None)
    where = _path(path)
    kind = func.json_type(artefact.c.facts, where)
    number = case((kind.in_(("integer", "real")), func.json_extract(artefact.c.facts, where)), else_=None)
    return case((func.json_valid(artefact.c.facts) == 1, number), else_=None)


def _text(column: ColumnElement[Any], path: Sequence[str], dialect: str) -> ColumnElement[Any]:
    """A value inside stored JSON, as text; NULL where a damaged row holds none."""
    if dialect == "postgresql":
        return func.jeyn_json_text(column, *path, type_=Text)
    return case((func.json_valid(column) == 1, cast(func.json_extract(column, _path(path)), Text)), else_=None)


def _path(parts: Sequence[str]) -> str:
    """SQLite compares a quoted part with the text as it was written, escapes included, as json.dumps writes it."""
    return "$" + "".join(f".{json.dumps(part)}" for part in parts)
