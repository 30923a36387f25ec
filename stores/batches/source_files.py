"""The files of a new batch: which of them are bad, and which of their columns no feature has."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jeyn.errors import JeynError
from jeyn.sdk.datasets.streaming import QUARANTINE_FILE
from jeyn.stores.batches.drafts import Draft, profiled_files, unsaved_file
from jeyn.stores.left_out import tell

if TYPE_CHECKING:
    from pathlib import Path

    from jeyn.sdk.catalog import CatalogClass
    from jeyn.sdk.datasets import DatasetFormula, StreamingFormula
    from jeyn.sdk.datasets.batch import DatasetBatch
    from jeyn.sdk.datasets.source_options import SourceOptions
    from jeyn.stores.workspace import Workspace

# The fact of a batch that tells which files were left out of it, and why.
BAD_FILES = "bad_files"


def checked_files(writer: Workspace, formula: StreamingFormula, draft: Draft) -> Draft | None:
    """The draft, whose payloads are kept, with statistics; bad files left out if the formula says so.

    None where nothing but files is new that were bad before.
    """
    good = draft if formula.on_bad != QUARANTINE_FILE else _without_bad(writer, formula, draft)
    if good.problem:
        known = writer.reader.row(good.record().id)
        if known is not None and known.quarantined:
            _tell_bad([{"path": p.name, "problem": good.problem} for p in good.payloads])
            return None
        return good
    _tell_bad(good.facts.get(BAD_FILES, ()))
    tell(left_out_columns(_columns(writer, formula, good), formula.output_catalog))
    return profiled_files(writer, formula, good)


def _without_bad(writer: Workspace, formula: StreamingFormula, draft: Draft) -> Draft:
    """The draft with its good files, or with all and a problem where none is good."""
    tried = {p: profiled_files(writer, formula, replace(draft, payloads=(p,))).problem for p in draft.payloads}
    bad = [{"path": p.name, "digest": p.digest, "problem": problem} for p, problem in tried.items() if problem]
    if not bad:
        return draft
    if len(bad) == len(tried):
        return replace(draft, problem="\n".join(each["problem"] for each in bad))
    good = tuple(p for p, problem in tried.items() if not problem)
    left = {p.digest for p in good}
    facts = {**draft.facts, BAD_FILES: bad}
    if "referenced" in facts:
        facts["referenced"] = {digest: version for digest, version in facts["referenced"].items() if digest in left}
    return replace(draft, payloads=good, facts=facts, external=draft.external & left)


def members(draft: Draft) -> Iterator[str]:
    """What the batch was made of or leaves out: neither is new again."""
    yield from (member_of(draft.formula, payload.name, payload.digest) for payload in draft.payloads)
    yield from (member_of(draft.formula, bad["path"], bad["digest"]) for bad in draft.facts.get(BAD_FILES, ()))


def member_of(formula: DatasetFormula, path: str, digest: str) -> str:
    """A file by its content, and by its folders where they are features: the same bytes are other rows there."""
    from jeyn.stores.sources.partitions import partitions

    told = {name: value for name, value in partitions(path).items() if name in formula.output_catalog.features}
    return f"{digest}#{json.dumps(told, sort_keys=True)}" if told else digest


def digest_of(member: str) -> str:
    return member.partition("#")[0]


def still_bad(batches: Iterable[DatasetBatch], listed: Collection[str]) -> str:
    """Which of the files with these digests were left out of earlier batches, in words."""
    bad = [bad for batch in batches for bad in batch.facts.get(BAD_FILES, ()) if bad["digest"] in listed]
    return "; ".join(_told(each) for each in bad)


def _tell_bad(bad: Iterable[Mapping[str, Any]]) -> None:
    tell("; ".join(_told(each) for each in bad))


def _told(bad: Mapping[str, Any]) -> str:
    problem = bad["problem"].removeprefix(f'"{bad["path"]}": ').replace("\n", ", ")
    return f'file "{bad["path"]}" is in quarantine until its content changes: {problem}'


def _columns(writer: Workspace, formula: StreamingFormula, draft: Draft) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for payload in draft.payloads:
        with unsaved_file(writer, draft, payload) as path:
            found |= columns_of({payload.name: path}, formula.options)
    return found


def columns_of(paths: Mapping[str, Path | None], options: SourceOptions) -> dict[str, list[str]]:
    """The columns of each file that is on this machine and can be read."""
    from jeyn.stores.sources.formats import column_names

    found = {}
    for name, path in paths.items():
        with suppress(JeynError, ValueError):
            found[name] = column_names(name, path, options) if path else []
    return found


def left_out_columns(columns: Mapping[str, list[str]], catalog: CatalogClass) -> str:
    """Which columns of which files no feature has, in words; "" if none."""
    by_columns: dict[tuple[str, ...], list[str]] = {}
    for file, names in columns.items():
        extra = tuple(name for name in names if name not in catalog.features)
        if extra:
            by_columns.setdefault(extra, []).append(file)
    return "; ".join(_told_columns(names, files, catalog) for names, files in by_columns.items())


def _told_columns(names: tuple[str, ...], files: list[str], catalog: CatalogClass) -> str:
    many = "columns" if len(names) > 1 else "column"
    shown = ", ".join(f'"{name}"' for name in names)
    more = f" and {len(files) - 1} more files" if len(files) > 2 else f' and "{files[1]}"' if len(files) == 2 else ""
    return f'{many} {shown} of "{files[0]}"{more} left out: not in the catalog "{catalog.name}"'
