"""What a dataset is: formulas, which are recipes, and batches, which are what came out."""

from jeyn.sdk.datasets.batch import DatasetBatch, FileBatch, GenericBatch, TableBatch, UnionBatch
from jeyn.sdk.datasets.composite import CompositeFormula
from jeyn.sdk.datasets.formula import DatasetFormula
from jeyn.sdk.datasets.model import ModelFormula
from jeyn.sdk.datasets.source_options import SourceOptions
from jeyn.sdk.datasets.sql import SqlFormula
from jeyn.sdk.datasets.streaming import StreamingFormula

__all__ = [
    "CompositeFormula",
    "DatasetBatch",
    "DatasetFormula",
    "FileBatch",
    "GenericBatch",
    "ModelFormula",
    "SourceOptions",
    "SqlFormula",
    "StreamingFormula",
    "TableBatch",
    "UnionBatch",
]
