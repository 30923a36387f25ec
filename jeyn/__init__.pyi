"""The public names as type checkers see them; tests/test_public_names.py holds this to the table in __init__.py."""

from jeyn.errors import JeynError
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.checkpoint import ModelCheckpoint
from jeyn.sdk.datasets import DatasetBatch, DatasetFormula, FileBatch, GenericBatch, TableBatch
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.feature import Feature
from jeyn.sdk.reference import Reference
from jeyn.sdk.use_case import MlUseCase
from jeyn.sdk.version import Version
from jeyn.sdk.version_range import VersionRange
from jeyn.stores.current import context, dataset_store, diff, impact, lineage, model_store, open, search, use
from jeyn.stores.workspace import Workspace

__all__ = [
    "DataCatalog",
    "DatasetBatch",
    "DatasetFormula",
    "Dtypes",
    "Feature",
    "FileBatch",
    "GenericBatch",
    "JeynError",
    "MlUseCase",
    "ModelCheckpoint",
    "Reference",
    "TableBatch",
    "Version",
    "VersionRange",
    "Workspace",
    "context",
    "dataset_store",
    "diff",
    "impact",
    "lineage",
    "model_store",
    "open",
    "search",
    "use",
]
