"""Passing a batch through a checkpoint, in pieces: how a model formula makes its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from jeyn.errors import DataInvalid, Incompatible, OperationFailed, UsageError
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.datasets.arrays import as_table, table_to_numpy

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
        except (Incompatible, DataInvalid, UsageError):
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
        for name in formula.keep:
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
        return {outputs[0]: getattr(model, method)(_matrix(rows, inputs))}

    return call


def _matrix(rows: pa.Table, inputs: type[DataCatalog]) -> Any:
    """The input features as one array: a single feature as it is, several side by side, shape (rows, features)."""
    import numpy as np

    arrays = list(table_to_numpy(inputs.conform(rows), inputs).values())
    if len(arrays) == 1 and arrays[0].ndim > 1:
        return arrays[0]
    return np.column_stack([array.reshape(len(array), -1) for array in arrays])
