"""What is known to go wrong with a plan, found without running anything: the checks of `jeyn plan`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jeyn.errors import JeynError, NotAllowed, NotFound, UsageError, WrongType
from jeyn.regular import real
from jeyn.sdk.annotation import fits, show
from jeyn.sdk.checkpoint import ModelCheckpoint
from jeyn.sdk.datasets import DatasetFormula
from jeyn.sdk.datasets.batch import DatasetBatch
from jeyn.sdk.plan import FileInput, Plan, Problem, Ref
from jeyn.sdk.signature import signature_of
from jeyn.sdk.use_case import MlUseCase
from jeyn.workflows.checks.argo_limits import beyond_limits, not_on_argo
from jeyn.workflows.checks.contracts import Contracts
from jeyn.workflows.checks.formula_versions import refused_versions
from jeyn.workflows.checks.saveable import cannot_be_saved
from jeyn.workflows.checks.wiring import Found, cycles, sources_in, unknown_names, wrong_inputs

if TYPE_CHECKING:
    from jeyn.stores.catalog.reader import ArtefactRow
    from jeyn.stores.workspace import Workspace


_CLASSES: Mapping[str, type] = {
    "dataset_batch": DatasetBatch,
    "dataset_formula": DatasetFormula,
    "model_checkpoint": ModelCheckpoint,
    "use_case": MlUseCase,
}


def check_plan(
    plan: Plan, workspace: Workspace, *, root: Path, functions: Mapping[str, Callable[..., Any]]
) -> tuple[Problem, ...]:
    """The problems of a plan besides those it was recorded with; `functions` are its operations', by reference.

    Whatever engine runs it: wiring, references and files, catalogs that do not fit, versions that would be refused,
    results that could not be saved, and names, resources and sizes that no engine can take. Raises `Unreachable` when
    the catalog cannot be asked.
    """
    references = _references(plan, workspace)
    contracts = Contracts(plan, workspace, {text: means for text, (_, means) in references.items()}, functions)
    found = (
        *unknown_names(plan),
        *wrong_inputs(plan, functions),
        *cycles(plan),
        *((name, error) for name, error in references.values() if isinstance(error, JeynError)),
        *_wrong_references(plan, references, functions),
        *_missing_files(plan, root.resolve()),
        *contracts.misfits(),
        *refused_versions(workspace, contracts.formulas()),
        *cannot_be_saved(plan, workspace, functions, contracts),
        *beyond_limits(plan),
    )
    return tuple(_problem(*each) for each in found)


def check_offline(plan: Plan, *, root: Path, functions: Mapping[str, Callable[..., Any]]) -> tuple[Problem, ...]:
    """What `check_plan` finds without asking the catalog."""
    found = (
        *unknown_names(plan),
        *wrong_inputs(plan, functions),
        *cycles(plan),
        *_missing_files(plan, root.resolve()),
        *beyond_limits(plan),
    )
    return tuple(_problem(*each) for each in found)


def check_for_argo(plan: Plan, workspace: Workspace) -> tuple[Problem, ...]:
    """What keeps a plan that runs here from running on Argo: places that pods cannot reach, and its whole size."""
    return tuple(_problem(*each) for each in not_on_argo(plan, workspace))


def _problem(operation: str, error: JeynError) -> Problem:
    return Problem(error=type(error).__name__, message=error.message, hint=error.hint, operation=operation)


def _references(plan: Plan, workspace: Workspace) -> dict[str, tuple[str, ArtefactRow | JeynError]]:
    """Each reference once: the operation that takes it first, and what it means now or why it means nothing."""
    found: dict[str, tuple[str, ArtefactRow | JeynError]] = {}
    for name, source in sources_in(plan):
        if isinstance(source, Ref) and source.reference not in found:
            found[source.reference] = (name, _meaning(workspace, source.reference))
    return found


def _wrong_references(
    plan: Plan,
    references: Mapping[str, tuple[str, ArtefactRow | JeynError]],
    functions: Mapping[str, Callable[..., Any]],
) -> Iterator[Found]:
    """References to another type of artefact than the parameter that takes them."""
    known: dict[tuple[str, str, str], str] = {}  # by function, parameter and type: what is wanted, "" if it fits
    for operation in plan.operations:
        for name, source in operation.inputs.items():
            if not isinstance(source, Ref) or name in operation.mapped or operation.function not in functions:
                continue
            row = references[source.reference][1]
            if isinstance(row, JeynError) or row.type not in _CLASSES:
                continue
            key = (operation.function, name, row.type)
            if key not in known:
                known[key] = _wanted(functions[operation.function], name, _CLASSES[row.type])
            if known[key]:
                given = _CLASSES[row.type].__name__
                said = f'"{operation.name}" takes "{name}" as {known[key]}, but "{source.reference}" is a {given}'
                yield operation.name, WrongType(said, hint=f"name a {known[key]}, or change the annotation")


def _wanted(function: Callable[..., Any], name: str, given: type) -> str:
    """The annotation of a parameter that does not take `given`; "" where it does."""
    parameter = signature_of(getattr(function, "function", function)).parameters.get(name)
    return "" if parameter is None or fits(given, parameter.annotation) else show(parameter.annotation)


def _meaning(workspace: Workspace, reference: str) -> ArtefactRow | JeynError:
    try:
        return workspace.row(reference)
    except (NotFound, UsageError) as error:
        return error


def _missing_files(plan: Plan, root: Path) -> Iterator[Found]:
    files = {source.path: name for name, source in reversed(list(sources_in(plan))) if isinstance(source, FileInput)}
    for path, name in reversed(files.items()):
        error = _file_error(root, path, name)
        if error is not None:
            yield name, error


def _file_error(root: Path, given: str, name: str) -> JeynError | None:
    try:
        path = real(root / given)
        if not path.is_relative_to(root):
            hint = "copy it below the project root, or keep what it holds as an artefact and pass jeyn.ref(...)"
            return NotAllowed(f'the file "{given}" of "{name}" is outside the project', hint=hint)
        if path.is_file():
            return None
        what = "is a folder" if path.is_dir() else "is not there"
    except (OSError, ValueError, RuntimeError) as exc:  # too long a name, a NUL in it, links in a circle
        what = f"cannot be a file ({exc})"
    return NotFound(f'the file "{given}" of "{name}" {what}', hint="paths of jeyn.File start at the project root")
