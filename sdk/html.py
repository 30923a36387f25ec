"""What a notebook shows of artefacts: small HTML cards and tables, escaped, without scripts or colours of their own.

Everything is text until `table` or `card` has escaped it; only what these two return is put into a page as it is.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from jeyn.errors import JeynError
from jeyn.printable import markup

if TYPE_CHECKING:
    from jeyn.sdk.artefact import Artefact
    from jeyn.sdk.catalog import CatalogType
    from jeyn.sdk.checkpoint import ModelCheckpoint
    from jeyn.sdk.datasets import DatasetBatch, DatasetFormula
    from jeyn.sdk.evaluation import Evaluation
    from jeyn.sdk.plan import Plan, PlannedOperation
    from jeyn.sdk.use_case import MlUseCase
    from jeyn.sdk.value import Value

Pairs = Iterable[tuple[str, object]]
T = TypeVar("T")

# Grey that is seen on white and on black, and the page's own text colour.
_LINE = "1px solid rgba(128,128,128,.35)"
_CELL = f"padding:2px 10px 2px 0;text-align:left;vertical-align:top;border-bottom:{_LINE};background:none"
_CARD = f"border:{_LINE};border-radius:6px;padding:8px 12px;margin:4px 0;max-width:60em;overflow-x:auto"
_QUIET = "opacity:.65;font-weight:normal"

MAX_ROWS = 200
MAX_TEXT = 2000  # characters of a value
MAX_READ = 64 * 1024  # bytes of a value that is read to be shown
MAX_PICTURE = 2 * 1024 * 1024  # bytes
_PICTURES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}


def table(headers: Sequence[object], rows: Iterable[Sequence[object]], *, most: int = MAX_ROWS) -> str:
    """A table of text; rows beyond `most` are counted."""
    shown = list(rows)
    more = f'<div style="{_QUIET}">… and {len(shown) - most} more</div>' if len(shown) > most else ""
    head = "".join(f'<th style="{_CELL};{_QUIET}">{_text(each)}</th>' for each in headers)
    body = "".join(f"<tr>{_cells(row)}</tr>" for row in shown[:most])
    style = "border-collapse:collapse;margin:4px 0"
    return f'<table style="{style}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}'


def card(title: object, pairs: Pairs = (), *parts: str, note: object = "") -> str:
    """A title with a quiet note beside it, names and values, and below them parts that are HTML already."""
    said = f' <span style="{_QUIET}">{_text(note)}</span>' if note else ""
    rows = "".join(
        f'<tr><td style="{_CELL};{_QUIET}">{_text(name)}</td><td style="{_CELL}">{_text(value)}</td></tr>'
        for name, value in pairs
    )
    listed = f'<table style="border-collapse:collapse;margin:4px 0"><tbody>{rows}</tbody></table>' if rows else ""
    return f'<div style="{_CARD}"><b>{_text(title)}</b>{said}{listed}{"".join(parts)}</div>'


def scrolled(picture: str) -> str:
    """A picture (HTML or SVG) that may be wider than the page."""
    return f'<div style="max-width:100%;overflow-x:auto">{picture}</div>'


def _cells(row: Sequence[object]) -> str:
    return "".join(f'<td style="{_CELL}">{_text(each)}</td>' for each in row)


def _text(what: object) -> str:
    if what is None:
        return ""
    return markup(f"{what:.6g}" if isinstance(what, float) else str(what))


def artefact_html(artefact: Artefact) -> str:
    """The card of any artefact, saved or not; what cannot be read now is left out."""
    return _CARDS.get(artefact.type, _any)(artefact)


def catalog_html(catalog: CatalogType, statistics: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    """The features of a catalog, with the statistics of a batch where there are any."""
    measured = _measures(statistics or {})
    described = any(feature.description for feature in catalog.features.values())
    headers = ["feature", "type", *(["description"] if described else []), *measured]
    rows = [
        [name, feature]
        + ([feature.description] if described else [])
        + [(statistics or {}).get(name, {}).get(measure) for measure in measured]
        for name, feature in catalog.features.items()
    ]
    return table(headers, rows)


def plan_html(plan: Plan) -> str:
    """What a pipeline would do: its operations with what each is given, what comes out, and its problems."""
    from jeyn.sdk.plan_text import call_text, operations_of, problem_lines, source_text

    rows = [_planned(each) for each in operations_of(plan)]
    headers = ["operation", "inputs", "when", "options"]
    kept = [at for at in range(len(headers)) if at < 2 or any(row[at] for row in rows)]
    listed = table([headers[at] for at in kept], [[row[at] for at in kept] for row in rows])
    gives = [("gives" if name == "return" else f"gives {name}", source_text(e)) for name, e in plan.outputs.items()]
    about = [("about", plan.description)] if plan.description else []
    problems = text_block("\n".join(problem_lines(plan)))
    return card(call_text(plan), [*about, *gives], listed, problems, note="plan")


def _planned(operation: PlannedOperation) -> list[str]:
    from jeyn.sdk.plan_text import condition_text, source_text

    mapped = operation.mapped
    inputs = [f"{'each ' if n in mapped else ''}{n}={source_text(source)}" for n, source in operation.inputs.items()]
    when = " and ".join(map(condition_text, operation.conditions))
    usual = type(operation.options)()
    said = ((name, getattr(operation.options, name)) for name in usual.__dataclass_fields__)
    options = ", ".join(f"{name}={value}" for name, value in said if value != getattr(usual, name))
    return [operation.name, ", ".join(inputs), when, options]


def difference_html(title: str, changes: Mapping[str, tuple[object, object]], lines: Sequence[str]) -> str:
    """Two artefacts beside each other, and below what of their parts is said line by line."""
    rows = [[name, _short(old), _short(new)] for name, (old, new) in changes.items()]
    listed = table(["", "old", "new"], rows) if rows else ""
    said = text_block("\n".join(lines))
    return card(title, (), listed, said, note="difference" if rows or lines else "they do not differ")


def text_block(text: str) -> str:
    """A text with its line breaks, "" for none."""
    return f'<pre style="white-space:pre-wrap;background:none">{markup(text)}</pre>' if text else ""


def _measures(statistics: Mapping[str, Mapping[str, Any]]) -> list[str]:
    known = ("nulls", "min", "max", "mean", "std")
    return [each for each in known if any(each in feature for feature in statistics.values())]


def _batch(batch: DatasetBatch) -> str:
    saved = batch.saved
    pairs: list[tuple[str, object]] = [("formula", batch.formula.ref)]
    if saved is not None:
        stored = batch.stored.payloads if batch.stored else ()
        pairs += [("epoch", saved.number or ""), ("rows", batch.rows), ("files", f"{len(stored)}, {_size(stored)}")]
    features = _known(lambda: catalog_html(batch.output_catalog, batch.statistics if saved else None), "")
    return card(_title(batch), [*pairs, *_common(batch)], features, note=_note(batch))


def _checkpoint(checkpoint: ModelCheckpoint) -> str:
    pairs: list[tuple[str, object]] = [("use case", checkpoint.name)]
    if checkpoint.saved is not None:
        pairs += [("version", checkpoint.saved.number or ""), ("blessed", "yes" if _is_blessed(checkpoint) else "no")]
    pairs += [
        ("trained on", _known(lambda: _name(checkpoint.dataset), "")),
        ("parents", ", ".join(_known(lambda: [_name(each) for each in checkpoint.parents], []))),
        ("serializer", _known(lambda: _serializer(checkpoint), "")),
    ]
    parts = [table(["metric", "value"], sorted(checkpoint.metrics.items()))] if checkpoint.metrics else []
    parts += _contract(checkpoint.input_catalog, checkpoint.output_catalog)
    shown = [(name, value) for name, value in pairs if value]
    return card(_title(checkpoint), [*shown, *_common(checkpoint)], *parts, note=_note(checkpoint))


def _serializer(checkpoint: ModelCheckpoint) -> str:
    by = checkpoint.serializer
    return f"{by['id']} {by['version']}" + (", runs code when loaded" if checkpoint.is_unsafe else "")


def _is_blessed(checkpoint: ModelCheckpoint) -> bool:
    workspace = checkpoint.saved.workspace if checkpoint.saved else None
    found = _known(lambda: workspace.get(f"checkpoint:{checkpoint.name}@blessed") if workspace else None, None)
    return found is not None and found.id == checkpoint.id


def _formula(formula: DatasetFormula) -> str:
    recipe = [(name, _short(value)) for name, value in formula.recipe().items() if value not in (None, {}, [])]
    features = _known(lambda: catalog_html(formula.output_catalog), "")
    pairs = [*recipe, *([("about", formula.description)] if formula.description else [])]
    return card(formula.ref, [*pairs, *_common(formula)], features, note=_note(formula))


def _use_case(case: MlUseCase) -> str:
    pairs = [("about", case.description)] if case.description else []
    parts = _contract(case.input_catalog, case.output_catalog)
    return card(case.ref, [*pairs, *_common(case)], *parts, note=_note(case))


def _evaluation(evaluation: Evaluation) -> str:
    pairs = [("checkpoint", evaluation.checkpoint_id), ("batch", evaluation.batch_id or "")]
    metrics = table(["metric", "value"], sorted(evaluation.metrics.items()))
    return card(evaluation.name, [*pairs, *_common(evaluation)], metrics, note=_note(evaluation))


def _value(value: Value) -> str:
    pairs = [("format", value.format), ("size", _size([value.payload]))]
    content = _known(lambda: _content(value), "") if value.saved else ""
    return card(value.name, [*pairs, *_common(value)], content, note=_note(value))


def _content(value: Value) -> str:
    """What is safe and small enough to show: plain values, texts and pictures."""
    if value.format in ("json/1", "text/1") and value.payload.size <= MAX_READ:
        text = value.load() if value.format == "text/1" else repr(value.load())
        return f'<pre style="white-space:pre-wrap;background:none">{markup(_short(text, MAX_TEXT))}</pre>'
    if value.format == "file/1" and value.payload.size <= MAX_PICTURE:
        data = value.load().read_bytes()
        for magic, kind in _PICTURES.items():
            if data.startswith(magic):
                shown = base64.b64encode(data).decode()
                return f'<img alt="{markup(value.name)}" style="max-width:100%" src="data:{kind};base64,{shown}">'
    return ""


def _any(artefact: Artefact) -> str:
    name = getattr(artefact, "name", artefact.type)
    return card(name, _common(artefact), note=_note(artefact))


_CARDS: Mapping[str, Callable[[Any], str]] = {
    "dataset_batch": _batch,
    "dataset_formula": _formula,
    "evaluation": _evaluation,
    "model_checkpoint": _checkpoint,
    "use_case": _use_case,
    "value": _value,
}


def _contract(takes: CatalogType, gives: CatalogType) -> list[str]:
    return [f'<div style="{_QUIET}">{word}</div>{catalog_html(c)}' for word, c in (("takes", takes), ("gives", gives))]


def _title(artefact: DatasetBatch | ModelCheckpoint) -> str:
    what = artefact.type.rpartition("_")[2]
    return artefact.ref if artefact.saved else f"new {what} of {artefact.name}"


def _note(artefact: Artefact) -> str:
    state = "" if artefact.saved else ", not saved"
    return artefact.type.replace("_", " ") + (", in quarantine" if artefact.is_quarantined else state)


def _common(artefact: Artefact) -> Iterator[tuple[str, object]]:
    if artefact.saved is not None:
        yield "saved", f"{artefact.created_at:%Y-%m-%d %H:%M:%S} UTC by {artefact.actor}"
        yield "id", artefact.id


def _name(artefact: Artefact | str) -> str:
    if isinstance(artefact, str):
        return artefact
    return artefact.ref if artefact.saved else f"{getattr(artefact, 'name', artefact.type)}, not saved"


def _size(payloads: Iterable[Any]) -> str:
    size = float(sum(payload.size for payload in payloads))
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.4g} {unit}"
        size /= 1024
    return f"{size:.4g} GiB"


def _short(value: object, most: int = 300) -> str:
    text = str(value)
    return text if len(text) <= most else text[:most] + "…"


def _known(read: Callable[[], T], otherwise: T) -> T:
    """A card is shown also where the store is gone or a parent is not there."""
    with suppress(JeynError, OSError):
        return read()
    return otherwise
