"""The recipe of a dataset: what every kind of formula has, and the kind whose batches are made by code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from jeyn.errors import Unsaved, UsageError
from jeyn.sdk.artefact import Artefact, Record
from jeyn.sdk.catalog import checked_catalog
from jeyn.sdk.datasets.source_options import PLAIN, SourceOptions
from jeyn.sdk.reference import Reference, valid_name
from jeyn.sdk.version import Version
from jeyn.sdk.version_range import VersionRange

if TYPE_CHECKING:
    from pathlib import Path

    from jeyn.sdk.catalog import CatalogClass
    from jeyn.sdk.datasets.batch import DatasetBatch, FileBatch, GenericBatch, TableBatch


class DatasetFormula(Artefact):
    """A dataset by name and version. This base kind is "generic": its batches are made by code.

    The version is given by a person. From 1.0.0 on a new minor may add features and nothing else; in 0.x the minor
    is the breaking part.
    """

    type: ClassVar[str] = "dataset_formula"
    ref_kind: ClassVar[str] = "formula"
    kind: ClassVar[str] = "generic"
    options: SourceOptions = PLAIN

    def __init__(
        self,
        name: str,
        *,
        version: str | Version,
        output_catalog: CatalogClass,
        description: str = "",
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        self._declare(name, version, output_catalog, description)
        self.parameters = dict(parameters or {})

    def _declare(
        self, name: str, version: str | Version, output_catalog: CatalogClass | None, description: str
    ) -> None:
        self.name = valid_name(name)
        self.version = Version.of(version)
        self.description = description
        self._output_catalog = None if output_catalog is None else checked_catalog(output_catalog, f'formula "{name}"')

    @property
    def output_catalog(self) -> CatalogClass:
        """The schema of every batch. A derived one is known once the formula is saved."""
        if self._output_catalog is None:
            raise Unsaved(f'the catalog of "{self.name}" is derived when it is saved', hint="save_formula(...) first")
        return self._output_catalog

    def recipe(self) -> dict[str, Any]:
        return {"kind": self.kind, "parameters": self.parameters}

    def record(self) -> Record:
        return Record(
            schema="dataset_formula/1",
            name=self.name,
            body={
                "version": str(self.version),
                "output_catalog": self.output_catalog.to_json(order=False),  # it stands beside the id
                "recipe": self.recipe(),
            },
        )

    def completed(self, output_catalog: CatalogClass) -> DatasetFormula:
        """This formula with its derived catalog filled in."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__, _output_catalog=output_catalog)
        return twin

    @property
    def ref(self) -> str:
        return f"formula:{self.name}@{self.version}"

    def at(self, versions: str | VersionRange) -> str:
        """A reference to this name at a range of versions, for composite and model formulas."""
        return str(Reference.parse(f"{self.name}@{versions}"))

    def get_new_batch(self, *, after: str | DatasetBatch | None = None) -> DatasetBatch:
        """The request for the next batch; `save_batch` carries it out. Pure: nothing is read here (SEMANTICS 2)."""
        raise UsageError(
            f'the batches of "{self.name}" are made by code, so none can be asked for',
            hint="formula.new_table(table), .new_files(paths) or .new_object(value), then save_batch(...)",
        )

    def new_table(self, table: Any, *, sources: Sequence[DatasetBatch] = ()) -> TableBatch:
        """An unsaved batch of rows: an Arrow table, a data frame, or a dict of arrays."""
        from jeyn.sdk.datasets.batch import TableBatch

        return TableBatch(self, table, sources=sources)

    def new_files(self, paths: Sequence[str | Path], *, sources: Sequence[DatasetBatch] = ()) -> FileBatch:
        """An unsaved batch of data files (Parquet, CSV, JSON lines, Arrow)."""
        from jeyn.sdk.datasets.batch import FileBatch

        return FileBatch(self, paths, sources=sources)

    def new_object(
        self, value: Any, *, kwargs: Mapping[str, Any] | None = None, sources: Sequence[DatasetBatch] = ()
    ) -> GenericBatch:
        """An unsaved batch of any object that has a registered serializer."""
        from jeyn.sdk.datasets.batch import GenericBatch

        return GenericBatch(self, value, kwargs=kwargs, sources=sources)
