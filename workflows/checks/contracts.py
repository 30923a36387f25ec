"""Catalogs that will not fit, as far as a plan and the functions of its operations tell.

Known before anything runs are references, which mean an artefact already, and the formulas and use cases that a module
declares. Where more than one answer is possible nothing is said: a false alarm would stop a good pipeline.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jeyn.errors import CatalogMismatch, JeynError, Unsaved
from jeyn.sdk.catalog import CatalogClass
from jeyn.sdk.datasets import DatasetFormula, ModelFormula
from jeyn.sdk.plan import Items, Leaf, Output, Plan, PlannedOperation, Ref, Source, leaves
from jeyn.sdk.use_case import MlUseCase
from jeyn.workflows.checks.declared import Declared, Use, declared
from jeyn.workflows.checks.wiring import Found

if TYPE_CHECKING:
    from jeyn.stores.catalog.reader import ArtefactRow
    from jeyn.stores.workspace import Workspace

MAKES_BATCHES = {"get_new_batch", "new_table", "new_files", "new_object"}
MAKES_CHECKPOINTS = {"update_patch", "update_minor", "update_major", "update_to"}
# Code that reads a batch by itself may use that one, and not what it was given.
READS_BATCHES = {"get_batch", "get_batch_from_id", "get_latest_formula_batch", "get_formula_batches", "dataset"}

_BATCH = re.compile(r"\b(Dataset|Table|File|Generic|Union)Batch\b")
_CHECKPOINT = re.compile(r"\bModelCheckpoint\b")
_ANYTHING = ("", "Any", "typing.Any", "object", "Artefact")


@dataclass(frozen=True)
class Side:
    """What has or needs a catalog, in words."""

    what: str
    catalog: CatalogClass


class Contracts:
    """What a plan says about catalogs. `meanings` are its references, `functions` those of its operations."""

    def __init__(
        self,
        plan: Plan,
        workspace: Workspace,
        meanings: Mapping[str, ArtefactRow | JeynError],
        functions: Mapping[str, Callable[..., Any]],
    ) -> None:
        self.plan = plan
        self.workspace = workspace
        self.meanings = meanings
        self.functions = functions
        self._operations = {each.name: each for each in plan.operations}
        self._code: dict[str, Declared] = {}
        self._catalogs: dict[str, CatalogClass] = {}

    def misfits(self) -> Iterator[Found]:
        """Operations that bring a model together with batches of which none satisfies its input catalog.

        Calls of one function with the same batches are told of once: a loop has one mistake, not a thousand.
        """
        told: set[tuple[str, ...]] = set()
        for operation in self.plan.operations:
            needed = self._needed(operation)
            for given in self._calls(operation) if needed else ():
                for need in needed:
                    same = (operation.function, need.what, *(side.what for side in given))
                    if same not in told and (error := _misfit(operation.name, given, need)):
                        told.add(same)
                        yield operation.name, error

    def formulas(self) -> list[tuple[str, DatasetFormula]]:
        """The declared formulas that code makes batches of or saves: each once, with the operation that is first."""
        found: dict[int, tuple[str, DatasetFormula]] = {}
        for operation in _first_by_function(self.plan):
            code = self.code(operation)
            for use in code.of(DatasetFormula):
                if isinstance(use.artefact, DatasetFormula) and _saves(use, code):
                    found.setdefault(id(use.artefact), (operation.name, use.artefact))
        return list(found.values())

    def code(self, operation: PlannedOperation) -> Declared:
        """What the operation's function declares; nothing where the function is not at hand."""
        if operation.function not in self._code:
            function = self.functions.get(operation.function)
            self._code[operation.function] = declared(function) if function else Declared()
        return self._code[operation.function]

    def _needed(self, operation: PlannedOperation) -> list[Side]:
        """The models whose input catalog its batches must satisfy."""
        code = self.code(operation)
        if code.attributes & MAKES_CHECKPOINTS:
            # The checkpoints that it is given are the parents, and a child may take other inputs.
            return self._trained(operation)
        return [side for source in operation.inputs.values() for leaf in leaves(source) for side in self._model(leaf)]

    def _trained(self, operation: PlannedOperation) -> list[Side]:
        uses = [use for use in self.code(operation).of(MlUseCase) if use.attributes & MAKES_CHECKPOINTS]
        cases = [use.artefact for use in uses if isinstance(use.artefact, MlUseCase)]
        return [Side(f'the use case "{case.name}"', case.input_catalog) for case in cases] if len(cases) == 1 else []

    def _model(self, leaf: Leaf) -> list[Side]:
        if isinstance(leaf, Ref):
            row = self.meanings[leaf.reference]
            if isinstance(row, JeynError) or row.type != "model_checkpoint":
                return []
            return [Side(f'"{leaf.reference}"', self._catalog(row))]
        producer = self._operations.get(leaf.operation) if isinstance(leaf, Output) else None
        if producer is None or not _CHECKPOINT.search(producer.outputs.get(leaf.output, "")):  # type: ignore[union-attr]
            return []
        return self._trained(producer)

    def _calls(self, operation: PlannedOperation) -> list[list[Side]]:
        """The batches of each call of an operation; no calls where one of the batches cannot be known."""
        code = self.code(operation)
        if code.attributes & READS_BATCHES:
            return []
        calls: list[list[Side]] = [[]]
        for name, source in operation.inputs.items():
            parts = source.items if name in operation.mapped and isinstance(source, Items) else (source,)
            sides = [self._batches(part) for part in parts]
            known = [side for side in sides if side is not None]
            if len(known) < len(sides):
                return []
            if any(known):
                calls = [[*one, *other] for one in calls for other in known]
        return self._with_own(code, calls)

    def _with_own(self, code: Declared, calls: list[list[Side]]) -> list[list[Side]]:
        """Where the code makes batches itself, they are known if it has no others and makes them of one formula."""
        if not code.attributes & MAKES_BATCHES:
            return calls
        if any(isinstance(use.artefact, ModelFormula) for use in code.of(DatasetFormula)):
            return calls  # what a model made, such as the one that is given: it is not what a model is fed
        own = _made_by(code)
        return [[own]] if own is not None and not any(calls) else []

    def _batches(self, source: Source) -> list[Side] | None:
        """The batches in an input; None where it may be one of an unknown catalog."""
        found: list[Side] = []
        for leaf in leaves(source):
            sides = self._batch(leaf)
            if sides is None:
                return None
            found += sides
        return found

    def _batch(self, leaf: Leaf) -> list[Side] | None:
        if isinstance(leaf, Ref):
            row = self.meanings[leaf.reference]
            if isinstance(row, JeynError) or row.type == "value":  # a value may list batches
                return None
            return [Side(f'the batch "{leaf.reference}"', self._catalog(row))] if row.type == "dataset_batch" else []
        return self._produced(leaf) if isinstance(leaf, Output) else []

    def _produced(self, output: Output) -> list[Side] | None:
        producer = self._operations.get(output.operation)
        annotation = producer.outputs.get(output.output, "") if producer else ""
        if producer is None or annotation in _ANYTHING:
            return None
        if not _BATCH.search(annotation):
            return []
        code = self.code(producer)
        made = None if code.attributes & READS_BATCHES else _made_by(code)
        return None if made is None else [Side(f'{made.what} that "{producer.name}" makes', made.catalog)]

    def _catalog(self, row: ArtefactRow) -> CatalogClass:
        if row.id not in self._catalogs:
            artefact = self.workspace.bound(row.id)
            is_model = row.type == "model_checkpoint"
            self._catalogs[row.id] = artefact.input_catalog if is_model else artefact.output_catalog
        return self._catalogs[row.id]


def _first_by_function(plan: Plan) -> list[PlannedOperation]:
    found: dict[str, PlannedOperation] = {}
    for operation in plan.all_operations:
        found.setdefault(operation.function, operation)
    return list(found.values())


def _made_by(code: Declared) -> Side | None:
    """The batches that code makes, if they are all of the one formula that it names."""
    uses = code.of(DatasetFormula)
    formula = uses[0].artefact if len(uses) == 1 and uses[0].attributes & MAKES_BATCHES else None
    if not isinstance(formula, DatasetFormula):
        return None
    try:
        return Side(f'the batch of "{formula.name}@{formula.version}"', formula.output_catalog)
    except Unsaved:  # derived when it is saved
        return None


def _saves(use: Use, code: Declared) -> bool:
    return bool(use.attributes & MAKES_BATCHES) or (not use.attributes and "save_formula" in code.attributes)


def _misfit(operation: str, given: Sequence[Side], need: Side) -> JeynError | None:
    if not given or any(side.catalog.satisfies(need.catalog) for side in given):
        return None
    first = given[0]
    try:
        first.catalog.check_satisfies(need.catalog, what=f'{first.what}, given to "{operation}" for {need.what},')
    except CatalogMismatch as error:
        return error
    return None
