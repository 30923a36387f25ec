"""A dataset that is the union of others, each at a range of versions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from jeyn.errors import UsageError
from jeyn.sdk.datasets.batch import DatasetBatch
from jeyn.sdk.datasets.formula import DatasetFormula
from jeyn.sdk.reference import Reference

if TYPE_CHECKING:
    from jeyn.sdk.catalog import CatalogClass
    from jeyn.sdk.version import Version


class CompositeFormula(DatasetFormula):
    """The rows of the latest batch of each formula, in the order given.

    The catalog is derived when saving: the features that all have, at the smallest type that holds them all. One
    given here is checked against the derived one. A new batch exists only when a part has a new one.
    """

    kind: ClassVar[str] = "composite"

    def __init__(
        self,
        name: str,
        *,
        version: str | Version,
        formulas: Sequence[str | DatasetFormula],
        output_catalog: CatalogClass | None = None,
        description: str = "",
    ) -> None:
        self._declare(name, version, output_catalog, description)
        if not formulas:
            raise UsageError(f'"{name}" is a union of nothing', hint='formulas=["events@^1.2", "users@~0.3"]')
        self.formulas = tuple(formula_reference(formula) for formula in formulas)

    def recipe(self) -> dict[str, Any]:
        return {"kind": self.kind, "formulas": list(self.formulas)}

    def get_new_batch(self, *, after: str | DatasetBatch | None = None) -> DatasetBatch:
        if after is not None:
            raise UsageError(f'"{self.name}" is a union, which has no "after"', hint="give it to the parts")
        return DatasetBatch.requested(self)


def formula_reference(formula: str | DatasetFormula) -> str:
    """A formula by reference, without the kind; an object stands for exactly its version."""
    if isinstance(formula, DatasetFormula):
        return f"{formula.name}@{formula.version}"
    return str(Reference.parse(formula)).removeprefix("formula:")
