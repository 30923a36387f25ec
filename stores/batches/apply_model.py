"""Passing a batch through a checkpoint, in pieces: how a model formula makes its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from jeyn.errors import DataInvalid, Incompatible, OperationFailed, UsageError
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.datasets.arrays import as_table, table_to_matrix, table_to_pandas

if TYPE_CHECKING:
    import pyarrow as pa

    from jeyn.sdk.checkpoint import ModelCheckpoint
    from jeyn.sdk.datasets.batch import DatasetBatch
    from jeyn.sdk.datasets.model import ModelFormula

ROWS = 65_536


def apply_model(formula: ModelFormula, checkpoint: ModelCheckpoint, source: DatasetBatch) -> Iterator[pa.RecordBatch]:
    """The outputs of the model for each row of `source`, with the features that the formula keeps."""
    import pyarrow as pa

    model, predict = checkpoint.load(), _applier(formula, checkpoint)
    for piece in source.iter_batches(ROWS):
        rows = pa.Table.from_batches([piece])
        try:
            made = as_table(predict(model, rows), formula.output_catalog)
        except (Incompatible, DataInvalid, UsageError, MemoryError):
            raise
        except Exception as exc:
            raise OperationFailed(
                f'"{checkpoint.ref}" failed on {source.ref}: {type(exc).__name__}: {exc}',
                hint=f'apply="{formula.apply}" is how it was called',
            ) from exc
        if made.num_rows != rows.num_rows:
            raise DataInvalid(
                f'"{checkpoint.ref}" gave {made.num_rows} rows for {rows.num_rows}', hint="one output row per input row"
            )
        for name in (name for name in formula.keep if name in rows.column_names):
            made = made.append_column(name, rows.column(name))
        yield from formula.output_catalog.conform(made).combine_chunks().to_batches()


def _applier(formula: ModelFormula, checkpoint: ModelCheckpoint) -> Callable[[Any, pa.Table], Any]:
    if formula.function is not None:
        return formula.function
    if not isinstance(formula.apply, str):
        raise UsageError(
            f'"{formula.name}" applies "{formula.apply["name"]}", which is never imported from a catalog',
            hint="ask for the batch with the formula object that your code defines",
        )
    method, inputs = formula.apply, checkpoint.input_catalog
    outputs = list(checkpoint.output_catalog.features)
    if len(outputs) != 1:
        raise UsageError(f'"{checkpoint.ref}" gives {len(outputs)} features', hint="pass a function as apply=")

    def call(model: Any, rows: pa.Table) -> Mapping[str, Any]:
        return {outputs[0]: getattr(model, method)(_given(model, inputs.conform(rows), inputs, checkpoint.ref))}

    return call


def _given(model: Any, rows: pa.Table, inputs: type[DataCatalog], ref: str) -> Any:
    """The input features as a model takes them: a frame in its own order if it knows names, else one array."""
    names = _names(model)
    if names is None:
        return table_to_matrix(rows, inputs)
    if set(names) <= set(inputs.features):
        return table_to_pandas(rows.select(names), inputs)
    if len(inputs.features) == 1:
        import pandas as pd

        return pd.DataFrame(table_to_matrix(rows, inputs), columns=names)
    absent = [name for name in names if name not in inputs.features]
    raise Incompatible(
        f'"{ref}" was fitted on the column "{absent[0]}", which is no feature of its input catalog',
        hint=f"its inputs are {', '.join(inputs.features)}; fit it on columns so named, or pass a function as apply=",
    )


def _names(model: Any) -> list[str] | None:
    """The names of the columns that a model was fitted on, in its order, where it kept them (scikit-learn's way)."""
    found = getattr(model, "feature_names_in_", None)
    return None if found is None else [str(name) for name in found]
