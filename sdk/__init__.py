"""What things are: artefacts, versions, catalogs, datasets, models and pipelines. Pure: importing it opens nothing."""

from jeyn.sdk.artefact import Artefact, Edge, PayloadRef, Record
from jeyn.sdk.branch import first, otherwise, when
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.checkpoint import ModelCheckpoint
from jeyn.sdk.datasets import (
    CompositeFormula,
    DatasetBatch,
    DatasetFormula,
    FileBatch,
    GenericBatch,
    ModelFormula,
    SqlFormula,
    StreamingFormula,
    TableBatch,
    UnionBatch,
)
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.evaluation import Evaluation
from jeyn.sdk.feature import Feature
from jeyn.sdk.file import File
from jeyn.sdk.handle import Handle, ref
from jeyn.sdk.operation import Operation
from jeyn.sdk.pipeline import Pipeline
from jeyn.sdk.plan import Plan
from jeyn.sdk.reference import Reference
from jeyn.sdk.relationship import RelationshipType
from jeyn.sdk.secret import Secret
from jeyn.sdk.serializer import ModelSerializer
from jeyn.sdk.use_case import MlUseCase
from jeyn.sdk.value import Value
from jeyn.sdk.version import Version
from jeyn.sdk.version_range import VersionRange

__all__ = [
    "Artefact",
    "CompositeFormula",
    "DataCatalog",
    "DatasetBatch",
    "DatasetFormula",
    "Dtypes",
    "Edge",
    "Evaluation",
    "Feature",
    "File",
    "FileBatch",
    "GenericBatch",
    "Handle",
    "MlUseCase",
    "ModelCheckpoint",
    "ModelFormula",
    "ModelSerializer",
    "Operation",
    "PayloadRef",
    "Pipeline",
    "Plan",
    "Record",
    "Reference",
    "RelationshipType",
    "Secret",
    "SqlFormula",
    "StreamingFormula",
    "TableBatch",
    "UnionBatch",
    "Value",
    "Version",
    "VersionRange",
    "first",
    "otherwise",
    "ref",
    "when",
]
