"""Reading what a saved artefact holds: rows, models and values, each byte checked against its digest."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jeyn.errors import Corrupt, PayloadMissing, UsageError
from jeyn.sdk.artefact import Artefact, PayloadRef
from jeyn.sdk.checkpoint import ModelCheckpoint
from jeyn.sdk.datasets.batch import DatasetBatch, GenericBatch, UnionBatch
from jeyn.sdk.datasets.selection import Selection, anchored
from jeyn.sdk.value import Value
from jeyn.stores.access import writing
from jeyn.stores.batches.uniform import Uniform
from jeyn.stores.catalog.cache import kept
from jeyn.stores.payloads import hash_file
from jeyn.stores.payloads.failures import os_errors
from jeyn.stores.readahead import portions, side_by_side
from jeyn.stores.restore import bring_back, gone, undo_loss
from jeyn.stores.trusted_code import warn_of_changed_code
from jeyn.stores.vouched import check

if TYPE_CHECKING:
    import pyarrow as pa

    from jeyn.stores.workspace import Workspace


def load(workspace: Workspace, artefact: Artefact, selection: Selection | None = None) -> Any:
    """A batch as a table (a generic one as its object), a checkpoint as its model, a value as itself.

    Raises `Corrupt`, with the artefact, for bytes that its format cannot be read from.
    """
    try:
        found = _content(workspace, artefact, selection)
    except Corrupt as exc:
        if artefact.id in exc.refs:
            raise
        # Readers of a format know their bytes only.
        said = f'what "{artefact.ref}" holds cannot be read: {exc.message}'
        raise Corrupt(said, hint=exc.hint, refs=[*exc.refs, artefact.id]) from exc
    if not isinstance(artefact, Value):
        undo_loss(workspace, artefact)
    return found


def _content(workspace: Workspace, artefact: Artefact, selection: Selection | None) -> Any:
    match artefact:
        case GenericBatch():
            return _model(workspace, artefact, artefact.record().body["serializer"])
        case DatasetBatch():
            return _table(workspace, artefact, selection or Selection.of(artefact.output_catalog))
        case ModelCheckpoint():
            warn_of_changed_code(workspace, artefact.id, artefact.ref, artefact.facts)
            return _model(workspace, artefact, artefact.serializer)
        case Value():
            return _value(workspace, artefact)
    raise UsageError(f"a {artefact.type} has no content to load", hint="show it instead")


def iter_batches(
    workspace: Workspace, batch: DatasetBatch, rows: int, selection: Selection | None = None
) -> Iterator[pa.RecordBatch]:
    """The selected rows of a batch in order, at most `rows` at a time."""
    if isinstance(batch, GenericBatch):
        raise UsageError("a generic batch has no rows", hint="load() gives its object")
    selection = selection or Selection.of(batch.output_catalog)
    uniform = _uniform(workspace, batch)
    for piece in _pieces(workspace, batch, rows, selection):
        yield from uniform.table(piece, selection).combine_chunks().to_batches()


def _uniform(workspace: Workspace, batch: DatasetBatch) -> Uniform:
    def columns() -> set[str]:
        from jeyn.stores.sources.formats import LOAD_ROWS

        whole = Selection.of(batch.output_catalog)
        return {name for piece in _pieces(workspace, batch, LOAD_ROWS, whole) for name in piece.column_names}

    workspace.rely_on(batch)
    return Uniform.of(batch, columns)


def _pieces(workspace: Workspace, batch: DatasetBatch, rows: int, selection: Selection) -> Iterator[pa.Table]:
    """The selected rows as each file or part has them."""
    if isinstance(batch, UnionBatch):
        return _union(workspace, batch, rows, selection)
    return _files(workspace, batch, rows, selection)


def _files(workspace: Workspace, batch: DatasetBatch, rows: int, selection: Selection) -> Iterator[pa.Table]:
    import pyarrow as pa

    from jeyn.stores.sources.formats import read_batches

    options = batch.formula.options
    for payload in batch.record().payloads:
        with local_file(workspace, batch, payload) as path:
            for piece in read_batches(payload.name, path, selection.reads, rows, selection.filter, options):
                yield pa.Table.from_batches([piece])


def _union(workspace: Workspace, batch: UnionBatch, rows: int, selection: Selection) -> Iterator[pa.Table]:
    import pyarrow as pa

    for part in _sources(workspace, batch):
        for piece in iter_batches(workspace, part, rows, _within(part, selection)):
            table = selection.reads.conform(pa.Table.from_batches([piece]))
            yield selection.filter.rows(table, selection.catalog) if selection.filter else table


def _within(part: DatasetBatch, selection: Selection) -> Selection:
    """What to read of a part; the filter too, where the part has its features with the same dtypes."""
    own, wanted = part.output_catalog, selection.reads.features
    there = tuple(name for name in wanted if name in own.features)
    is_alike = selection.filter and all(
        name in there and own.features[name].arrow_type() == wanted[name].arrow_type()
        for name in selection.filter.features
    )
    return Selection(own, there, selection.filter if is_alike else None, anchored(there, own), is_whole=True)


def _sources(workspace: Workspace, batch: UnionBatch) -> list[DatasetBatch]:
    return [workspace.bound(part) for part in batch.record().body["kwargs"]["parts"]]


def _table(workspace: Workspace, batch: DatasetBatch, selection: Selection) -> pa.Table:
    import pyarrow as pa

    from jeyn.stores.batches.drafts import plain_schema

    uniform, pieces = _uniform(workspace, batch), list(_tables(workspace, batch, selection))
    if not pieces:
        empty = plain_schema(batch.output_catalog.only(*selection.columns)).empty_table()
        return uniform.table(empty, selection)
    return pa.concat_tables(uniform.table(piece, selection) for piece in pieces).unify_dictionaries()


def _tables(workspace: Workspace, batch: DatasetBatch, selection: Selection) -> Iterator[pa.Table]:
    """The selected rows, a table for each file or part."""
    if not isinstance(batch, UnionBatch):
        for tables in side_by_side(_readings(workspace, batch, selection)):
            yield from tables
        return
    for part in _sources(workspace, batch):
        whole = _table(workspace, part, _within(part, selection))
        yield selection.of_table(selection.reads.conform(whole))


def _readings(
    workspace: Workspace, batch: DatasetBatch, selection: Selection
) -> Iterator[Callable[[], list[pa.Table]]]:
    """What reads a file, or some small ones; they are found, and checked, when it is their turn."""
    import pyarrow as pa

    from jeyn.stores.sources.formats import read_table

    some = list(portions(batch.files))
    options, threads = batch.formula.options, len(some) < pa.cpu_count()
    keep, reads = selection.filter, selection.reads

    def read(found: ExitStack, files: list[tuple[str, Path]]) -> list[pa.Table]:
        with found:
            tables = (read_table(name, path, reads, keep, options, threads=threads) for name, path in files)
            return [selection.columns_of(table) for table in tables]

    for portion in some:
        with ExitStack() as stack:
            files = [(payload.name, _located(stack, workspace, batch, payload)) for payload in portion]
            reading = partial(read, stack.pop_all(), files)
        yield reading


def _model(workspace: Workspace, artefact: Artefact, serializer: Any) -> Any:
    found = workspace.serializers.by_id(serializer["id"], serializer["version"])
    return found.from_bytes(_bytes(workspace, artefact, artefact.record().payloads[0]))


def _value(workspace: Workspace, artefact: Value) -> Any:
    from jeyn.stores.serializers import decode_value
    from jeyn.stores.serializers.plain import named
    from jeyn.stores.serializers.values import ARTEFACTS

    if artefact.format == ARTEFACTS:
        return [workspace.bound(id) for id in _ids(workspace, artefact)]
    if artefact.format != "file/1":
        return decode_value(artefact.format, _bytes(workspace, artefact, artefact.payload), workspace.serializers)
    # A file is read where it lies; a remote one is fetched to a place that outlives this call.
    with local_file(workspace, artefact, artefact.payload) as path:
        if workspace.payloads.local_path(artefact.payload.digest[7:]) != path:
            path = path.replace(workspace.payloads.staging() / f"file-{artefact.payload.digest[7:]}")
        # One of a file that a run was given is called as its output.
        name = artefact.file or ("" if artefact.cache_key else artefact.output)
        return decode_value(artefact.format, named(path, name) if name else path, workspace.serializers)


def _ids(workspace: Workspace, artefact: Value) -> list[str]:
    from jeyn.stores.serializers import decode_value

    ids: list[str] = decode_value(artefact.format, _bytes(workspace, artefact, artefact.payload))
    return ids


def is_complete(workspace: Workspace, ids: Iterable[str]) -> bool:
    """Whether these artefacts are there with every byte, and so are those that they consist of."""
    seen: set[str] = set()
    wanted = set(ids)
    suspects = workspace.payloads.small.suspects()
    while wanted:
        found = kept(workspace.database, wanted)
        if len(found) < len(wanted) or any(each.buried for each in found):
            return False
        if suspects and not suspects.isdisjoint(digest for each in found for digest in each.digests):
            return False
        if not all(workspace.payloads.exists(digest) for each in found for digest in each.digests):
            return False
        seen |= wanted
        wanted = {part for each in found if each.has_parts for part in _parts(workspace, each.id)} - seen
    return True


def _parts(workspace: Workspace, id: str) -> Iterable[str]:
    artefact = workspace.bound(id)
    if isinstance(artefact, Value):
        return _ids(workspace, artefact)
    parts: list[str] = artefact.record().body["kwargs"]["parts"]
    return parts


def _bytes(workspace: Workspace, artefact: Artefact, payload: PayloadRef) -> bytes:
    digest = payload.digest[7:]
    try:
        return workspace.payloads.read(digest)
    except PayloadMissing as exc:
        if not bring_back(workspace, artefact):
            raise gone(workspace, artefact, payload) from exc
    return workspace.payloads.read(digest)


@contextmanager
def local_file(workspace: Workspace, artefact: Artefact, payload: PayloadRef) -> Iterator[Path]:
    """A payload as a local file whose digest was checked, now or since it was touched. Raises `Corrupt` or
    `PayloadMissing`.

    What was swept or lost is brought back first from a source that still has it.
    """
    with ExitStack() as stack:
        yield _located(stack, workspace, artefact, payload)


def _located(stack: ExitStack, workspace: Workspace, artefact: Artefact, payload: PayloadRef) -> Path:
    try:
        return _stored(stack, workspace, payload.digest[7:])
    except PayloadMissing as exc:
        if payload.digest in artefact.facts.get("referenced", {}):
            return stack.enter_context(_from_source(workspace, artefact, payload))
        if not bring_back(workspace, artefact):
            raise gone(workspace, artefact, payload) from exc
    return _stored(stack, workspace, payload.digest[7:])


def _stored(stack: ExitStack, workspace: Workspace, digest: str) -> Path:
    direct = workspace.payloads.local_path(digest)
    if direct is not None:
        check(workspace, digest, direct)
        return direct
    folder = stack.enter_context(_scratch(workspace))
    workspace.payloads.fetch(digest, folder / "payload")
    return folder / "payload"


@contextmanager
def _from_source(workspace: Workspace, artefact: Artefact, payload: PayloadRef) -> Iterator[Path]:
    version = artefact.facts["referenced"][payload.digest]
    with _scratch(workspace) as folder:
        path = folder / "payload"
        with workspace.data_root.open(payload.name, version=version) as source, writing(path) as target:
            while chunk := source.read(1 << 20):
                with os_errors(f'copying "{payload.name}"'):
                    target.write(chunk)
        if hash_file(path).digest.removeprefix("sha256:") != payload.digest[7:]:
            raise Corrupt(
                f'"{payload.name}" is not what batch {artefact.ref} was made of',
                hint="restore the file at its source, or save a new batch",
            )
        yield path


@contextmanager
def _scratch(workspace: Workspace) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=workspace.payloads.staging(), prefix="read-") as folder:
        yield Path(folder)
