"""The ML use case: what makes several checkpoints "the same", and the contract of the next one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from jeyn.sdk.artefact import Artefact, Record
from jeyn.sdk.catalog import checked_catalog
from jeyn.sdk.checkpoint import ModelCheckpoint, VersionRequest
from jeyn.sdk.reference import valid_name
from jeyn.sdk.version import Version

if TYPE_CHECKING:
    from jeyn.sdk.catalog import CatalogClass
    from jeyn.sdk.datasets.batch import DatasetBatch


class MlUseCase(Artefact):
    """A use case is its name (SEMANTICS 6). The catalogs are what the *next* checkpoint takes and gives.

    `update_patch`, `update_minor` and `update_major` give the next checkpoint, unsaved: its number is settled when
    it is saved, on top of the highest released version or of `base`. First versions are 0.0.1, 0.1.0 and 1.0.0.
    """

    type: ClassVar[str] = "use_case"
    ref_kind: ClassVar[str] = "usecase"

    def __init__(
        self,
        name: str,
        *,
        input_catalog: CatalogClass,
        output_catalog: CatalogClass,
        description: str = "",
    ) -> None:
        self.name = valid_name(name)
        self.input_catalog = checked_catalog(input_catalog, f'use case "{name}"')
        self.output_catalog = checked_catalog(output_catalog, f'use case "{name}"')
        self.description = description

    def record(self) -> Record:
        return Record(schema="use_case/1", name=self.name, body={})

    @property
    def ref(self) -> str:
        return f"usecase:{self.name}"

    def update_patch(
        self,
        *,
        dataset: DatasetBatch,
        model: Any,
        parents: Sequence[ModelCheckpoint | str] = (),
        base: ModelCheckpoint | Version | str | None = None,
        metrics: Mapping[str, float] | None = None,
    ) -> ModelCheckpoint:
        """The next patch: the same catalogs (in 0.x also a compatible change of them)."""
        return self._next(VersionRequest("patch", base=base_version(base)), dataset, model, parents, metrics)

    def update_minor(
        self,
        *,
        dataset: DatasetBatch,
        model: Any,
        parents: Sequence[ModelCheckpoint | str] = (),
        base: ModelCheckpoint | Version | str | None = None,
        metrics: Mapping[str, float] | None = None,
    ) -> ModelCheckpoint:
        """The next minor: may need fewer inputs and give more outputs (in 0.x anything)."""
        return self._next(VersionRequest("minor", base=base_version(base)), dataset, model, parents, metrics)

    def update_major(
        self,
        *,
        dataset: DatasetBatch,
        model: Any,
        parents: Sequence[ModelCheckpoint | str] = (),
        base: ModelCheckpoint | Version | str | None = None,
        metrics: Mapping[str, float] | None = None,
    ) -> ModelCheckpoint:
        """The next major: the catalogs may change in any way."""
        return self._next(VersionRequest("major", base=base_version(base)), dataset, model, parents, metrics)

    def update_to(
        self,
        version: Version | str,
        *,
        dataset: DatasetBatch,
        model: Any,
        parents: Sequence[ModelCheckpoint | str] = (),
        base: ModelCheckpoint | Version | str | None = None,
        metrics: Mapping[str, float] | None = None,
    ) -> ModelCheckpoint:
        """A checkpoint at exactly this version, prereleases included; refused where the change needs a larger one."""
        request = VersionRequest("exact", exact=Version.of(version), base=base_version(base))
        return self._next(request, dataset, model, parents, metrics)

    def _next(
        self,
        request: VersionRequest,
        dataset: DatasetBatch,
        model: Any,
        parents: Sequence[ModelCheckpoint | str],
        metrics: Mapping[str, float] | None,
    ) -> ModelCheckpoint:
        return ModelCheckpoint(
            use_case=self, dataset=dataset, model=model, parents=parents, metrics=metrics, request=request
        )


def base_version(base: ModelCheckpoint | Version | str | None) -> Version | None:
    if base is None:
        return None
    return base.version if isinstance(base, ModelCheckpoint) else Version.of(base)
