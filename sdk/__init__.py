"""What things are: artefacts, versions, catalogs, datasets and models. Pure: importing it opens nothing."""

from jeyn.sdk.artefact import Artefact, Edge, PayloadRef, Record
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
from jeyn.sdk.reference import Reference
from jeyn.sdk.relationship import RelationshipType
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
    "FileBatch",
    "GenericBatch",
    "MlUseCase",
    "ModelCheckpoint",
    "ModelFormula",
    "ModelSerializer",
    "PayloadRef",
    "Record",
    "Reference",
    "RelationshipType",
    "SqlFormula",
    "StreamingFormula",
    "TableBatch",
    "UnionBatch",
    "Value",
    "Version",
    "VersionRange",
]
