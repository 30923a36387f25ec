"""Observations: what an operation read from the stores, and whether the same question has the same answer now.

A cached result is taken over only while all of its observations hold (SEMANTICS 17). What is exact needs none: an
artefact by its whole id, or through an object at hand.

| kind | subject | answer |
|---|---|---|
| `ref` | a reference, with its kind where the caller said one | the id; None for nothing |
| `alias` | `name@alias` | the id; None for nowhere |
| `new` | a formula's id, perhaps ` after ` a batch | the id of the latest batch, when nothing is new |
| `latest` | a formula's id | the id of its latest batch; None before the first |
| `batches` | a formula's id, or a range of its versions | a summary of the ids of their batches |
| `every_batch` | the same | the same, with the superseded ones |
| `search` | the text and options, as JSON | a summary of what it found |
| `tags` | an artefact's id | its tags |
| `contract` | a use case's id | the digest of the catalogs that were last given to it |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from jeyn.errors import NotFound
from jeyn.sdk.artefact import Artefact
from jeyn.sdk.canonical import canonical, parse, sha256_of
from jeyn.sdk.reference import Kind, Reference
from jeyn.stores.catalog.changes import Observation as Observation
from jeyn.stores.catalog.reader import owner_of
from jeyn.stores.resolve import versions_in

if TYPE_CHECKING:
    from jeyn.stores.batches.new_batch import News
    from jeyn.stores.workspace import Workspace

_AFTER = " after "
_NEWS = "new:"  # before what is new, in an answer that equals no id


def holds(workspace: Workspace, observation: Observation) -> bool:
    """Whether the same read gives the same now. Raises what the read raises, such as `Unreachable`."""
    return bool(answer_now(workspace, observation) == observation.answer)


def explain(workspace: Workspace, observation: Observation) -> str:
    """One sentence about what differs now."""
    now = answer_now(workspace, observation)
    if now == observation.answer:
        return f"what it read of {_shown(workspace, observation)} is as it was"
    return _SENTENCES[observation.kind](workspace, _shown(workspace, observation), observation.answer, now)


def answer_now(workspace: Workspace, observation: Observation) -> Any:
    """What the read gives now, in the form in which it was noted."""
    return _ANSWERS[observation.kind](workspace, observation.subject)


def reference_subject(ref: str | Reference | Artefact, kind: str | None) -> str | None:
    """How a read by reference is noted; None for one that asks for a kind and names another: it finds nothing, ever."""
    reference = Reference.parse(ref.id if isinstance(ref, Artefact) else ref)
    if kind not in (None, reference.kind or kind):
        return None
    return str(replace(reference, kind=reference.kind or cast("Kind | None", kind)))


def is_exact(ref: str | Reference | Artefact) -> bool:
    """Whether what it finds, it finds for ever: it is the whole id."""
    return isinstance(ref, Artefact) or len(Reference.parse(ref).digest or "") == 64


def new_subject(formula_id: str, after: str | None) -> str:
    return f"{formula_id}{_AFTER}{after}" if after else formula_id


def search_subject(text: str, options: Mapping[str, Any]) -> str:
    return canonical({"text": text, **options}).decode()


def summary(ids: Sequence[Any]) -> dict[str, Any]:
    """How many, and a digest of which, in what order."""
    return {"count": len(ids), "digest": sha256_of(canonical(list(ids)))}


def found_by(hits: Sequence[Any]) -> dict[str, Any]:
    return summary([[hit.id, hit.ref, *(hit.score.to_json().values() if hit.score else ())] for hit in hits])


def batches_of(workspace: Workspace, subject: str, *, superseded: bool = False) -> list[str]:
    """The ids of the batches that have an epoch, by version, then epoch: of a formula's id or a range of versions.

    Those that later ones superseded are among them only when asked for.
    """
    formulas = [subject] if subject.startswith("sha256:") else versions_in(workspace.reader, subject, "formula")
    found = []
    for id in formulas:
        out = set() if superseded else workspace.reader.superseded(id)
        claims = workspace.reader.claims(owner_of("batch", id))
        found += [claimed.id for claimed in claims if claimed.id not in out]
    return found


def contract_digest(workspace: Workspace, id: str) -> str:
    row = workspace.find_row(id)
    return sha256_of(canonical(workspace.contract(row)))


def _by_reference(workspace: Workspace, subject: str) -> str | None:
    try:
        return workspace.find_row(subject).id
    except NotFound:
        return None


def _alias(workspace: Workspace, subject: str) -> str | None:
    try:
        found: str = workspace.alias(subject).id
        return found
    except NotFound:
        return None


def _latest(workspace: Workspace, formula_id: str) -> str | None:
    last = workspace.reader.highest(owner_of("batch", formula_id))
    return last.id if last else None


def not_in_a_batch(workspace: Workspace, observation: Observation) -> str:
    """What a source has that no batch will have, where the read was of a source."""
    return _look(workspace, observation.subject).left_out if observation.kind == "new" else ""


def _look(workspace: Workspace, subject: str) -> News:
    from jeyn.stores.batches.new_batch import what_is_new

    formula_id, _, after = subject.partition(_AFTER)
    return what_is_new(workspace, workspace.formula_by_id(formula_id), after or None)


def _new(workspace: Workspace, subject: str) -> str | None:
    news = _look(workspace, subject)
    return f"{_NEWS}{news}" if news.new else _latest(workspace, subject.partition(_AFTER)[0])


def _search(workspace: Workspace, subject: str) -> dict[str, Any]:
    options = parse(subject)
    return found_by(workspace.search(options.pop("text"), **options))


_ANSWERS: Mapping[str, Callable[[Workspace, str], Any]] = {
    "ref": _by_reference,
    "alias": _alias,
    "new": _new,
    "latest": _latest,
    "batches": lambda workspace, id: summary(batches_of(workspace, id)),
    "every_batch": lambda workspace, id: summary(batches_of(workspace, id, superseded=True)),
    "search": _search,
    "tags": lambda workspace, id: sorted(workspace.tags(id)),
    "contract": contract_digest,
}


def _shown(workspace: Workspace, observation: Observation) -> str:
    """The subject as a person would write it."""
    match observation.kind:
        case "ref" | "alias":
            return _short(observation.subject)
        case "search":
            return f'the search "{parse(observation.subject)["text"]}"'
    subject = observation.subject.partition(_AFTER)[0]
    return _name(workspace, subject) if subject.startswith("sha256:") else _short(subject)


def _name(workspace: Workspace, id: str | None) -> str:
    try:
        return _short(workspace.bound(id).ref) if id else "nothing"
    except NotFound:
        return str(id)[:19]


def _short(reference: str) -> str:
    return reference if reference.startswith("sha256:") else reference.partition(":")[2] or reference


def _moved(workspace: Workspace, subject: str, before: str | None, now: str | None) -> str:
    if now is None:
        return f"{subject} is gone, it was {_name(workspace, before)}"
    return f"{subject} is now {_name(workspace, now)}, " + (
        f"it was {_name(workspace, before)}" if before else "there was none"
    )


def _news(workspace: Workspace, subject: str, before: str | None, now: str | None) -> str:
    if now and now.startswith(_NEWS):
        return f"{subject} has new data: {now.removeprefix(_NEWS)}"
    return _moved(workspace, f"the latest batch of {subject}", before, now)


def _counted(now_says: str, then_said: str) -> Callable[[Workspace, str, Any, Any], str]:
    def sentence(_workspace: Workspace, subject: str, before: Any, now: Any) -> str:
        if before["count"] == now["count"]:
            return f"{subject} {now_says.format(now['count'])} as before, but other ones"
        return f"{subject} {now_says.format(now['count'])} now, it {then_said} {before['count']}"

    return sentence


def _listed(tags: Sequence[str]) -> str:
    return ", ".join(tags) or "none"


_SENTENCES: Mapping[str, Callable[[Workspace, str, Any, Any], str]] = {
    "ref": _moved,
    "alias": _moved,
    "new": _news,
    "latest": lambda workspace, subject, before, now: _moved(workspace, f"the latest batch of {subject}", before, now),
    "batches": _counted("has {} batches", "had"),
    "every_batch": _counted("has {} batches", "had"),
    "search": _counted("finds {}", "found"),
    "tags": lambda _, subject, before, now: (
        f"the tags of {subject} are now {_listed(now)}, they were {_listed(before)}"
    ),
    "contract": lambda _, subject, before, now: f'the catalogs of the use case "{subject}" have changed',
}
