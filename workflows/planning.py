"""From a pipeline to a plan that can run: options from jeyn.yaml, the digests of its code, and all known problems."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jeyn import errors
from jeyn.errors import CodeChanged, JeynError, OperationFailed, UsageError
from jeyn.own_imports import guard
from jeyn.sdk.datasets import StreamingFormula
from jeyn.sdk.operation import Operation
from jeyn.sdk.plan import FunctionCode, Options, Plan, PlannedOperation
from jeyn.workflows.checks import check_offline, check_plan
from jeyn.workflows.code.digest import function_code
from jeyn.workflows.code.libraries import libraries_of
from jeyn.workflows.code.local import is_local
from jeyn.workflows.code.notebook import notebook_module, running_cells
from jeyn.workflows.code.values import without_changing
from jeyn.workflows.failure import install_hint
from jeyn.workflows.load import module_of_main
from jeyn.workflows.traceback import NOTEBOOK, place_of, user_traceback

if TYPE_CHECKING:
    from jeyn.sdk.pipeline import Pipeline
    from jeyn.stores.workspace import Workspace

MAIN = "__main__:"
NOTEBOOKS = "notebooks"  # the folder of the home where modules that were cells are kept


@dataclass(frozen=True)
class Planned:
    """A plan, its project root, and modules that are no files: a notebook's, as path -> text."""

    plan: Plan
    root: Path
    extra: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[str, ...] = ()  # of formulas: their files are data, not code
    libraries: Mapping[str, Path] = field(default_factory=dict)  # source code beside the project, by module


def make_plan(
    pipeline: Pipeline[...],
    arguments: Mapping[str, Any],
    *,
    root: Path,
    workspace: Workspace,
    offline: bool = False,
) -> Planned:
    """Record a pipeline and fill in what `complete` does. Raises `OperationFailed` with the user's traceback."""
    return complete(_recorded(pipeline, arguments, root), root=root, workspace=workspace, offline=offline)


def complete(plan: Plan, *, root: Path, workspace: Workspace, offline: bool = False) -> Planned:
    """A plan with its options, code digests and problems; `offline` asks no catalog for them.

    Raises `CodeChanged` when it was made with other code.
    """
    _make_importable(root, workspace)
    folders = (root, workspace.settings.home)
    functions = {reference: _function(reference, folders) for reference in _references(plan)}
    plan, functions, extra = _without_main(plan, functions, root)
    extra |= _kept_notebooks(functions, workspace.settings.home / NOTEBOOKS)
    plan = _with_defaults(plan, workspace.settings.operations)
    code = {
        reference: function_code(
            found, root=root, uses=tuple(getattr(found, "uses", ())), source=extra.get(_module_file(reference))
        )
        for reference, found in functions.items()
    }
    _refuse_other_code(plan, code)
    plan = replace(plan, code=code)
    found = (
        check_offline(plan, root=root, functions=functions)
        if offline
        else check_plan(plan, workspace, root=root, functions=functions)
    )
    known = [each for each in plan.problems if each not in found]
    plan = replace(plan, problems=(*known, *found))
    return Planned(plan, root, extra, _sources(root), libraries_of(code.values(), root.resolve()))


def _recorded(pipeline: Pipeline[...], arguments: Mapping[str, Any], root: Path) -> Plan:
    """The body is the user's code: what goes wrong in it is told with their line."""
    try:
        plan: Plan = pipeline(**arguments)
    except JeynError as exc:
        place = place_of(exc, root)
        if place:
            exc.message = f"{place}: {exc.message}"
        raise
    except (Exception, SystemExit) as exc:
        message = f'the pipeline "{pipeline.name}" failed while it was recorded\n{user_traceback(exc, root)}'
        hint = install_hint(exc, root) or "mend the line it names; what computes belongs into an operation"
        raise OperationFailed(message, hint=hint) from exc
    return plan


def raise_problems(plan: Plan) -> None:
    """Raise the first problem of a plan as its error, the others named in it."""
    if not plan.problems:
        return
    first, *others = plan.problems
    kind: type[JeynError] = getattr(errors, first.error, UsageError)
    more = "".join(f"\n  also: {each.message}" for each in others[:10])
    more += f"\n  and {len(others) - 10} more" if len(others) > 10 else ""
    raise kind(first.message + more, hint=first.hint)


def _references(plan: Plan) -> list[str]:
    operations = plan.all_operations
    return list(dict.fromkeys(operation.function for operation in operations))


