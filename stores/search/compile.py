"""Searching the catalog: a filter in, a page of hits out; the terms become parametrised SQL in `stores/catalog`."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jeyn.errors import Ambiguous, InvalidFilter, UsageError
from jeyn.sdk.reference import Range, Reference
from jeyn.sdk.relationship import RelationshipType
from jeyn.sdk.version_range import VersionRange
from jeyn.stores.catalog import scores
from jeyn.stores.catalog import search as sql
from jeyn.stores.catalog.closure import Direction
from jeyn.stores.catalog.nodes import nodes
from jeyn.stores.catalog.reader import Reader
from jeyn.stores.catalog.tolerant import json_object
from jeyn.stores.resolve import TYPES, resolve, versions_in
from jeyn.stores.search.grammar import Filter, Term, parse

MAX_ROOTS = 20_000
# A walk that does not meet its root has seen all there is; after some of them one whole closure is the cheaper way.
MAX_MISSES = 1
_PAGE = 100


@dataclass(frozen=True)
class Score:
    """The number that a hit is ranked by, and what it was measured on.

    `batch` is the reference of the batch that the evaluation was made on; it and `evaluation` (an id) are None for a
    training metric, `batch` alone for an evaluation on no batch.
    """

    metric: str
    value: float
    batch: str | None
    evaluation: str | None

    @property
    def measured_on(self) -> str:
        """For people: the batch, or what it is in place of one."""
        return self.batch or ("no batch" if self.evaluation else "training")

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))


@dataclass(frozen=True)
class Hit:
    """One artefact that satisfies the filter: `at` is when it was saved (µs, UTC), `facts` what is not in its id.

    `score` is there when the order is that of a metric; `swept` says that the bytes are gone, swept or lost.
    """

    id: str
    type: str
    name: str
    ref: str
    number: str | None
    at: int
    facts: Mapping[str, Any]
    score: Score | None = None
    swept: bool = False


class Hits(list[Hit]):
    """One page, in the order asked for; `next` is the cursor of the page that follows, None after the last."""

    next: str | None = None

    @property
    def is_comparable(self) -> bool:
        """Whether all scores of the page were measured on one batch."""
        return len({hit.score.measured_on for hit in self if hit.score}) < 2

    def _repr_html_(self) -> str:
        from jeyn.sdk.artefact import at_microseconds
        from jeyn.sdk.html import card, table

        rows = [(hit.ref, hit.type, f"{at_microseconds(hit.at):%Y-%m-%d %H:%M:%S}", _shown(hit)) for hit in self]
        note = f"{len(self)} artefacts" + (", and more" if self.next else "")
        return card("search", (), table(["reference", "type", "saved (UTC)", "metrics"], rows), note=note)


def _shown(hit: Hit) -> str:
    return f"{hit.score.metric} {hit.score.value:.6g} on {hit.score.measured_on}" if hit.score else _metrics(hit)


def _metrics(hit: Hit) -> str:
    metrics = hit.facts.get("metrics")
    shown = metrics.items() if isinstance(metrics, dict) else ()
    return ", ".join(f"{name} {value:.6g}" if isinstance(value, float) else f"{name} {value}" for name, value in shown)


def search(
    reader: Reader,
    text: str,
    limit: int = 50,
    order: str = "-created",
    after: str | None = None,
    *,
    now: int | None = None,
) -> Hits:
    """The artefacts that satisfy a filter, at most `limit`, beyond the cursor `after`.

    `order` is created, name or metrics.<name>, with a "-" for the largest first; a metric's order leaves out what does
    not have it as a finite number, and each hit says its score and on which batch. Ages count from `now` (µs, UTC).
    What is quarantined is found with `is:` only; what was swept is marked so. Raises `InvalidFilter`, also for scores
    on several batches, `UsageError`, and `NotFound` or `Ambiguous` for a reference in the filter.
    """
    if limit < 1:
        raise UsageError(f'the limit "{limit}" is below 1', hint="ask for at least one hit")
    terms = tuple(_long_type(term) for term in parse(text))
    wanted = _order(order)
    roots = _roots(reader, terms)
    at = time.time_ns() // 1000 if now is None else now
    query = sql.Query(terms, roots, at, wanted, on=_one_batch(terms, roots, wanted))
    start = _read_cursor(after, order) if after is not None else None
    found = _matches(reader, query, limit + 1, start)
    hits = Hits(_hits(reader, found[:limit], wanted))
    if len(found) > limit:
        hits.next = _cursor(order, found[limit - 1])
    return hits


def _hits(reader: Reader, found: Sequence[sql.Match], order: sql.Order) -> Iterator[Hit]:
    rows = nodes(reader.database, [match.key for match in found])
    scored = _scores(reader, found, order)
    swept = reader.buried([node.id for node in rows.values()])
    for match in found:
        node = rows.get(match.key)
        if node is None:  # a damaged key
            continue
        facts = json_object(match.facts)
        yield Hit(
            node.id,
            node.type,
            node.name,
            node.ref,
            node.number,
            node.at,
            facts,
            scored.get(match.key),
            node.id in swept,
        )


def _scores(reader: Reader, found: Sequence[sql.Match], order: sql.Order) -> dict[int, Score]:
    """By the key of the hit; nothing where the order is not that of a metric."""
    sources = {match.key: match.source for match in found if match.source is not None}
    batches = scores.batches_of(reader.database, set(sources.values())) if sources else {}
    named = nodes(reader.database, sorted({*sources.values(), *batches.values()}))
    made: dict[int, Score] = {}
    for match in found:
        if match.source is not None:
            if match.source not in named:
                continue
            source, batch = named[match.source], named.get(batches.get(match.source, 0))
            evaluation = source.id if source.type == "evaluation" else None
            of = batch.ref if batch and evaluation else None
            made[match.key] = Score(order.field.removeprefix("metrics."), float(match.sort), of, evaluation)
    return made


def _long_type(term: Term) -> Term:
    """`type:checkpoint` is `type:model_checkpoint`, as in references."""
    if term.field == "type" and term.op == "=" and term.value in TYPES:
        return replace(term, value=TYPES[str(term.value)])
    return term


def _roots(reader: Reader, terms: Filter) -> dict[int, list[int]]:
    return {
        position: _batches(reader, term.value) if term.field == "on" else _meant(reader, term.value)
        for position, term in enumerate(terms)
        if isinstance(term.value, Reference)
    }


def _batches(reader: Reader, reference: Reference) -> list[int]:
    """The keys of the batches that `on:` means: one, or all of the formula versions that are meant."""
    if reference.kind == "batch" or reference.digest is not None:
        return [resolve(reader, reference, "batch").key]
    formula = replace(reference, kind="formula")
    resolve(reader, formula)  # says what there is
    if reference.selector is None:
        formula = replace(formula, selector=Range(VersionRange.parse("*")))
    batches = [
        key
        for id in versions_in(reader, formula, "formula")
        for key in reader.children(id, RelationshipType.formula_batch.value)
    ]
    return batches or [resolve(reader, f"{formula.name}@latest/latest", "batch").key]


def _one_batch(terms: Filter, roots: Mapping[int, Sequence[int]], order: sql.Order) -> int | None:
    """The batch on which metrics are asked for; scores on different batches are not compared with each other."""
    places = [place for place, term in enumerate(terms) if term.field == "on" and not term.negated]
    if not places:
        return None
    keys = list(dict.fromkeys(key for place in places for key in roots[place]))
    if len(keys) == 1:
        return keys[0]
    if order.field.startswith("metrics.") or any(term.field.startswith("metrics.") for term in terms):
        said = " and ".join(f'"{terms[place].value}"' for place in places)
        raise InvalidFilter(
            f"{said} means {len(keys)} batches, and scores on different batches do not compare",
            hint="name one batch: on:holdout@1.0.0/3, or on:holdout@^1/latest",
        )
    return None


def _meant(reader: Reader, reference: Reference) -> list[int]:
    """The keys of all artefacts in a range (of a batch, all epochs), or of the one that any other reference means."""
    if not isinstance(reference.selector, Range):
        return [resolve(reader, reference).key]
    kinds = [reference.kind] if reference.kind else ["formula", "checkpoint"]
    epoch = reference.epoch if isinstance(reference.epoch, int) else None
    name = reference.name or ""
    found = {kind: sql.matching(reader.database, kind, name, reference.selector, epoch) for kind in kinds}
    found = {kind: keys for kind, keys in found.items() if keys}
    if len(found) > 1:
        raise Ambiguous(f'"{reference}" names formulas and checkpoints', hint=f"say formula:{reference}")
    if not found:
        return [resolve(reader, reference).key]
    (keys,) = found.values()
    if len(keys) > MAX_ROOTS:
        raise InvalidFilter(f'"{reference}" means {len(keys)} artefacts', hint=f"narrow it to at most {MAX_ROOTS}")
    return keys


def _matches(reader: Reader, query: sql.Query, limit: int, after: tuple[Any, int] | None) -> list[sql.Match]:
    """From the cheap side: a small closure inside the query, a large one by a walk from each candidate."""
    database = reader.database
    large = frozenset(
        position
        for position, roots in query.roots.items()
        if query.terms[position].field != "on" and not sql.is_small(database, _away(query.terms[position]), roots)
    )
    if large:
        stepped = _step(reader, replace(query, left_out=large), limit, after)
        if stepped is not None:
            return stepped
    return sql.find(database, query, limit, after)


def _step(reader: Reader, query: sql.Query, limit: int, after: tuple[Any, int] | None) -> list[sql.Match] | None:
    """Candidates that the other terms allow, each checked by walks; None when too many walks were in vain."""
    found: list[sql.Match] = []
    misses = 0
    while True:
        page = sql.find(reader.database, query, _PAGE, after)
        for match in page:
            holds = True
            for position in query.left_out:
                term = query.terms[position]
                met = sql.leads_to(reader.database, match.key, _back(term), query.roots[position])
                misses += not met
                holds = holds and met != term.negated
            if misses > MAX_MISSES:
                return None
            if holds:
                found.append(match)
            if len(found) == limit:
                return found
        if len(page) < _PAGE:
            return found
        after = (page[-1].sort, page[-1].key)


def _away(term: Term) -> Direction:
    """The way from the reference to what is looked for."""
    return "down" if term.field == "upstream" else "up"


def _back(term: Term) -> Direction:
    return "up" if term.field == "upstream" else "down"


def _order(text: str) -> sql.Order:
    field = text.removeprefix("-")
    if field not in ("created", "name") and not (field.startswith("metrics.") and len(field) > len("metrics.")):
        raise UsageError(f'"{text}" is no order', hint="use created, name or metrics.<name>, with - for largest first")
    return sql.Order(field, text.startswith("-"))


def _cursor(order: str, last: sql.Match) -> str:
    return base64.urlsafe_b64encode(json.dumps([order, last.sort, last.key]).encode()).decode()


def _read_cursor(cursor: str, order: str) -> tuple[Any, int]:
    try:
        made_for, sort, key = json.loads(base64.b64decode(cursor, altchars=b"-_", validate=True))
        if made_for == order and _is_sort(sort, order) and type(key) is int and abs(key) < 2**63:
            return sort, key
    except (ValueError, TypeError):  # no base64, no JSON, or not three things
        pass
    raise UsageError(
        f'"{cursor[:80]}" is no cursor of a search in the order "{order}"', hint="pass on `.next` as it is"
    )


def _is_sort(value: object, order: str) -> bool:
    field = order.removeprefix("-")
    if field == "name":
        return isinstance(value, str) and "\0" not in value
    return type(value) is int and abs(value) < 2**63 if field == "created" else type(value) in (int, float)
