"""A dataset that is another one passed through a model checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from jeyn.errors import UsageError
from jeyn.sdk.artefact import Artefact
from jeyn.sdk.canonical import sha256_of
from jeyn.sdk.datasets.batch import DatasetBatch
from jeyn.sdk.datasets.composite import formula_reference
from jeyn.sdk.datasets.formula import DatasetFormula
from jeyn.sdk.reference import Reference

if TYPE_CHECKING:
    import pyarrow as pa

    from jeyn.sdk.catalog import CatalogClass
    from jeyn.sdk.version import Version

# The only method names that a formula read back from a catalog may call on a model.
METHODS = ("predict", "predict_proba", "transform", "decision_function", "__call__")


class ModelFormula(DatasetFormula):
    """The latest batch of `source`, passed through `checkpoint`; both are pinned in each batch.

    `apply` is one of `METHODS`, or a function `(model, table) -> table` of an importable module. A method is called
    with the input features: a model that knows the names of its columns (`feature_names_in_`) gets a data frame in its
    own order, any other one array of shape (rows, features) in the order of its input catalog. `keep` names features of
    the source that are carried over. The catalog is the checkpoint's output catalog plus what is kept, unless one is
    given.
    """

    kind: ClassVar[str] = "model"

    def __init__(
        self,
        name: str,
        *,
        version: str | Version,
        source: str | DatasetFormula,
        checkpoint: str | Artefact,
        apply: str | Callable[[Any, pa.Table], Any] = "predict",
        keep: Sequence[str] = (),
        output_catalog: CatalogClass | None = None,
        description: str = "",
    ) -> None:
        self._declare(name, version, output_catalog, description)
        self.source = formula_reference(source)
        self.checkpoint = checkpoint.ref if isinstance(checkpoint, Artefact) else str(Reference.parse(checkpoint))
        self.function = apply if callable(apply) else None
        self.apply = function_record(apply) if callable(apply) else _method(apply)
        self.keep = tuple(keep)

    def recipe(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "source": self.source,
            "checkpoint": self.checkpoint,
            "apply": self.apply,
            "keep": list(self.keep),
        }

    def get_new_batch(self, *, after: str | DatasetBatch | None = None) -> DatasetBatch:
        if after is not None:
            raise UsageError(f'"{self.name}" follows its source, which has the "after"', hint="give it to the source")
        return DatasetBatch.requested(self)


def _method(name: str) -> str:
    if name not in METHODS:
        raise UsageError(f'a model is applied by one of {", ".join(METHODS)}, not "{name}"', hint="or pass a function")
    return name


def function_record(function: Callable[..., Any]) -> dict[str, str]:
    """A function by importable name and the digest of its source; what it does is part of the recipe."""
    import inspect

    module, qualname = getattr(function, "__module__", ""), getattr(function, "__qualname__", "")
    if not module or not qualname or "<" in qualname:
        raise UsageError(
            f'"{function!r}" has no importable name', hint="define it at the top level of a module, with def"
        )
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError) as exc:
        raise UsageError(f'the source of "{qualname}" cannot be read', hint="define it in a file") from exc
    return {"name": f"{module}:{qualname}", "digest": sha256_of(source.encode())}
