"""The public names as type checkers see them; tests/test_public_names.py holds this to the table in __init__.py."""

from jeyn.errors import Fatal, JeynError
from jeyn.sdk.branch import first, otherwise, when
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.checkpoint import ModelCheckpoint
from jeyn.sdk.datasets import DatasetBatch, DatasetFormula, FileBatch, GenericBatch, TableBatch
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.feature import Feature
from jeyn.sdk.file import File
from jeyn.sdk.handle import ref
from jeyn.sdk.operation import operation
from jeyn.sdk.plan import Plan
from jeyn.sdk.progress import progress
from jeyn.sdk.reference import Reference
from jeyn.sdk.secret import Secret
from jeyn.sdk.use_case import MlUseCase
from jeyn.sdk.version import Version
from jeyn.sdk.version_range import VersionRange
from jeyn.stores.current import context, dataset_store, diff, impact, lineage, model_store, open, search, use
from jeyn.stores.serializers.table import register_serializer
from jeyn.stores.workspace import Workspace
from jeyn.workflows.pipeline import pipeline

__all__ = [
    "DataCatalog",
    "DatasetBatch",
    "DatasetFormula",
    "Dtypes",
    "Fatal",
    "Feature",
    "File",
    "FileBatch",
    "GenericBatch",
    "JeynError",
    "MlUseCase",
    "ModelCheckpoint",
    "Plan",
    "Reference",
    "Secret",
    "TableBatch",
    "Version",
    "VersionRange",
    "Workspace",
    "context",
    "dataset_store",
    "diff",
    "first",
    "impact",
    "lineage",
    "model_store",
    "open",
    "operation",
    "otherwise",
    "pipeline",
    "progress",
    "ref",
    "register_serializer",
    "search",
    "use",
    "when",
]