def _function(reference: str, folders: Sequence[Path]) -> Callable[..., Any]:
    module, _, qualname = reference.partition(":")
    try:
        found: Any = sys.modules.get(module) or importlib.import_module(module)
        for part in qualname.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as exc:
        raise CodeChanged(
            f'the plan calls "{reference}", which is not there ({exc})', hint="make the plan anew"
        ) from exc
    if not _may_run(found, folders):
        raise CodeChanged(f'the plan calls "{reference}", which is no operation', hint="make the plan anew")
    function: Callable[..., Any] = found
    return function


def _may_run(found: Any, folders: Sequence[Path]) -> bool:
    """An operation, or a function of the user's own: a plan that came as a file runs nothing else."""
    if isinstance(found, Operation):
        return True
    if not inspect.isfunction(found):
        return False
    path = Path(found.__code__.co_filename).resolve()
    return found.__module__ == "__main__" or any(is_local(path, folder.resolve()) for folder in folders)


def _make_importable(root: Path, workspace: Workspace) -> None:
    """A plan from JSON, or from a notebook's earlier run, names modules that nothing has imported yet."""
    for folder in (workspace.settings.home / NOTEBOOKS, root):
        guard(str(folder))
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))


def _without_main(
    plan: Plan, functions: Mapping[str, Callable[..., Any]], root: Path
) -> tuple[Plan, dict[str, Callable[..., Any]], dict[str, str]]:
    """What was defined in `__main__` by the name that a worker can import: a script's module, or a notebook's."""
    mine = {reference: found for reference, found in functions.items() if reference.startswith(MAIN)}
    if not mine:
        return plan, dict(functions), {}
    cells = running_cells()
    extra: dict[str, str] = {}
    renamed: dict[str, str] = {}
    for reference, found in mine.items():
        if cells is None:
            module = module_of_main(root)
        else:
            module, source = notebook_module([getattr(found, "function", found)], *cells, root)
            extra[f"{module}.py"] = source
        renamed[reference] = reference.replace(MAIN, f"{module}:", 1)

    def rename(operation: PlannedOperation) -> PlannedOperation:
        return replace(operation, function=renamed.get(operation.function, operation.function))

    operations = tuple(rename(each) for each in plan.operations)
    on_exit = rename(plan.on_exit) if plan.on_exit else None
    plan = replace(plan, operations=operations, on_exit=on_exit)
    return plan, {renamed.get(reference, reference): found for reference, found in functions.items()}, extra


def _kept_notebooks(references: Iterable[str], folder: Path) -> dict[str, str]:
    """The modules of an earlier notebook that a plan names, as when its run is resumed elsewhere."""
    names = {_module_file(each) for each in references if each.startswith(NOTEBOOK)}
    return {name: (folder / name).read_text(encoding="utf-8") for name in names if (folder / name).is_file()}


def _module_file(reference: str) -> str:
    return reference.partition(":")[0] + ".py"


def _with_defaults(plan: Plan, defaults: Mapping[str, Mapping[str, Any]]) -> Plan:
    """What jeyn.yaml says holds where the code says nothing: the operation's own entry before "*"."""
    if not defaults:
        return plan

    def filled(operation: PlannedOperation) -> PlannedOperation:
        own = defaults.get(operation.name) or defaults.get(operation.function.rpartition(":")[2]) or {}
        options = Options.of({**defaults.get("*", {}), **own, **operation.options.said})
        return replace(operation, options=options)

    return replace(plan, operations=tuple(filled(each) for each in plan.operations))


def _refuse_other_code(plan: Plan, code: Mapping[str, FunctionCode]) -> None:
    for reference, before in plan.code.items():
        now = code.get(reference)
        if now is None or now.digest == before.digest:
            continue
        was, is_ = without_changing(before.parts), without_changing(now.parts)
        names = sorted(name for name in {**was, **is_} if was.get(name) != is_.get(name))
        if not names:
            continue
        raise CodeChanged(
            f'the plan was made with other code: "{", ".join(names)}" changed since',
            hint="start a new run of the pipeline; what did not change comes from the cache",
        )


def _sources(root: Path) -> tuple[str, ...]:
    """The patterns of all streaming formulas that the project's modules define."""
    found: dict[str, None] = {}
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if module is None:  # an import that somebody blocked
            continue
        if module.__name__ == "__main__" or (file and Path(file).is_relative_to(root)):
            for value in list(vars(module).values()):
                if isinstance(value, StreamingFormula):
                    found[value.source] = None
    return tuple(found)
