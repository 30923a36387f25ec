"""Jeyn: contracts, versions and lineage for ML pipelines; this is its front door.

A public name is imported from its module on first use, so `import jeyn` costs next to nothing (SEMANTICS 27).
"""

import sys as _sys

from jeyn.opened import watch_program as _watch
from jeyn.own_imports import guard as _guard

_guard()
_watch(_sys.orig_argv)
_MODULES = {
    "DataCatalog": "jeyn.sdk.catalog",
    "DatasetBatch": "jeyn.sdk.datasets",
    "DatasetFormula": "jeyn.sdk.datasets",
    "Dtypes": "jeyn.sdk.dtypes",
    "Fatal": "jeyn.errors",
    "Feature": "jeyn.sdk.feature",
    "File": "jeyn.sdk.file",
    "FileBatch": "jeyn.sdk.datasets",
    "GenericBatch": "jeyn.sdk.datasets",
    "JeynError": "jeyn.errors",
    "MlUseCase": "jeyn.sdk.use_case",
    "ModelCheckpoint": "jeyn.sdk.checkpoint",
    "Plan": "jeyn.sdk.plan",
    "Reference": "jeyn.sdk.reference",
    "Secret": "jeyn.sdk.secret",
    "TableBatch": "jeyn.sdk.datasets",
    "Version": "jeyn.sdk.version",
    "VersionRange": "jeyn.sdk.version_range",
    "Workspace": "jeyn.stores.workspace",
    "context": "jeyn.stores.current",
    "dataset_store": "jeyn.stores.current",
    "diff": "jeyn.stores.current",
    "first": "jeyn.sdk.branch",
    "impact": "jeyn.stores.current",
    "lineage": "jeyn.stores.current",
    "model_store": "jeyn.stores.current",
    "open": "jeyn.stores.current",
    "operation": "jeyn.sdk.operation",
    "otherwise": "jeyn.sdk.branch",
    "pipeline": "jeyn.workflows.pipeline",
    "progress": "jeyn.sdk.progress",
    "ref": "jeyn.sdk.handle",
    "register_serializer": "jeyn.stores.serializers.table",
    "search": "jeyn.stores.current",
    "use": "jeyn.stores.current",
    "when": "jeyn.sdk.branch",
}

__all__ = sorted(_MODULES)


def __getattr__(name):
    if name not in _MODULES:
        raise AttributeError(f"module 'jeyn' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value


def __dir__():
    return sorted({*globals(), *__all__})
