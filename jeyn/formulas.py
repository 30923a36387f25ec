"""The kinds of dataset formula, for users to import; they are defined in jeyn.sdk.datasets."""

from jeyn.sdk.datasets import CompositeFormula, ModelFormula, SourceOptions, SqlFormula, StreamingFormula

__all__ = ["CompositeFormula", "ModelFormula", "SourceOptions", "SqlFormula", "StreamingFormula"]
